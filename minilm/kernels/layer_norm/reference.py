"""y = (x - mean) / sqrt(variance + eps) * w + b over the last axis (arXiv 1607.06450, eq. 3-4)."""

from minilm.backend import Array, xp_of


def layer_norm(x: Array, w: Array, b: Array | None, eps: float) -> tuple[Array, Array, Array]:
    """x (N, C), w (C,), b (C,) or None -> y (N, C), mean (N,), 1 / standard deviation (N,)."""
    xp = xp_of(x)
    mean = x.mean(axis=-1)
    centred = x - mean[:, None]
    rstd = 1 / xp.sqrt((centred * centred).mean(axis=-1) + x.dtype.type(eps))
    y = centred * rstd[:, None] * w
    return (y if b is None else y + b), mean, rstd


def layer_norm_backward(
    g: Array, x: Array, w: Array, mean: Array, rstd: Array
) -> tuple[Array, Array, Array]:
    """dx (N, C), dw (C,), db (C,) from the gradient g (N, C) of the output."""
    normal = (x - mean[:, None]) * rstd[:, None]
    gw = g * w
    dx = gw - gw.mean(axis=-1, keepdims=True) - normal * (gw * normal).mean(axis=-1, keepdims=True)
    return dx * rstd[:, None], (g * normal).sum(axis=0), g.sum(axis=0)
