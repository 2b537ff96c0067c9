"""Norms, gates, rotary positions and attention against their definitions in float64."""

import numpy as np
import pytest
from checks import check_op, numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf, logsumexp

import minilm
from minilm import InputError, Tensor, kernels
from minilm import functional as F


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.exp(x - logsumexp(x, axis=axis, keepdims=True))


def attend(q, k, v, seen=True, bias=0.0, scale=None) -> np.ndarray:
    """Attention from the definition, one query at a time."""
    b, h, t, d = q.shape
    groups, s = k.shape[1:3]
    scale = d**-0.5 if scale is None else scale
    seen = np.broadcast_to(seen, (b, h, t, s))
    bias = np.broadcast_to(bias, (b, h, t, s))
    out = np.zeros((b, h, t, v.shape[3]))
    for i, j, n in np.ndindex(b, h, t):
        keys, values = k[i, j * groups // h], v[i, j * groups // h]
        looks = seen[i, j, n]
        if looks.any():
            scores = keys[looks] @ q[i, j, n] * scale + bias[i, j, n][looks]
            out[i, j, n] = softmax(scores) @ values[looks]
    return out


def causal_mask(t: int, s: int, window: int | None = None) -> np.ndarray:
    seen = np.zeros((t, s), bool)
    for i in range(t):
        for j in range(s):
            distance = (i + s - t) - j
            seen[i, j] = distance >= 0 and (window is None or distance < window)
    return seen


def test_norms() -> None:
    def layer(x, w, b, eps=1e-5):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps) * w + b

    def rms(x, w, eps=1e-5):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * w

    check_op([(2, 3, 8), (8,), (8,)], F.layer_norm, layer)
    check_op([(5, 7), (7,)], F.layer_norm, lambda x, w: layer(x, w, 0))
    check_op([(2, 3, 8), (8,)], F.rms_norm, rms)
    with pytest.raises(InputError, match="channels"):
        F.rms_norm(np.ones((2, 3), np.float32), np.ones(4, np.float32))


def test_gated_units() -> None:
    check_op([(3, 5), (3, 5)], F.swiglu, lambda g, u: g / (1 + np.exp(-g)) * u)
    check_op([(3, 5), (3, 5)], F.geglu, lambda g, u: g * 0.5 * (1 + erf(g / 2**0.5)) * u)


@pytest.mark.parametrize("layout", ["half", "interleaved"])
def test_rope_is_a_complex_rotation(layout: str) -> None:
    angle = numbers((5, 4), seed=3)

    def reference(x: np.ndarray) -> np.ndarray:
        a, b = (x[..., :4], x[..., 4:]) if layout == "half" else (x[..., ::2], x[..., 1::2])
        turned = (a + 1j * b) * np.exp(1j * angle)
        if layout == "half":
            return np.concatenate([turned.real, turned.imag], -1)
        return np.stack([turned.real, turned.imag], -1).reshape(x.shape)

    cos, sin = np.cos(angle), np.sin(angle)

    def ours(x: Tensor) -> Tensor:
        return F.rope(x, cos.astype(x.dtype), sin.astype(x.dtype), layout=layout)

    check_op([(2, 3, 5, 8)], ours, reference)


def test_rope_with_positions_of_its_own_per_row() -> None:
    angle = numbers((2, 1, 5, 4), seed=3)
    cos, sin = np.cos(angle), np.sin(angle)
    x = numbers((2, 3, 5, 8))
    whole = F.rope(x, cos, sin).data
    for i in range(2):
        assert np.allclose(whole[i], F.rope(x[i], cos[i, 0], sin[i, 0]).data)


ATTENTION = {
    "bidirectional": ({}, True),
    "causal": ({"causal": True}, causal_mask(6, 6)),
    "window": ({"causal": True, "window": 3}, causal_mask(6, 6, 3)),
}


@pytest.mark.parametrize("name", ATTENTION)
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_attention(name: str, groups: int) -> None:
    options, seen = ATTENTION[name]
    shapes = [(2, 4, 6, 3), (2, groups, 6, 3), (2, groups, 6, 3)]
    check_op(
        shapes,
        lambda q, k, v: F.attention(q, k, v, **options),
        lambda q, k, v: attend(q, k, v, seen),
    )


