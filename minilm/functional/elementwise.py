"""Primitives that work element by element, with NumPy's broadcasting."""

import math
from typing import Any

import numpy as np

from minilm.backend import Array, xp_of
from minilm.tensor import primitive


def unbroadcast(g: Array, shape: tuple[int, ...]) -> Array:
    """Sum a gradient over the axes along which an operand of ``shape`` was repeated."""
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        i + extra for i, n in enumerate(shape) if n == 1 and g.shape[i + extra] != 1
    )
    return g.sum(axis=axes).reshape(shape) if axes else g.reshape(shape)


def array_like(x: Any, other: Array) -> Array:
    """x as an array, where it is a list; on the device of ``other``."""
    return x if hasattr(x, "dtype") else xp_of(other).asarray(x)


def pair(a: Any, b: Any) -> tuple[Any, Any]:
    """Both operands in one dtype: NumPy would promote float32 with int64 to float64, quietly.

    Where float64 meets a smaller float it gives way: an array such as ``np.ones(3)`` is float64
    only because nobody said otherwise.
    """
    da, db = getattr(a, "dtype", None), getattr(b, "dtype", None)
    if da is db or da == db or da is None or db is None:
        if da is None and db is None:
            return np.float32(a), np.float32(b)
        if isinstance(a, (list, tuple)):
            a = np.asarray(a, dtype=db)
        if isinstance(b, (list, tuple)):
            b = np.asarray(b, dtype=da)
        return a, b
    if da.kind == "f" and (db.kind != "f" or isinstance(b, np.generic)):
        return a, b.astype(da)
    if db.kind == "f" and (da.kind != "f" or isinstance(a, np.generic)):
        return a.astype(db), b
    if da.kind == "f" and da.itemsize == 8:
        return a.astype(db), b
    if db.kind == "f" and db.itemsize == 8:
        return a, b.astype(da)
    return a, b


def _alike(a: Any, b: Any) -> bool:
    """Whether the two are arrays of one shape and dtype: nothing to convert or to sum over."""
    return type(a) is type(b) is np.ndarray and a.shape == b.shape and a.dtype is b.dtype


def _shape(x: Any) -> tuple[int, ...]:
    return getattr(x, "shape", ())


@primitive
def add(a: Array, b: Array):
    """a + b."""
    if _alike(a, b):
        return a + b, lambda g: (g, g)
    a, b = pair(a, b)
    sa, sb = _shape(a), _shape(b)
    return a + b, lambda g: (lambda: unbroadcast(g, sa), lambda: unbroadcast(g, sb))


@primitive
def sub(a: Array, b: Array):
    """a - b."""
    a, b = pair(a, b)
    sa, sb = _shape(a), _shape(b)
    return a - b, lambda g: (lambda: unbroadcast(g, sa), lambda: unbroadcast(-g, sb))


@primitive
def mul(a: Array, b: Array):
    """a * b."""
    if _alike(a, b):
        return a * b, lambda g: (lambda: g * b, lambda: g * a)
    a, b = pair(a, b)
    sa, sb = _shape(a), _shape(b)
    return a * b, lambda g: (lambda: unbroadcast(g * b, sa), lambda: unbroadcast(g * a, sb))


@primitive
def div(a: Array, b: Array):
    """a / b."""
    a, b = pair(a, b)
    sa, sb = _shape(a), _shape(b)
    return a / b, lambda g: (
        lambda: unbroadcast(g / b, sa),
        lambda: unbroadcast(-g * a / (b * b), sb),
    )


@primitive
def pow(a: Array, b: Array):
    """a ** b; the gradient of the exponent needs a > 0."""
    a, b = pair(a, b)
    sa, sb = _shape(a), _shape(b)
    value = a**b
    return value, lambda g: (
        lambda: unbroadcast(g * b * a ** (b - 1), sa),
        lambda: unbroadcast(g * value * xp_of(value).log(a), sb),
    )


