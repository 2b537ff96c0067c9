"""y = (x - mean) / sqrt(variance + eps) * w + b over the last axis (arXiv 1607.06450, eq. 3-4)."""

from minilm.backend import Array, xp_of


def layer_norm(
    x: Array, w: Array | None, b: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """x (N, C), w and b (C,) or None -> y (N, C), mean (N,), 1 / standard deviation (N,).

    No b without a w.
    """
    xp = xp_of(x)
    mean = x.mean(axis=-1)
    centred = x - mean[:, None]
    rstd = 1 / xp.sqrt((centred * centred).mean(axis=-1) + x.dtype.type(eps))
    y = centred * rstd[:, None]
    if w is not None:
        y = y * w
    return (y if b is None else y + b), mean, rstd


def layer_norm_backward(
    g: Array, x: Array, w: Array | None, mean: Array, rstd: Array
) -> tuple[Array, Array | None, Array | None]:
    """dx (N, C), dw (C,), db (C,) from the gradient g (N, C) of the output; without w only dx."""
    normal = (x - mean[:, None]) * rstd[:, None]
    gw = g if w is None else g * w
    dx = gw - gw.mean(axis=-1, keepdims=True) - normal * (gw * normal).mean(axis=-1, keepdims=True)
    dx = dx * rstd[:, None]
    return (dx, None, None) if w is None else (dx, (g * normal).sum(axis=0), g.sum(axis=0))
