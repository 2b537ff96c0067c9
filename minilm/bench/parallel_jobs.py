"""What `minilm bench parallel` runs in processes of its own, and what its processes measure.

    mpiexec -n 2 python -m minilm.bench.parallel_jobs steps 7

prints one line of JSON, from the first rank.
"""

import json
import sys
import time
from typing import Any

import numpy as np

from minilm import backend
from minilm.bench.training import SIZES, Size, our_step
from minilm.models import Transformer
from minilm.optim import AdamW
from minilm.parallel import DataParallel
from minilm.parallel.mpi import run

SIZE = SIZES["tiny"]._replace(channels=256, heads=8)
BUCKET = 1_000_000  # bytes, so that this model has several


def data_parallel_step(comm: Any, size: Size, overlap: bool) -> Any:
    """A function that takes one step on this rank's share of the batch; `.ddp` sums gradients."""
    model = Transformer(size.config())
    ids, targets = (np.array_split(x, comm.size)[comm.rank] for x in size.data())
    optimizer = AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    ddp = DataParallel(comm, model, BUCKET, overlap)

    def step() -> None:
        model.loss(ids, targets).backward()
        ddp.finish()
        optimizer.step()
        optimizer.zero_grad()

    step.ddp = ddp
    return step


def timed(comm: Any, function: Any) -> float:
    """Seconds of a call that all ranks begin together: the slowest's."""
    comm.barrier()
    began = time.perf_counter()
    function()
    return float(comm.all_reduce(np.array([time.perf_counter() - began]), "max")[0])


def steps(comm: Any, rounds: str) -> None:
    """Steps with and without overlap, in turn."""
    backend.blas_threads(1)
    backend.set_threads(1)
    functions = [data_parallel_step(comm, SIZE, overlap) for overlap in (True, False)]
    for function in functions:
        function()
    comm.checked = False
    rows = [[timed(comm, function) for function in functions] for _ in range(int(rounds))]
    if comm.rank == 0:
        print(json.dumps(list(zip(*rows))), flush=True)


def prediction(comm: Any, rounds: str) -> None:
    """The cost model's seconds for a step whose parts were measured, and a step's."""
    from minilm.analysis import cluster

    backend.blas_threads(1)
    backend.set_threads(1)
    step = data_parallel_step(comm, SIZE, False)
    step()
    comm.checked = False
    links = cluster.measure_collectives(comm, repeats=int(rounds))
    alone = Transformer(SIZE.config())  # whose gradients nobody sums
    ids, targets = (np.array_split(x, comm.size)[comm.rank] for x in SIZE.data())
    optimizer = AdamW(alone.parameters(), lr=1e-3)

    def work() -> None:
        alone.zero_grad()
        alone.loss(ids, targets).backward()

    seconds = cluster.measure_work(comm, work, int(rounds))
    update = cluster.measure_work(comm, optimizer.step, int(rounds))
    units = [sum(p.numel() for p in bucket) for bucket in step.ddp.buckets]
    predicted = cluster.predicted_step(seconds, update, units, links)
    measured = [timed(comm, step) for _ in range(int(rounds))]
    if comm.rank == 0:
        print(json.dumps([predicted, measured]), flush=True)


def threads_step() -> Any:
    """The same batch in one process, as `train` takes its steps."""
    return our_step(Transformer(SIZE.config()), *SIZE.data())


if __name__ == "__main__":
    run({"steps": steps, "prediction": prediction}[sys.argv[1]], *sys.argv[2:])
