"""Layer normalisation and RMS normalisation, fused."""

from minilm import kernels
from minilm.backend import Array
from minilm.errors import InputError
from minilm.tensor import primitive


def _rows(name: str, x: Array, w: Array) -> Array:
    if x.shape[-1] != len(w):
        raise InputError(f"{name}: x has {x.shape[-1]} channels, the weight has {len(w)}")
    return x.reshape(-1, x.shape[-1])


@primitive
def layer_norm(x: Array, w: Array, b: Array | None = None, eps: float = 1e-5):
    """(x - mean) / sqrt(variance + eps) * w + b over the last axis (arXiv 1607.06450).

    x (..., C), w (C,), b (C,) or None -> (..., C).
    """
    rows = _rows("layer_norm", x, w)
    y, mean, rstd = kernels.layer_norm(rows, w, b, eps)

    def pullback(g: Array):
        dx, dw, db = kernels.layer_norm_backward(g.reshape(rows.shape), rows, w, mean, rstd)
        return dx.reshape(x.shape), dw, None if b is None else db

    return y.reshape(x.shape), pullback


@primitive
def rms_norm(x: Array, w: Array, eps: float = 1e-5):
    """x / sqrt(mean(x**2) + eps) * w over the last axis (arXiv 1910.07467)."""
    rows = _rows("rms_norm", x, w)
    y, rstd = kernels.rms_norm(rows, w, eps)

    def pullback(g: Array):
        dx, dw = kernels.rms_norm_backward(g.reshape(rows.shape), rows, w, rstd)
        return dx.reshape(x.shape), dw

    return y.reshape(x.shape), pullback
