"""Primitives that make an array smaller: sums, means, extremes."""

from minilm.backend import Array, xp_of
from minilm.tensor import primitive

Axis = int | tuple[int, ...] | None


def _spread(g: Array, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Array:
    """A reduction's gradient, seen again at the shape before the reduction."""
    xp = xp_of(g)
    if axis is not None and not keepdims:
        axes = axis if isinstance(axis, tuple) else (int(axis),)
        g = xp.expand_dims(g, tuple(a % len(shape) for a in axes))
    return xp.broadcast_to(g, shape)


@primitive
def sum(x: Array, axis: Axis = None, keepdims: bool = False):
    """Sum over ``axis`` (all axes where None)."""
    return x.sum(axis=axis, keepdims=keepdims), lambda g: (_spread(g, x.shape, axis, keepdims),)


@primitive
def mean(x: Array, axis: Axis = None, keepdims: bool = False):
    """Mean over ``axis`` (all axes where None)."""
    y = x.mean(axis=axis, keepdims=keepdims)
    share = y.size / x.size
    return y, lambda g: (_spread(g * g.dtype.type(share), x.shape, axis, keepdims),)


@primitive
def var(x: Array, axis: Axis = None, keepdims: bool = False):
    """Variance over ``axis``: the mean of the squared distance from the mean (divided by n)."""
    centred = x - x.mean(axis=axis, keepdims=True)
    y = (centred * centred).mean(axis=axis, keepdims=keepdims)
    share = 2 * y.size / x.size
    return y, lambda g: (_spread(g * g.dtype.type(share), x.shape, axis, keepdims) * centred,)


@primitive
def max(x: Array, axis: Axis = None, keepdims: bool = False):
    """Largest element over ``axis``; equal ones share the gradient."""
    return _extreme(x, x.max(axis=axis, keepdims=True), axis, keepdims)


@primitive
def min(x: Array, axis: Axis = None, keepdims: bool = False):
    """Smallest element over ``axis``; equal ones share the gradient."""
    return _extreme(x, x.min(axis=axis, keepdims=True), axis, keepdims)


def _extreme(x: Array, top: Array, axis: Axis, keepdims: bool):
    y = top if keepdims else top.squeeze(axis)

    def pullback(g: Array):
        winners = (x == top).astype(x.dtype)
        winners /= winners.sum(axis=axis, keepdims=True)
        return (winners * _spread(g, x.shape, axis, keepdims),)

    return y, pullback


@primitive
def logsumexp(x: Array, axis: int = -1, keepdims: bool = False):
    """log(sum(exp(x))) over one axis, without overflow."""
    xp = xp_of(x)
    top = x.max(axis=axis, keepdims=True)
    wide = xp.log(xp.exp(x - top).sum(axis=axis, keepdims=True)) + top
    y = wide if keepdims else wide.squeeze(axis)
    return y, lambda g: (xp.exp(x - wide) * _spread(g, x.shape, axis, keepdims),)


@primitive
def cumsum(x: Array, axis: int = -1):
    """Running sum along one axis."""
    flip = xp_of(x).flip
    return x.cumsum(axis=axis), lambda g: (flip(flip(g, axis).cumsum(axis=axis), axis),)
