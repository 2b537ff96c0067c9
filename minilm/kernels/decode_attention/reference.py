"""Attention of one new query per sequence over its cache, by the formula.

A paged cache (PagedAttention, arXiv 2309.06180) keeps keys in pages of a fixed size; a table says
which pages are a sequence's, in order.
"""

import numpy as np

from minilm.backend import Array, xp_of


def decode_attention(
    q: Array,
    k: Array,
    v: Array,
    lengths: Array,
    table: Array | None,
    scale: float,
    window: int | None = None,
    begins: Array | None = None,
    distance: Array | None = None,
    rolling: bool = False,
) -> Array:
    """One step of decoding.

    Args:
        q: (B, H, D) the new queries.
        k, v: (B, G, S, D); with a table (pages, G, page, D). G divides H.
        lengths: (B,) integers, the place of each sequence's new key, plus 1.
        table: (B, most pages) integers, the page numbers of each sequence; or None.
        scale: factor of the scores.
        window: how many of the newest keys are seen; None for all.
        begins: (B,) integers, the place of each sequence's first key; None means 0.
        distance: (H, L) float, added to the scores: column L - 1 to the newest key's, and so on
            back; or None.
        rolling: key j is in slot j mod S, and the last S keys are there.

    Returns:
        (B, H, D).
    """
    xp = xp_of(q)
    b, h, d = q.shape
    if table is not None:
        k, v = (a[table].swapaxes(1, 2) for a in (k, v))  # (B, G, pages, page, D)
        k, v = (a.reshape(b, a.shape[1], -1, d) for a in (k, v))
    g, s = k.shape[1], k.shape[2]
    scores = (q.reshape(b, g, h // g, d) @ k.swapaxes(-1, -2)) * q.dtype.type(scale)
    newest = lengths[:, None] - 1
    at = xp.broadcast_to(xp.arange(s), (b, s))  # which key is in which slot, (B, S)
    if rolling:
        at = newest - (newest - at) % s
    seen = (at >= 0) & (at <= newest)
    if begins is not None:
        seen &= at >= begins[:, None]
    if window is not None:
        seen &= at > newest - window
    if distance is not None:
        column = xp.where(seen, distance.shape[1] - 1 - (newest - at), 0)
        scores += distance[:, column].swapaxes(0, 1).reshape(scores.shape).astype(q.dtype)
    scores = xp.where(seen[:, None, None], scores, -np.inf).astype(q.dtype)
    weights = xp.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return (weights @ xp.where(seen[:, None, :, None], v, 0).astype(v.dtype)).reshape(b, h, d)
