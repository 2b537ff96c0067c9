"""Primitives that work element by element, with NumPy's broadcasting."""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.functional.meeting import (
    array_like,
    broadcast,
    floats,
    is_float,
    is_number,
    pair,
    unbroadcast,
)
from minilm.kernels.gelu.reference import sigmoid as sigmoid_of
from minilm.tensor import primitive


def _alike(a: Any, b: Any) -> bool:
    """Whether the two are arrays of one shape and dtype: nothing to convert or to sum over."""
    return type(a) is type(b) is np.ndarray and a.shape == b.shape and a.dtype is b.dtype


def _shape(x: Any) -> tuple[int, ...]:
    return getattr(x, "shape", ())


def _apply(name: str, function: Callable, a: Any, b: Any) -> Array:
    """function(a, b), with a sentence where the shapes do not broadcast."""
    try:
        return function(a, b)
    except ValueError as error:
        broadcast(name, _shape(a), _shape(b))
        raise InputError(f"{name}: {error}") from None


@primitive
def add(a: Array, b: Array):
    """a + b."""
    if _alike(a, b):
        return a + b, lambda g: (g, g)
    a, b = pair(a, b)
    sa, sb = _shape(a), _shape(b)
    value = _apply("add", operator.add, a, b)
    return value, lambda g: (lambda: unbroadcast(g, sa), lambda: unbroadcast(g, sb))


@primitive
def sub(a: Array, b: Array):
    """a - b."""
    a, b = pair(a, b)
    sa, sb = _shape(a), _shape(b)
    value = _apply("sub", operator.sub, a, b)
    return value, lambda g: (lambda: unbroadcast(g, sa), lambda: unbroadcast(-g, sb))


@primitive
def mul(a: Array, b: Array):
    """a * b."""
    if _alike(a, b):
        return a * b, lambda g: (lambda: g * b, lambda: g * a)
    a, b = pair(a, b)
    if is_number(b):
        return a * b, lambda g: (g * b,)
    if is_number(a):
        return a * b, lambda g: (None, g * a)
    sa, sb = _shape(a), _shape(b)
    value = _apply("mul", operator.mul, a, b)
    return value, lambda g: (lambda: unbroadcast(g * b, sa), lambda: unbroadcast(g * a, sb))


@primitive
def div(a: Array, b: Array):
    """a / b; integers become float32."""
    a, b = pair(a, b)
    if not any(is_float(x) for x in (a, b) if hasattr(x, "dtype")):
        a, b = floats(a), floats(b)
    if is_number(b):
        return a / b, lambda g: (g / b,)
    sa, sb = _shape(a), _shape(b)
    return _apply("div", operator.truediv, a, b), lambda g: (
        lambda: unbroadcast(g / b, sa),
        lambda: unbroadcast(-g * a / (b * b), sb),
    )


@primitive
def pow(a: Array, b: Array):
    """a ** b. x ** 0 has no slope, also at 0; the gradient of the exponent needs a >= 0."""
    a, b = pair(a, b)
    sa, sb = _shape(a), _shape(b)
    value = _apply("pow", operator.pow, a, b)

    def exponent_gradient(g: Array) -> Array:
        flat = (a == 0) & (b >= 0)  # there 0 ** b is 0 or 1 for all exponents around
        xp = xp_of(value)
        return unbroadcast(g * value * xp.log(xp.where(flat, 1, a).astype(value.dtype)), sb)

    return value, lambda g: (
        lambda: unbroadcast(g * b * a ** (b - (b != 0)), sa),
        lambda: exponent_gradient(g),
    )


@primitive
def neg(x: Array):
    """-x."""
    return -x, lambda g: (-g,)


@primitive
def exp(x: Array):
    """e ** x."""
    x = floats(x)
    y = xp_of(x).exp(x)
    return y, lambda g: (g * y,)


@primitive
def log(x: Array):
    """Natural logarithm."""
    x = floats(x)
    return xp_of(x).log(x), lambda g: (g / x,)


@primitive
def sqrt(x: Array):
    """Square root."""
    x = floats(x)
    y = xp_of(x).sqrt(x)
    return y, lambda g: (g / (2 * y),)


