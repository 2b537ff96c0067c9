"""softmax(q k^T * scale + mask) v (Vaswani et al. 2017, arXiv 1706.03762, eq. 1), by the formula.

It keeps the (B, H, T, S) scores in memory, which the faster tiers avoid. G key/value heads serve H
query heads, H / G each (grouped-query attention, arXiv 2305.13245).
"""

from minilm.backend import Array, xp_of

# The options every tier takes, in this order:
#   mask    bool, broadcastable to (B, H, T, S), True where a query may look; or None
#   bias    float, broadcastable to (B, H, T, S), added to the scaled scores; or None
#   causal  the last query may see the last key, the one before it the key before, ...
#   window  with causal: how many keys a query sees, itself included; None for all
#   scale   float


def visible(t: int, s: int, causal: bool, window: int | None, xp) -> Array | None:
    """The (T, S) mask of `causal` and `window`; None where all is visible."""
    if not causal:
        return None
    ahead = xp.arange(s)[None, :] - (xp.arange(t)[:, None] + s - t)  # key position minus query's
    seen = ahead <= 0
    return seen if window is None else seen & (ahead > -window)


def probabilities(
    q: Array,
    k: Array,
    mask: Array | None,
    bias: Array | None,
    causal: bool,
    window: int | None,
    scale: float,
) -> tuple[Array, Array]:
    """Attention weights (B, G, H/G, T, S) and the scores' logsumexp (B, G, H/G, T)."""
    xp = xp_of(q)
    b, h, t, d = q.shape
    g, s = k.shape[1], k.shape[2]
    grouped = q.reshape(b, g, h // g, t, d)
    scores = grouped @ k[:, :, None].swapaxes(-1, -2) * q.dtype.type(scale)  # (B, G, H/G, T, S)
    if bias is not None:
        scores = scores + xp.broadcast_to(bias, (b, h, t, s)).reshape(scores.shape)
    seen = visible(t, s, causal, window, xp)
    if mask is not None:
        wide = xp.broadcast_to(mask, (b, h, t, s)).reshape(scores.shape)
        seen = wide if seen is None else wide & seen
    if seen is not None:
        scores = xp.where(seen, scores, -xp.inf).astype(q.dtype)
    top = scores.max(axis=-1, keepdims=True)
    top = xp.where(xp.isfinite(top), top, 0).astype(q.dtype)  # a query that sees nothing
    e = xp.exp(scores - top)
    total = e.sum(axis=-1, keepdims=True)
    total = xp.where(total == 0, 1, total).astype(q.dtype)
    return e / total, (xp.log(total) + top)[..., 0]


def attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    bias: Array | None,
    causal: bool,
    window: int | None,
    scale: float,
) -> tuple[Array, Array]:
    """q (B, H, T, D), k and v (B, G, S, D) -> out (B, H, T, D), logsumexp (B, H, T).

    A query that may look nowhere gets zeros.
    """
    p, lse = probabilities(q, k, mask, bias, causal, window, scale)
    out = p @ v[:, :, None]
    return out.reshape(*q.shape[:3], v.shape[-1]), lse.reshape(q.shape[:3])


def attention_backward(
    g: Array,
    q: Array,
    k: Array,
    v: Array,
    out: Array,
    lse: Array,
    mask: Array | None,
    bias: Array | None,
    causal: bool,
    window: int | None,
    scale: float,
    into: tuple[Array, Array, Array] | None = None,
) -> tuple[Array, Array, Array, Array | None]:
    """dq, dk, dv and, where there is a bias, its gradient as (B, H, T, S); else None.

    `into` holds arrays to write dq, dk and dv to. With P the weights:
    dP = g v^T, dS = P * (dP - rowsum(g * out)), dq = dS k, dk = dS^T q.
    """
    b, h, t, d = q.shape
    groups = k.shape[1]
    shape = (b, groups, h // groups, t)
    p, _ = probabilities(q, k, mask, bias, causal, window, scale)
    g5 = g.reshape(*shape, v.shape[-1])
    dp = g5 @ v[:, :, None].swapaxes(-1, -2)
    ds = p * (dp - (g * out).sum(axis=-1).reshape(shape)[..., None])
    dv = (p.swapaxes(-1, -2) @ g5).sum(axis=2)
    scaled = ds * q.dtype.type(scale)
    dq = (scaled @ k[:, :, None]).reshape(q.shape)
    dk = (scaled.swapaxes(-1, -2) @ q.reshape(*shape, d)).sum(axis=2)
    dbias = None if bias is None else ds.reshape(b, h, t, k.shape[2])
    if into is not None:
        for to, value in zip(into, (dq, dk, dv), strict=True):
            to[...] = value
        dq, dk, dv = into
    return dq, dk, dv, dbias
