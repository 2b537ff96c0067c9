"""Convolution of pictures, and its transpose."""

from typing import Any

import numpy as np

from minilm import kernels
from minilm.backend import Array
from minilm.errors import InputError
from minilm.functional.meeting import meet
from minilm.tensor import primitive

Pair = tuple[int, int]


def _pair(name: str, what: str, value: Any, least: int) -> Pair:
    """A number for rows and columns alike, or one for each.

    Raises:
        InputError: anything else; a number below `least`.
    """
    both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2 or any(not isinstance(v, (int, np.integer)) or v < least for v in both):
        raise InputError(
            f"{name}: {what} is {value!r}; it must be a whole number of {least} or more, or two"
        )
    return int(both[0]), int(both[1])


def _check_shapes(name: str, x: Array, w: Array, b: Array | None, ins: int) -> None:
    """Refuse x (N, I, H, W), w and b that do not fit; `ins` is the axis of w that is I long."""
    wanted = "(O, I, A, B)" if ins else "(I, O, A, B)"
    if x.ndim != 4 or w.ndim != 4 or x.shape[1] != w.shape[ins] or 0 in w.shape:
        raise InputError(
            f"{name}: x is {x.shape} and w {w.shape}; they must be (N, I, H, W) and {wanted}"
        )
    if b is not None and b.shape != (w.shape[1 - ins],):
        raise InputError(
            f"{name}: b is {b.shape}; with w {w.shape} it must be {(w.shape[1 - ins],)}"
        )


@primitive
def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
):
    """Each window of a picture times w, plus b (LeCun et al. 1989): torch.nn.functional.conv2d.

    Args:
        x: (N, I, H, W) pictures.
        w: (O, I, A, B); it is not turned round, so this is a correlation, as everywhere.
        b: (O,) or None.
        stride: from window to window: of rows and columns, or one number for both.
        padding: zeros around the picture, likewise.

    Returns:
        (N, O, H', W') with H' = (H + 2 padding - A) // stride + 1, and W' likewise.

    Raises:
        InputError: shapes that do not fit each other; a window larger than the padded picture; a
            stride below 1, a padding below 0.
    """
    stride, padding = _pair("conv2d", "stride", stride, 1), _pair("conv2d", "padding", padding, 0)
    _check_shapes("conv2d", x, w, b, 1)
    size, window = x.shape[2:], w.shape[2:]
    if any(n + 2 * p < k for n, p, k in zip(size, padding, window, strict=True)):
        raise InputError(
            f"conv2d: x is {x.shape} with a padding of {padding}; it must not be smaller than the "
            f"window {window}"
        )
    x, w, b = meet(x, w, b)
    y = kernels.conv2d(x, w, stride, padding)
    if b is not None:
        y += b[:, None, None]

    def pullback(g: Array):
        return (
            lambda: kernels.conv2d_input_gradient(g, w, size, stride, padding),
            lambda: kernels.conv2d_weight_gradient(g, x, window, stride, padding),
            None if b is None else lambda: g.sum(axis=(0, 2, 3)),
        )

    return y, pullback


@primitive
def conv_transpose2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
):
    """What `conv2d` does to gradients, as a layer: pictures grow (arXiv 1603.07285, chapter 4).

    As torch.nn.functional.conv_transpose2d.

    Args:
        x: (N, I, H, W) pictures.
        w: (I, O, A, B).
        b: (O,) or None.
        stride: how many times larger the output is, roughly; of rows and columns, or for both.
        padding: rows and columns cut off on each side.
        output_padding: rows and columns more at the end: several sizes shrink to one in `conv2d`.

    Returns:
        (N, O, H', W') with H' = (H - 1) stride - 2 padding + A + output_padding.

    Raises:
        InputError: shapes that do not fit each other; an output_padding that is not below the
            stride; a padding that leaves nothing.
    """
    name = "conv_transpose2d"
    stride, padding = _pair(name, "stride", stride, 1), _pair(name, "padding", padding, 0)
    extra = _pair(name, "output_padding", output_padding, 0)
    _check_shapes(name, x, w, b, 0)
    window = w.shape[2:]
    if any(e >= s for e, s in zip(extra, stride, strict=True)):
        raise InputError(f"{name}: output_padding is {extra}; it must be below the stride {stride}")
    each = zip(x.shape[2:], stride, padding, window, extra, strict=True)
    size = tuple((n - 1) * s - 2 * p + k + e for n, s, p, k, e in each)
    if 0 in x.shape[2:] or min(size) < 1:
        raise InputError(f"{name}: x is {x.shape}; of {window} windows nothing is left, {size}")
    x, w, b = meet(x, w, b)
    y = kernels.conv2d_input_gradient(x, w, size, stride, padding)
    if b is not None:
        y += b[:, None, None]

    def pullback(g: Array):
        return (
            lambda: kernels.conv2d(g, w, stride, padding),
            lambda: kernels.conv2d_weight_gradient(x, g, window, stride, padding),
            None if b is None else lambda: g.sum(axis=(0, 2, 3)),
        )

    return y, pullback
