"""Mixture of experts in Numba: rows are moved and added up in one pass each, without extra copies.

The products of large experts are left to BLAS, one per expert that has rows, each into its place.
Small ones, and those of this course are small, run in one compiled loop: see `mlp`.
"""

import numpy as np

from minilm import kernels
from minilm.kernels.moe import mlp, reference
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


def grouped_matmul(x: np.ndarray, w: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """See `reference.grouped_matmul`."""
    ends = offsets.tolist()
    out = np.empty((len(x), w.shape[1]), np.result_type(x, w))
    for e in range(len(w)):
        rows = slice(ends[e], ends[e + 1])
        if ends[e] < ends[e + 1]:
            np.matmul(x[rows], w[e].T, out=out[rows])
    return out


def grouped_matmul_backward(
    g: np.ndarray, x: np.ndarray, w: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """See `reference.grouped_matmul_backward`."""
    ends = offsets.tolist()
    dx, dw = np.empty_like(x), np.empty_like(w)
    for e in range(len(w)):
        rows = slice(ends[e], ends[e + 1])
        if ends[e] < ends[e + 1]:
            np.matmul(g[rows], w[e], out=dx[rows])
            np.matmul(g[rows].T, x[rows], out=dw[e])
        else:
            dw[e] = 0
    return dx, dw


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """See `reference.top_k`."""
    out = np.empty((len(scores), k), np.int64)
    _top_k(np.ascontiguousarray(scores), out)
    return out


_SMALL = 1 << 16  # numbers of one matrix: above, BLAS is faster
_FEW = 8  # rows of an expert, on average: below, moving its matrices costs more than the products


def _is_small(rows: int, gate: np.ndarray, *others: np.ndarray) -> bool:
    if kernels.is_overridden("expert_mlp", "expert_mlp_backward"):
        return False  # the parts may be a student's
    experts, ff, channels = gate.shape
    fits = ff * channels <= _SMALL and rows >= _FEW * experts
    return fits and all(each.dtype == np.float32 for each in (gate, *others))


def expert_mlp(
    x: np.ndarray, weights: np.ndarray, gate: np.ndarray, up: np.ndarray, down: np.ndarray,
    order: np.ndarray, place: np.ndarray, offsets: np.ndarray,
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:  # fmt: skip
    """See `reference.expert_mlp`."""
    if not _is_small(len(order), gate, x, weights, up, down):
        return reference.expert_mlp(x, weights, gate, up, down, order, place, offsets)
    kept = np.empty(mlp.kept_shape(len(order), gate.shape[1]), np.float32)
    out = np.empty(x.shape, np.float32)
    mlp.forward(*_solid(x, weights), *_sorted(order, offsets), *_solid(*_four(gate, up, down)),
                kept, out)  # fmt: skip
    return out, tuple(kept)


def expert_mlp_backward(
    g: np.ndarray, x: np.ndarray, weights: np.ndarray, gate: np.ndarray, up: np.ndarray,
    down: np.ndarray, order: np.ndarray, place: np.ndarray, offsets: np.ndarray,
    kept: tuple[np.ndarray, ...],
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """See `reference.expert_mlp_backward`."""
    padded = all(each.shape == mlp.kept_shape(len(order), gate.shape[1])[1:] for each in kept)
    if not padded or not _is_small(len(order), gate, g, x, weights, up, down):
        return reference.expert_mlp_backward(
            g, x, weights, gate, up, down, order, place, offsets, kept
        )
    made = tuple(np.empty(each.shape, np.float32) for each in (x, weights, gate, up, down))
    mlp.backward(*_solid(g, x, weights), *_sorted(order, offsets), *_solid(*_four(gate, up, down)),
                 *kept, *made)  # fmt: skip
    return made


def _solid(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(np.ascontiguousarray(each) for each in arrays)


def _four(*matrices: np.ndarray) -> tuple[np.ndarray, ...]:
    """(E, M, N) -> (E, 1, M, N), as panels are made of."""
    return tuple(each[:, None] for each in matrices)


def _sorted(order: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return order.astype(np.int64), offsets.astype(np.int64)


@jit
def _top_k(scores, out):
    count, k = scores.shape[1], out.shape[1]
    for n in range(scores.shape[0]):
        row, best = scores[n], out[n]
        held = 0
        for e in range(count):
            at = held
            while at > 0 and row[e] > row[best[at - 1]]:
                if at < k:
                    best[at] = best[at - 1]
                at -= 1
            if at < k:
                best[at] = e
                held = min(held + 1, k)


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
