"""How often features and targets occur together, counted in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.explicit.checks import check_rows
from minilm.explicit.contexts import ContextReader
from minilm.explicit.solution import explicit_solution
from minilm.tokenizers.checks import check_ids

PIECE = 4096  # tokens whose features are in memory at one time


def cooc(features: Any, targets: Any) -> np.ndarray:
    """F = X^T Y, the sum of outer products of features and targets.

    Args:
        features: X, (N, D), 0 or more.
        targets: Y, (N, V), 0 or more.

    Returns:
        (D, V) float64.

    Raises:
        InputError: shapes that do not fit; a number below 0.
    """
    features, targets = check_rows("features", features), check_rows("targets", targets)
    _check_lengths(features, targets)
    return features.T @ targets


def _check_lengths(features: np.ndarray, targets: np.ndarray) -> None:
    if len(features) != len(targets):
        raise InputError(
            f"features has {len(features)} rows and targets {len(targets)}; they must be as many"
        )


class Counts:
    """Co-occurrences of features and targets, as they come.

    What two shards counted adds up to what one would have counted over both: `a + b`, or a sum of
    their three attributes over ranks.

    Attributes:
        table: F, (D, V) float64.
        examples: how many rows were counted.
        norm: sum of their L1 norms.

    Raises:
        InputError: a width below 1.
    """

    def __init__(self, features: int, targets: int) -> None:
        for name, value in (("features", features), ("targets", targets)):
            if value < 1:
                raise InputError(f"{name} is {value}; it must be at least 1")
        self.table = np.zeros((features, targets))
        self.examples = 0
        self.norm = 0.0

    def add(self, features: Any, targets: Any) -> None:
        """Count some examples.

        Args:
            features: (N, D), 0 or more.
            targets: (N,) ids in [0, V), or (N, V) shares, 0 or more.

        Raises:
            InputError: shapes that do not fit; an id out of range; a number below 0.
        """
        features = check_rows("features", features)
        width, size = self.table.shape
        if features.shape[1] != width:
            raise InputError(f"features has width {features.shape[1]}; these counts have {width}")
        if np.ndim(targets) == 2:
            targets = check_rows("targets", targets)
            if targets.shape[1] != size:
                raise InputError(f"targets has width {targets.shape[1]}; these counts have {size}")
            self.table += cooc(features, targets)
        else:
            targets = check_ids(targets, size)
            _check_lengths(features, targets)
            self.table += _by_id(features, targets, size)
        self.examples += len(features)
        self.norm += float(features.sum())

    def __add__(self, other: Counts) -> Counts:
        if self.table.shape != other.table.shape:
            raise InputError(
                f"counts of {self.table.shape} and {other.table.shape} do not add up; "
                "both must have the same shape"
            )
        both = Counts(*self.table.shape)
        both.table += self.table
        both.table += other.table
        both.examples = self.examples + other.examples
        both.norm = self.norm + other.norm
        return both

    @property
    def k(self) -> float:
        """The average L1 norm of the features.

        Raises:
            InputError: nothing was counted.
        """
        if not self.examples:
            raise InputError("no example was counted; an average needs at least 1")
        return self.norm / self.examples

    def solution(self, alpha: float = 0.0) -> np.ndarray:
        """U, (D, V): `explicit_solution` of what was counted, with the average norm as K."""
        return explicit_solution(self.table, self.k, alpha)


def _by_id(features: np.ndarray, ids: np.ndarray, size: int) -> np.ndarray:
    """X^T Y with Y the one-hot rows of ids, which are never made: (D, V)."""
    from scipy import sparse

    order = np.arange(len(ids) + 1)
    hot = sparse.csr_array((np.ones(len(ids)), ids, order), shape=(len(ids), size))
    return (hot.T @ features).T


def count_stream(chunks: Iterable[Any], reader: ContextReader, vocab_size: int) -> Counts:
    """Count which token follows each context, in one pass over one running text.

    The text goes on where the reader stands. So a shard that starts in the middle of a text gives
    what the whole would give if its reader first read what comes before; one that starts a text of
    its own needs a fresh reader.

    Args:
        chunks: pieces of the text, (n,) ids each, of any lengths; a generator will do.
        reader: turns ids into features, and is left at the end of the text.
        vocab_size: V.

    Raises:
        InputError: an id out of range.
    """
    counts = Counts(reader.width, vocab_size)
    for chunk in chunks:
        ids = check_ids(chunk, vocab_size)
        for start in range(0, len(ids), PIECE):
            piece = ids[start : start + PIECE]
            before = reader.last  # the context of the first id, if there is one
            rows = reader.read(piece)
            if before is None:
                counts.add(rows[:-1], piece[1:])
            else:
                counts.add(np.concatenate([before[None], rows[:-1]]), piece)
    return counts
