"""Convolution of videos that never looks ahead in time, over the kernels of `conv2d`."""

from typing import Any

import numpy as np

from minilm import kernels
from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.functional.convolution import Pair, _pair
from minilm.functional.meeting import meet
from minilm.tensor import primitive

NAME = "causal_conv3d"


def _refuse_misfits(x: Array, w: Array, b: Array | None, step: Any, padding: Pair) -> None:
    """Refuse what does not fit: axes, channels, a window that is too large, frames left over."""
    if x.ndim != 5 or w.ndim != 5 or x.shape[1] != w.shape[1] or 0 in w.shape:
        raise InputError(
            f"{NAME}: x is {x.shape} and w {w.shape}; they must be (N, I, T, H, W) and "
            "(O, I, K, A, B)"
        )
    if b is not None and b.shape != w.shape[:1]:
        raise InputError(f"{NAME}: b is {b.shape}; with w {w.shape} it must be {w.shape[:1]}")
    if not isinstance(step, (int, np.integer)) or not 1 <= step <= w.shape[2]:
        raise InputError(
            f"{NAME}: step is {step!r}; it must be a whole number from 1 to the {w.shape[2]} "
            "frames of the window"
        )
    if not x.shape[2] or x.shape[2] % step:
        raise InputError(f"{NAME}: x has {x.shape[2]} frames; step {step} must divide them")
    if any(n + 2 * p < k for n, p, k in zip(x.shape[3:], padding, w.shape[3:], strict=True)):
        raise InputError(
            f"{NAME}: x is {x.shape} with a padding of {padding}; it must not be smaller than the "
            f"window {w.shape[3:]}"
        )


def _windows(x: Array, taps: int, step: int) -> Array:
    """The last `taps` frames before each output, as channels: (N, I, T, H, W) -> (N T', I K, H, W).

    Frames before the first are 0.
    """
    n, ins, frames, high, wide = x.shape
    count, before = frames // step, taps - step  # zeros in front: output 0 ends with frame step - 1
    seen = xp_of(x).zeros((n, count, ins, taps, high, wide), x.dtype)
    for k in range(taps):
        for t in range(count):
            at = t * step + k - before
            if at >= 0:
                seen[:, t, :, k] = x[:, :, at]
    return seen.reshape(n * count, ins * taps, high, wide)  # -> (N T', I K, H, W)


def _back(g: Array, shape: tuple[int, ...], taps: int, step: int) -> Array:
    """`_windows` transposed: every frame takes the sum of the windows that saw it."""
    n, ins, frames, high, wide = shape
    count, before = frames // step, taps - step
    g = g.reshape(n, count, ins, taps, high, wide)  # (N T', I K, H, W) -> (N, T', I, K, H, W)
    dx = xp_of(g).zeros(shape, g.dtype)
    for k in range(taps):
        for t in range(count):
            at = t * step + k - before
            if at >= 0:
                dx[:, :, at] += g[:, t, :, k]
    return dx


def _by_windows(x: Array, w: Array, step: int, stride: Pair, padding: Pair):
    """Each output's frames side by side as channels: what a step of several frames asks for.

    Returns:
        y (N, T', O, H', W') without bias; and of its gradient, those of x and of w.
    """
    shape, taps, window = x.shape, w.shape[2], w.shape[3:]
    seen = _windows(x, taps, step)  # (N T', I K, H, W)
    flat = w.reshape(len(w), -1, *window)  # (O, I, K, A, B) -> (O, I K, A, B)
    y = kernels.conv2d(seen, flat, stride, padding)
    many = shape[0], shape[2] // step, *y.shape[1:]  # (N, T', O, H', W')

    def of_x(g: Array) -> Array:
        g = g.reshape(y.shape)  # (N, T', O, H', W') -> (N T', O, H', W')
        d = kernels.conv2d_input_gradient(g, flat, shape[3:], stride, padding)
        return _back(d, shape, taps, step)

    def of_w(g: Array) -> Array:
        g = g.reshape(y.shape)  # (N, T', O, H', W') -> (N T', O, H', W')
        d = kernels.conv2d_weight_gradient(g, seen, window, stride, padding)
        return d.reshape(w.shape)  # (O, I K, A, B) -> (O, I, K, A, B)

    return y.reshape(many), of_x, of_w  # (N T', O, H', W') -> (N, T', O, H', W')


