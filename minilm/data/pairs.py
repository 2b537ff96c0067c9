"""Source and target sequences, ready for an encoder-decoder or for a decoder-only model."""

from dataclasses import dataclass

import numpy as np

from minilm.backend import IGNORE
from minilm.errors import InputError


@dataclass(frozen=True)
class Pairs:
    """n source sequences with their targets.

    `target` holds what must be predicted, with IGNORE where nothing is scored; `fed` what the
    decoder reads: the same tokens one step later, after the begin token.
    """

    source: np.ndarray  # (n, S) int32
    target: np.ndarray  # (n, T) int32
    fed: np.ndarray  # (n, T) int32
    vocab_size: int

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, rows: slice | np.ndarray) -> "Pairs":
        return Pairs(self.source[rows], self.target[rows], self.fed[rows], self.vocab_size)

    def joined(self) -> tuple[np.ndarray, np.ndarray]:
        """For a decoder-only or prefix-LM model: ids and targets, (n, S + T) int32 each.

        The source, then what the decoder reads; only target positions are scored. The prefix of a
        prefix-LM is S tokens.
        """
        silent = np.full(self.source.shape, IGNORE, np.int32)
        ids = np.concatenate([self.source, self.fed], axis=1)
        return ids, np.concatenate([silent, self.target], axis=1)

    def scored(self) -> int:
        """Number of scored target tokens."""
        return int((self.target != IGNORE).sum())


def make_pairs(
    source: np.ndarray, target: np.ndarray, begin: int, vocab_size: int, fill: int | None = None
) -> Pairs:
    """Pairs from ids; the decoder reads `begin`, then the target without its last token.

    Args:
        source: (n, S).
        target: (n, T), IGNORE where nothing is scored.
        begin: id of the begin token.
        vocab_size: number of ids.
        fill: id that is fed where the target is IGNORE; `begin` by default.
    """
    target = target.astype(np.int32)
    fed = np.empty_like(target)
    fed[:, 0] = begin
    fed[:, 1:] = target[:, :-1]
    fed[fed == IGNORE] = begin if fill is None else fill
    return Pairs(source.astype(np.int32), target, fed, vocab_size)


def at_least(least: int, **values: int) -> None:
    """Refuse the first of the named values that is below `least`."""
    for name, value in values.items():
        if value < least:
            raise InputError(f"{name} is {value}; it must be {least} or more")
