"""Routers and what balances them: against formulas, published values and finite differences."""

import numpy as np
import pytest
from checks import check_op
from hypothesis import given, settings
from hypothesis import strategies as st
from model_kinds import TINY, ids_of, spread

from minilm import Tensor, backend, models, nn
from minilm import functional as F
from minilm.errors import InputError


def test_the_weights_of_the_chosen():
    """Softmax of the top two = the full softmax's top two, divided by their sum."""
    experts, weights = F.top_k_gate(Tensor(np.array([[1, 2, 0.5, 3]])), 2)
    assert experts.tolist() == [[3, 1]]
    np.testing.assert_allclose(weights.data, [[0.7311, 0.2689]], atol=5e-5)


@given(st.integers(1, 8), st.integers(1, 20), st.integers(0, 9))
@settings(deadline=None)
def test_the_gate_is_the_full_softmax_renormalised(experts, tokens, seed):
    logits = np.random.default_rng(seed).standard_normal((tokens, experts)) * 3
    full = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for k in range(1, experts + 1):
        chosen, weights = F.top_k_gate(Tensor(logits), k)
        top = np.take_along_axis(full, chosen, 1)
        np.testing.assert_allclose(weights.data, top / top.sum(1, keepdims=True), rtol=1e-12)
        assert (np.sort(full, 1)[:, -k:].sum(1) - top.sum(1)).max() < 1e-12


def test_softmax_of_chosen():
    chosen = np.array([[2, 0], [1, 3], [3, 0]])

    def formula(logits):
        top = np.exp(np.take_along_axis(logits, chosen, 1))
        return top / top.sum(1, keepdims=True)

    check_op([(3, 4)], lambda logits: F.softmax_of_chosen(logits, chosen), formula)


def test_scores_of_others_choose_and_do_not_weigh():
    logits = Tensor(np.array([[0.0, 1.0, 2.0]]))
    experts, weights = F.top_k_gate(logits, 2, by=np.array([[5.0, 4.0, 0.0]]))
    assert experts.tolist() == [[0, 1]]
    np.testing.assert_allclose(weights.data, [[1 / (1 + np.e), np.e / (1 + np.e)]])


def test_noise_is_scaled_by_softplus():
    spread_ = np.linspace(-2, 2, 40_000).reshape(-1, 4)
    found = F.noisy_logits(Tensor(np.zeros(spread_.shape)), Tensor(spread_), backend.rng(0, "x"))
    scaled = found.data / np.log1p(np.exp(spread_))
    assert abs(scaled.mean()) < 0.02 and abs(scaled.std() - 1) < 0.02
    noise = np.asarray(backend.rng(1, "x").standard_normal((3, 4), np.float32), float)
    check_op(
        [(3, 4), (3, 4)],
        lambda logits, size: F.noisy_logits(logits, size, backend.rng(1, "x")),
        lambda logits, size: logits + noise * np.log1p(np.exp(size)),
    )


def test_expert_choice_fills_every_expert():
    logits = np.random.default_rng(0).standard_normal((10, 4))
    tokens, weights = F.expert_choice(Tensor(logits), 3)
    full = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for e in range(4):
        assert tokens[e].tolist() == np.argsort(-full[:, e])[:3].tolist()
        np.testing.assert_allclose(weights.data[e], full[tokens[e], e], rtol=1e-12)


def test_balance_loss_at_its_ends():
    """1 where loads and probabilities are even, E where one expert gets all."""
    even = np.tile(np.arange(8), 16)[:, None]
    assert F.load_balance_loss(Tensor(np.zeros((128, 8))), even).item() == pytest.approx(1)
    pairs = np.concatenate([even, (even + 1) % 8], axis=1)
    assert F.load_balance_loss(Tensor(np.zeros((128, 8))), pairs).item() == pytest.approx(1)
    one = np.zeros((128, 8))
    one[:, 5] = 100
    all_to_5 = np.full((128, 1), 5)
    assert F.load_balance_loss(Tensor(one), all_to_5).item() == pytest.approx(8)


