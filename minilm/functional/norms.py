"""Layer normalisation and RMS normalisation, fused."""

from minilm import kernels
from minilm.backend import Array
from minilm.errors import InputError
from minilm.tensor import primitive


def _rows(name: str, x: Array, w: Array, b: Array | None = None) -> Array:
    """x as (N, C); the kernels read w and b to the width of x without looking."""
    width = x.shape[-1:]
    if w.shape != width or (b is not None and b.shape != width):
        given = f"{w.shape}" if b is None else f"{w.shape} and {b.shape}"
        raise InputError(
            f"{name} of x with {width[0]} channels takes w and b of {width}, not {given}"
        )
    if not width[0]:
        raise InputError(f"{name}: x of shape {x.shape} has no channels to take the mean of")
    return x.reshape(-1, *width)


@primitive
def layer_norm(x: Array, w: Array, b: Array | None = None, eps: float = 1e-5):
    """(x - mean) / sqrt(variance + eps) * w + b over the last axis (arXiv 1607.06450).

    x (..., C), w (C,), b (C,) or None -> (..., C).

    Raises:
        InputError: w or b of another width than x; no channels.
    """
    rows = _rows("layer_norm", x, w, b)
    y, mean, rstd = kernels.layer_norm(rows, w, b, eps)

    def pullback(g: Array):
        dx, dw, db = kernels.layer_norm_backward(g.reshape(rows.shape), rows, w, mean, rstd)
        return dx.reshape(x.shape), dw, None if b is None else db

    return y.reshape(x.shape), pullback


@primitive
def rms_norm(x: Array, w: Array, eps: float = 1e-5):
    """x / sqrt(mean(x**2) + eps) * w over the last axis (arXiv 1910.07467).

    x (..., C), w (C,) -> (..., C).

    Raises:
        InputError: as ``layer_norm``.
    """
    rows = _rows("rms_norm", x, w)
    y, rstd = kernels.rms_norm(rows, w, eps)

    def pullback(g: Array):
        dx, dw = kernels.rms_norm_backward(g.reshape(rows.shape), rows, w, rstd)
        return dx.reshape(x.shape), dw

    return y.reshape(x.shape), pullback
