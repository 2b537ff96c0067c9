"""Mixture of experts by the formula: assignments sorted by expert, one product per expert.

With K choices per token there are N K assignments; each has the number token * K + choice.
`sort_by_expert` orders them; `order[i]` is the assignment in place i, and `place` is its inverse.
"""

import numpy as np

from minilm import kernels
from minilm.backend import Array, xp_of


def sort_by_expert(experts: Array, count: int) -> tuple[Array, Array, Array]:
    """experts (N, K) -> order (N K,), place (N K,), offsets (count + 1,), all int32."""
    xp = xp_of(experts)
    flat = experts.reshape(-1)
    narrow = np.min_scalar_type(count)  # numbers of 16 bits and less are sorted by counting
    order = xp.argsort(flat.astype(narrow), kind="stable")
    place = xp.empty_like(order)
    place[order] = xp.arange(len(flat))
    ends = xp.cumsum(xp.bincount(flat, minlength=count))
    offsets = xp.concatenate([xp.zeros(1, ends.dtype), ends])
    return order.astype(xp.int32), place.astype(xp.int32), offsets.astype(xp.int32)


def moe_permute(x: Array, order: Array, choices: int) -> Array:
    """x (N, C) -> (N K, C), rows in order of expert."""
    return x[order // choices]


def moe_permute_backward(g: Array, place: Array, choices: int) -> Array:
    """The gradient of x (N, C) from g (N K, C)."""
    return g[place].reshape(len(g) // choices, choices, -1).sum(axis=1)


def moe_combine(y: Array, place: Array, weights: Array) -> Array:
    """y (N K, C), weights (N, K) -> (N, C), the weighted sum over a token's choices."""
    n, choices = weights.shape
    picked = y[place].reshape(n, choices, -1)
    return (picked * weights[..., None].astype(y.dtype)).sum(axis=1).astype(y.dtype)


def moe_combine_backward(
    g: Array, y: Array, order: Array, place: Array, weights: Array
) -> tuple[Array, Array]:
    """Gradients of y (N K, C) and of the weights (N, K) from g (N, C)."""
    n, choices = weights.shape
    picked = y[place].reshape(n, choices, -1)
    dweights = (picked * g[:, None]).sum(axis=-1).astype(weights.dtype)
    dy = g[order // choices] * weights.reshape(-1)[order][:, None].astype(g.dtype)
    return dy, dweights


def grouped_matmul(x: Array, w: Array, offsets: Array) -> Array:
    """x (M, K) rows by expert, w (E, N, K), offsets (E + 1,) -> (M, N)."""
    ends = offsets.tolist()
    out = xp_of(x).empty((len(x), w.shape[1]), x.dtype)
    for e in range(len(w)):
        out[ends[e] : ends[e + 1]] = x[ends[e] : ends[e + 1]] @ w[e].T
    return out


def grouped_matmul_backward(g: Array, x: Array, w: Array, offsets: Array) -> tuple[Array, Array]:
    """Gradients of x (M, K) and of w (E, N, K) from g (M, N)."""
    xp = xp_of(x)
    ends = offsets.tolist()
    dx, dw = xp.empty_like(x), xp.zeros_like(w)
    for e in range(len(w)):
        rows = slice(ends[e], ends[e + 1])
        dx[rows] = g[rows] @ w[e]
        dw[e] = g[rows].T @ x[rows]
    return dx, dw


def top_k(scores: Array, k: int) -> Array:
    """scores (N, E) -> (N, k) int64: the columns of the k largest, largest first.

    Of equal scores the lower column comes first.
    """
    return xp_of(scores).argsort(-scores, axis=1, kind="stable")[:, :k]


def expert_mlp(
    x: Array, weights: Array, gate: Array, up: Array, down: Array, order: Array, place: Array,
    offsets: Array,
) -> tuple[Array, tuple[Array, ...]]:  # fmt: skip
    """x (N, C), weights (N, K) -> (N, C), the weighted answers of a token's gated experts.

    Args:
        gate, up: (E, F, C); down (E, C, F).
        order, place, offsets: from `sort_by_expert`.

    Returns:
        The sum, and what backward needs: the products with gate and up, (N K, F) each, row by row
        in `order`, and perhaps more.
    """
    rows = kernels.moe_permute(x, order, weights.shape[1])  # (N K, C)
    a, b = (kernels.grouped_matmul(rows, w, offsets) for w in (gate, up))  # (N K, F) each
    y = kernels.grouped_matmul(kernels.swiglu(a, b), down, offsets)  # (N K, C)
    return kernels.moe_combine(y, place, weights), (a, b, y)


def expert_mlp_backward(
    g: Array, x: Array, weights: Array, gate: Array, up: Array, down: Array, order: Array,
    place: Array, offsets: Array, kept: tuple[Array, ...],
) -> tuple[Array, Array, Array, Array, Array]:  # fmt: skip
    """Gradients of x, weights, gate, up and down from g (N, C) and what forward kept."""
    a, b = (each[: len(order), : gate.shape[1]] for each in kept[:2])
    rows = kernels.moe_permute(x, order, weights.shape[1])  # (N K, C)
    h = kernels.swiglu(a, b)  # (N K, F)
    y = kept[2] if len(kept) > 2 else kernels.grouped_matmul(h, down, offsets)
    dy, dweights = kernels.moe_combine_backward(g, y, order, place, weights)
    dh, ddown = kernels.grouped_matmul_backward(dy, h, down, offsets)
    da, db = kernels.swiglu_backward(dh, a, b)
    drows, dgate = kernels.grouped_matmul_backward(da, rows, gate, offsets)
    more, dup = kernels.grouped_matmul_backward(db, rows, up, offsets)
    drows += more
    return kernels.moe_permute_backward(drows, place, weights.shape[1]), dweights, dgate, dup, ddown
