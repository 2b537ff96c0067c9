"""minilm bench parallel: what its rows say, with and without processes."""

import tracemalloc

import numpy as np
import pytest

from minilm import backend
from minilm.bench import parallel
from minilm.bench.parallel_jobs import data_parallel_step
from minilm.bench.training import Size
from minilm.parallel import simulate, zigzag_split
from minilm.parallel.ring import ring


@pytest.fixture(autouse=True)
def same_threads():
    before = backend.threads()
    yield
    backend.set_threads(before)


def test_without_mpi_the_rows_say_so(monkeypatch) -> None:
    monkeypatch.setattr(parallel, "mpiexec", lambda: None)
    rows = list(parallel.step_rows(2))
    assert [row.ours for row in rows] == [None] * 3
    assert {row.peer_name for row in rows} == {"mpi4py"}


def test_rows_of_steps(monkeypatch) -> None:
    """Medians in milliseconds, ratios round by round."""
    monkeypatch.setattr(parallel, "mpiexec", lambda: "mpiexec")
    answers = {"steps": [[0.01, 0.03, 0.02], [0.02, 0.04, 0.06]], "prediction": [0.05, [0.04, 0.1]]}
    monkeypatch.setattr(parallel, "measured", lambda name, rounds: answers[name])
    monkeypatch.setattr(parallel, "threads_step", lambda: lambda: None)
    ranks, overlap, *_ = parallel.step_rows(3)
    assert ranks.ours == pytest.approx(40)
    assert (overlap.ours, overlap.peer) == pytest.approx((20, 40))
    assert overlap.ratio == pytest.approx(2)
    assert overlap.spread == pytest.approx((4 / 3, 3))


def test_a_rank_of_a_ring_holds_a_share() -> None:
    """Linear in the text, and a quarter of it on each of 4 ranks."""
    rows = list(parallel.ring_rows((1024, 4096)))
    assert [row.ratio for row in rows] == pytest.approx([4, 4], rel=0.05)
    assert rows[1].ours == pytest.approx(4 * rows[0].ours, rel=0.05)


def test_what_a_ring_says_it_holds_is_what_it_allocates() -> None:
    length, shape = 1024, (1, 4, 1024, 32)

    def worker(comm):
        q, k, v = (np.random.default_rng(0).standard_normal(shape, np.float32) for _ in range(3))
        tracemalloc.start()
        out, _ = ring.arrays(q, k, v, comm, zigzag_split(length, 1), 1.0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak, comm.ledger.peak_of["attention"] + out.nbytes

    ((peak, counted),) = simulate(worker, 1).values
    assert 0.7 < counted / peak < 1.4


def test_the_simulations_overhead_is_a_row() -> None:
    row = parallel.overhead_row(2, ranks=2, calls=5)
    assert row.unit == "us"
    assert row.ours > 0


def test_steps_of_ranks_are_those_of_one() -> None:
    """What is timed trains: all ranks end with the weights of one process."""
    size = Size(1, 32, 2, 8, 20, 4)

    def worker(comm):
        step = data_parallel_step(comm, size, overlap=True)
        for _ in range(3):
            step()
        return [p.data for bucket in step.ddp.buckets for p in bucket]

    (alone,) = simulate(worker, 1).values
    for found in simulate(worker, 2).values:
        for p, wanted in zip(found, alone, strict=True):
            assert abs(p - wanted).max() < 1e-4
