"""softmax(x)_i = exp(x_i) / sum_j exp(x_j), over the last axis, and the two gradients.

Subtracting the row's maximum changes nothing in exact arithmetic and keeps exp from overflowing.
Cost: reads and writes every element a few times; no arithmetic to speak of.
"""

from minilm.backend import Array, xp_of


def softmax(x: Array) -> Array:
    """(..., N) -> (..., N), rows that sum to 1; a row of -inf only becomes a row of zeros."""
    xp = xp_of(x)
    top = x.max(axis=-1, keepdims=True)
    e = xp.exp(x - xp.where(xp.isfinite(top), top, 0).astype(x.dtype))
    total = e.sum(axis=-1, keepdims=True)
    return e / xp.where(total == 0, 1, total).astype(x.dtype)


def softmax_backward(g: Array, y: Array) -> Array:
    """dL/dx = y * (g - sum(g * y)), from the output y."""
    return y * (g - (g * y).sum(axis=-1, keepdims=True))


def log_softmax(x: Array) -> Array:
    """(..., N) -> (..., N): x minus the logarithm of its row's sum of exponentials."""
    xp = xp_of(x)
    z = x - x.max(axis=-1, keepdims=True)
    return z - xp.log(xp.exp(z).sum(axis=-1, keepdims=True))


def log_softmax_backward(g: Array, y: Array) -> Array:
    """dL/dx = g - softmax(x) * sum(g), from the output y = log softmax(x)."""
    return g - xp_of(y).exp(y) * g.sum(axis=-1, keepdims=True)
