"""Decoding attention in Numba, over pages: see `pages.look_pages`."""

import numpy as np

from minilm.kernels.decode_attention import reference
from minilm.kernels.decode_attention.pages import look_pages
from minilm.kernels.decode_step.dots import SUMS
from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.simd import address

_NO_CAP = np.float32(0)


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
    rows = all(a.strides[2:] == (4 * a.shape[3], 4) for a in (k, v))  # of a view of longer caches
    if not (q.dtype == k.dtype == v.dtype == np.float32 and rows):
        return reference.decode_attention(
            q, k, v, lengths, table, scale, window, begins, distance, rolling
        )
    whole, batch = np.int64, len(q)
    # Without a table each sequence has one page of its own, the whole of its cache.
    lines = np.arange(batch)[:, None] if table is None else table
    begins = np.zeros(batch, whole) if begins is None else begins.astype(whole)
    distance = np.zeros((0, 0), np.float32) if distance is None else distance.astype(np.float32)
    out, lengths = np.empty(q.shape, np.float32), lengths.astype(whole)
    ring = k.shape[2] if rolling else 0
    _decode(
        np.ascontiguousarray(q), k, v, lengths, begins, np.ascontiguousarray(lines, whole),
        np.ascontiguousarray(distance), np.float32(scale), 0 if window is None else window, ring,
        np.empty(max(1, int(lengths.max(initial=0))), np.float32), out,
    )  # fmt: skip
    return out


@jit
def _decode(q, k, v, lengths, begins, lines, distance, scale, window, ring, scores, out):
    batch, heads, size = q.shape
    share = heads // k.shape[1]
    span = distance.shape[1]
    sums, scaled = np.empty(SUMS, np.float32), np.empty(max(size, 80), np.float32)
    for b in range(batch):
        place = lengths[b] - 1
        oldest = begins[b]
        if window > 0:
            oldest = max(oldest, place + 1 - window)
        if ring > 0:
            oldest = max(oldest, place + 1 - ring)
        for h in range(heads):
            query = q[b, h]
            for i in range(size):
                scaled[i] = query[i] * scale
            far = distance[h] if span > 0 else sums[:0]
            look_pages(
                scaled[:size], k, v, lines[b], h // share, oldest, place, far, _NO_CAP, scores,
                out[b, h], address(sums),
            )  # fmt: skip
