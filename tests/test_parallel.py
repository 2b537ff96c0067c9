"""Ranks in one process: results, counted bytes, and what goes wrong."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm import InputError
from minilm import parallel as P
from minilm.parallel import RankError, simulate

RANKS = st.integers(1, 6)
SHAPES = st.lists(st.integers(0, 5), min_size=1, max_size=3).map(tuple)


def given_by(rank: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(rank).integers(-9, 9, shape).astype(np.float64)


# ------------------------------------------------------------------------------ collectives


@settings(deadline=None, max_examples=25)
@given(RANKS, SHAPES)
def test_collectives_by_their_definition(ranks: int, shape: tuple[int, ...]) -> None:
    all_given = [given_by(rank, shape) for rank in range(ranks)]
    total = np.sum(all_given, axis=0)

    def worker(comm):
        mine = given_by(comm.rank, shape)
        kept = mine.copy()
        np.testing.assert_array_equal(comm.all_reduce(mine), total)
        np.testing.assert_array_equal(comm.all_reduce(mine, "max"), np.max(all_given, axis=0))
        part = np.array_split(total.reshape(-1), ranks)[comm.rank]
        np.testing.assert_array_equal(comm.reduce_scatter(mine), part)
        for found, wanted in zip(comm.all_gather(mine), all_given, strict=True):
            np.testing.assert_array_equal(found, wanted)
        root = ranks - 1
        found = comm.broadcast(mine if comm.rank == root else None, root)
        np.testing.assert_array_equal(found, all_given[root])
        parts = [mine * 10 + to for to in range(ranks)]
        for source, found in enumerate(comm.all_to_all(parts)):
            np.testing.assert_array_equal(found, all_given[source] * 10 + comm.rank)
        comm.barrier()
        np.testing.assert_array_equal(mine, kept)
        return comm.rank

    assert simulate(worker, ranks).values == list(range(ranks))


@settings(deadline=None, max_examples=25)
@given(RANKS, st.integers(0, 40))
def test_rings_send_what_the_engine_counts(ranks: int, size: int) -> None:
    def worker(comm):
        mine = given_by(comm.rank, (size,))
        for ring, engine in (
            (P.ring_all_reduce, comm.all_reduce),
            (P.ring_reduce_scatter, comm.reduce_scatter),
        ):
            before = comm.ledger.sent.copy(), comm.ledger.messages.copy()
            np.testing.assert_array_equal(ring(comm, mine), engine(mine))
            moved = [
                now - then for now, then in zip((comm.ledger.sent, comm.ledger.messages), before)
            ]
            for counted in moved:
                assert counted["send"] == counted[engine.__name__]
        before = comm.ledger.sent.copy()
        for found, wanted in zip(
            P.ring_all_gather(comm, mine[: comm.rank]), comm.all_gather(mine[: comm.rank])
        ):
            np.testing.assert_array_equal(found, wanted)
        moved = comm.ledger.sent - before
        assert moved["send"] == moved["all_gather"]

    simulate(worker, ranks)


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_halving_sends_as_much_in_fewer_messages(ranks: int) -> None:
    n = 16 * ranks
    wanted = np.sum([given_by(rank, (n,)) for rank in range(ranks)], axis=0)

    def worker(comm):
        return P.halving_all_reduce(comm, given_by(comm.rank, (n,)))

    run = simulate(worker, ranks)
    for found in run.values:
        np.testing.assert_array_equal(found, wanted)
    assert run.sent() == [8 * 2 * n * (ranks - 1) // ranks] * ranks
    assert [ledger.messages["send"] for ledger in run.ledgers] == [
        2 * int(math.log2(ranks))
    ] * ranks


@pytest.mark.parametrize("ranks", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("root", [0, -1])
def test_tree_broadcast(ranks: int, root: int) -> None:
    root %= ranks
    x = np.arange(6.0).reshape(2, 3)
    run = simulate(
        lambda comm: P.tree_broadcast(comm, x if comm.rank == root else None, root), ranks
    )
    for found in run.values:
        np.testing.assert_array_equal(found, x)
    messages = [ledger.messages["send"] for ledger in run.ledgers]
    assert sum(messages) == ranks - 1
    assert max(messages) <= math.ceil(math.log2(ranks)) if ranks > 1 else True


def test_a_run_is_the_same_to_the_last_bit() -> None:
    def worker(comm):
        x = np.random.default_rng(comm.rank).standard_normal(1000).astype(np.float32)
        return comm.all_reduce(P.ring_all_reduce(comm, x))

    first, second = simulate(worker, 5).values, simulate(worker, 5).values
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_groups() -> None:
    """Rows and columns of a 2 x 3 grid of ranks, at the same time."""

    def worker(comm):
        row, column = divmod(comm.rank, 3)
        across = comm.group([3 * row + i for i in range(3)])
        down = comm.group([3 * i + column for i in range(2)])
        assert (across.rank, down.rank) == (column, row)
        one = np.array([10.0 * row + column])
        return float(across.all_reduce(one)[0]), float(down.all_reduce(one)[0])

    found = simulate(worker, 6).values
    assert found == [(30.0 * (r // 3) + 3, 10.0 + 2 * (r % 3)) for r in range(6)]


def test_memory_is_counted() -> None:
    def worker(comm):
        comm.ledger.hold("weights", 100)
        comm.ledger.hold("gradients", 50)
        comm.ledger.hold("gradients", -50)
        comm.ledger.hold("gradients", 20)

    ledger = simulate(worker, 2).ledgers[1]
    assert (ledger.peak, ledger.peak_of["gradients"], ledger.held["gradients"]) == (150, 50, 20)


# ------------------------------------------------------------------------------ what goes wrong


def test_the_error_of_a_rank_is_the_error_of_the_run() -> None:
    def worker(comm):
        if comm.rank == 2:
            raise ZeroDivisionError("lost")
        comm.all_reduce(np.ones(3))

    with pytest.raises(ZeroDivisionError, match="lost") as caught:
        simulate(worker, 4)
    assert "rank 2 of 4" in caught.value.__notes__[0]


def test_collectives_that_do_not_fit_name_both_calls() -> None:
    def worker(comm):
        if comm.rank:
            comm.all_gather(np.ones(3))
        else:
            comm.all_reduce(np.ones(3))

    with pytest.raises(
        RankError, match=r"rank 0 calls all_reduce .*test_parallel.py:\d+, rank 1 calls"
    ):
        simulate(worker, 2)


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(RankError, match=r"\(1,\).*\(2,\)"):
        simulate(lambda comm: comm.all_reduce(np.ones(comm.rank + 1)), 2)


def test_a_missing_collective_is_found() -> None:
    def worker(comm):
        if comm.rank != 1:
            comm.barrier()

    with pytest.raises(RankError, match="rank 0 waits in barrier .*rank 1 has ended"):
        simulate(worker, 3)


def test_everybody_waiting_for_everybody_is_found() -> None:
    with pytest.raises(RankError, match="no rank can go on: rank 0 waits in recv from rank 1"):
        simulate(lambda comm: comm.recv(1 - comm.rank), 2)


REFUSED = {
    "no ranks": (lambda: simulate(print, 0), "ranks is 0"),
    "a rank that is not there": (lambda: simulate(lambda c: c.send(np.ones(1), 5), 2), "to is 5"),
    "an unknown reduction": (
        lambda: simulate(lambda c: c.all_reduce(np.ones(1), "mean"), 1),
        "op is",
    ),
    "too few parts": (lambda: simulate(lambda c: c.all_to_all([np.ones(1)]), 2), "parts are 1"),
    "a group without me": (lambda: simulate(lambda c: c.group([0]), 2), "rank 1 one of them"),
    "halving on three": (
        lambda: simulate(lambda c: P.halving_all_reduce(c, np.ones(3)), 3),
        "power",
    ),
    "an unknown schedule": (lambda: P.simulate_pipeline(2, 2, "fast"), "schedule is 'fast'"),
    "interleaved with a rest": (
        lambda: P.simulate_pipeline(2, 3, "interleaved", pieces=2),
        "batches",
    ),
    "heads that do not divide": (
        lambda: simulate(lambda c: P.ulysses_attention(c, *np.ones((3, 3, 4, 2))), 2),
        "heads are 3",
    ),
    "an odd text": (lambda: P.zigzag_split(6, 2), "count is 6"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_a_sentence(name: str) -> None:
    call, words = REFUSED[name]
    with pytest.raises(InputError, match=words):
        call()


# ------------------------------------------------------------------------------ pipeline


@pytest.mark.parametrize("schedule", ["gpipe", "1f1b"])
@pytest.mark.parametrize(
    ("stages", "batches", "bubble", "makespan"),
    [(4, 4, 0.42857, 21), (4, 8, 0.27273, 33), (8, 32, 0.179487, 117)],
)
def test_bubble_and_makespan(schedule, stages, batches, bubble, makespan) -> None:
    line = P.simulate_pipeline(stages, batches, schedule)
    assert line.makespan == makespan
    assert line.bubble == pytest.approx(bubble, abs=1e-5)
    assert line.bubble == pytest.approx((stages - 1) / (batches + stages - 1))
    held = (
        [min(stages - s, batches) for s in range(stages)]
        if schedule == "1f1b"
        else [batches] * stages
    )
    assert line.held == held


@pytest.mark.parametrize(
    ("stages", "batches", "pieces"), [(4, 8, 2), (2, 8, 4), (4, 4, 3), (3, 6, 1)]
)
def test_interleaving_divides_the_bubble(stages: int, batches: int, pieces: int) -> None:
    line = P.simulate_pipeline(stages, batches, "interleaved", pieces=pieces)
    assert line.bubble == pytest.approx((stages - 1) / (pieces * batches + stages - 1))


@pytest.mark.parametrize(("stages", "batches"), [(2, 4), (4, 8), (4, 12), (8, 32)])
def test_zero_bubble_h1(stages: int, batches: int) -> None:
    """With F = B = W: a third of the bubble of 1F1B, in no more memory (table 1 of the paper)."""
    plain = P.simulate_pipeline(stages, batches, "1f1b", 1.0, 2.0)
    cut = P.simulate_pipeline(stages, batches, "zb-h1", 1.0, 2.0)
    assert plain.makespan - 3 * batches == 3 * (stages - 1)
    assert cut.makespan - 3 * batches == stages - 1
    assert max(cut.held) <= max(plain.held)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(P.SCHEDULES), st.integers(1, 6), st.integers(1, 4), st.integers(1, 3))
def test_every_task_runs_once_and_in_its_order(schedule, stages, groups, pieces) -> None:
    batches = stages * groups
    pieces = pieces if schedule == "interleaved" else 1
    line = P.simulate_pipeline(stages, batches, schedule, pieces=pieces)
    kinds = "FBW" if schedule == "zb-h1" else "FB"
    assert len({task for task, _, _ in line.tasks}) == len(kinds) * stages * batches * pieces
    end = {task: at for task, _, at in line.tasks}
    for task, start, _ in line.tasks:
        place = task.piece * stages + task.stage
        if task.kind == "F" and place:
            before = P.Task("F", (place - 1) % stages, task.batch, (place - 1) // stages)
            assert end[before] <= start
        if task.kind != "F":
            assert end[P.Task("F", *task[1:])] <= start
    for stage in range(stages):  # one thing at a time
        own = [(start, at) for task, start, at in line.tasks if task.stage == stage]
        assert all(a[1] <= b[0] + 1e-9 for a, b in zip(own, own[1:]))


# ------------------------------------------------------------------------------ context


def dense(q: np.ndarray, k: np.ndarray, v: np.ndarray, causal: bool) -> np.ndarray:
    scores = np.einsum("htd,hsd->hts", q, k) / math.sqrt(q.shape[-1])
    if causal:
        scores = np.where(np.tri(q.shape[1], dtype=bool), scores, -np.inf)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("hts,hsd->htd", e / e.sum(-1, keepdims=True), v)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("plan", ["ring", "zigzag", "ulysses"])
def test_split_attention_is_attention(plan: str, ranks: int, causal: bool) -> None:
    q, k, v = np.random.default_rng(0).standard_normal((3, 4, 16, 8))
    own = P.zigzag_split(16, ranks) if plan == "zigzag" else np.split(np.arange(16), ranks)

    def worker(comm):
        mine = [x[:, own[comm.rank]] for x in (q, k, v)]
        if plan == "ulysses":
            return P.ulysses_attention(comm, *mine, causal=causal)
        return P.ring_attention(comm, *mine, own[comm.rank], causal=causal)

    run = simulate(worker, ranks)
    join = P.zigzag_join if plan == "zigzag" else lambda parts, axis: np.concatenate(parts, axis)
    np.testing.assert_allclose(join(run.values, axis=1), dense(q, k, v, causal), atol=1e-12)
    part = 4 * 16 // ranks * 8 * 8  # bytes of one rank's keys
    if plan == "ulysses":  # three arrays there and one back, all but a rank's own share
        assert run.sent() == [4 * part * (ranks - 1) // ranks] * ranks
    else:
        places = 16 // ranks * 8
        assert run.sent() == [(ranks - 1) * (2 * part + places)] * ranks


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.sampled_from([1.0, 1e4]))
def test_merge_is_exact_in_any_order(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    o = rng.standard_normal((3, 5, 2))
    l = size * rng.standard_normal((3, 5))  # noqa: E741
    l[0, 0] = -np.inf
    both = P.merge(o[0], l[0], o[1], l[1])
    turned = P.merge(o[1], l[1], o[0], l[0])
    left = P.merge(*both, o[2], l[2])
    right = P.merge(o[0], l[0], *P.merge(o[1], l[1], o[2], l[2]))
    for a, b in ((both, turned), (left, right)):
        np.testing.assert_allclose(a[0], b[0], atol=1e-11)
        np.testing.assert_allclose(a[1], b[1], rtol=1e-12)


def test_nothing_and_nothing_is_nothing() -> None:
    none = np.zeros((1, 2)), np.full(1, -np.inf)
    out, total = P.merge(*none, *none)
    assert np.array_equal(out, none[0])
    assert np.array_equal(total, none[1])


@pytest.mark.parametrize(("ranks", "count"), [(4, 64), (8, 128)])
def test_work_of_a_causal_text(ranks: int, count: int) -> None:
    straight = P.work_per_rank(count, ranks, "contiguous")
    level = P.work_per_rank(count, ranks, "zigzag")
    if ranks == 4:
        assert straight == [136, 392, 648, 904]
        assert level == [520] * 4
    else:
        assert max(straight) / np.mean(straight) == pytest.approx(1.868, abs=1e-3)
    assert sum(straight) == sum(level) == count * (count + 1) // 2
    assert len(set(level)) == 1


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(1, 5))
def test_zigzag_round_trip(ranks: int, chunk: int) -> None:
    parts = P.zigzag_split(2 * ranks * chunk, ranks)
    np.testing.assert_array_equal(P.zigzag_join(parts), np.arange(2 * ranks * chunk))
