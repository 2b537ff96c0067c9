"""What the processes of test_mpi run: `mpiexec -n 3 python mpi_jobs.py NAME ARGUMENTS`."""

import json
import sys

import numpy as np

from minilm.parallel.mpi import run


def given_by(rank: int) -> np.ndarray:
    return np.random.default_rng(rank).integers(-9, 9, (3, 5)).astype(np.float64)


def everything(comm):
    """Every operation, against its definition."""
    ranks, mine = range(comm.size), given_by(comm.rank)
    total = sum(given_by(rank) for rank in ranks)
    same = np.testing.assert_array_equal
    for kind in (np.float64, np.float32, np.float16, np.int64):
        same(comm.all_reduce(mine.astype(kind)), total.astype(kind))
        part = np.array_split(total.astype(kind).reshape(-1), comm.size)[comm.rank]
        same(comm.reduce_scatter(mine.astype(kind)), part)
    same(comm.all_reduce(mine, "max"), np.max([given_by(rank) for rank in ranks], axis=0))
    for rank, found in enumerate(comm.all_gather(mine[: comm.rank])):
        same(found, given_by(rank)[:rank])
    same(comm.broadcast(mine if comm.rank == 1 else None, 1), given_by(1))
    for source, found in enumerate(comm.all_to_all([mine * 10 + to for to in ranks])):
        same(found, given_by(source) * 10 + comm.rank)
    after, before = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size
    for tag in (3, 5):
        comm.send(mine * tag, after, tag)
    for tag in (5, 3):  # by tag, and not by time
        same(comm.recv(before, tag), given_by(before) * tag)
    sums, pieces = comm.start_all_reduce(mine), comm.start_all_gather(mine[0])
    same(pieces.wait()[before], given_by(before)[0])
    same(sums.wait(), total)
    pair = comm.group([0, 2]) if comm.rank != 1 else comm.group([1])
    same(pair.all_reduce(mine), sum(given_by(rank) for rank in ([1], [0, 2])[comm.rank != 1]))
    comm.barrier()
    if comm.rank == 0:
        print(json.dumps([comm.ledger.sent, comm.ledger.messages]))


SETTINGS = {"batch": 6, "lr": 1e-2, "progress": False}


def lesson():
    """A model, and some of the Python documentation as bytes."""
    from minilm.data import documents
    from minilm.models import Transformer, llama

    text = "".join(documents("python-docs")[:4])[:20_000]
    config = llama(layers=2, heads=2, channels=16, kv_heads=2, ff=32, vocab_size=256, context=32)
    return Transformer(config, seed=0), np.frombuffer(text.encode()[:20_000], np.uint8)


def train_text(comm, folder):
    """A few steps; the first rank prints the losses."""
    from minilm.parallel import Layout
    from minilm.train.ranks import Spread, train_on_ranks

    spread = Spread(Layout(dp=comm.size), zero=3, overlap=True)
    outcome = train_on_ranks(comm, *lesson(), 12, spread, out=folder, save_every=4, **SETTINGS)
    if comm.rank == 0:
        print(json.dumps(outcome.losses))


def other_operation(comm):
    if comm.rank:
        comm.all_gather(np.ones(3))
    else:
        comm.all_reduce(np.ones(3))


def never_comes(comm):
    if comm.rank != 1:
        comm.barrier()


def never_sends(comm):
    if comm.rank == 0:
        comm.recv(1)


def raises(comm):
    if comm.rank == 2:
        raise ZeroDivisionError("lost")
    comm.all_reduce(np.ones(3))


if __name__ == "__main__":
    run(globals()[sys.argv[1]], *sys.argv[2:])
