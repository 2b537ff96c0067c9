"""Costs of long texts by formula, against counting and against published numbers."""

import numpy as np
import pytest

from minilm import InputError
from minilm import parallel as P
from minilm.analysis import accounting, cluster, long_context
from minilm.models import Config

LLAMA_7B = Config(
    vocab_size=32000, context=4096, layers=32, heads=32, channels=4096, ff=11008,
    activation="swiglu", norm="rms", positions="rope", bias=False, tie=False,
)  # fmt: skip
SMALL = Config(vocab_size=100, context=64, layers=2, heads=4, channels=32, kv_heads=2)


@pytest.mark.parametrize(
    ("plan", "ranks", "count", "work"),
    [
        ("contiguous", 4, 64, [136, 392, 648, 904]),
        ("zigzag", 4, 64, [520] * 4),
        ("zigzag", 8, 128, [1032] * 8),
        ("striped", 4, 64, [496, 512, 528, 544]),
    ],
)
def test_work_of_the_talks_sheet(plan: str, ranks: int, count: int, work: list[int]) -> None:
    assert long_context.ring_work(count, ranks, plan).sum(0).tolist() == work


@pytest.mark.parametrize("plan", long_context.PLANS)
@pytest.mark.parametrize(("count", "ranks"), [(16, 1), (16, 2), (48, 3), (64, 8)])
def test_work_is_a_count_of_pairs(plan: str, count: int, ranks: int) -> None:
    places = long_context.places_of(count, ranks, plan)
    assert sorted(np.concatenate(places)) == list(range(count))
    table = long_context.ring_work(count, ranks, plan)
    for step in range(ranks):
        for rank in range(ranks):
            keys = places[(rank - step) % ranks]
            counted = sum(int(k <= q) for q in places[rank] for k in keys)
            assert table[step, rank] == counted
    if plan != "striped":
        assert table.sum(0).tolist() == P.work_per_rank(count, ranks, plan)


def test_imbalance_nears_its_limit() -> None:
    for count, ranks, ratio in ((64, 4, 1.738), (128, 8, 1.868)):
        work = long_context.ring_work(count, ranks, "contiguous").sum(0)
        assert work.max() / work.mean() == pytest.approx(ratio, abs=5e-4)
    work = long_context.ring_work(8 * 1024, 8, "contiguous").sum(0)
    assert work.max() / work.mean() == pytest.approx((2 * 8 - 1) / 8, rel=2e-4)


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_no_step_of_zigzag_waits(ranks: int) -> None:
    table = long_context.ring_work(16 * ranks, ranks, "zigzag")
    assert (table == table[:, :1]).all()
    assert table.max(1).sum() == table.sum() / ranks
    slow = long_context.ring_work(16 * ranks, ranks, "contiguous").max(1).sum()
    assert slow > 1.2 * table.max(1).sum()


@pytest.mark.parametrize(
    ("ranks", "ring", "ulysses"),
    [(2, 5.37e8, 5.37e8), (8, 9.40e8, 2.35e8), (32, 1.04e9, 6.5e7)],
)
def test_traffic_of_a_layer(ranks: int, ring: float, ulysses: float) -> None:
    assert long_context.ring_traffic(131072, 4096, ranks) == pytest.approx(ring, rel=2e-3)
    assert long_context.ulysses_traffic(131072, 4096, ranks) == pytest.approx(ulysses, rel=2e-3)


@pytest.mark.parametrize("plan", ["ring", "ulysses"])
def test_traffic_is_what_the_simulator_counts(plan: str) -> None:
    heads, size, count, ranks = 4, 2, 16, 4
    x = np.random.default_rng(0).standard_normal((3, ranks, heads, count // ranks, size))

    def worker(comm):
        mine = x[:, comm.rank]
        if plan == "ulysses":
            return P.ulysses_attention(comm, *mine)
        places = long_context.places_of(count, ranks, "contiguous")[comm.rank]
        return P.ring_attention(comm, *mine, places)

    sent = P.simulate(worker, ranks).sent()
    if plan == "ring":
        numbers = long_context.ring_traffic(count, heads * size, ranks)
        where = (ranks - 1) * count // ranks  # the places travel along, one integer a token
        assert sent == [8 * (numbers + where)] * ranks
    else:
        assert sent == [8 * long_context.ulysses_traffic(count, heads * size, ranks)] * ranks


def test_shared_keys_are_sent_once() -> None:
    assert long_context.ring_traffic(64, 32, 4, kv_channels=8) == 2 * 64 * 8 * 3 / 4
    assert long_context.ulysses_traffic(64, 32, 4, kv_channels=8) == (64 + 16) * 16 * 3 / 4


@pytest.mark.parametrize(
    ("flops", "bandwidth", "tokens"),
    [(312e12, 300e9, 1040), (275e12, 268e9, 1026), (312e12, 12.5e9, 24960)],
)
def test_messages_hide_from_the_papers_block_on(flops, bandwidth, tokens) -> None:
    least = cluster.ring_block(flops, bandwidth)
    assert least == pytest.approx(tokens, rel=1e-3)
    above, below = (int(least * share) for share in (1.01, 0.5))
    assert long_context.ring_seconds(above, 128, 8, flops, bandwidth).waiting == 0
    slow = long_context.ring_seconds(below, 128, 8, flops, bandwidth)
    computing = slow.total - slow.waiting
    assert slow.waiting == pytest.approx(computing * 7 / 8, rel=2e-2)  # sending takes twice as long


def test_reading_costs_what_the_accountant_counts() -> None:
    for config, n in ((SMALL, 64), (LLAMA_7B, 1000)):
        parts = accounting.forward_flops(config, n)
        assert long_context.prefill_cost(config, n).flops == pytest.approx(
            parts.total - parts.head, rel=1e-9
        )


def test_writing_is_reading_one_token_more() -> None:
    for config, n, m in ((SMALL, 10, 5), (LLAMA_7B, 1000, 3)):
        both = long_context.prefill_cost(config, n + m).flops
        apart = long_context.prefill_cost(config, n).flops
        assert long_context.decode_cost(config, n, m).flops == both - apart
        one = long_context.decode_cost(config, n, 1)
        weights = accounting.matrix_parameters(config)
        cache = accounting.kv_cache_bytes(config, n + 1)
        assert one.bytes == 2 * weights + cache


def test_the_slower_of_two_limits() -> None:
    cost = long_context.Cost(flops=6_000, bytes=100)
    assert cost.seconds(1_000, 1_000) == 6
    assert cost.seconds(1e6, 10) == 10


REFUSED = {
    "no such plan": (lambda: long_context.places_of(8, 2, "snake"), "plan is 'snake'"),
    "odd chunks": (lambda: long_context.ring_work(12, 4), "count is 12; zigzag needs a multiple"),
    "no ranks": (lambda: long_context.ring_traffic(8, 8, 0), "ranks is 0"),
    "no speed": (lambda: long_context.ring_seconds(8, 8, 2, 0, 1), "flops is 0"),
    "nothing read": (lambda: long_context.prefill_cost(SMALL, 0), "length is 0"),
    "nothing written": (lambda: long_context.decode_cost(SMALL, 4, 0), "written 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_a_sentence(name: str) -> None:
    call, said = REFUSED[name]
    with pytest.raises(InputError, match=said):
        call()
