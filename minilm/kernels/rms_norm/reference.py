"""y = x / sqrt(mean(x**2) + eps) * w over the last axis (arXiv 1910.07467, eq. 4)."""

from minilm.backend import Array, xp_of


def rms_norm(x: Array, w: Array | None, eps: float) -> tuple[Array, Array]:
    """x (N, C), w (C,) or None -> y (N, C), 1 / root mean square (N,)."""
    rstd = 1 / xp_of(x).sqrt((x * x).mean(axis=-1) + x.dtype.type(eps))
    y = x * rstd[:, None]
    return (y if w is None else y * w), rstd


def rms_norm_backward(
    g: Array, x: Array, w: Array | None, rstd: Array
) -> tuple[Array, Array | None]:
    """dx (N, C), dw (C,) from the gradient g (N, C) of the output; without w only dx."""
    normal = x * rstd[:, None]
    gw = g if w is None else g * w
    dx = (gw - normal * (gw * normal).mean(axis=-1, keepdims=True)) * rstd[:, None]
    return dx, (None if w is None else (g * normal).sum(axis=0))
