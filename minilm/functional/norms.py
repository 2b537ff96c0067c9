"""Layer normalisation and RMS normalisation, fused."""

from minilm import kernels
from minilm.backend import Array
from minilm.errors import InputError
from minilm.functional.meeting import as_rows, meet
from minilm.tensor import primitive


def _check_norm(name: str, x: Array, w: Array | None, b: Array | None = None) -> None:
    """The kernels read w and b to the width of x without looking."""
    width = x.shape[-1:]
    if not width:
        raise InputError(f"{name}: x has shape (); it must be (..., C)")
    if w is None and b is not None:
        raise InputError(f"{name}: b has shape {b.shape} and w is None; b needs a w")
    if any(a is not None and a.shape != width for a in (w, b)):
        given = f"{w.shape}" if b is None else f"{w.shape} and {b.shape}"
        raise InputError(
            f"{name} of x with {width[0]} channels takes w and b of {width}, not {given}"
        )
    if not width[0]:
        raise InputError(f"{name}: x of shape {x.shape} has no channels to take the mean of")


@primitive
def layer_norm(x: Array, w: Array | None = None, b: Array | None = None, eps: float = 1e-5):
    """(x - mean) / sqrt(variance + eps) * w + b over the last axis (arXiv 1607.06450).

    x (..., C), w (C,) or None, b (C,) or None -> (..., C). None counts as 1 and as 0.

    Raises:
        InputError: w or b of another width than x; b without w; no channels.
    """
    _check_norm("layer_norm", x, w, b)
    x, w, b = meet(x, w, b)
    rows = as_rows(x)  # (..., C) -> (N, C)
    y, mean, rstd = kernels.layer_norm(rows, w, b, eps)

    def pullback(g: Array):
        dx, dw, db = kernels.layer_norm_backward(as_rows(g), rows, w, mean, rstd)
        return dx.reshape(x.shape), dw, None if b is None else db  # (N, C) -> (..., C)

    return y.reshape(x.shape), pullback  # (N, C) -> (..., C)


@primitive
def rms_norm(x: Array, w: Array | None = None, eps: float = 1e-5):
    """x / sqrt(mean(x**2) + eps) * w over the last axis (arXiv 1910.07467).

    x (..., C), w (C,) or None, which counts as 1 -> (..., C).

    Raises:
        InputError: as `layer_norm`.
    """
    _check_norm("rms_norm", x, w)
    x, w = meet(x, w)
    rows = as_rows(x)  # (..., C) -> (N, C)
    y, rstd = kernels.rms_norm(rows, w, eps)

    def pullback(g: Array):
        dx, dw = kernels.rms_norm_backward(as_rows(g), rows, w, rstd)
        return dx.reshape(x.shape), dw  # (N, C) -> (..., C)

    return y.reshape(x.shape), pullback  # (N, C) -> (..., C)
