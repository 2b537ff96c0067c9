"""Primitives that move elements and compute nothing: views, indexing, joining."""

from typing import Any

import numpy as np

from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.tensor import Tensor, primitive


@primitive(view=True)
def reshape(x: Array, *shape: int | tuple[int, ...]):
    """The same elements in another shape; one entry may be -1."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    try:
        y = x.reshape(shape)
    except ValueError:
        raise InputError(f"reshape of {x.shape} to {shape}: the sizes do not match") from None
    before = x.shape
    return y, lambda g: (g.reshape(before),)


@primitive(view=True)
def permute(x: Array, *axes: int | tuple[int, ...]):
    """Axes in another order."""
    if len(axes) == 1 and isinstance(axes[0], (tuple, list)):
        axes = tuple(axes[0])
    back = tuple(int(i) for i in np.argsort([a % x.ndim for a in axes]))
    return x.transpose(axes), lambda g: (g.transpose(back),)


@primitive(view=True)
def transpose(x: Array, a: int, b: int):
    """Two axes exchanged."""
    return x.swapaxes(a, b), lambda g: (g.swapaxes(a, b),)


@primitive(view=True)
def broadcast_to(x: Array, shape: tuple[int, ...]):
    """x repeated to ``shape`` without a copy."""
    from minilm.functional.elementwise import unbroadcast

    before = x.shape
    return xp_of(x).broadcast_to(x, shape), lambda g: (unbroadcast(g, before),)


@primitive(view=True)
def expand_dims(x: Array, axis: int | tuple[int, ...]):
    """New axes of length 1."""
    return xp_of(x).expand_dims(x, axis), lambda g: (g.reshape(x.shape),)


@primitive(view=True)
def squeeze(x: Array, axis: int | tuple[int, ...] | None = None):
    """Axes of length 1 dropped."""
    return x.squeeze(axis), lambda g: (g.reshape(x.shape),)


def _is_basic(index: Any) -> bool:
    """Whether NumPy answers this index with a view: no element is reached twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(p is None or p is Ellipsis or isinstance(p, (int, slice, np.integer)) for p in parts)


def _arrays_in(index: Any) -> Any:
    """The index with Tensors replaced by their arrays."""
    if isinstance(index, tuple):
        return tuple(_arrays_in(part) for part in index)
    return index.data if isinstance(index, Tensor) else index


def index(x: Any, key: Any) -> Tensor:
    """x[key], as NumPy means it: slices give views, arrays of integers or bools gather."""
    key = _arrays_in(key)
    return _view(x, key) if _is_basic(key) else _gather(x, key)


@primitive(view=True)
def _view(x: Array, key: Any):
    def pullback(g: Array):
        dx = xp_of(x).zeros_like(x)
        dx[key] = g
        return (dx,)

    return x[key], pullback


@primitive
def _gather(x: Array, key: Any):
    def pullback(g: Array):
        xp = xp_of(x)
        dx = xp.zeros_like(x)
        xp.add.at(dx, key, g)  # an element that was picked twice gets both gradients
        return (dx,)

    return x[key], pullback


@primitive
def gather(x: Array, ids: Array, axis: int = -1):
    """x picked along ``axis`` by ``ids``, an integer array with as many axes as x."""
    xp = xp_of(x)

    def pullback(g: Array):
        dx = xp.zeros_like(x)
        grid = list(xp.indices(ids.shape, sparse=True))
        grid[axis] = ids
        xp.add.at(dx, tuple(grid), g)
        return (dx,)

    return xp.take_along_axis(x, ids, axis=axis), pullback


@primitive
def scatter_add(x: Array, ids: Array, values: Array, axis: int = -1):
    """A copy of x with ``values`` added at ``ids`` along ``axis``; equal ids add up."""
    xp = xp_of(x)
    grid = list(xp.indices(ids.shape, sparse=True))
    grid[axis] = ids
    y = x.copy()
    xp.add.at(y, tuple(grid), values)
    return y, lambda g: (g, None, lambda: xp.take_along_axis(g, ids, axis=axis))


@primitive
def _join(*parts: Array, axis: int = 0):
    xp = xp_of(parts[0])
    ends = np.cumsum([p.shape[axis] for p in parts])[:-1].tolist()
    return xp.concatenate(parts, axis=axis), lambda g: xp.split(g, ends, axis=axis)


def concatenate(parts: list[Any] | tuple[Any, ...], axis: int = 0) -> Tensor:
    """Arrays joined along an axis that they have.

    Raises:
        InputError: shapes that differ in another axis than ``axis``.
    """
    shapes = [tuple(p.shape) for p in parts]
    if not parts:
        raise InputError("concatenate needs at least one array")
    if any(not -len(s) <= axis < len(s) for s in shapes):
        raise InputError(f"concatenate: axis is {axis}; not all of the shapes {shapes} have it")
    kept = {s[: axis % len(s)] + s[axis % len(s) + 1 :] for s in shapes}
    if len(kept) > 1:
        raise InputError(f"concatenate along axis {axis}: shapes {shapes} differ elsewhere")
    return _join(*parts, axis=axis)


def stack(parts: list[Any] | tuple[Any, ...], axis: int = 0) -> Tensor:
    """Arrays of one shape joined along a new axis."""
    shapes = {tuple(p.shape) for p in parts}
    if len(shapes) != 1:
        raise InputError(f"stack needs arrays of one shape, not {sorted(shapes)}")
    axis = axis % (len(shapes.pop()) + 1)
    return concatenate([expand_dims(p, axis) for p in parts], axis=axis)


def split(x: Any, sizes: list[int] | int, axis: int = -1) -> list[Tensor]:
    """Views of consecutive pieces along an axis: of the sizes given, or of one size each."""
    total = x.shape[axis]
    if isinstance(sizes, int):
        if sizes < 1:
            raise InputError(f"split: sizes is {sizes}; it must be 1 or more")
        sizes = [sizes] * (total // sizes)
    if sum(sizes) != total:
        raise InputError(f"split of an axis of {total} into {sizes}: they add up to {sum(sizes)}")
    lead = (slice(None),) * (axis % x.ndim)
    starts = np.cumsum([0, *sizes]).tolist()
    return [index(x, (*lead, slice(a, b))) for a, b in zip(starts, starts[1:], strict=False)]


@primitive
def pad(x: Array, widths: Any, value: float = 0.0):
    """x with a border: ``widths`` as for numpy.pad, one (before, after) per axis."""
    inner = tuple(slice(a, a + n) for (a, _), n in zip(widths, x.shape, strict=True))
    return xp_of(x).pad(x, widths, constant_values=value), lambda g: (g[inner],)


@primitive
def contiguous(x: Array):
    """x as one block of memory; x itself where it is one."""
    return xp_of(x).ascontiguousarray(x), lambda g: (g,)
