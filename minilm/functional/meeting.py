"""How the operands of a primitive meet: in which dtype, and in which shape.

The rule for dtypes stands in the docstring of `minilm.functional`.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.backend import Array, is_half, xp_of
from minilm.errors import InputError


def unbroadcast(g: Array, shape: tuple[int, ...]) -> Array:
    """Sum a gradient over the axes along which an operand of `shape` was repeated."""
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        i for i in range(max(extra, 0), g.ndim) if shape[i - extra] == 1 and g.shape[i] != 1
    )
    return (g.sum(axis=axes) if axes else g).reshape(shape)  # (..., n, m) -> shape


def broadcast(name: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape to which all of these are repeated.

    Raises:
        InputError: shapes that do not broadcast.
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        given = " and ".join(map(str, shapes))
        raise InputError(f"{name} of shapes {given}: they do not broadcast") from None


def fits(shape: tuple[int, ...], wide: tuple[int, ...]) -> bool:
    """Whether broadcasting turns the one shape into the other."""
    return len(shape) <= len(wide) and all(
        n in (1, m) for n, m in zip(reversed(shape), reversed(wide), strict=False)
    )


def as_rows(x: Array) -> Array:
    """(..., C) -> (N, C), also where an axis is empty."""
    if x.ndim == 2:
        return x
    count = -1 if x.size else math.prod(x.shape[:-1])
    return x.reshape(count, x.shape[-1])  # (.., C) -> (N, C)


def array_like(x: Any, other: Array) -> Array:
    """x as an array, where it is a list; on the device of `other`."""
    return x if hasattr(x, "dtype") else xp_of(other).asarray(x)


def is_float(x: Any) -> bool:
    """Whether an array or a dtype holds floating-point numbers of any size."""
    kind = getattr(x, "dtype", x)
    return kind.kind == "f" or is_half(kind)


def floats(x: Any) -> Array:
    """x as an array of floats: integers, bools, lists and numbers become float32."""
    kind = getattr(x, "dtype", None)
    if kind is not None and (kind.kind == "f" or is_half(kind)):
        return x
    if kind is None:
        return np.asarray(x, np.float32)
    return x.astype(np.float32)


def pair(a: Any, b: Any) -> tuple[Any, Any]:
    """Both operands in the dtypes in which they meet; a number stays a number."""
    da, db = getattr(a, "dtype", None), getattr(b, "dtype", None)
    if da is db and da is not None:
        return a, b
    if isinstance(a, (list, tuple)):
        a = np.asarray(a)
    if isinstance(b, (list, tuple)):
        b = np.asarray(b)
    weak_a, weak_b = is_number(a), is_number(b)
    if weak_a and weak_b:
        return np.float32(a), np.float32(b)
    if weak_a:
        return _weak(a, b), b if _suits(a, b) else b.astype(np.float32)
    if weak_b:
        return a if _suits(b, a) else a.astype(np.float32), _weak(b, a)
    if not is_float(a) and not is_float(b):
        return a, b
    return meet(a, b)


def is_number(x: Any) -> bool:
    """Whether x is a Python number or a NumPy scalar."""
    return isinstance(x, np.generic) or not hasattr(x, "dtype")


def _suits(number: Any, array: Array) -> bool:
    """Whether an array can hold what comes of it and a number."""
    return is_float(array) or isinstance(number, (int, np.integer, np.bool_))


def _weak(number: Any, array: Array) -> Any:
    """A number that does not promote the array it meets; NumPy's own scalars would."""
    if not isinstance(number, np.generic):
        return number
    return array.dtype.type(number) if is_float(array) else number.item()


def as_table(table: Array, x: Array) -> Array:
    """A table of constants in the dtype of the data; beside 16-bit data it stays as it is."""
    return table if table.dtype == x.dtype or is_half(x) else table.astype(x.dtype)


def meet(*arrays: Array | None) -> Sequence[Any]:
    """Arrays of floats in the dtypes in which they meet; None stays None.

    Two smaller floats are left as they are, for the operation to promote or to refuse.
    """
    first = arrays[0].dtype
    if first.kind == "f" or is_half(first):
        for array in arrays:
            if array is not None and array.dtype is not first:
                break
        else:
            return arrays
    kinds = [array.dtype for array in arrays if array is not None and is_float(array)]
    small = [kind for kind in kinds if kind != np.float64]
    to = np.dtype(np.float64 if kinds else np.float32)
    if small:
        to = np.dtype(np.float32) if np.dtype(np.float32) in small else small[0]
    return [
        a if a is None or (is_float(a) and a.dtype in (to, *small)) else a.astype(to)
        for a in arrays
    ]