@primitive
def neg(x: Array):
    """-x."""
    return -x, lambda g: (-g,)


@primitive
def exp(x: Array):
    """e ** x."""
    y = xp_of(x).exp(x)
    return y, lambda g: (g * y,)


@primitive
def log(x: Array):
    """Natural logarithm."""
    return xp_of(x).log(x), lambda g: (g / x,)


@primitive
def sqrt(x: Array):
    """Square root."""
    y = xp_of(x).sqrt(x)
    return y, lambda g: (g / (2 * y),)


@primitive
def sin(x: Array):
    """Sine of x in radians."""
    return xp_of(x).sin(x), lambda g: (g * xp_of(x).cos(x),)


@primitive
def cos(x: Array):
    """Cosine of x in radians."""
    return xp_of(x).cos(x), lambda g: (-g * xp_of(x).sin(x),)


@primitive
def tanh(x: Array):
    """Hyperbolic tangent."""
    y = xp_of(x).tanh(x)
    return y, lambda g: (g * (1 - y * y),)


@primitive
def sigmoid(x: Array):
    """1 / (1 + exp(-x)), in the form that never overflows."""
    y = 0.5 * (1 + xp_of(x).tanh(0.5 * x))
    return y, lambda g: (g * y * (1 - y),)


@primitive
def softplus(x: Array):
    """log(1 + exp(x)); -softplus(-x) is the logarithm of sigmoid(x)."""
    xp = xp_of(x)
    y = xp.maximum(x, 0) + xp.log1p(xp.exp(-abs(x)))
    return y, lambda g: (g * 0.5 * (1 + xp.tanh(0.5 * x)),)


@primitive
def relu(x: Array):
    """max(x, 0)."""
    return xp_of(x).maximum(x, 0), lambda g: (g * (x > 0),)


@primitive
def abs_(x: Array):
    """Absolute value; the gradient at 0 is 0."""
    return abs(x), lambda g: (g * xp_of(x).sign(x),)


@primitive
def maximum(a: Array, b: Array):
    """The larger of the two; a tie gives half of the gradient to each."""
    return _choose(*pair(a, b), largest=True)


@primitive
def minimum(a: Array, b: Array):
    """The smaller of the two; a tie gives half of the gradient to each."""
    return _choose(*pair(a, b), largest=False)


def _choose(a: Array, b: Array, largest: bool):
    xp = xp_of(a if hasattr(a, "shape") else b)
    sa, sb = _shape(a), _shape(b)
    value = xp.maximum(a, b) if largest else xp.minimum(a, b)

    def share(mine: Array, other: Array) -> Array:
        ahead = (mine > other) if largest else (mine < other)
        return (ahead + 0.5 * (mine == other)).astype(value.dtype)

    return value, lambda g: (
        lambda: unbroadcast(g * share(a, b), sa),
        lambda: unbroadcast(g * share(b, a), sb),
    )


@primitive
def clip(x: Array, low: float = -math.inf, high: float = math.inf):
    """x held between low and high; no gradient where it was held."""
    low, high = float(low), float(high)  # a NumPy float64 would promote float32
    inside = (x >= low) & (x <= high)
    return x.clip(low, high), lambda g: (g * inside,)


@primitive
def where(condition: Array, a: Array, b: Array):
    """a where ``condition`` is True, else b."""
    a, b = pair(a, b)
    sa, sb = _shape(a), _shape(b)
    xp = xp_of(condition)
    return xp.where(condition, a, b), lambda g: (
        None,
        lambda: unbroadcast(xp.where(condition, g, g.dtype.type(0)), sa),
        lambda: unbroadcast(xp.where(condition, g.dtype.type(0), g), sb),
    )


@primitive
def astype(x: Array, dtype: Any):
    """The same numbers in another dtype; the gradient comes back in the first."""
    before = x.dtype
    return x.astype(dtype), lambda g: (g.astype(before),)
