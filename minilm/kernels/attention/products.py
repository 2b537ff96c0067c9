"""Attention of 16-bit heads as matrix products on tensor cores: rung 1 of cuda.cu's ladder.

For the masks, biases and head sizes that the fused kernel does not take. Scores and their softmax
are float32, (B, H, T, S) of them, written and read; the products read 16-bit numbers.
"""

import numpy as np

from minilm.backend import Array, matmul, xp_of
from minilm.kernels.attention.reference import visible


def _grouped(array: Array, groups: int) -> Array:
    """(B, H, T, D) -> (B, G, H/G T, D): the queries that share a key head as rows of one matrix."""
    b, h, t, d = array.shape
    return array.reshape(b, groups, h // groups * t, d)


def _product(a: Array, b: Array) -> Array:
    """a @ b, its sums left in float32."""
    shape = (*a.shape[:-1], b.shape[-1])
    return matmul(a, b, out=xp_of(a).empty(shape, np.float32))


def _scores(
    q: Array, k: Array, mask: Array | None, bias: Array | None, causal: bool, window: int | None,
    scale: float,
) -> Array:  # fmt: skip
    """(B, H, T, S) float32, -inf where a query may not look."""
    xp = xp_of(q)
    b, h, t, _ = q.shape
    groups, s = k.shape[1], k.shape[2]
    scores = _product(_grouped(q, groups), k.swapaxes(-1, -2)).reshape(b, h, t, s)
    scores *= np.float32(scale)
    if bias is not None:
        scores += bias.astype(np.float32)
    seen = visible(t, s, causal, window, xp)
    if mask is not None:
        seen = mask if seen is None else mask & seen
    return scores if seen is None else xp.where(seen, scores, np.float32(-np.inf))


def attention(
    q: Array, k: Array, v: Array, mask: Array | None, bias: Array | None, causal: bool,
    window: int | None, scale: float,
) -> tuple[Array, Array]:  # fmt: skip
    """See `reference.attention`; the logsumexp is float32."""
    xp = xp_of(q)
    scores = _scores(q, k, mask, bias, causal, window, scale)
    top = scores.max(axis=-1, keepdims=True)
    top = xp.where(xp.isfinite(top), top, np.float32(0))  # a query that sees nothing
    weights = xp.exp(scores - top)
    total = weights.sum(axis=-1, keepdims=True)
    total = xp.where(total == 0, np.float32(1), total)
    weights = (weights / total).astype(q.dtype)
    out = matmul(_grouped(weights, k.shape[1]), v)
    return out.reshape(*q.shape[:3], v.shape[-1]), (xp.log(total) + top)[..., 0]


def attention_backward(
    g: Array, q: Array, k: Array, v: Array, out: Array, lse: Array, mask: Array | None,
    bias: Array | None, causal: bool, window: int | None, scale: float,
    into: tuple[Array, Array, Array] | None = None,
) -> tuple[Array, Array, Array, Array | None]:  # fmt: skip
    """See `reference.attention_backward`."""
    xp = xp_of(q)
    groups = k.shape[1]
    weights = xp.exp(_scores(q, k, mask, bias, causal, window, scale) - lse[..., None])
    rows = _grouped(g, groups)
    dv = matmul(_grouped(weights.astype(q.dtype), groups).swapaxes(-1, -2), rows)
    slope = _product(rows, v.swapaxes(-1, -2)).reshape(weights.shape)
    slope -= (g.astype(np.float32) * out.astype(np.float32)).sum(axis=-1, keepdims=True)
    slope *= weights
    scaled = _grouped((slope * np.float32(scale)).astype(q.dtype), groups)
    dq = matmul(scaled, k).reshape(q.shape)
    dk = matmul(scaled.swapaxes(-1, -2), _grouped(q, groups))
    if into is not None:
        for to, value in zip(into, (dq, dk, dv), strict=True):
            to[...] = value
        dq, dk, dv = into
    return dq, dk, dv, None if bias is None else slope
