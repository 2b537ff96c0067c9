"""Attention of one new query per sequence over its cache, by the formula.

A paged cache (PagedAttention, arXiv 2309.06180) keeps keys in pages of a fixed size; a table says
which pages are a sequence's, in order.
"""

from minilm.backend import Array, xp_of


def decode_attention(
    q: Array,
    k: Array,
    v: Array,
    lengths: Array,
    table: Array | None,
    scale: float,
    window: int | None = None,
) -> Array:
    """One step of decoding.

    Args:
        q: (B, H, D) the new queries.
        k, v: (B, G, S, D); with a table (pages, G, page, D). G divides H.
        lengths: (B,) int32, keys of each sequence, the new one included; at least 1.
        table: (B, most pages) int32, page numbers of each sequence; or None.
        scale: factor of the scores.
        window: see only the newest keys, this many; None for all.

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
    at = xp.arange(s)[None, :]
    seen = at < lengths[:, None]
    if window is not None:
        seen &= at >= lengths[:, None] - window
    scores = xp.where(seen[:, None, None], scores, -xp.inf).astype(q.dtype)
    weights = xp.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return (weights @ xp.where(seen[:, None, :, None], v, 0).astype(v.dtype)).reshape(b, h, d)