@primitive
def sin(x: Array):
    """Sine of x in radians."""
    x = floats(x)
    return xp_of(x).sin(x), lambda g: (g * xp_of(x).cos(x),)


@primitive
def cos(x: Array):
    """Cosine of x in radians."""
    x = floats(x)
    return xp_of(x).cos(x), lambda g: (-g * xp_of(x).sin(x),)


@primitive
def tanh(x: Array):
    """Hyperbolic tangent."""
    x = floats(x)
    y = xp_of(x).tanh(x)
    return y, lambda g: (g * (1 - y * y),)


@primitive
def sigmoid(x: Array):
    """1 / (1 + exp(-x)), without overflow and with all its digits where it is small."""
    x = floats(x)
    return sigmoid_of(x), lambda g: (g * sigmoid_of(x) * sigmoid_of(-x),)


@primitive
def softplus(x: Array):
    """log(1 + exp(x)); -softplus(-x) is the logarithm of sigmoid(x)."""
    x = floats(x)
    xp = xp_of(x)
    y = xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))
    return y, lambda g: (g * sigmoid_of(x),)


@primitive
def relu(x: Array):
    """max(x, 0)."""
    return xp_of(x).maximum(x, 0), lambda g: (g * (x > 0),)


@primitive
def abs(x: Array):
    """Absolute value; the gradient at 0 is 0."""
    return xp_of(x).abs(x), lambda g: (g * xp_of(x).sign(x),)


@primitive
def maximum(a: Array, b: Array):
    """The larger of the two; a tie gives half of the gradient to each."""
    return _choose("maximum", *pair(a, b))


@primitive
def minimum(a: Array, b: Array):
    """The smaller of the two; a tie gives half of the gradient to each."""
    return _choose("minimum", *pair(a, b))


def _choose(name: str, a: Array, b: Array):
    xp = xp_of(a if hasattr(a, "shape") else b)
    sa, sb = _shape(a), _shape(b)
    value = _apply(name, getattr(xp, name), a, b)

    def share(mine: Array, other: Array) -> Array:
        ahead = (mine > other) if name == "maximum" else (mine < other)
        return (ahead + 0.5 * (mine == other)).astype(value.dtype)

    return value, lambda g: (
        lambda: unbroadcast(g * share(a, b), sa),
        lambda: unbroadcast(g * share(b, a), sb),
    )


@primitive
def clip(x: Array, low: float = -math.inf, high: float = math.inf):
    """x held between low and high; no gradient where it was held."""
    x, low, high = floats(x), float(low), float(high)  # a NumPy float64 would promote float32
    inside = (x >= low) & (x <= high)
    return x.clip(low, high), lambda g: (g * inside,)


@primitive
def where(condition: Array, a: Array, b: Array):
    """a where `condition` is True, else b."""
    a, b = pair(a, b)
    condition = array_like(condition, a if hasattr(a, "shape") else b)
    sa, sb = _shape(a), _shape(b)
    broadcast("where", condition.shape, sa, sb)
    xp = xp_of(condition)
    return xp.where(condition, a, b), lambda g: (
        None,
        lambda: unbroadcast(xp.where(condition, g, g.dtype.type(0)), sa),
        lambda: unbroadcast(xp.where(condition, g.dtype.type(0), g), sb),
    )


@primitive
def astype(x: Array, dtype: Any):
    """The same numbers in another dtype; the gradient comes back in the first.

    Integers and bools have no gradient.
    """
    before, y = x.dtype, x.astype(dtype)
    return y, (lambda g: (g.astype(before),)) if is_float(y) else None


@primitive
def straight_through(x: Array, value: Array):
    """`value` going forward, whose gradient goes to x unchanged (arXiv 1308.3432, section 4).

    What rounds x, or looks it up in a codebook, has no slope of its own.

    Args:
        x: any shape.
        value: of the same shape; it gets no gradient.

    Raises:
        InputError: another shape.
    """
    value = array_like(value, x)
    if value.shape != x.shape:
        raise InputError(f"straight_through: x is {x.shape} and value {value.shape}, not alike")
    x, value = pair(x, value)
    return value.copy(), lambda g: (g,)