def _by_frames(x: Array, w: Array, step: int, stride: Pair, padding: Pair):
    """Each frame times all K windows at once, then sums over time: `_by_windows` with a step of 1.

    As many multiplications, but the kernel gathers every frame once and not K times, and what it
    gathers meets K times as many rows of weights.
    """
    (n, ins, frames, *size), (outs, _, taps, *window) = x.shape, w.shape
    xp = xp_of(x)
    pictures = xp.ascontiguousarray(x.swapaxes(1, 2))  # (N, I, T, H, W) -> (N, T, I, H, W)
    pictures = pictures.reshape(n * frames, ins, *size)  # -> (N T, I, H, W)
    rows = xp.ascontiguousarray(w.transpose(2, 0, 1, 3, 4))  # (O, I, K, A, B) -> (K, O, I, A, B)
    flat = rows.reshape(taps * outs, ins, *window)  # -> (K O, I, A, B)
    each = kernels.conv2d(pictures, flat, stride, padding)
    each = each.reshape(n, frames, taps, outs, *each.shape[2:])  # -> (N, T, K, O, H', W')
    y = xp.ascontiguousarray(each[:, :, -1])  # the last window meets the newest frame
    late = range(1, min(taps, frames))  # frames from what is seen to where it is seen
    for k in late:
        y[:, k:] += each[:, :-k, -1 - k]

    def of_x(g: Array) -> Array:
        back = w.transpose(0, 2, 1, 3, 4)  # (O, I, K, A, B) -> (O, K, I, A, B)
        back = back.reshape(outs, taps * ins, *window)  # -> (O, K I, A, B)
        g = g.reshape(n * frames, *g.shape[2:])  # (N, T, O, H', W') -> (N T, O, H', W')
        d = kernels.conv2d_input_gradient(g, back, tuple(size), stride, padding)
        d = d.reshape(n, frames, taps, ins, *size)  # (N T, K I, H, W) -> (N, T, K, I, H, W)
        dx = xp.ascontiguousarray(d[:, :, -1])
        for k in late:
            dx[:, :-k] += d[:, k:, -1 - k]
        return dx.swapaxes(1, 2)  # (N, T, I, H, W) -> (N, I, T, H, W)

    def of_w(g: Array) -> Array:
        seen = xp.zeros((n, frames, taps, *g.shape[2:]), g.dtype)  # by each frame, of g
        seen[:, :, -1] = g
        for k in late:
            seen[:, :-k, -1 - k] = g[:, k:]
        seen = seen.reshape(n * frames, taps * outs, *g.shape[3:])  # -> (N T, K O, H', W')
        d = kernels.conv2d_weight_gradient(seen, pictures, tuple(window), stride, padding)
        return d.reshape(rows.shape).transpose(1, 2, 0, 3, 4)  # (K, O, I, ..) -> (O, I, K, ..)

    return y, of_x, of_w


@primitive
def causal_conv3d(
    x: Array,
    w: Array,
    b: Array | None = None,
    step: int = 1,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
):
    """Each window of K frames times w, plus b; the window ends where its output stands.

    In space it is `conv2d`. In time it sees the frames up to its own and never a later one, so a
    video can be coded while it comes in and a picture is a video of one frame
    (Yu et al. 2023, MAGVIT-v2, arXiv 2310.05737, section 3). With `step` s, output t ends with
    frame s (t + 1) - 1. Frames before the first count as 0.

    Args:
        x: (N, I, T, H, W) videos.
        w: (O, I, K, A, B); the last of its K frames meets the newest frame.
        b: (O,) or None.
        step: frames from window to window in time; it divides T and is at most K.
        stride: from window to window: of rows and columns, or one number for both.
        padding: zeros around each frame, likewise.

    Returns:
        (N, O, T / step, H', W') with H' = (H + 2 padding - A) // stride + 1, and W' likewise.

    Raises:
        InputError: shapes that do not fit each other; a window larger than the padded frame; a
            step out of range, or one that does not divide T; a stride below 1, a padding below 0.
    """
    stride, padding = _pair(NAME, "stride", stride, 1), _pair(NAME, "padding", padding, 0)
    _refuse_misfits(x, w, b, step, padding)
    x, w, b = meet(x, w, b)
    by = _by_windows if step > 1 else _by_frames
    y, of_x, of_w = by(x, w, step, stride, padding)
    if b is not None:
        y += b[:, None, None]  # (N, T', O, H', W')

    def pullback(g: Array):
        g = xp_of(g).ascontiguousarray(g.swapaxes(1, 2))  # (N, O, T', ..) -> (N, T', O, H', W')
        of_b = None if b is None else lambda: g.sum(axis=(0, 1, 3, 4))
        return lambda: of_x(g), lambda: of_w(g), of_b

    return y.swapaxes(1, 2), pullback  # (N, T', O, H', W') -> (N, O, T', H', W')
