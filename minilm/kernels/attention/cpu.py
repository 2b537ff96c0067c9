"""Attention in Numba over blocks of queries: the scores of a block, never of a whole sequence.

For a block of queries: scores = q k^T by BLAS, a softmax in place, out = weights v by BLAS. Memory
grows with S, not with T * S. Backward recomputes the weights from the logsumexp that forward kept
(Dao et al. 2022, arXiv 2205.14135, section 3.1) and makes five products where forward made two.
"""

import numpy as np
from numba import types

from minilm.kernels.jit import per_dtype
from minilm.kernels.simd import address, exp, fmax, gemm

_BLOCK = 32  # queries at a time: 32 x 4096 scores are half a megabyte, which stays in the L2 cache


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
    """See ``reference.attention``; any strides, as long as D is contiguous, without a copy."""
    b, h, t, d = q.shape
    out = np.empty((b, t, h, v.shape[3]), q.dtype)  # heads side by side: joining them is a view
    lse = np.empty((b, h, t), q.dtype)
    mask, bias = _wide(mask, bias, (b, h, t, k.shape[2]), q.dtype)
    _forward[q.dtype](
        *(_rows(q), _rows(k), _rows(v), mask, bias),
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
    """See ``reference.attention_backward``."""
    b, h, t, d = q.shape
    groups, s = k.shape[1:3]
    if into is None:
        into = tuple(
            np.empty((b, n, heads, width), q.dtype).transpose(0, 2, 1, 3)
            for n, heads, width in ((t, h, d), (s, groups, d), (s, groups, v.shape[3]))
        )
    dq, dk, dv = into
    dbias = np.zeros((b, h, t, s) if bias is not None else (0, 0, 0, 0), q.dtype)
    wide_mask, wide_bias = _wide(mask, bias, (b, h, t, s), q.dtype)
    _backward[q.dtype](
        *(np.ascontiguousarray(g.transpose(0, 2, 1, 3)), _rows(q), _rows(k), _rows(v)),
        *(np.ascontiguousarray(out.transpose(0, 2, 1, 3)), lse, wide_mask, wide_bias),
        *(causal, window or 0, q.dtype.type(scale), dq, dk, dv, dbias),
    )
    return dq, dk, dv, None if bias is None else dbias


def _rows(x: np.ndarray) -> np.ndarray:
    """x with a contiguous last axis, and rows that do not run backwards or overlap."""
    step = x.itemsize
    ok = x.strides[3] == step and x.strides[2] >= x.shape[3] * step
    return x if ok else np.ascontiguousarray(x)


def _wide(mask, bias, shape, dtype):
    """Mask and bias seen at (B, H, T, S); empty arrays for none."""
    empty = (0, 0, 0, 0)
    mask = np.empty(empty, bool) if mask is None else np.broadcast_to(mask, shape)
    bias = np.empty(empty, dtype) if bias is None else np.broadcast_to(bias, shape)
    return mask, bias.astype(dtype, copy=False)


def _given(kind, layout: str = "A", axes: int = 4):
    """The type of an array that is only read: any strides, broadcast views among them."""
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
    size = q.itemsize
    zero, one = q.dtype.type(0), q.dtype.type(1)
    ldq, ldk, ldv = q.strides[2] // size, k.strides[2] // size, v.strides[2] // size
    scores = np.empty((_BLOCK, S), q.dtype)
    at = address(scores)
    for b in range(B):
        for h in range(H):
            group = h * G // H
            pq = address(q) + b * q.strides[0] + h * q.strides[1]
            pk = address(k) + b * k.strides[0] + group * k.strides[1]
            pv = address(v) + b * v.strides[0] + group * v.strides[1]
            po = address(out) + (b * T * H + h) * E * size
            for t0 in range(0, T, _BLOCK):
                rows = min(_BLOCK, T - t0)
                low, high = 0, S
                if causal:
                    high = min(S, t0 + rows + S - T)
                    if window > 0:
                        low = max(0, t0 + S - T - window + 1)
                n = high - low
                if n <= 0:
                    for i in range(rows):
                        lse[b, h, t0 + i] = zero
                        out[b, t0 + i, h, :] = zero
                    continue
                gemm(False, True, rows, n, D, scale, pq + t0 * q.strides[2], ldq,
                     pk + low * k.strides[2], ldk, zero, at, S)  # fmt: skip
                for i in range(rows):
                    row = scores[i, :n]
                    first, last = 0, n  # the keys of the block that this query may see
                    if causal:
                        last = max(0, min(n, t0 + i + S - T + 1 - low))
                        if window > 0:
                            first = min(last, max(0, t0 + i + S - T - window + 1 - low))
                    if bias.size > 0:
                        for j in range(n):
                            row[j] += bias[b, h, t0 + i, low + j]
                    if mask.size > 0:
                        for j in range(n):
                            if not mask[b, h, t0 + i, low + j]:
                                row[j] = q.dtype.type(-np.inf)
                    seen = row[first:last]
                    top = q.dtype.type(-np.inf)
                    for j in range(seen.size):
                        top = fmax(top, seen[j])
                    total = zero
                    if top != -np.inf:
                        for j in range(seen.size):
                            e = exp(seen[j] - top)
                            seen[j] = e
                            total += e
                        if mask.size > 0:
                            total = zero
                            for j in range(n):
                                if not mask[b, h, t0 + i, low + j]:
                                    row[j] = zero
                            for j in range(seen.size):
                                total += seen[j]
                    if total > zero:
                        share = one / total
                        for j in range(seen.size):
                            seen[j] *= share
                        lse[b, h, t0 + i] = top + np.log(total)
                    else:
                        for j in range(seen.size):
                            seen[j] = zero
                        lse[b, h, t0 + i] = zero
                    for j in range(first):
                        row[j] = zero
                    for j in range(last, n):
                        row[j] = zero
                gemm(False, False, rows, E, n, one, at, S, pv + low * v.strides[2], ldv,
                     zero, po + t0 * H * E * size, H * E)  # fmt: skip


@per_dtype(_signature_backward)
def _backward(g, q, k, v, out, lse, mask, bias, causal, window, scale, dq, dk, dv, dbias):
    B, H, T, D = q.shape
    G, S, E = v.shape[1], v.shape[2], v.shape[3]
    size = q.itemsize
    zero, one = q.dtype.type(0), q.dtype.type(1)
    ldq, ldk, ldv = q.strides[2] // size, k.strides[2] // size, v.strides[2] // size
    ldgq, ldgk, ldgv = dq.strides[2] // size, dk.strides[2] // size, dv.strides[2] // size
    weights, slopes = np.empty((_BLOCK, S), q.dtype), np.empty((_BLOCK, S), q.dtype)
    at, bt = address(weights), address(slopes)
    for b in range(B):
        for h in range(H):
            group = h * G // H
            pq = address(q) + b * q.strides[0] + h * q.strides[1]
            pk = address(k) + b * k.strides[0] + group * k.strides[1]
            pv = address(v) + b * v.strides[0] + group * v.strides[1]
            gq = address(dq) + b * dq.strides[0] + h * dq.strides[1]
            gk = address(dk) + b * dk.strides[0] + group * dk.strides[1]
            gv = address(dv) + b * dv.strides[0] + group * dv.strides[1]
            pg = address(g) + (b * T * H + h) * E * size
            if h * G % H == 0:  # the first head of a group starts the sums of its k and v
                for s in range(S):
                    for j in range(D):
                        dk[b, group, s, j] = zero
                    for j in range(E):
                        dv[b, group, s, j] = zero
            for t0 in range(0, T, _BLOCK):
                rows = min(_BLOCK, T - t0)
                low, high = 0, S
                if causal:
                    high = min(S, t0 + rows + S - T)
                    if window > 0:
                        low = max(0, t0 + S - T - window + 1)
                n = high - low
                if n <= 0:
                    dq[b, h, t0 : t0 + rows, :] = zero
                    continue
                here = pg + t0 * H * E * size
                gemm(False, True, rows, n, D, scale, pq + t0 * q.strides[2], ldq,
                     pk + low * k.strides[2], ldk, zero, at, S)  # fmt: skip
                gemm(False, True, rows, n, E, one, here, H * E,
                     pv + low * v.strides[2], ldv, zero, bt, S)  # fmt: skip
                for i in range(rows):
                    p, ds = weights[i, :n], slopes[i, :n]
                    first, last = 0, n
                    if causal:
                        last = max(0, min(n, t0 + i + S - T + 1 - low))
                        if window > 0:
                            first = min(last, max(0, t0 + i + S - T - window + 1 - low))
                    if bias.size > 0:
                        for j in range(n):
                            p[j] += bias[b, h, t0 + i, low + j]
                    gi, oi = g[b, t0 + i, h], out[b, t0 + i, h]
                    dot = zero
                    for j in range(E):
                        dot += gi[j] * oi[j]
                    shift = lse[b, h, t0 + i]
                    ps, dss = p[first:last], ds[first:last]
                    for j in range(ps.size):
                        ps[j] = exp(ps[j] - shift)
                    if mask.size > 0:
                        for j in range(n):
                            if not mask[b, h, t0 + i, low + j]:
                                p[j] = zero
                    if dbias.size > 0:
                        for j in range(first, last):
                            dbias[b, h, t0 + i, low + j] = p[j] * (ds[j] - dot)
                    for j in range(ps.size):
                        dss[j] = ps[j] * (dss[j] - dot) * scale
                    for j in range(first):
                        p[j] = zero
                        ds[j] = zero
                    for j in range(last, n):
                        p[j] = zero
                        ds[j] = zero
                gemm(False, False, rows, D, n, one, bt, S, pk + low * k.strides[2], ldk,
                     zero, gq + t0 * dq.strides[2], ldgq)  # fmt: skip
                gemm(True, False, n, D, rows, one, bt, S, pq + t0 * q.strides[2], ldq,
                     one, gk + low * dk.strides[2], ldgk)  # fmt: skip
                gemm(True, False, n, E, rows, one, at, S, here, H * E,
                     one, gv + low * dv.strides[2], ldgv)  # fmt: skip
