"""a = f(h + b) for the feed-forward layer, which keeps only h + b: backward computes a again.

Keeping one array of width F instead of two halves what a feed-forward layer stores, and f costs
less than reading a from memory would.
"""

from minilm.backend import Array, xp_of
from minilm.kernels.gelu.reference import gelu, gelu_backward, silu, silu_backward

KINDS = ("gelu", "gelu_tanh", "silu", "relu")


def bias_activation(h: Array, b: Array | None, kind: str) -> Array:
    """h (N, F) becomes h + b in place; returns f(h + b) (N, F)."""
    if b is not None:
        h += b
    if kind == "relu":
        return xp_of(h).maximum(h, 0)
    return silu(h) if kind == "silu" else gelu(h, kind == "gelu_tanh")


def bias_activation_backward(g: Array, h: Array, kind: str) -> Array:
    """Gradients in place: g (N, F) becomes dh, h becomes f(h); returns db (F,)."""
    xp = xp_of(h)
    if kind == "relu":
        g *= h > 0
        h[...] = xp.maximum(h, 0)
    elif kind == "silu":
        g[...] = silu_backward(g, h)
        h[...] = silu(h)
    else:
        tanh = kind == "gelu_tanh"
        g[...] = gelu_backward(g, h, tanh)
        h[...] = gelu(h, tanh)
    return g.sum(axis=0)
