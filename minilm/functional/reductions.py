"""Primitives that make an array smaller: sums, means, extremes."""

import math

import numpy as np

from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.functional.meeting import floats
from minilm.functional.shapes import check_axes, check_axis
from minilm.tensor import primitive

Axis = int | tuple[int, ...] | None


def _axes(name: str, x: Array, axis: Axis, empty: bool = True) -> tuple[int, ...]:
    """The axes to reduce, counted from the front.

    Raises:
        InputError: axes that x does not have; no elements along them, where that has no value.
    """
    axes = tuple(range(x.ndim)) if axis is None else check_axes(name, axis, x.ndim)
    if not empty and not math.prod(x.shape[a] for a in axes):
        raise InputError(f"{name}: x of shape {x.shape} has nothing along axis {axis}")
    return axes


def _spread(g: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """A reduction's gradient, seen again at the shape before the reduction."""
    xp = xp_of(g)
    if g.ndim < len(shape):
        g = xp.expand_dims(g, axes)  # (kept axes) -> 1 where an axis was reduced
    return xp.broadcast_to(g, shape)


@primitive
def sum(x: Array, axis: Axis = None, keepdims: bool = False):
    """Sum over `axis` (all axes where None)."""
    axes, before = _axes("sum", x, axis), x.shape
    return x.sum(axis=axis, keepdims=keepdims), lambda g: (_spread(g, before, axes),)


@primitive
def mean(x: Array, axis: Axis = None, keepdims: bool = False):
    """Mean over `axis` (all axes where None)."""
    x = floats(x)
    axes, before = _axes("mean", x, axis, empty=False), x.shape
    share = 1 / math.prod(x.shape[a] for a in axes)
    return x.mean(axis=axis, keepdims=keepdims), lambda g: (
        _spread(g * g.dtype.type(share), before, axes),
    )


@primitive
def var(x: Array, axis: Axis = None, keepdims: bool = False):
    """Variance over `axis`: the mean of the squared distance from the mean (divided by n)."""
    x = floats(x)
    axes = _axes("var", x, axis, empty=False)
    centred = x - x.mean(axis=axis, keepdims=True)
    share = 2 / math.prod(x.shape[a] for a in axes)
    return (centred * centred).mean(axis=axis, keepdims=keepdims), lambda g: (
        _spread(g * g.dtype.type(share), x.shape, axes) * centred,
    )


@primitive
def max(x: Array, axis: Axis = None, keepdims: bool = False):
    """Largest element over `axis`; equal ones share the gradient."""
    axes = _axes("max", x, axis, empty=False)
    return _extreme(x, x.max(axis=axis, keepdims=True), axes, keepdims)


@primitive
def min(x: Array, axis: Axis = None, keepdims: bool = False):
    """Smallest element over `axis`; equal ones share the gradient."""
    axes = _axes("min", x, axis, empty=False)
    return _extreme(x, x.min(axis=axis, keepdims=True), axes, keepdims)


def _extreme(x: Array, top: Array, axes: tuple[int, ...], keepdims: bool):
    y = top if keepdims else top.squeeze(axes)  # the reduced axes are of length 1

    def pullback(g: Array):
        winners = (x == top).astype(x.dtype)
        winners /= winners.sum(axis=axes, keepdims=True)
        return (winners * _spread(g, x.shape, axes),)

    return y, pullback


@primitive
def logsumexp(x: Array, axis: int = -1, keepdims: bool = False):
    """log(sum(exp(x))) over one axis, without overflow.

    -inf where all are, which then have no gradient; inf where one is, which then has all of it.
    """
    x = floats(x)
    xp = xp_of(x)
    axis = check_axis("logsumexp", axis, x.ndim)
    if not x.shape[axis]:
        raise InputError(f"logsumexp: x of shape {x.shape} is empty along axis {axis}")
    top = x.max(axis=axis, keepdims=True)
    infinite = xp.isinf(top)  # inf - inf has no value
    shift = xp.where(infinite, x.dtype.type(0), top)
    with np.errstate(divide="ignore", over="ignore"):
        z = x - shift
        log_total = xp.log(xp.exp(z).sum(axis=axis, keepdims=True))
    wide = log_total + shift
    y = wide if keepdims else wide.squeeze(axis)  # (.., 1, ..) -> (.., ..)

    def pullback(g: Array):
        zero = x.dtype.type(0)
        share = xp.exp(xp.where(infinite, zero, z - xp.where(infinite, zero, log_total)))
        if infinite.any():
            first = (x == top) & (top > 0)
            count = xp.maximum(first.sum(axis=axis, keepdims=True), 1)
            share = xp.where(infinite, (first / count).astype(x.dtype), share)
        return (share * _spread(g, x.shape, (axis,)),)

    return y, pullback


@primitive
def cumsum(x: Array, axis: int = -1):
    """Running sum along one axis."""
    axis = check_axis("cumsum", axis, x.ndim)
    flip = xp_of(x).flip
    return x.cumsum(axis=axis), lambda g: (flip(flip(g, axis).cumsum(axis=axis), axis),)
