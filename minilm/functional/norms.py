"""Layer, RMS and group normalisation, fused."""

import math

import numpy as np

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


@primitive
def group_norm(
    x: Array, groups: int, w: Array | None = None, b: Array | None = None, eps: float = 1e-5
):
    """`layer_norm` of each picture's channels in groups, over all their pixels (arXiv 1803.08494).

    x (N, C, ...), w and b (C,) or None -> (N, C, ...). None counts as 1 and as 0.

    Raises:
        InputError: groups that do not divide the channels; w or b of another width; nothing to take
            the mean of.
    """
    if x.ndim < 2 or not isinstance(groups, (int, np.integer)) or groups < 1 or x.shape[1] % groups:
        raise InputError(
            f"group_norm: x is {x.shape} and groups {groups!r}; x must be (N, C, ...), and groups "
            "divide C"
        )
    channels = x.shape[1]
    if any(a is not None and a.shape != (channels,) for a in (w, b)):
        given = [None if a is None else a.shape for a in (w, b)]
        raise InputError(
            f"group_norm: w and b are {given[0]} and {given[1]}; with x {x.shape} they must be "
            f"({channels},) or None"
        )
    if not math.prod(x.shape[1:]):
        raise InputError(f"group_norm: x of shape {x.shape} has nothing to take the mean of")
    x, w, b = meet(x, w, b)
    shape, across = x.shape, (0, *range(2, x.ndim))
    wide = (channels, *(1 for _ in shape[2:]))
    scale, shift = (None if a is None else a.reshape(wide) for a in (w, b))  # (C,) -> (C, 1, ..)
    # (N, C, ...) -> (N G, C/G ...)
    rows = x.reshape(len(x) * groups, math.prod(shape[1:]) // groups)
    normal, mean, rstd = kernels.layer_norm(rows, None, None, eps)
    y = normal.reshape(shape)  # (N G, C/G ...) -> (N, C, ...)
    if scale is not None:
        y = y * scale
    if shift is not None:
        y = y + shift

    def pullback(g: Array):
        def slope() -> Array:
            again = (rows - mean[:, None]) * rstd[:, None]  # made again rather than kept
            return (g * again.reshape(shape)).sum(axis=across)  # (N G, C/G ...) -> (N, C, ...)

        inner = (g if scale is None else g * scale).reshape(rows.shape)  # -> (N G, C/G ...)
        dx, *_ = kernels.layer_norm_backward(inner, rows, None, mean, rstd)
        return (
            dx.reshape(shape),  # (N G, C/G ...) -> (N, C, ...)
            None,
            None if w is None else slope,
            None if b is None else lambda: g.sum(axis=across),
        )

    return y, pullback
