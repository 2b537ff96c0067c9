"""Primitives that move elements and compute nothing: other shapes, repeats, borders."""

from typing import Any

import numpy as np

from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.functional.meeting import fits, unbroadcast
from minilm.tensor import primitive


def check_axis(name: str, axis: Any, ndim: int, new: int = 0) -> int:
    """The axis counted from the front.

    Args:
        new: how many axes are added, which the axis may count among.

    Raises:
        InputError: no integer, or an axis that is not there.
    """
    count = ndim + new
    if not isinstance(axis, (int, np.integer)) or not -count <= axis < count:
        raise InputError(f"{name}: axis is {axis!r}; the array has {count} axes")
    return int(axis) % count


def check_axes(name: str, axes: Any, ndim: int, new: int = 0) -> tuple[int, ...]:
    axes = axes if isinstance(axes, (tuple, list)) else (axes,)
    counted = tuple(check_axis(name, axis, ndim, new) for axis in axes)
    if len(set(counted)) < len(counted):
        raise InputError(f"{name}: axes are {tuple(axes)}; each may be named once")
    return counted


@primitive
def reshape(x: Array, *shape: int | tuple[int, ...]):
    """The same elements in another shape; one entry may be -1."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    before = x.shape
    try:
        y = x.reshape(shape)  # x.shape -> shape
    except ValueError:
        raise InputError(f"reshape of {before} to {shape}: the sizes do not match") from None
    return y, lambda g: (g.reshape(before),)  # shape -> x.shape


@primitive
def permute(x: Array, *axes: int | tuple[int, ...]):
    """Axes in another order."""
    if len(axes) == 1 and isinstance(axes[0], (tuple, list)):
        axes = tuple(axes[0])
    axes = check_axes("permute", axes, x.ndim)
    if len(axes) != x.ndim:
        raise InputError(f"permute: axes are {axes}; x of shape {x.shape} has {x.ndim}")
    back = tuple(int(i) for i in np.argsort(axes))
    return x.transpose(axes), lambda g: (g.transpose(back),)  # axis axes[i] -> axis i, and back


@primitive
def transpose(x: Array, a: int, b: int):
    """Two axes exchanged."""
    a, b = check_axis("transpose", a, x.ndim), check_axis("transpose", b, x.ndim)
    return x.swapaxes(a, b), lambda g: (
        g.swapaxes(a, b),
    )  # (.., a, .., b, ..) <-> (.., b, .., a, ..)


@primitive
def broadcast_to(x: Array, shape: tuple[int, ...]):
    """x repeated to `shape` without a copy."""
    before, shape = x.shape, tuple(shape)
    if not fits(before, shape):
        raise InputError(f"broadcast_to of {before} to {shape}: the shapes do not fit")
    return xp_of(x).broadcast_to(x, shape), lambda g: (unbroadcast(g, before),)


@primitive
def expand_dims(x: Array, axis: int | tuple[int, ...]):
    """New axes of length 1."""
    many = len(axis) if isinstance(axis, (tuple, list)) else 1
    axes = check_axes("expand_dims", axis, x.ndim, many)
    before = x.shape
    return xp_of(x).expand_dims(x, axes), lambda g: (g.reshape(before),)  # (.., 1, ..) -> (.., ..)


@primitive
def squeeze(x: Array, axis: int | tuple[int, ...] | None = None):
    """Axes of length 1 dropped."""
    if axis is not None:
        axis = check_axes("squeeze", axis, x.ndim)
        if any(x.shape[a] != 1 for a in axis):
            raise InputError(f"squeeze: axis is {axis}; x of shape {x.shape} is longer there")
    before = x.shape
    return x.squeeze(axis), lambda g: (g.reshape(before),)  # (.., ..) -> (.., 1, ..)


@primitive
def pad(x: Array, widths: Any, value: float = 0.0):
    """x with a border: `widths` as for numpy.pad, one (before, after) per axis."""
    pairs = [tuple(w) if isinstance(w, (tuple, list)) else () for w in widths]
    if len(pairs) != x.ndim or any(len(p) != 2 or min(p) < 0 for p in pairs):
        raise InputError(
            f"pad: widths is {widths}; x of shape {x.shape} takes {x.ndim} pairs of numbers from 0"
        )
    inner = tuple(slice(a, a + n) for (a, _), n in zip(pairs, x.shape, strict=True))
    return xp_of(x).pad(x, pairs, constant_values=value), lambda g: (g[inner],)


@primitive
def contiguous(x: Array):
    """x as one block of memory; x itself where it is one."""
    return x if x.flags.c_contiguous else x.copy(), lambda g: (g,)


@primitive
def roll(x: Array, shift: int | tuple[int, ...], axis: int | tuple[int, ...]):
    """Elements moved `shift` places on along an axis; what leaves at one end enters at the other.

    One shift for each axis, or one for all.

    Raises:
        InputError: an axis that x does not have; shifts that are no whole numbers, or too many.
    """
    axes = check_axes("roll", axis, x.ndim)
    shifts = tuple(shift) if isinstance(shift, (tuple, list)) else (shift,) * len(axes)
    if len(shifts) != len(axes) or not all(isinstance(s, (int, np.integer)) for s in shifts):
        raise InputError(f"roll: shift is {shift!r}; it must be {len(axes)} whole numbers or one")
    back, xp = tuple(-s for s in shifts), xp_of(x)
    return xp.roll(x, shifts, axes), lambda g: (xp.roll(g, back, axes),)


@primitive
def flip(x: Array, axis: int | tuple[int, ...]):
    """Elements in reverse order along one axis or more: a view.

    Raises:
        InputError: an axis that x does not have.
    """
    axes, xp = check_axes("flip", axis, x.ndim), xp_of(x)
    return xp.flip(x, axes), lambda g: (xp.flip(g, axes),)


@primitive
def repeat(x: Array, times: int, axis: int):
    """Each element `times` times in a row along an axis: numpy.repeat, repeat_interleave of torch.

    Twice along the rows and twice along the columns, a picture grows to twice its size.

    Raises:
        InputError: an axis that x does not have; times below 1.
    """
    axis = check_axis("repeat", axis, x.ndim)
    if not isinstance(times, (int, np.integer)) or times < 1:
        raise InputError(f"repeat: times is {times!r}; it must be a whole number of 1 or more")
    apart = (*x.shape[: axis + 1], int(times), *x.shape[axis + 1 :])

    def pullback(g: Array):
        return (g.reshape(apart).sum(axis=axis + 1),)  # (.., N times, ..) -> (.., N, times, ..)

    return x.repeat(times, axis=axis), pullback
