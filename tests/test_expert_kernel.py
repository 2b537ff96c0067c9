"""The fused experts: against a loop over tokens in float64, in both tiers and at awkward sizes."""

import numpy as np
import pytest
from checks import check_op
from hypothesis import given, settings
from hypothesis import strategies as st

import minilm
from minilm import Tensor, kernels, nn
from minilm import functional as F
from minilm.errors import InputError


def by_token(chosen):
    """The mixture as a loop over tokens and their experts."""

    def formula(x, weights, gate, up, down):
        out = np.zeros(x.shape)
        for t, row in enumerate(chosen):
            for k, e in enumerate(row):
                a, b = gate[e] @ x[t], up[e] @ x[t]
                out[t] += weights[t, k] * (down[e] @ (a / (1 + np.exp(-a)) * b))
        return out

    return formula


def choices(tokens, experts, k, rng):
    return np.array([rng.permutation(experts)[:k] for _ in range(tokens)]).reshape(tokens, k)


def test_fused_experts():
    """Gradients too; expert 3 of 4 has no tokens."""
    rng = np.random.default_rng(0)
    chosen = choices(7, 3, 2, rng)
    sorting = kernels.sort_by_expert(chosen, 4)
    shapes = [(7, 5), (7, 2), (4, 6, 5), (4, 6, 5), (4, 5, 6)]
    check_op(shapes, lambda *given: F.expert_feed_forward(*given, *sorting), by_token(chosen))


@given(st.integers(1, 200), st.integers(1, 4), st.integers(1, 70), st.integers(1, 70), st.data())
@settings(deadline=None, max_examples=30)
def test_the_compiled_loop_is_the_formula(tokens, experts, channels, ff, data):
    """Forward and all five gradients at sizes that fill no tile, no panel and no block."""
    k = data.draw(st.integers(1, experts))
    rng = np.random.default_rng(tokens)
    chosen = choices(tokens, experts, k, rng)
    sorting = kernels.sort_by_expert(chosen, experts)
    shapes = [(tokens, channels), (tokens, k)]
    shapes += [(experts, ff, channels)] * 2 + [(experts, channels, ff)]
    exact = [rng.standard_normal(shape) for shape in shapes]
    slope = rng.standard_normal((tokens, channels))
    found = []
    for dtype in (np.float32, np.float64):
        inputs = [Tensor(each.astype(dtype), requires_grad=True) for each in exact]
        out = F.expert_feed_forward(*inputs, *sorting)
        out.backward(slope.astype(dtype))
        found.append([out.data, *(each.grad for each in inputs)])
    np.testing.assert_allclose(found[1][0], by_token(chosen)(*exact), rtol=1e-9, atol=1e-9)
    for ours, right in zip(*found, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, right, rtol=1e-4, atol=2e-5 * (1 + np.abs(right).max()))


@pytest.mark.parametrize("wide", [False, True])
def test_both_ways_of_multiplying_agree(wide):
    """What is small runs in one compiled loop, what is large in BLAS."""
    rng = np.random.default_rng(1)
    channels, ff, tokens = (160, 420, 70) if wide else (32, 48, 300)
    chosen = choices(tokens, 8, 2, rng)
    sorting = kernels.sort_by_expert(chosen, 8)
    shapes = [(tokens, channels), (tokens, 2), (8, ff, channels), (8, ff, channels)]
    given = [rng.standard_normal(s, np.float32) * 0.2 for s in [*shapes, (8, channels, ff)]]
    slope = rng.standard_normal((tokens, channels), np.float32)
    out, kept = kernels.expert_mlp(*given, *sorting)
    assert (len(kept) == 3) == wide
    back = kernels.expert_mlp_backward(slope, *given, *sorting, kept)
    with kernels.use("reference"):
        right, _ = kernels.expert_mlp(*given, *sorting)
        # also of what the other way kept
        wanted = kernels.expert_mlp_backward(slope, *given, *sorting, kept)
    for ours, theirs in zip((out, *back), (right, *wanted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_parts_of_a_student_are_used():
    """The compiled loop steps aside where one of the parts is somebody's own."""
    seen = []
    real = kernels.kernels()["grouped_matmul"].tier("cpu")
    rng = np.random.default_rng(1)
    sorting = kernels.sort_by_expert(choices(40, 2, 1, rng), 2)
    shapes = [(40, 4), (40, 1), (2, 4, 4), (2, 4, 4), (2, 4, 4)]
    given = [rng.standard_normal(s, np.float32) for s in shapes]
    plain = F.expert_feed_forward(*given, *sorting).data
    with kernels.use({"grouped_matmul": lambda *args: seen.append(1) or real(*args)}):
        own = F.expert_feed_forward(*given, *sorting).data
    assert len(seen) == 3
    np.testing.assert_allclose(own, plain, rtol=1e-5, atol=1e-6)


@given(st.integers(1, 9), st.integers(0, 20), st.integers(0, 5))
@settings(deadline=None)
def test_top_k(experts, tokens, seed):
    """Of equal scores the lower column comes first, in both tiers."""
    scores = np.random.default_rng(seed).integers(0, 4, (tokens, experts)).astype(np.float32)
    for k in range(1, experts + 1):
        right = [sorted(range(experts), key=lambda e: (-row[e], e))[:k] for row in scores]
        for tier in ("reference", "cpu"):
            with kernels.use(tier):
                found = kernels.top_k(scores, k)
            assert found.dtype == np.int64
            assert found.tolist() == right


def test_what_does_not_fit_is_refused():
    sorting = kernels.sort_by_expert(np.array([[0], [1]]), 2)
    x, w = np.ones((2, 3), np.float32), np.ones((2, 1), np.float32)
    up, down = np.ones((2, 4, 3), np.float32), np.ones((2, 3, 4), np.float32)
    with pytest.raises(InputError, match="must be"):
        F.expert_feed_forward(x, w, up, up, up, *sorting)
    with pytest.raises(InputError, match="weights is"):
        F.expert_feed_forward(x, w[:1], up, up, down, *sorting)
    with pytest.raises(InputError, match="must rise from 0 to 2"):
        F.expert_feed_forward(x, w, up, up, down, *sorting[:2], np.array([0, 3, 2]))


@pytest.mark.parametrize("name", ["swiglu", "silu", "grouped_linear", "moe_combine", "softmax"])
def test_a_step_that_somebody_replaced_is_called(name):
    """The fused primitives give way to their parts: the same numbers and gradients."""
    block = nn.Experts(5, 6, 4, 2, dtype=np.float64)
    x, slope = np.random.default_rng(0).standard_normal((2, 9, 5))
    found = []

    def forward_and_back():
        given = Tensor(x, requires_grad=True)
        out = block(given)
        out.backward(slope)
        found.append([out.data, given.grad, *(p.grad for p in block.parameters())])
        block.zero_grad()

    forward_and_back()
    calls, own = [], getattr(F, name).arrays
    with minilm.use(**{name: lambda *given, **how: calls.append(1) or own(*given, **how)}):
        forward_and_back()
    assert calls
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
