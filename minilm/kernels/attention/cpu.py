"""Attention in Numba over blocks of queries: the scores of a block, never of a whole sequence.

For a block of queries and a chunk of keys: scores = q k^T, exp in place, mixed += weights v, all
in scratch that stays in cache, padded so that the tiles of `numba_tools.tiles` need no tails. The
running maximum and total of each row make the softmax exact although it never sees a whole row
(Milakov and Gimelshein 2018, arXiv 1805.02867; Dao et al. 2022, arXiv 2205.14135, algorithm 1).
Keys that no query of the block may see are never touched. Memory grows with S, not with T * S.
Backward recomputes the weights from the logsumexp that forward kept, and takes five products where
forward took two.
"""

import numpy as np
from numba import types

from minilm.kernels.attention.blocks import around, band, fill, load, own, reach
from minilm.kernels.numba_tools.jit import per_dtype
from minilm.kernels.numba_tools.panels import AHEAD, ROW, panels, panels_transposed, row_of, up
from minilm.kernels.numba_tools.simd import address, ask, exp, fmax
from minilm.kernels.numba_tools.tiles import PAD, add_product, width, write_product

_BLOCK = 32  # queries at a time
_CHUNK = 512  # keys at a time: 32 x 512 scores are 64 kB


def attention(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    mask: np.ndarray | None,
    bias: np.ndarray | None,
    causal: bool,
    window: int | None,
    scale: float,
) -> tuple[np.ndarray, np.ndarray]:
    """See `reference.attention`; any strides."""
    b, h, t, d = q.shape
    out = np.empty((b, t, h, v.shape[3]), q.dtype)  # heads side by side: joining them is a view
    lse = np.empty((b, h, t), q.dtype)
    mask, bias = _wide(mask, bias, (b, h, t, k.shape[2]), q.dtype)
    _forward[q.dtype](
        *(_solid(q), _solid(k), _solid(v), mask, bias),
        *(causal, window or 0, q.dtype.type(scale), out, lse),
    )
    return out.transpose(0, 2, 1, 3), lse


