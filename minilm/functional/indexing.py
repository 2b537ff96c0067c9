"""Primitives that pick elements: slices and index arrays, gather and scatter."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.functional.meeting import array_like, pair
from minilm.functional.shapes import check_axis
from minilm.tape import Pieces
from minilm.tensor import Tensor, primitive


def is_basic(index: Any) -> bool:
    """Whether NumPy answers this index with a view: no element is reached twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        p is None
        or p is Ellipsis
        or (isinstance(p, (int, slice, np.integer)) and not isinstance(p, bool))
        for p in parts
    )


def arrays_in(index: Any) -> Any:
    """The index with Tensors replaced by their arrays."""
    if isinstance(index, (tuple, list)):
        return type(index)(arrays_in(part) for part in index)
    return index.data if isinstance(index, Tensor) else index


def at(x: Array, key: Any) -> Array:
    """x[key], with a sentence where there is no such place."""
    try:
        return x[key]
    except (IndexError, TypeError) as error:
        raise InputError(f"index into shape {x.shape}: {error}") from None


def like_of(x: Array) -> Callable[[], Array]:
    """What makes zeros of the shape and dtype of x, without keeping x."""
    xp, shape, dtype = xp_of(x), x.shape, x.dtype
    return lambda: xp.zeros(shape, dtype)


def index(x: Any, key: Any) -> Tensor:
    """x[key], as NumPy means it: slices give views, arrays of integers or bools gather.

    Raises:
        InputError: a place that x does not have.
    """
    key = arrays_in(key)
    if not is_basic(key):
        return _gather(x, key)
    parts = key if isinstance(key, tuple) else (key,)
    # With an ellipsis a single element is a view too, of no axes, and no number of its own.
    return _view(x, parts if any(part is Ellipsis for part in parts) else (*parts, ...))


@primitive
def _view(x: Array, key: Any):
    zeros = like_of(x)
    return at(x, key), lambda g: (Pieces(zeros, key, g),)


@primitive
def _gather(x: Array, key: Any):
    like, xp = like_of(x), xp_of(x)

    def pullback(g: Array):
        dx = like()
        xp.add.at(dx, key, g)  # an element that was picked twice gets both gradients
        return (dx,)

    return at(x, key), pullback


def rows_of(x: Any) -> Any:
    """x[0], x[1], ... for a loop over a Tensor."""
    if not x.ndim:
        raise InputError("a tensor of shape () has no rows to loop over")
    return (index(x, i) for i in range(len(x)))


def _grid(name: str, x: Array, ids: Array, axis: int) -> tuple:
    """The index of the places that `ids` name along an axis: ids.shape, one array per axis of x.

    Raises:
        InputError: ids of another number of axes, longer than x along another axis than `axis`,
            not integers, or outside x.
    """
    axis = check_axis(name, axis, x.ndim)
    if ids.dtype.kind not in "iu":
        raise InputError(f"{name}: ids are {ids.dtype}; they must be integers")
    other = [i for i in range(x.ndim) if i != axis]
    if ids.ndim != x.ndim or any(ids.shape[i] > x.shape[i] for i in other):
        raise InputError(
            f"{name}: ids have shape {ids.shape}; with x {x.shape} they need {x.ndim} axes, none "
            f"but axis {axis} longer than x"
        )
    length = x.shape[axis]
    if type(ids) is np.ndarray and ids.size and not -length <= ids.min() <= ids.max() < length:
        raise InputError(
            f"{name}: ids go from {ids.min()} to {ids.max()}; axis {axis} has {length}"
        )
    grid = list(xp_of(x).indices(ids.shape, sparse=True))
    grid[axis] = ids
    return tuple(grid)


@primitive
def gather(x: Array, ids: Array, axis: int = -1):
    """x picked along `axis` by `ids`, an integer array with as many axes as x -> ids.shape.

    Raises:
        InputError: ids that do not fit x.
    """
    ids = array_like(ids, x)
    grid = _grid("gather", x, ids, axis)

    like, xp = like_of(x), xp_of(x)

    def pullback(g: Array):
        dx = like()
        xp.add.at(dx, grid, g)
        return (dx,)

    return x[grid], pullback


@primitive
def scatter_add(x: Array, ids: Array, values: Array, axis: int = -1):
    """A copy of x with `values` added at `ids` along `axis`; equal ids add up.

    Args:
        ids, values: integers and numbers of one shape, with as many axes as x.

    Raises:
        InputError: ids that do not fit x, values that do not fit ids.
    """
    ids, values = array_like(ids, x), array_like(values, x)
    grid = _grid("scatter_add", x, ids, axis)
    if values.shape != ids.shape:
        raise InputError(f"scatter_add: values have shape {values.shape}; ids have {ids.shape}")
    x, values = pair(x, values)
    y = x.copy()
    xp_of(x).add.at(y, grid, values)
    return y, lambda g: (g, None, lambda: g[grid])


@primitive
def replace_rows(x: Array, ids: Array, rows: Array):
    """A copy of x with other rows: x (N, ...), ids (n,) ints, each once, rows (n, ...).

    Raises:
        InputError: ids of another shape or kind, one twice, or outside x; rows of another shape.
    """
    ids, rows = array_like(ids, x), array_like(rows, x)
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise InputError(f"replace_rows: ids are {ids.dtype} {ids.shape}; they must be (n,) ints")
    if rows.shape != (len(ids), *x.shape[1:]):
        raise InputError(
            f"replace_rows: rows have shape {rows.shape}; with x {x.shape} and {len(ids)} ids they "
            f"must be {(len(ids), *x.shape[1:])}"
        )
    if type(ids) is np.ndarray and len(ids):
        if not 0 <= ids.min() <= ids.max() < len(x):
            raise InputError(
                f"replace_rows: ids go from {ids.min()} to {ids.max()}; x has {len(x)} rows"
            )
        if len(np.unique(ids)) < len(ids):
            raise InputError("replace_rows: ids names a row twice; each may be replaced once")
    x, rows = pair(x, rows)
    y = x.copy()
    y[ids] = rows

    def pullback(g: Array):
        def of_x() -> Array:
            dx = g.copy()
            dx[ids] = 0
            return dx

        return of_x, None, lambda: g[ids]

    return y, pullback