def test_attention_with_mask_and_bias() -> None:
    rng = np.random.default_rng(5)
    mask = rng.random((2, 1, 4, 7)) < 0.6
    mask[0, 0, 1] = False  # a query that may look nowhere
    check_op(
        [(2, 2, 4, 3), (2, 2, 7, 3), (2, 2, 7, 3), (2, 4, 7)],
        lambda q, k, v, b: F.attention(q, k, v, mask=mask, bias=b, scale=0.7),
        lambda q, k, v, b: attend(q, k, v, mask, b, 0.7),
    )


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_attention_of_any_size(data) -> None:
    """Both tiers on sizes around the block of 32, values as wide as the last axis or not."""
    draw = data.draw
    groups, per = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    t, s = draw(st.integers(1, 70)), draw(st.integers(1, 90))
    d, e = draw(st.integers(1, 17)), draw(st.integers(1, 9))
    causal = draw(st.booleans())
    window = draw(st.none() | st.integers(1, 40)) if causal else None
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    q, k, v = (
        rng.standard_normal(x)
        for x in ((1, groups * per, t, d), (1, groups, s, d), (1, groups, s, e))
    )
    seen = causal_mask(t, s, window) if causal else np.ones((t, s), bool)
    if draw(st.booleans()):
        seen = seen & (rng.random((t, s)) < 0.7)
        options = {"mask": seen}
    else:
        options = {}
    expected = attend(q, k, v, seen)
    g = rng.standard_normal(expected.shape).astype(np.float32)
    gradients = []
    for tier in ("reference", "cpu"):
        inputs = [Tensor(x.astype(np.float32), requires_grad=True) for x in (q, k, v)]
        with minilm.kernels.use(tier):
            out = F.attention(*inputs, causal=causal, window=window, **options)
            out.backward(g)
        assert np.abs(out.data - expected).max() < 2e-5
        gradients.append([x.grad for x in inputs])
    for a, b in zip(*gradients, strict=True):
        assert np.abs(a - b).max() < 2e-4