def test_balance_and_z_losses():
    chosen = np.array([[0, 2], [2, 1], [2, 3]])
    load = np.bincount(chosen.reshape(-1), minlength=4) / 6

    def switch(logits):
        full = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        return np.asarray(4 * (load * full.mean(0)).sum())

    check_op([(3, 4)], lambda logits: F.load_balance_loss(logits, chosen), switch)
    check_op(
        [(3, 4)],
        F.router_z_loss,
        lambda logits: np.asarray((np.log(np.exp(logits).sum(1)) ** 2).mean()),
    )


def test_biases_follow_the_load():
    bias = np.array([0.5, 0, 0, 0], np.float32)
    chosen = np.array([[0, 1], [0, 1], [0, 2], [0, 2]])  # loads 4, 2, 2, 0; mean 2
    moved = F.balance_step(bias, chosen, 0.1)
    np.testing.assert_allclose(moved, [0.4, 0, 0, 0.1], atol=1e-7)
    assert moved.dtype == np.float32


def test_balancing_without_a_loss_evens_out_a_crooked_router():
    """Biases alone: the same logits, and no gradient anywhere."""
    rng = np.random.default_rng(0)
    router = nn.experts.BalancedRouter(6, 8, 2)
    router.weight.data = rng.standard_normal((8, 6), np.float32)
    x = Tensor(rng.standard_normal((512, 6), np.float32) + 1)
    loads = []
    for _ in range(400):
        routing = router(x)
        loads.append(np.bincount(routing.experts.reshape(-1), minlength=8))
        nn.balance([routing], 0.01)
    assert loads[0].max() / loads[0].mean() > 1.5
    late = np.mean(loads[-100:], axis=0)  # steps of one size go to and fro
    assert late.max() / late.mean() < 1.3


def experts_of(router="top_k", **changes):
    return models.mixtral(**TINY, kv_heads=1, ff=12, experts=4, router=router, **changes)


def test_the_block_is_the_loop_over_tokens():
    block = spread(nn.Experts(6, 10, 5, 3, dtype=np.float64))
    x = np.random.default_rng(0).standard_normal((2, 4, 6))
    out = block(Tensor(x)).data
    gate, up, down = (m.weight.data for m in (block.gate, block.up, block.down))
    for place in np.ndindex(2, 4):
        logits = block.router.weight.data @ x[place]
        top = np.argsort(-logits)[:3]
        share = np.exp(logits[top]) / np.exp(logits[top]).sum()
        right = 0
        for e, s in zip(top, share, strict=True):
            a = gate[e] @ x[place]
            right = right + s * (down[e] @ (a / (1 + np.exp(-a)) * (up[e] @ x[place])))
        np.testing.assert_allclose(out[place], right, rtol=1e-12)


def test_all_experts_chosen_is_a_dense_mixture():
    block = spread(nn.Experts(6, 10, 3, 3, dtype=np.float64))
    x = np.random.default_rng(0).standard_normal((7, 6))
    share = F.softmax(F.linear(Tensor(x), block.router.weight)).data
    dense = 0
    for e in range(3):
        glu = [m.weight.data[e] for m in (block.gate, block.up, block.down)]
        dense = dense + share[:, e : e + 1] * F.gated_feed_forward(Tensor(x), *glu).data
    np.testing.assert_allclose(block(Tensor(x)).data, dense, rtol=1e-12)


