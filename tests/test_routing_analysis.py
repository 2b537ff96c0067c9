"""What a router does, on routes whose answers are known."""

import numpy as np
import pytest
from model_kinds import TINY, ids_of, spread

from minilm import models, nn
from minilm.analysis import costs, routing
from minilm.errors import InputError


def random_routes(tokens, experts=8, chosen=2, seed=0):
    return np.random.default_rng(seed).random((tokens, experts)).argsort(1)[:, :chosen]


def small(**changes):
    config = models.mixtral(**TINY, kv_heads=1, ff=12, experts=4, **changes)
    return spread(models.model_of(config)).eval()


def test_random_routes_repeat_as_often_as_chance():
    """1/8 for the first, 13/28 for either of two; shuffling changes nothing."""
    found = routing.repeats(random_routes(200_000))
    assert found.first == pytest.approx(costs.same_first_expert(8), abs=0.004)
    assert found.any == pytest.approx(13 / 28, abs=0.005)
    null = routing.shuffled_repeats(random_routes(50_000), draws=4)
    assert null.first == pytest.approx(1 / 8, abs=0.004)
    assert null.any == pytest.approx(13 / 28, abs=0.006)


def test_repeats_count_pairs_within_a_row():
    rows = np.array([[[0, 1], [0, 2], [2, 3]], [[5, 4], [6, 7], [7, 5]]])
    assert routing.repeats(rows) == routing.Repeats(first=1 / 4, any=3 / 4)


def test_an_uneven_router_repeats_itself_by_its_load_alone():
    """One expert with 70 % of the tokens: 0.7^2 + 3 * 0.1^2 = 0.52 in any order."""
    rng = np.random.default_rng(0)
    chosen = rng.choice(4, 100_000, p=[0.7, 0.1, 0.1, 0.1])[:, None]
    assert routing.shuffled_repeats(chosen, draws=3).first == pytest.approx(0.52, abs=0.005)
    runs = np.repeat(chosen[:20_000], 3, axis=0)
    null, found = routing.shuffled_repeats(runs, draws=5), routing.repeats(runs)
    assert null.first == pytest.approx(0.52, abs=0.01)
    assert found.first == pytest.approx((2 + 0.52) / 3, abs=0.01)


def test_loads():
    assert routing.load(np.array([[0, 1], [0, 3]]), 4).tolist() == [0.5, 0.25, 0, 0.25]
    assert routing.imbalance(np.array([[0, 1], [0, 3]]), 4) == 2
    assert routing.imbalance(np.zeros((5, 1), int), 8) == 8


@pytest.mark.parametrize(
    ("tokens", "draws", "published", "spread_"),
    [(64, 800, 1.29, 0.12), (1024, 300, 1.085, 0.03), (16384, 150, 1.014, 0.008)],
)
def test_random_loads_are_uneven_by_chance(tokens, draws, published, spread_):
    """The largest of 8 deviations that add up to 0, each of T 1/4 3/4 tokens' variance.

    Of eight independent normal numbers the largest is 1.4236 deviations up on average. What the
    course's table gives are single batches, so they are as near as one batch is to the mean.
    """
    deviation = (tokens * 3 / 16) ** 0.5 / (tokens / 4)
    mean = 1 + 1.4236 * (8 / 7) ** 0.5 * deviation
    found = routing.random_imbalance(8, 2, tokens, draws)
    assert found - 1 == pytest.approx(mean - 1, rel=0.1)
    assert abs(found - published) < spread_


