"""A paged cache as a model reads it: the rows' pages are gathered for every layer.

This is the plain form, for any model. `minilm.inference.stepping` runs most models without the
gathering.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.inference.cache import check_new, dims_of
from minilm.inference.pages import Pages, PageTable


class PagedCache:
    """B texts of the same length whose keys and values lie in pages.

    Args:
        pages: where; its layers, kv_heads and head size are the model's.
        tables: the texts' tables, all of one length; None makes `batch` empty ones.
        batch: B, where no tables are given.

    Attributes:
        length: positions stored so far.
        tables: one per row.

    Raises:
        InputError: no tables, tables of other pages, or of different lengths.
    """

    memory = memory_valid = None  # there is no source: pages are for decoders

    def __init__(
        self, pages: Pages, tables: Sequence[PageTable] | None = None, batch: int = 1
    ) -> None:
        if tables is None:
            tables = [PageTable(pages) for _ in range(batch)]
        if not tables or any(table.pages is not pages for table in tables):
            raise InputError(
                "tables is empty or has one of other pages; all must be of these pages"
            )
        lengths = {table.length for table in tables}
        if len(lengths) > 1:
            raise InputError(f"tables have the lengths {sorted(lengths)}; they must be equal")
        self.pages, self.tables = pages, list(tables)

    @classmethod
    def of(
        cls, dims: Any, batch: int, length: int, page: int = 16, dtype: Any = np.float32
    ) -> PagedCache:
        """Room for `length` positions of `batch` texts, as `ContiguousCache` has it.

        Raises:
            InputError: a size below 1, or the dims of an encoder-decoder.
        """
        dims_of(dims)
        if getattr(dims, "kind", "decoder") == "encoder-decoder":
            raise InputError("dims is an encoder-decoder's; pages are for models of one stack")
        for name, value in (("batch", batch), ("length", length), ("page", page)):
            if value < 1:
                raise InputError(f"{name} is {value}; it must be 1 or more")
        return cls(Pages(dims, batch * -(-length // page), page, dtype), batch=batch)

    @property
    def length(self) -> int:
        """Positions stored so far."""
        return self.tables[0].length

    @property
    def batch(self) -> int:
        """B, number of texts."""
        return len(self.tables)

    @property
    def nbytes(self) -> int:
        """2 * layers * G * S * D * bytes per number, for each page that is in use."""
        return self.pages.used_bytes

    def append(self, layer: int, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Store new keys and values of one layer.

        Args:
            layer: which layer.
            k, v: (B, G, T, D), of the T positions that follow `length`.

        Returns:
            Copies (B, G, length + T, D) of both, in order of position.

        Raises:
            InputError: another shape or type than the pages were made for.
            OutOfPages: no page is free.
        """
        layers, _, groups, _, size = self.pages.keys.shape
        check_new(layer, k, (layers, self.batch, groups, size), self.pages.keys.dtype)
        time = k.shape[2]
        for table in self.tables:
            table.reserve(time)
        size, end = self.pages.size, self.length + time
        lines = np.array([t.numbers[: self.pages.needed(end)] for t in self.tables])  # (B, n)
        at = np.arange(self.length, end)
        found = lines[:, at // size], at % size  # (B, T), (T,)
        both = []
        for all_layers, new in ((self.pages.keys, k), (self.pages.values, v)):
            stored = all_layers[layer]  # (P, G, S, D)
            stored[found[0], :, found[1]] = new.swapaxes(1, 2)  # (B, G, T, D) -> (B, T, G, D)
            row = stored[lines].swapaxes(1, 2)  # (B, n, G, S, D) -> (B, G, n, S, D)
            both.append(row.reshape(*row.shape[:2], -1, row.shape[-1])[:, :, :end])
        return both[0], both[1]

    def key_positions(self, time: int) -> np.ndarray:
        """The positions of the keys that `append` returns for `time` new ones, (S,) ints."""
        return np.arange(self.length + time)

    def advance(self, time: int) -> None:
        """Count `time` positions as stored, once every layer has appended them."""
        for table in self.tables:
            table.advance(time)

    def truncate(self, length: int) -> None:
        """Forget the positions from `length` on, and give their pages back.

        Raises:
            InputError: a length beyond what is stored.
        """
        for table in self.tables:
            table.truncate(length)

    def reset(self) -> None:
        """Forget everything."""
        self.truncate(0)

    def reorder(self, rows: Sequence[int]) -> None:
        """Let text i continue what was text rows[i]; nothing is copied before they differ.

        Raises:
            InputError: no rows, or one that is no text's number.
        """
        rows = [int(row) for row in rows]
        if not rows or min(rows) < 0 or max(rows) >= self.batch:
            raise InputError(f"rows is {rows}; it must hold numbers from 0 to {self.batch - 1}")
        before, self.tables = self.tables, [self.tables[row].fork() for row in rows]
        for table in before:
            table.free()
