"""y = x / sqrt(mean(x**2) + eps) * w over the last axis (arXiv 1910.07467, eq. 4)."""

from minilm.backend import Array, xp_of


def rms_norm(x: Array, w: Array, eps: float) -> tuple[Array, Array]:
    """x (N, C), w (C,) -> y (N, C), 1 / root mean square (N,)."""
    rstd = 1 / xp_of(x).sqrt((x * x).mean(axis=-1) + x.dtype.type(eps))
    return x * rstd[:, None] * w, rstd


def rms_norm_backward(g: Array, x: Array, w: Array, rstd: Array) -> tuple[Array, Array]:
    """dx (N, C), dw (C,) from the gradient g (N, C) of the output."""
    normal = x * rstd[:, None]
    gw = g * w
    dx = (gw - normal * (gw * normal).mean(axis=-1, keepdims=True)) * rstd[:, None]
    return dx, (g * normal).sum(axis=0)