def test_experts_that_choose():
    """Against a loop over experts; gradients reach every part; a token may get none."""
    block = spread(nn.ExpertChoice(6, 10, 4, 2, dtype=np.float64))
    x = np.random.default_rng(0).standard_normal((2, 5, 6))
    rows = x.reshape(10, 6)
    gate, up, down = (m.weight.data for m in (block.gate, block.up, block.down))
    logits = rows @ block.router.weight.data.T
    share = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    right, taken = np.zeros((10, 6)), np.zeros(10, int)
    for e in range(4):
        for t in np.argsort(-share[:, e])[:5]:
            a = gate[e] @ rows[t]
            right[t] += share[t, e] * (down[e] @ (a / (1 + np.exp(-a)) * (up[e] @ rows[t])))
            taken[t] += 1
    out = block(Tensor(x))
    np.testing.assert_allclose(out.data.reshape(10, 6), right, rtol=1e-12)
    assert taken.min() < 2 < taken.max()
    out.backward(np.ones(x.shape))
    assert all(np.abs(p.grad).max() > 0 for p in block.parameters())


@pytest.mark.parametrize("router", ["top_k", "noisy", "balanced"])
def test_every_router_learns_and_is_seen(router):
    """One step reaches every parameter; saved state is whole; eval repeats itself."""
    model = spread(models.model_of(experts_of(router)))
    ids = ids_of((2, 12))
    with nn.dropout_seed(0, 1), nn.watch_routing() as seen:
        loss = model.loss(ids[:, :-1], ids[:, 1:])
    assert [each.experts.shape for each in seen] == [(22, 2)] * 2
    for each in seen:
        loss = loss + F.load_balance_loss(each.logits, each.experts)
    loss.backward()
    assert all(np.abs(p.grad).max() > 0 for p in model.parameters())
    twin = models.model_of(experts_of(router), seed=5)
    twin.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(twin.eval()(ids).data, model.eval()(ids).data)


def test_noise_is_for_training_and_can_be_repeated():
    model = spread(models.model_of(experts_of("noisy")))
    ids = ids_of((1, 8))
    with nn.dropout_seed(0, 1):
        first, again = model(ids).data, model(ids).data
    with nn.dropout_seed(0, 2):
        other = model(ids).data
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: F.top_k_gate(Tensor(np.zeros((2, 3))), 4), "k is 4; it must be from 1 to 3"),
        (lambda: F.top_k_gate(Tensor(np.zeros(3)), 1), r"logits has shape \(3,\)"),
        (
            lambda: F.top_k_gate(Tensor(np.array([[0.0, 1], [np.nan, 1]])), 1),
            "logits of token 1 are .* must be finite",
        ),
        (lambda: F.top_k_gate(Tensor(np.zeros((2, 3))), 1, np.zeros((2, 2))), "by has shape"),
        (lambda: F.expert_choice(Tensor(np.zeros((2, 3))), 3), "capacity is 3"),
        (lambda: F.softmax_of_chosen(np.zeros((1, 3)), np.array([[3]])), "go from 3 to 3"),
        (lambda: F.load_balance_loss(Tensor(np.zeros((0, 3))), np.zeros((0, 2), int)), "is empty"),
        (lambda: F.balance_step(np.zeros(2), np.array([[2]])), "experts go up to 2; bias has 2"),
        (lambda: F.balance_step(np.zeros(2), np.array([[1]]), -1.0), "rate is -1.0"),
        (lambda: nn.balance([]), "no routing of a BalancedRouter"),
        (lambda: nn.Experts(4, 4, 2, 3), "chosen is 3; it must be from 1 to 2"),
        (lambda: nn.Experts(4, 4, 2, 1, "best"), "router is 'best'; it must be one of top_k"),
        (lambda: experts_of("best"), "router is 'best'"),
        (lambda: experts_of(experts_per_token=5), "experts_per_token is 5; it must be from 1 to 4"),
        (lambda: experts_of(experts_per_token=None), "both must be given or neither"),
        (lambda: experts_of(activation="gelu"), "experts have 'swiglu'"),
        (lambda: models.llama(**TINY, kv_heads=1, router="noisy"), "experts is None"),
    ],
)
def test_what_cannot_be_routed_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()