@pytest.mark.parametrize("dtype, within", [(np.float32, 2e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("causal, window", [(False, None), (True, None), (True, 700)])
def test_attention_over_more_keys_than_a_chunk(causal, window, dtype, within) -> None:
    """The kernel takes 512 keys at a time; the largest score may lie in any chunk."""
    t, s = 37, 1101
    rng = np.random.default_rng(0)
    q, k, v = (3 * rng.standard_normal((1, h, n, 5)) for h, n in ((4, t), (2, s), (2, s)))
    seen = causal_mask(t, s, window) if causal else np.ones((t, s), bool)
    expected, g = attend(q, k, v, seen), rng.standard_normal((1, 4, t, 5))
    gradients = []
    for tier, kind in (("cpu", dtype), ("reference", np.float64)):
        inputs = [Tensor(x.astype(kind), requires_grad=True) for x in (q, k, v)]
        with minilm.kernels.use(tier):
            out = F.attention(*inputs, causal=causal, window=window)
            out.backward(g.astype(kind))
        assert np.abs(out.data - expected).max() < within * np.abs(expected).max()
        gradients.append([x.grad for x in inputs])
    for a, b in zip(*gradients, strict=True):
        assert np.abs(a - b).max() < 5 * within * np.abs(b).max()


@pytest.mark.parametrize("t", [0, 3])
def test_attention_with_nothing_to_see_gives_zeros(t) -> None:
    q, k, v = (Tensor(numbers((1, 2, n, 4)).astype(np.float32), True) for n in (t, 0, 0))
    out = F.attention(q, k, v)
    out.backward(np.ones(out.shape, np.float32))
    assert out.shape == (1, 2, t, 4) and not out.data.any() and not q.grad.any()
    assert k.grad.shape == v.grad.shape == (1, 2, 0, 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_is_not_lost_on_the_way(dtype) -> None:
    x = np.array([[np.nan, -np.inf], [-np.inf, np.nan], [np.nan, 1], [-np.inf] * 2], dtype)
    with kernels.use("cpu"):
        y = F.softmax(Tensor(x)).data
    assert np.isnan(y[:3]).all() and not y[3].any()
    for spoiled, rows_of_it in ((0, [1]), (1, [1, 2])):
        parts = [np.ones((1, 1, 3, 1), dtype) for _ in range(3)]
        parts[1][0, 0, :, 0] = [1, 2, 3]
        parts[spoiled][0, 0, 1] = np.nan
        found = []
        for tier in ("cpu", "reference"):
            q, k, v = (Tensor(part, True) for part in parts)
            with kernels.use(tier):
                out = F.attention(q, k, v)
                out.backward(np.ones(out.shape, dtype))
            found.append([np.isnan(a) for a in (out.data, q.grad, k.grad, v.grad)])
        for ours, formula in zip(*found):
            np.testing.assert_array_equal(ours, formula)
        with kernels.use("cpu"):  # a query that may not look at it is not spoiled
            out = F.attention(*map(Tensor, parts), causal=True).data
        assert np.flatnonzero(np.isnan(out)).tolist() == rows_of_it


ROWS = {
    "softmax": (F.softmax, 1),
    "log_softmax": (F.log_softmax, 1),
    "layer_norm": (lambda x, w: F.layer_norm(x, w[0], w[0]), 2),
    "rms_norm": (lambda x, w: F.rms_norm(x, w[0]), 2),
    "gelu": (F.gelu, 1),
    "gelu_tanh": (lambda x: F.gelu(x, "tanh"), 1),
    "silu": (F.silu, 1),
    "swiglu": (F.swiglu, 2),
    "geglu": (F.geglu, 2),
}


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(ROWS)), st.integers(1, 5), st.integers(1, 200), st.integers(0, 999))
def test_rows_of_any_length(name, rows, columns, seed) -> None:
    """No length is a whole number of vectors on every machine; the compiled loops have tails."""
    op, count = ROWS[name]
    rng = np.random.default_rng(seed)
    given_, g = rng.standard_normal((count, rows, columns)), rng.standard_normal((rows, columns))
    found = {}
    for tier, kind in (("reference", np.float64), ("cpu", np.float64), ("cpu", np.float32)):
        inputs = [Tensor(x.astype(kind), requires_grad=True) for x in given_]
        with minilm.kernels.use(tier):
            out = op(*inputs)
            out.backward(g.astype(kind))
        found[tier, kind] = [out.data, *(x.grad for x in inputs)]
    exact = found["reference", np.float64]
    for kind, within in ((np.float64, 1e-11), (np.float32, 1e-4)):
        for a, b in zip(found["cpu", kind], exact, strict=True):
            assert a.dtype == kind
            assert np.abs(a - b).max() < within * max(1.0, np.abs(b).max())


def test_attention_takes_strided_views_without_a_copy() -> None:
    packed = numbers((2, 5, 3, 4, 8)).astype(np.float32)  # (B, T, 3, H, D)
    views = [packed[:, :, i].transpose(0, 2, 1, 3) for i in range(3)]
    assert np.abs(F.attention(*views).data - attend(*(x.astype(float) for x in views))).max() < 1e-5


def test_attention_toy_of_the_fact_sheet() -> None:
    q, k, v = np.eye(2), np.array([[1.0, 0], [1, 1]]), np.array([[1.0, 2], [3, 4]])
    heads = [x[None, None] for x in (q, k, v)]
    full = F.attention(*heads).data[0, 0]
    assert np.allclose(full, [[2, 3], [2.3395231, 3.3395231]], atol=1e-7)
    causal = F.attention(*heads, causal=True).data[0, 0]
    assert np.allclose(causal[0], [1, 2], atol=1e-12)
    assert np.allclose(causal[1], full[1], atol=1e-12)


def test_attention_refuses() -> None:
    q = np.ones((1, 4, 3, 2), np.float32)
    for k, v, options, message in (
        (
            np.ones((1, 3, 3, 2), np.float32),
            np.ones((1, 3, 3, 2), np.float32),
            {},
            "G must divide H",
        ),
        (q[..., :1], q[..., :1], {}, "must agree"),
        (q, q, {"mask": np.ones((3, 3))}, "bool"),
        (q, q, {"window": 2}, "causal=True"),
        (q[0], q[0], {}, "4 axes"),
    ):
        with pytest.raises(InputError, match=message):
            F.attention(q, k, v, **options)


@pytest.mark.parametrize("kind", ["gelu", "gelu_tanh", "silu", "relu"])
def test_feed_forward(kind: str) -> None:
    f = {
        "gelu": lambda x: x * 0.5 * (1 + erf(x / 2**0.5)),
        "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))),
        "silu": lambda x: x / (1 + np.exp(-x)),
        "relu": lambda x: np.maximum(x, 0),
    }[kind]
    check_op(
        [(2, 3, 4), (6, 4), (6,), (5, 6), (5,)],
        lambda x, u, b, d, c: F.feed_forward(x, u, b, d, c, activation=kind),
        lambda x, u, b, d, c: f(x @ u.T + b) @ d.T + c,
    )
    check_op(
        [(3, 4), (6, 4), (4, 6)],
        lambda x, u, d: F.feed_forward(x, u, None, d, None, activation=kind),
        lambda x, u, d: f(x @ u.T) @ d.T,
    )


@pytest.mark.parametrize("kind", ["swiglu", "geglu"])
def test_gated_feed_forward(kind: str) -> None:
    f = {
        "swiglu": lambda x: x / (1 + np.exp(-x)),
        "geglu": lambda x: x * 0.5 * (1 + erf(x / 2**0.5)),
    }[kind]
    check_op(
        [(2, 3, 4), (6, 4), (6, 4), (4, 6)],
        lambda x, g, u, d: F.gated_feed_forward(x, g, u, d, activation=kind),
        lambda x, g, u, d: (f(x @ g.T) * (x @ u.T)) @ d.T,
    )


@pytest.mark.parametrize("layout", ["none", "half", "interleaved"])
@pytest.mark.parametrize(("heads", "groups", "window"), [(4, 4, None), (4, 2, None), (4, 1, 2)])
def test_self_attention_is_attention_of_the_unpacked_heads(
    layout: str, heads: int, groups: int, window: int | None
) -> None:
    t, d = 5, 4
    angle = numbers((t, d // 2), seed=3)

    def turn(x: np.ndarray) -> np.ndarray:
        if layout == "none":
            return x
        half = layout == "half"
        a, b = (x[..., : d // 2], x[..., d // 2 :]) if half else (x[..., ::2], x[..., 1::2])
        z = (a + 1j * b) * np.exp(1j * angle)
        if half:
            return np.concatenate([z.real, z.imag], -1)
        return np.stack([z.real, z.imag], -1).reshape(x.shape)

    def reference(packed: np.ndarray, bias: np.ndarray) -> np.ndarray:
        parts = packed.reshape(2, t, heads + 2 * groups, d).swapaxes(1, 2)
        q, k, v = np.split(parts, [heads, heads + groups], axis=1)
        out = attend(turn(q), turn(k), v, causal_mask(t, t, window), bias)
        return out.swapaxes(1, 2).reshape(2, t, heads * d)

    def ours(packed: Tensor, bias: Tensor) -> Tensor:
        tables = (np.cos(angle).astype(packed.dtype), np.sin(angle).astype(packed.dtype))
        return F.self_attention(
            packed,
            heads,
            groups,
            rope=None if layout == "none" else tables,
            layout="half" if layout == "none" else layout,
            causal=True,
            window=window,
            bias=bias,
        )

    check_op([(2, t, (heads + 2 * groups) * d), (heads, t, t)], ours, reference)
    with pytest.raises(InputError, match="kv_heads divides heads"):
        F.self_attention(np.ones((1, 2, 7), np.float32), heads, groups)
