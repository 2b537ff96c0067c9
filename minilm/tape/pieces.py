"""A gradient that is 0 but in some places, put together only when somebody needs all of it.

Each slice of an array has a gradient that is 0 outside the slice. Were each written out in full,
six slices would make six arrays of the size of all, and add them up. Here they are collected, and
written into one array.
"""

from collections.abc import Callable
from typing import Any

from minilm.backend import Array


class Pieces:
    """What slices of one array give back.

    Args:
        zeros: makes an array of 0 of the whole shape.
        key: the basic index (ints, slices, ...) of the first piece.
        g: its gradient, of the index's shape; it is read later, and never changed.
    """

    __slots__ = ("_base", "_parts", "_zeros")

    def __init__(self, zeros: Callable[[], Array], key: Any, g: Array) -> None:
        self._zeros, self._base, self._parts = zeros, None, [(key, g)]

    def add(self, other: "Array | Pieces") -> "Pieces":
        """Take in another gradient of the same array; returns self."""
        if type(other) is Pieces:
            self._parts += other._parts
            other = other._base
        if other is not None:
            # A copy, once: the array may be the gradient of something else too.
            self._base = other.copy() if self._base is None else self._base + other
        return self

    def whole(self) -> Array:
        """The gradient as one array, which nobody else holds."""
        parts = self._parts
        if self._base is None:
            self._base, (key, g), parts = self._zeros(), parts[0], parts[1:]
            self._base[key] = g
        for key, g in parts:
            self._base[key] += g
        self._parts = []
        return self._base


def added(before: Array | Pieces, entry: Array | Pieces) -> Array | Pieces:
    """The sum of two gradients of one value, of which either may be in pieces."""
    if type(before) is Pieces:
        return before.add(entry)
    return entry.add(before) if type(entry) is Pieces else before + entry