def test_information_of_known_tables():
    """None, all of it, and half: a fair coin that is seen half the time is worth log(2) / 2."""
    labels = np.arange(4000) % 2
    assert routing.mutual_information(labels, labels) == pytest.approx(np.log(2))
    assert routing.mutual_information(labels * 0 + 3, labels) == pytest.approx(0)
    half = np.where(np.arange(4000) // 2 % 2, labels, 2)
    assert routing.mutual_information(half, labels) == pytest.approx(np.log(2) / 2)
    twice = np.stack([labels, labels * 0 + 2], 1)  # one choice tells, the other does not
    assert routing.mutual_information(twice, labels) == pytest.approx(np.log(2) / 2)


def test_chance_information_is_the_null():
    """(labels - 1)(experts - 1) / 2N in expectation: the counts' own bias, and no more."""
    rng = np.random.default_rng(0)
    experts, labels = rng.integers(0, 8, 2000), rng.integers(0, 50, 2000)
    found = routing.information(experts, labels)
    assert found.null == pytest.approx(49 * 7 / 4000, rel=0.1)
    assert abs(found.excess) < 4 * (found.high - found.null)
    told = routing.information(np.where(rng.random(2000) < 0.3, labels % 8, experts), labels)
    assert told.nats > told.high and told.excess > 0.1


def test_a_token_router_knows_tokens_and_neither_domain_nor_place():
    """A router that looks at the token alone, where domains have different tokens in part."""
    rng = np.random.default_rng(0)
    table = rng.integers(0, 8, 40)
    domain = np.arange(6000) // 2000
    token = rng.integers(0, 30, 6000) + domain * 5
    chosen = table[token]
    by_token, by_domain, by_place = (
        routing.information(chosen, label, draws=20)
        for label in (token, domain, np.arange(6000) % 100)
    )
    assert by_token.excess > 5 * by_domain.excess > 0
    assert by_place.nats < by_place.high * 1.1


def test_routes_of_a_model():
    model = small()
    ids = ids_of((3, 10))
    found = routing.routes(model, ids)
    assert found.shape == (2, 3, 10, 2) and found.max() < 4
    assert (found[..., 0] != found[..., 1]).all()
    block = model.blocks[0]
    with nn.watch_routing() as seen:
        model(ids[1:2])
    np.testing.assert_array_equal(found[0, 1], seen[0].experts)
    assert isinstance(block.feed_forward, nn.Experts)


@pytest.mark.parametrize("router", ["top_k", "noisy", "balanced"])
def test_numbers_of_experts_mean_nothing(router):
    """Experts and the router's rows permuted, each layer by itself: the same logits."""
    model = small(router=router)
    if router == "balanced":
        for block in routing.mixtures(model):
            block.router.bias.data = np.array([0.3, 0, -0.2, 0.1], np.float32)
    ids = ids_of((2, 12))
    before, chosen = model(ids).data, routing.routes(model, ids)
    orders = ([2, 0, 3, 1], [3, 2, 1, 0])
    for block, order in zip(routing.mixtures(model), orders, strict=True):
        routing.permute_experts(block, order)
    np.testing.assert_allclose(model(ids).data, before, rtol=1e-5, atol=1e-5)
    renamed = np.stack([np.argsort(order)[old] for order, old in zip(orders, chosen, strict=True)])
    np.testing.assert_array_equal(routing.routes(model, ids), renamed)


def test_a_deleted_expert_answers_nothing():
    model = small()
    ids = ids_of((2, 12))
    before = model(ids).data
    chosen = routing.routes(model, ids)
    with routing.without_expert(model, 1, layers=[1]):
        after = model(ids).data
        np.testing.assert_array_equal(routing.routes(model, ids), chosen)
    touched = (chosen[1] == 1).any(-1)
    changed = np.abs(after - before).max(-1) > 1e-6
    assert touched.any() and not touched.all()
    np.testing.assert_array_equal(changed, touched)  # the last layer: no other token hears of it
    with routing.without_expert(model, 1):
        assert np.abs(model(ids).data - before).max() > 1e-3
    np.testing.assert_array_equal(model(ids).data, before)


@pytest.mark.parametrize("router", ["top_k", "balanced"])
def test_a_deleted_expert_may_be_replaced_by_the_next(router):
    """The others keep their order, also where biases choose."""
    model = small(router=router)
    ids = ids_of((2, 12))
    if router == "balanced":
        for block in routing.mixtures(model):
            block.router.bias.data = np.array([-9, 0, 1, 0], np.float32)
        with routing.without_expert(model, 2, rerouted=True):
            assert set(routing.routes(model, ids).reshape(-1)) == {1, 3}
    before = model(ids).data
    with routing.without_expert(model, 2, rerouted=True):
        assert (routing.routes(model, ids) != 2).all()
    np.testing.assert_array_equal(model(ids).data, before)
    assert (routing.routes(model, ids) == 2).any()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: routing.load(np.array([[0, 4]]), 4), "experts go from 0 to 4"),
        (lambda: routing.load(np.zeros((0, 2), int), 4), "experts is empty"),
        (lambda: routing.repeats(np.zeros((1, 2), int)), "T at least 2"),
        (lambda: routing.random_imbalance(4, 5, 10), "chosen is 5"),
        (lambda: routing.random_imbalance(4, 2, 0), "tokens is 0"),
        (lambda: routing.information(np.zeros(3, int), np.zeros(3), draws=0), "draws is 0"),
        (lambda: routing.mutual_information(np.zeros(3, int), np.zeros(2)), r"labels \(2,\)"),
        (
            lambda: routing.routes(
                models.model_of(models.llama(**TINY, kv_heads=1)), ids_of((1, 4))
            ),
            "no exp",
        ),
        (lambda: routing.permute_experts(small().blocks[0].feed_forward, [0, 1, 2, 2]), "once"),
        (lambda: routing.without_expert(small(), 4).__enter__(), "expert is 4"),
        (lambda: routing.without_expert(small(), 1, [2]).__enter__(), "layers has 2"),
        (
            lambda: routing.without_expert(
                small(experts_per_token=4), 1, rerouted=True
            ).__enter__(),
            "one must be left",
        ),
    ],
)
def test_what_cannot_be_analysed_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()
