"""Where one of our arrays is kept in a Hugging Face state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minilm.models import Config


@dataclass(frozen=True, eq=False)
class Entry:
    """Where one of our arrays is kept: their names, joined row by row, each perhaps transposed.

    Stacked ones are joined along a new first axis.

    order   (rows,) ints: row i of ours is row order[i] of theirs, once joined; None: the same
    added   what ours is larger by: Gemma's norms multiply by 1 + weight
    """

    names: tuple[str, ...]
    rows: tuple[int, ...] = ()
    transposed: bool = False
    stacked: bool = False
    order: np.ndarray | None = None
    added: float = 0.0

    def ours(self, parts: list[np.ndarray]) -> np.ndarray:
        """Our array of theirs."""
        join = np.stack if self.stacked else np.concatenate
        value = join([part.T if self.transposed else part for part in parts])
        if self.order is not None and len(value) == len(self.order):
            value = value[self.order]
        return value if not self.added else (value + value.dtype.type(self.added))

    def theirs(self, value: np.ndarray) -> list[np.ndarray]:
        """Their arrays of ours, in the order of the names."""
        if self.added:
            value = value - value.dtype.type(self.added)
        if self.order is not None:
            value = value[np.argsort(self.order)]
        parts = [value]
        if self.stacked:
            parts = list(value)
        elif len(self.names) > 1:
            parts = np.split(value, np.cumsum(self.rows)[:-1])
        return [np.ascontiguousarray(part.T if self.transposed else part) for part in parts]


def qkv_rows(config: Config) -> tuple[int, int, int]:
    """Rows of queries, keys and values in our packed map."""
    return config.heads * config.D, config.G * config.D, config.G * config.D


def qkv_order(config: Config, by_head: bool = False) -> np.ndarray | None:
    """Which row of theirs each row of our packed map is; None where they are the same.

    Where only a part of a head turns, theirs has that part first, and pairs number i of its first
    half with number i of its second; ours pairs halves of the whole head and turns the first pairs.

    Args:
        config: heads, their size, and how much of them turns.
        by_head: theirs has a head's query, key and value side by side (GPT-NeoX).
    """
    size = config.D
    turned = size if config.rope is None else config.rope.turned(size)
    if turned == size and not by_head:
        return None
    half, rest = turned // 2, (size - turned) // 2
    first, second, still = np.split(np.arange(size), [half, turned])
    inside = np.concatenate([first, still[:rest], second, still[rest:]])  # of a query or key head
    heads = config.heads + 2 * config.G
    kinds = np.arange(heads)
    if by_head:  # our heads q0 q1 .. k0 k1 .. v0 v1 ..; theirs q0 k0 v0 q1 k1 v1 ..
        kinds = np.arange(heads).reshape(config.heads, 3).T.ravel()
    whole = [inside if i < config.heads + config.G else np.arange(size) for i in range(heads)]
    return np.concatenate([kind * size + rows for kind, rows in zip(kinds, whole, strict=True)])
