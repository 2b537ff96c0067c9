"""Decoding attention in Numba: one pass over the visible keys of each head, without storing scores.

The largest score so far and the sum relative to it are carried along (online softmax, arXiv
1805.02867), so keys and values are read once, side by side.
"""

import numpy as np

from minilm.kernels.decode_attention import reference
from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.simd import expf


def decode_attention(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    lengths: np.ndarray,
    table: np.ndarray | None,
    scale: float,
    window: int | None = None,
    begins: np.ndarray | None = None,
    distance: np.ndarray | None = None,
    rolling: bool = False,
) -> np.ndarray:
    """See `reference.decode_attention`."""
    if not q.dtype == k.dtype == v.dtype == np.float32:
        return reference.decode_attention(
            q, k, v, lengths, table, scale, window, begins, distance, rolling
        )
    page = k.shape[2] if rolling or table is not None else 0
    whole = np.int64
    table = np.zeros((0, 0), whole) if table is None else table.astype(whole)
    begins = np.zeros(len(q), whole) if begins is None else begins.astype(whole)
    distance = np.zeros((0, 0), np.float32) if distance is None else distance.astype(np.float32)
    out = np.empty(q.shape, np.float32)
    _decode(
        np.ascontiguousarray(q), k, v, lengths.astype(whole), begins, table, distance,
        np.float32(scale), 0 if window is None else window, page, out,
    )  # fmt: skip
    return out


@jit
def _decode(q, k, v, lengths, begins, table, distance, scale, window, page, out):
    batch, heads, size = q.shape
    share = heads // k.shape[1]
    paged, span = table.shape[1] > 0, distance.shape[1]
    for b in range(batch):
        length = lengths[b]
        oldest = max(begins[b], length - window) if window > 0 else begins[b]
        if page > 0 and not paged:
            oldest = max(oldest, length - page)
        for h in range(heads):
            group, query, o = h // share, q[b, h], out[b, h]
            top, total = np.float32(-np.inf), np.float32(0)
            o[:] = 0
            for j in range(oldest, length):
                row = table[b, j // page] if paged else b
                slot = j % page if page > 0 else j
                key, value = k[row, group, slot], v[row, group, slot]
                s = np.float32(0)
                for i in range(size):
                    s += query[i] * key[i]
                s *= scale
                if span > 0:
                    s += distance[h, span - length + j]
                highest = max(top, s)
                fade, weight = expf(top - highest), expf(s - highest)
                top, total = highest, total * fade + weight
                for i in range(size):
                    o[i] = o[i] * fade + weight * value[i]
            for i in range(size):
                o[i] /= total
