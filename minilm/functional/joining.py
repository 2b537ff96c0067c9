"""Arrays joined along an axis, and taken apart again."""

from typing import Any

import numpy as np

from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.functional.indexing import index
from minilm.functional.meeting import array_like, is_float, meet
from minilm.functional.shapes import check_axis, expand_dims
from minilm.tensor import Tensor, primitive

Parts = list[Any] | tuple[Any, ...]


@primitive
def _join(*parts: Array, axis: int = 0):
    if any(is_float(p) for p in parts):
        parts = meet(*parts)
    xp = xp_of(parts[0])
    ends = np.cumsum([p.shape[axis] for p in parts])[:-1].tolist()
    return xp.concatenate(parts, axis=axis), lambda g: xp.split(g, ends, axis=axis)


def _check_parts(name: str, parts: Parts) -> list[Any]:
    if not isinstance(parts, (list, tuple)):
        raise InputError(f"{name} of a {type(parts).__name__}; it takes a list of arrays")
    if not parts:
        raise InputError(f"{name} needs at least one array")
    first = next((p for p in parts if hasattr(p, "dtype")), np.empty(0))
    first = first.data if isinstance(first, Tensor) else first
    return [p if isinstance(p, Tensor) else array_like(p, first) for p in parts]


def concatenate(parts: Parts, axis: int = 0) -> Tensor:
    """Arrays joined along an axis that they have.

    Raises:
        InputError: one array and not a list; shapes that differ in another axis than `axis`.
    """
    parts = _check_parts("concatenate", parts)
    shapes = [tuple(p.shape) for p in parts]
    if any(not -len(s) <= axis < len(s) for s in shapes):
        raise InputError(f"concatenate: axis is {axis}; not all of the shapes {shapes} have it")
    kept = {s[: axis % len(s)] + s[axis % len(s) + 1 :] for s in shapes}
    if len(kept) > 1 or len({len(s) for s in shapes}) > 1:
        raise InputError(f"concatenate along axis {axis}: shapes {shapes} differ elsewhere")
    return _join(*parts, axis=axis)


def stack(parts: Parts, axis: int = 0) -> Tensor:
    """Arrays of one shape joined along a new axis.

    Raises:
        InputError: one array and not a list; shapes that differ.
    """
    parts = _check_parts("stack", parts)
    shapes = {tuple(p.shape) for p in parts}
    if len(shapes) != 1:
        raise InputError(f"stack needs arrays of one shape, not {sorted(shapes)}")
    axis = check_axis("stack", axis, len(shapes.pop()), new=1)
    return concatenate([expand_dims(p, axis) for p in parts], axis=axis)


def split(x: Any, sizes: list[int] | int, axis: int = -1) -> list[Tensor]:
    """Views of consecutive pieces along an axis: of the sizes given, or of one size each.

    Raises:
        InputError: sizes that do not add up to the length of the axis.
    """
    axis = check_axis("split", axis, x.ndim)
    total = x.shape[axis]
    if isinstance(sizes, (int, np.integer)):
        if sizes < 1:
            raise InputError(f"split: sizes is {sizes}; it must be 1 or more")
        sizes = [int(sizes)] * (total // sizes)
    if sum(sizes) != total or any(size < 0 for size in sizes):
        raise InputError(f"split of an axis of {total} into {sizes}: they add up to {sum(sizes)}")
    lead = (slice(None),) * axis
    starts = np.cumsum([0, *sizes]).tolist()
    return [index(x, (*lead, slice(a, b))) for a, b in zip(starts, starts[1:], strict=False)]
