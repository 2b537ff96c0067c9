"""Prompts of different lengths as one rectangular batch, padded on the left.

On the left, because then every row ends at the same place: the next token is one column for all,
and distances inside a row (windows, ALiBi, T5's buckets) are what they are without padding.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.tensor import Tensor


@dataclass(frozen=True)
class Ragged:
    """A left-padded batch.

    Attributes:
        ids: (B, T) int64, pads are 0.
        positions: (B, T) int64, each row counts from 0 at its first real token; pads are 0.
        valid: (B, T) bool, False for pads.
        lengths: (B,) int64, real tokens per row.
    """

    ids: np.ndarray
    positions: np.ndarray
    valid: np.ndarray
    lengths: np.ndarray

    @property
    def even(self) -> bool:
        """Whether there is no padding at all."""
        return bool(self.valid.all())


def pad_left(rows: list[np.ndarray]) -> Ragged:
    """One batch of prompts.

    Args:
        rows: per prompt its ids, at least one each.
    """
    lengths = np.array([len(row) for row in rows], np.int64)
    longest = int(lengths.max())
    ids = np.zeros((len(rows), longest), np.int64)
    for row, line in zip(rows, ids):
        line[longest - len(row) :] = row
    column = np.arange(longest)
    start = (longest - lengths)[:, None]  # (B,) -> (B, 1)
    return Ragged(ids, np.maximum(column - start, 0), column >= start, lengths)


def as_rows(ids: Any, vocab_size: int) -> tuple[list[np.ndarray], bool]:
    """The prompts as a list of id arrays, and whether a single one was given.

    Args:
        ids: one prompt (a list of ids or an (N,) array), or several (a list of those, or (B, N)).
        vocab_size: ids must be below it.

    Raises:
        InputError: no prompt, an empty one, or an id that is not a whole number in range.
    """
    ids = ids.data if isinstance(ids, Tensor) else ids
    if len(ids) == 0:
        raise InputError("ids is empty; a prompt has at least one token")
    single = np.ndim(ids[0]) == 0
    rows = []
    for row in [ids] if single else ids:
        row = np.asarray(row)
        if row.ndim != 1 or row.size == 0 or row.dtype.kind not in "iu":
            raise InputError(
                f"ids has a prompt of {row.dtype} and shape {row.shape}; each must have at least "
                "one whole number"
            )
        low, high = int(row.min()), int(row.max())
        if low < 0 or high >= vocab_size:
            raise InputError(
                f"ids hold {low if low < 0 else high}; the model knows 0 to {vocab_size - 1}"
            )
        rows.append(row)
    return rows, single
