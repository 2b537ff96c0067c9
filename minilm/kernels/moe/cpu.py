"""Mixture of experts in Numba: rows are moved and added up in one pass each, without extra copies.

The products of the experts are left to BLAS, one per expert that has rows: see `reference`.
"""

import numpy as np

from minilm.kernels.moe import reference
from minilm.kernels.numba_tools.jit import jit


def moe_permute_backward(g: np.ndarray, place: np.ndarray, choices: int) -> np.ndarray:
    """See `reference.moe_permute_backward`."""
    if g.dtype != np.float32:
        return reference.moe_permute_backward(g, place, choices)
    ones = np.ones((len(g) // choices, choices), np.float32)
    return moe_combine(g, place, ones)


def moe_combine(y: np.ndarray, place: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """See `reference.moe_combine`."""
    if y.dtype != np.float32 or weights.dtype != np.float32:
        return reference.moe_combine(y, place, weights)
    out = np.empty((len(weights), y.shape[1]), np.float32)
    _combine(np.ascontiguousarray(y), place.astype(np.int64), np.ascontiguousarray(weights), out)
    return out


def moe_combine_backward(
    g: np.ndarray, y: np.ndarray, order: np.ndarray, place: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """See `reference.moe_combine_backward`."""
    if not g.dtype == y.dtype == weights.dtype == np.float32:
        return reference.moe_combine_backward(g, y, order, place, weights)
    dy, dweights = np.empty(y.shape, np.float32), np.empty(weights.shape, np.float32)
    _combine_backward(
        np.ascontiguousarray(g), np.ascontiguousarray(y), order.astype(np.int64),
        np.ascontiguousarray(weights), dy, dweights,
    )  # fmt: skip
    return dy, dweights


@jit
def _combine(y, place, weights, out):
    choices = weights.shape[1]
    for token in range(weights.shape[0]):
        o = out[token]
        o[:] = 0
        for k in range(choices):
            row, w = y[place[token * choices + k]], weights[token, k]
            for j in range(o.size):
                o[j] += w * row[j]


@jit
def _combine_backward(g, y, order, weights, dy, dweights):
    choices = weights.shape[1]
    for i in range(order.size):
        token, k = order[i] // choices, order[i] % choices
        w, total = weights[token, k], np.float32(0)
        for j in range(g.shape[1]):
            total += g[token, j] * y[i, j]
            dy[i, j] = w * g[token, j]
        dweights[token, k] = total
