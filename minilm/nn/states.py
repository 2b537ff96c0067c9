"""What a layer of constant memory carries from token to token, for all layers of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.backend import Array
from minilm.errors import InputError


class States:
    """A cache that does not grow: some arrays per layer, the batch first, changed with every token.

    Args:
        layers: the arrays of each layer, (B, ...) each.

    Attributes:
        layers: as given; a layer puts new arrays in the place of its own.
        length: tokens read so far.
        batch: B.

    Raises:
        InputError: no layers, or arrays of different batches.
    """

    def __init__(self, layers: Sequence[tuple[Array, ...]]) -> None:
        rows = sorted({len(array) for layer in layers for array in layer})
        if len(rows) != 1:
            raise InputError(f"layers holds arrays of {rows or 'no'} rows; all must have the same")
        self.layers, self.length, self.batch = list(layers), 0, rows[0]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, however long the text."""
        return sum(array.nbytes for layer in self.layers for array in layer)

    def advance(self, time: int) -> None:
        """Count `time` tokens as read, once every layer has."""
        self.length += time

    def truncate(self, length: int) -> None:
        """Forget the tokens from `length` on, which a state that has mixed them all cannot.

        Raises:
            InputError: another length than the present one.
        """
        if length != self.length:
            raise InputError(
                f"length is {length}; it must be {self.length}, because a state of fixed size "
                "cannot give up single tokens"
            )
        self.length = length

    def reset(self) -> None:
        """Forget everything."""
        self.length = 0
        self.layers = [tuple(array * 0 for array in layer) for layer in self.layers]

    def reorder(self, rows: Any) -> None:
        """Let sequence i continue what was sequence rows[i]; there may be more rows than before.

        Raises:
            InputError: no rows, or one that is no sequence's number.
        """
        rows = np.asarray(rows)
        whole = rows.ndim == 1 and rows.size and rows.dtype.kind in "iu"
        if not whole or rows.min() < 0 or rows.max() >= self.batch:
            raise InputError(
                f"rows is {rows.tolist()}; it must be a list of numbers from 0 to {self.batch - 1}"
            )
        self.batch = len(rows)
        self.layers = [tuple(array[rows] for array in layer) for layer in self.layers]
