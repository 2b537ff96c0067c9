"""Many ranks on this machine: what they gain, and what the simulation costs.

`minilm bench parallel` prints the rows. The ranks are processes that mpiexec starts; where there is
no MPI, their rows say so.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minilm import backend
from minilm.bench.parallel_jobs import threads_step
from minilm.bench.rows import Race, Row, missing_row, race_of, row_of, seconds
from minilm.bench.timing import limit_row, thread_counts, use_threads
from minilm.parallel import simulate, zigzag_split
from minilm.parallel.ring import ring

RANKS, RING = 2, 4
ONE = "one process"
WITHIN = 1 / 1.2  # goal of a prediction: measured and predicted differ by a fifth at most
HELD = 2.5  # goal: how many times less each of 4 ranks holds of a text's keys
OVERHEAD = 200.0  # microseconds of a simulated collective, at most


def mpiexec() -> str | None:
    """The launcher beside this Python, else the one on the PATH; None where MPI is missing."""
    try:
        import mpi4py.MPI  # noqa: F401
    except (ImportError, RuntimeError):
        return None
    beside = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
    return beside or shutil.which("mpiexec")


def measured(name: str, rounds: int) -> Any:
    """What a job of `parallel_jobs` printed.

    Raises:
        RuntimeError: it failed.
    """
    command = [mpiexec(), "-n", str(RANKS), sys.executable, "-m", "minilm.bench.parallel_jobs"]
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, name, str(rounds)], capture_output=True, text=True, env=env, timeout=600
    )
    if done.returncode:
        raise RuntimeError(f"the job {name!r} failed: {done.stderr[-500:].strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def step_rows(rounds: int) -> Iterator[Row]:
    """A training step: 2 ranks against 2 threads, and overlap against none."""
    names = (f"step, {RANKS} MPI ranks", "sums during backward", "step, predicted")
    if mpiexec() is None:
        yield from (missing_row(name, "ms", "mpi4py", None) for name in names)
        return
    early, late = measured("steps", rounds)
    use_threads(max(thread_counts()))
    function = threads_step()
    function()
    threads = [seconds(function) for _ in range(rounds)]
    peer = f"{ONE}, {max(thread_counts())} threads"
    yield _milliseconds(names[0], race_of(list(late), threads), peer, None)
    yield _milliseconds(names[1], race_of(list(early), list(late)), "sums after it", None)
    yield from prediction_rows(names[2], rounds)


def prediction_rows(name: str, rounds: int) -> Iterator[Row]:
    """The cost model against a measured step; the ratio is the smaller over the larger."""
    from minilm.analysis import cluster

    if not hasattr(cluster, "predicted_step"):
        yield missing_row(name, "ms", "a model of links", WITHIN)
        return
    predicted, found = measured("prediction", rounds)
    ratios = sorted(min(predicted, t) / max(predicted, t) for t in found)
    middle = float(np.median(found))
    ratio = min(predicted, middle) / max(predicted, middle)
    spread = (ratios[0], ratios[-1])
    figures = predicted * 1e3, middle * 1e3
    yield Row(name, "ms", *figures, "measured", ratio, spread, WITHIN, ratio >= WITHIN)


def _milliseconds(name: str, race: Race, peer: str, goal: float | None) -> Row:
    ours, other = race.ours * 1e3, None if race.peer is None else race.peer * 1e3
    scaled = Race(ours, other, race.ratio, race.spread)
    return row_of(name, "ms", None, scaled, peer, goal)


def overhead_row(rounds: int, ranks: int = 8, calls: int = 100) -> Row:
    """Microseconds of one rank's part of a simulated all_reduce of a number."""

    def worker(comm: Any) -> None:
        x = np.ones(1)
        for _ in range(calls):
            comm.all_reduce(x)

    simulate(worker, ranks)
    taken = [
        seconds(lambda: simulate(worker, ranks)) / (ranks * calls) * 1e6 for _ in range(rounds)
    ]
    return limit_row(f"simulated all_reduce, a rank of {ranks}", "us", taken, OVERHEAD)


def ring_peak(length: int, ranks: int) -> float:
    """MB that one rank of a ring holds at most for its share of a text, 4 heads of 32.

    Its queries, keys, values and output, the block that is on its way, and the scores of one
    stretch of queries: what the ledger counts.
    """
    shape = (1, 4, length // ranks, 32)
    places = zigzag_split(length, ranks)

    def worker(comm: Any) -> int:
        rng = backend.rng(comm.rank, "bench")
        q, k, v = (rng.standard_normal(shape, np.float32) for _ in range(3))
        out, _ = ring.arrays(q, k, v, comm, places, shape[-1] ** -0.5)
        return q.nbytes + k.nbytes + v.nbytes + out.nbytes + comm.ledger.peak_of["attention"]

    return max(simulate(worker, ranks).values) / 1e6


def ring_rows(lengths: tuple[int, ...]) -> Iterator[Row]:
    """Memory of a rank against the length of the text."""
    for length in lengths:
        ours, peer = ring_peak(length, RING), ring_peak(length, 1)
        ratio = peer / ours
        name = f"ring attention, {length:,} tokens, a rank of {RING}"
        yield Row(name, "MB", ours, peer, "one rank", ratio, (ratio, ratio), HELD, ratio >= HELD)


def run(quick: bool = False) -> Iterator[Row]:
    """Each row as it is measured; about a minute, or half where `quick`."""
    before = backend.threads()
    rounds = 5 if quick else 15
    try:
        yield from step_rows(rounds)
        yield overhead_row(rounds)
        yield from ring_rows((1024, 2048) if quick else (1024, 2048, 4096, 8192))
    finally:
        backend.set_threads(before)