def attention_backward(
    g: np.ndarray,
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    out: np.ndarray,
    lse: np.ndarray,
    mask: np.ndarray | None,
    bias: np.ndarray | None,
    causal: bool,
    window: int | None,
    scale: float,
    into: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """See `reference.attention_backward`."""
    b, h, t, d = q.shape
    groups, s = k.shape[1:3]
    if into is None:
        into = tuple(
            np.empty((b, n, heads, width), q.dtype).transpose(0, 2, 1, 3)
            for n, heads, width in ((t, h, d), (s, groups, d), (s, groups, v.shape[3]))
        )
    dq, dk, dv = into  # last axes contiguous
    dbias = np.zeros((b, h, t, s) if bias is not None else (0, 0, 0, 0), q.dtype)
    wide_mask, wide_bias = _wide(mask, bias, (b, h, t, s), q.dtype)
    _backward[q.dtype](
        *(np.ascontiguousarray(g.transpose(0, 2, 1, 3)), _solid(q), _solid(k), _solid(v)),
        *(np.ascontiguousarray(out.transpose(0, 2, 1, 3)), lse, wide_mask, wide_bias),
        *(causal, window or 0, q.dtype.type(scale), dq, dk, dv, dbias),
    )
    return dq, dk, dv, None if bias is None else dbias


def _solid(x: np.ndarray) -> np.ndarray:
    """x with a contiguous last axis."""
    return x if x.strides[3] == x.itemsize else np.ascontiguousarray(x)


def _wide(mask, bias, shape, dtype):
    """Mask and bias seen at (B, H, T, S); empty arrays for none."""
    empty = (0, 0, 0, 0)
    mask = np.empty(empty, bool) if mask is None else np.broadcast_to(mask, shape)
    bias = np.empty(empty, dtype) if bias is None else np.broadcast_to(bias, shape)
    return mask, bias.astype(dtype, copy=False)


def _given(kind, layout: str = "A", axes: int = 4):
    """The type of an array that is only read: of any strides, which includes broadcast views."""
    return types.Array(kind, axes, layout, readonly=True)


def _signature_forward(f):
    given = (_given(f), _given(f), _given(f), _given(types.boolean), _given(f))
    made = (types.Array(f, 4, "C"), types.Array(f, 3, "C"))
    return (*given, types.boolean, types.int64, f, *made)


def _signature_backward(f):
    read = (_given(f, "C"), _given(f), _given(f), _given(f), _given(f, "C"), _given(f, "C", 3))
    made = (f[:, :, :, :], f[:, :, :, :], f[:, :, :, :], types.Array(f, 4, "C"))
    return (*read, _given(types.boolean), _given(f), types.boolean, types.int64, f, *made)


@per_dtype(_signature_forward)
def _forward(q, k, v, mask, bias, causal, window, scale, out, lse):
    B, H, T, D = q.shape
    G, S, E = v.shape[1], v.shape[2], v.shape[3]
    zero, one = q.dtype.type(0), q.dtype.type(1)
    lowest, size, w = q.dtype.type(-np.inf), q.itemsize, width(scale)
    chunk = min(max(1, _CHUNK // w) * w, up(max(1, S), w))
    side = up(E, PAD)
    keys = np.zeros((up(S, w) // w, D, w), q.dtype)  # panels of k transposed
    values = np.zeros((up(E, w) // w, S, w), q.dtype)  # panels of v
    queries = np.zeros((_BLOCK, D), q.dtype)
    scores = np.zeros((_BLOCK, chunk), q.dtype)
    mixed = np.zeros((_BLOCK, side), q.dtype)
    tops, totals = np.zeros(_BLOCK, q.dtype), np.zeros(_BLOCK, q.dtype)
    for b in range(B):
        for h in range(H):
            group = h * G // H
            if h * G % H == 0:
                panels_transposed(k, b, group, keys)
                panels(v, b, group, values)
            for t0 in range(0, T, _BLOCK):
                rows = min(_BLOCK, T - t0)
                load(q, b, h, t0, rows, scale, queries)
                mixed[:] = zero
                tops[:] = lowest
                totals[:] = zero
                start, end = reach(t0, rows, T, S, causal, window, w)
                for low in range(start, end, chunk):
                    n = min(chunk, end - low)
                    padded = up(n, w)
                    near, far = band(t0, T, S, low, causal, window)
                    write_product(scale, _BLOCK, padded, D, address(queries), D, 1,
                                  address(keys) + low * D * size, w, D * w,
                                  address(scores), chunk, near, far)  # fmt: skip
                    for i in range(_BLOCK):
                        row = scores[i, :padded]
                        first, last = own(t0 + i, T, S, low, n, causal, window)
                        if i >= rows or first >= last:
                            fill(row, 0, padded, zero)
                            continue
                        if bias.size > 0:
                            for j in range(first, last):
                                row[j] += bias[b, h, t0 + i, low + j]
                        if mask.size > 0:
                            for j in range(first, last):
                                if not mask[b, h, t0 + i, low + j]:
                                    row[j] = lowest
                        lo, hi = first // w * w, up(last, w)
                        fill(row, lo, first, lowest)
                        fill(row, last, hi, lowest)
                        seen, top = row[lo:hi], tops[i]
                        for j in range(seen.size):
                            top = fmax(top, seen[j])
                        if top == lowest:  # nothing to see so far, or NaN
                            for j in range(seen.size):
                                if seen[j] != lowest:
                                    totals[i] = seen[j]
                            fill(row, 0, padded, zero)
                            continue
                        total = zero
                        for j in range(seen.size):
                            x = seen[j]
                            e = exp(x - top)
                            e = e if x != lowest else zero
                            seen[j] = e
                            total += e
                        around(row, lo, hi)
                        if tops[i] != top and tops[i] != lowest:  # earlier sums had a lower top
                            shrink = exp(tops[i] - top)
                            totals[i] *= shrink
                            old = mixed[i]
                            for j in range(old.size):
                                old[j] *= shrink
                        tops[i] = top
                        totals[i] += total
                    add_product(scale, _BLOCK, side, n, address(scores), chunk, 1,
                                address(values) + low * w * size, w, S * w,
                                address(mixed), side, near, far)  # fmt: skip
                for i in range(rows):
                    total = totals[i]
                    lse[b, h, t0 + i] = zero if total == zero else tops[i] + np.log(total)
                    share = zero if total == zero else one / total
                    to, row = out[b, t0 + i, h], mixed[i]
                    for j in range(to.size):
                        to[j] = row[j] * share


@per_dtype(_signature_backward)
def _backward(g, q, k, v, out, lse, mask, bias, causal, window, scale, dq, dk, dv, dbias):
    B, H, T, D = q.shape
    G, S, E = v.shape[1], v.shape[2], v.shape[3]
    zero, lowest = q.dtype.type(0), q.dtype.type(-np.inf)
    size, w = q.itemsize, width(scale)
    chunk = min(max(1, _CHUNK // w) * w, up(max(1, S), w))
    across, side = up(D, PAD), up(E, PAD)
    keys_t = np.zeros((up(S, w) // w, D, w), q.dtype)
    values_t = np.zeros((up(S, w) // w, E, w), q.dtype)
    keys = np.zeros((up(D, w) // w, S, w), q.dtype)
    queries, slopes = np.zeros((_BLOCK, across), q.dtype), np.zeros((_BLOCK, side), q.dtype)
    p, ds = np.zeros((_BLOCK, chunk), q.dtype), np.zeros((_BLOCK, chunk), q.dtype)
    here, dots = np.zeros((_BLOCK, across), q.dtype), np.zeros(_BLOCK, q.dtype)
    sum_k = np.zeros((up(S, w), across), q.dtype)
    sum_v = np.zeros((up(S, w), side), q.dtype)
    for b in range(B):
        for h in range(H):
            group = h * G // H
            if h * G % H == 0:  # the first head of a group begins the sums of its k and v
                for x, to in ((k, keys_t), (v, values_t)):
                    panels_transposed(x, b, group, to)
                panels(k, b, group, keys)
                sum_k[:] = zero
                sum_v[:] = zero
            for t0 in range(0, T, _BLOCK):
                rows = min(_BLOCK, T - t0)
                load(q, b, h, t0, rows, scale, queries)
                for i in range(_BLOCK):
                    to = slopes[i]
                    if i >= rows:
                        fill(to, 0, side, zero)
                        continue
                    gi, oi, dot = g[b, t0 + i, h], out[b, t0 + i, h], zero
                    ask(address(gi) + AHEAD * g.strides[1], ROW)
                    ask(address(oi) + AHEAD * out.strides[1], ROW)
                    for j in range(gi.size):
                        to[j] = gi[j]
                    for j in range(gi.size):
                        dot += gi[j] * oi[j]
                    dots[i] = dot
                here[:] = zero
                start, end = reach(t0, rows, T, S, causal, window, w)
                for low in range(start, end, chunk):
                    n = min(chunk, end - low)
                    padded = up(n, w)
                    near, far = band(t0, T, S, low, causal, window)
                    write_product(scale, _BLOCK, padded, D, address(queries), across, 1,
                                  address(keys_t) + low * D * size, w, D * w,
                                  address(p), chunk, near, far)  # fmt: skip
                    write_product(scale, _BLOCK, padded, E, address(slopes), side, 1,
                                  address(values_t) + low * E * size, w, E * w,
                                  address(ds), chunk, near, far)  # fmt: skip
                    for i in range(_BLOCK):
                        pr, dr = p[i, :padded], ds[i, :padded]
                        first, last = own(t0 + i, T, S, low, n, causal, window)
                        if i >= rows or first >= last:
                            fill(pr, 0, padded, zero)
                            fill(dr, 0, padded, zero)
                            continue
                        if bias.size > 0:
                            for j in range(first, last):
                                pr[j] += bias[b, h, t0 + i, low + j]
                        if mask.size > 0:
                            for j in range(first, last):
                                if not mask[b, h, t0 + i, low + j]:
                                    pr[j] = lowest
                        lo, hi = first // w * w, up(last, w)
                        fill(pr, lo, first, lowest)
                        fill(pr, last, hi, lowest)
                        shift, dot = lse[b, h, t0 + i], dots[i]
                        ps, dss = pr[lo:hi], dr[lo:hi]
                        for j in range(ps.size):
                            x = ps[j]
                            e = exp(x - shift)
                            e = e if x != lowest else zero
                            ps[j] = e
                            dss[j] = e * (dss[j] - dot)
                        if dbias.size > 0:
                            for j in range(first, last):
                                dbias[b, h, t0 + i, low + j] = dr[j]
                        around(pr, lo, hi)
                        around(dr, lo, hi)
                    add_product(scale, _BLOCK, across, n, address(ds), chunk, 1,
                                address(keys) + low * w * size, w, S * w,
                                address(here), across, near, far)  # fmt: skip
                    # Key j is seen by the queries j - far + 1 to j - near; queries are already
                    # multiplied by scale, so this sum is dk itself.
                    add_product(scale, padded, across, _BLOCK, address(ds), 1, chunk,
                                address(queries), across, w,
                                address(sum_k) + low * across * size, across,
                                1 - far, 1 - near)  # fmt: skip
                    add_product(scale, padded, side, _BLOCK, address(p), 1, chunk,
                                address(slopes), side, w,
                                address(sum_v) + low * side * size, side,
                                1 - far, 1 - near)  # fmt: skip
                for i in range(rows):
                    row = here[i]
                    to = row_of(dq, b, h, t0 + i)
                    for j in range(to.size):
                        to[j] = row[j] * scale
            if (h + 1) * G % H == 0:
                for s in range(S):
                    a, x = row_of(dk, b, group, s), sum_k[s]
                    for j in range(a.size):
                        a[j] = x[j]
                    c, y = row_of(dv, b, group, s), sum_v[s]
                    for j in range(c.size):
                        c[j] = y[j]
