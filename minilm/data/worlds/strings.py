"""Strings over a few letters, written by a language model that can be listed.

The model is a table of 3-grams, so its probability of any text is a sum of looked-up logarithms.
What stands between a left and a right context then has a posterior that needs no model to be known:
p(z | left, right) is in proportion to p(z right | left).
"""

from typing import NamedTuple

import numpy as np

from minilm import backend
from minilm.errors import InputError

Array = np.ndarray
LETTERS = 6
EVEN = 0.02  # the share of each row that is even, so that nothing is impossible


class Trigrams:
    """A language model over `letters` letters: p(next | the two before), rows from a Dirichlet.

    Args:
        seed: of the table.
        letters: V.
        peak: of the Dirichlet; small: a few likely letters a row.

    Attributes:
        log_p: (V, V, V) float64, log p(c | a, b).
    """

    def __init__(self, seed: int, letters: int = LETTERS, peak: float = 0.35) -> None:
        if letters < 2:
            raise InputError(f"letters is {letters}; it must be 2 or more")
        rng = backend.rng(seed, "trigrams")
        rows = rng.dirichlet(np.full(letters, peak), (letters, letters))
        self.letters = letters
        self.log_p = np.log(rows * (1 - EVEN) + EVEN / letters)

    def log_between(self, left: Array, ids: Array, lengths: Array, right: Array) -> Array:
        """log p(z right | left) of each row.

        Args:
            left: (B, 2) ids, the last two before z.
            ids: (B, L) ids of z; what lies behind its length does not count.
            lengths: (B,).
            right: (B, K) ids.

        Returns:
            (B,) float64.
        """
        (count, longest), last = ids.shape, right.shape[1]
        a, b = left[:, 0], left[:, 1]
        total, rows = np.zeros(count), np.arange(count)
        for at in range(longest + last):
            after = np.clip(at - lengths, 0, last - 1)
            c = np.where(at < lengths, ids[:, min(at, longest - 1)], right[rows, after])
            total += np.where(at < lengths + last, self.log_p[a, b, c], 0.0)
            a, b = b, c
        return total

    def draw(self, left: Array, count: int, rng: np.random.Generator) -> Array:
        """So many letters after each left context: (B, 2) -> (B, count) int64."""
        before, found = np.asarray(left, np.int64), []
        for _ in range(count):
            log = self.log_p[before[:, -2], before[:, -1]]  # (B, V)
            new = (log + rng.gumbel(size=log.shape)).argmax(1)
            before = np.concatenate([before, new[:, None]], 1)
            found.append(new)
        return np.stack(found, 1)  # (B, count)


class Gap(NamedTuple):
    """One text with a hole, and the model that says what fits.

    Without `bonus` short strings win, because every letter costs probability, and there would be
    nothing to look for.

    Attributes:
        model: of the text.
        left, right: (2,) ids on both sides.
        bonus: nats added to log R for each letter of z.
    """

    model: Trigrams
    left: Array
    right: Array
    bonus: float = 1.0

    def log_reward(self, prompts: Array, ids: Array, lengths: Array) -> Array:
        """log R(z) = log p(z right | left) + bonus times its letters; prompts do not matter."""
        count = len(lengths)
        left, right = (np.repeat(side[None], count, 0) for side in (self.left, self.right))
        return self.model.log_between(left, ids, lengths, right) + self.bonus * lengths


def gap(seed: int, bonus: float = 1.0) -> Gap:
    """The hole of a seed: its model, two letters on each side."""
    rng = backend.rng(seed, "gap")
    left, right = rng.integers(0, LETTERS, (2, 2))
    return Gap(Trigrams(seed), left, right, bonus)
