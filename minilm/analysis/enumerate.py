"""All texts that there can be, listed: posteriors without sampling, distances without noise.

With V tokens and at most L of them there are 1 + V + ... + V^L texts. Where that is some thousands,
what a sampler should do and what it does are two rows of numbers, and every claim about it is
arithmetic.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from minilm.errors import InputError

Array = np.ndarray
MOST = 1_000_000  # texts that are listed at most


class Texts:
    """Every text of up to `longest` tokens: the empty one first, then by length, then in order.

    Args:
        tokens: V, how many different tokens there are; their ids are 0 to V - 1.
        longest: L, the most tokens of a text.

    Attributes:
        ids: (N, L) int64, after a text's end 0.
        lengths: (N,) int64.

    Raises:
        InputError: a number out of range, or more texts than fit on a list.
    """

    def __init__(self, tokens: int, longest: int) -> None:
        for name, value in (("tokens", tokens), ("longest", longest)):
            if value < 1:
                raise InputError(f"{name} is {value}; it must be 1 or more")
        sizes = [tokens**n for n in range(longest + 1)]
        if sum(sizes) > MOST:
            raise InputError(f"there are {sum(sizes):,} texts; at most {MOST:,} are listed")
        self.tokens, self.longest = tokens, longest
        self._first = np.cumsum([0, *sizes[:-1]])  # of each length, its first place on the list
        self.lengths = np.repeat(np.arange(longest + 1), sizes)
        self.ids = np.zeros((len(self.lengths), longest), np.int64)
        for n in range(1, longest + 1):
            rows = slice(self._first[n], self._first[n] + sizes[n])
            self.ids[rows, :n] = np.indices((tokens,) * n).reshape(n, -1).T  # (n, V^n) -> (V^n, n)

    def __len__(self) -> int:
        return len(self.lengths)

    def text(self, place: int) -> tuple[int, ...]:
        """The text at a place of the list."""
        return tuple(self.ids[place, : self.lengths[place]].tolist())

    def index(self, ids: Array, lengths: Array) -> Array:
        """Where texts stand on the list.

        Args:
            ids: (B, L); what stands after a text's end does not matter.
            lengths: (B,).

        Returns:
            (B,) int64.

        Raises:
            InputError: a text that is not on the list.
        """
        ids, lengths = np.asarray(ids), np.asarray(lengths)
        inside = np.arange(self.longest) < lengths[:, None]  # (B, L)
        if ids.shape != inside.shape or lengths.min(initial=0) < 0:
            raise InputError(
                f"ids have shape {ids.shape} and lengths {lengths.shape}; they must be (B, "
                f"{self.longest}) and (B,)"
            )
        wrong = (inside & ((ids < 0) | (ids >= self.tokens))).any(1) | (lengths > self.longest)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"text {ids[row, : lengths[row]].tolist()} is not on the list; its tokens must be "
                f"0 to {self.tokens - 1}, {self.longest} at most"
            )
        power = np.where(inside, lengths[:, None] - 1 - np.arange(self.longest), 0)
        digits = np.where(inside, ids, 0) * self.tokens**power
        return self._first[lengths] + digits.sum(1)

    @cached_property
    def parents(self) -> Array:
        """(N,) the place of each text without its last token; of the empty text -1."""
        shorter = self.index(self.ids, np.maximum(self.lengths - 1, 0))
        return np.where(self.lengths > 0, shorter, -1)


def enum_posterior(texts: Texts, log_joint: Callable[[Array, Array], Any]) -> tuple[Array, float]:
    """Bayes by listing: p(z | what is known) over all texts z, and the log of what is known.

    Args:
        texts: the list.
        log_joint: (N, L) ids and (N,) lengths -> (N,) log p(z, what is known), -inf allowed.

    Returns:
        (N,) float64 probabilities, and log Z, the log of the sum.

    Raises:
        InputError: a nan, +inf, or nothing that is possible.
    """
    log = np.asarray(log_joint(texts.ids, texts.lengths), np.float64)
    if log.shape != (len(texts),):
        raise InputError(f"log_joint gave shape {log.shape}; it must give {(len(texts),)}")
    return normalise(log)


def normalise(log: Array) -> tuple[Array, float]:
    """Probabilities in proportion to e^log, and the log of the sum.

    Raises:
        InputError: a nan, +inf, or -inf everywhere.
    """
    log = np.asarray(log, np.float64)
    if np.isnan(log).any() or np.isposinf(log).any() or np.isneginf(log).all():
        raise InputError("a log-weight is nan or inf, or all are -inf; one must be a finite number")
    total = float(np.logaddexp.reduce(log))
    return np.exp(log - total), total


def total_variation(p: Array, q: Array) -> float:
    """Half the sum of |p - q|: the share of the draws that must be moved to make q of p.

    Raises:
        InputError: the shapes differ.
    """
    p, q = _pair(p, q)
    return float(0.5 * np.abs(p - q).sum())


def kl(p: Array, q: Array) -> float:
    """KL(p || q) = sum of p log p / q, in nats: infinite where q misses what p has.

    KL(q || p) does not notice that: to see a mode that was lost, look at both.

    Raises:
        InputError: the shapes differ.
    """
    p, q = _pair(p, q)
    seen = p > 0
    with np.errstate(divide="ignore"):
        return float((p[seen] * (np.log(p[seen]) - np.log(q[seen]))).sum())


def entropy(p: Array) -> float:
    """-sum of p log p, in nats."""
    p = np.asarray(p, np.float64)
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


def found_of_top(p: Array, q: Array, rng: np.random.Generator, draws: int, top: int) -> int:
    """How many of the `top` likeliest of p occur among so many draws from q."""
    q = np.asarray(q, np.float64)
    drawn = rng.choice(len(q), draws, p=q / q.sum())
    return int(np.isin(np.argsort(-np.asarray(p), kind="stable")[:top], drawn).sum())


def shown_of_top(p: Array, draws: int, top: int) -> Array:
    """How likely exact draws show 0, 1, ... of the `top` likeliest of p, (top + 1,).

    Each text is shown or not as if the others were not drawn from the same p: nearly so where draws
    are many.
    """
    shown = 1 - (1 - np.sort(np.asarray(p, np.float64))[::-1][:top]) ** draws
    chances = np.ones(1)
    for one in shown:  # (K + 1,) -> (K + 2,): one text more
        chances = np.append(chances * (1 - one), 0.0) + np.append(0.0, chances * one)
    return chances


def _pair(p: Array, q: Array) -> tuple[Array, Array]:
    p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
    if p.shape != q.shape:
        raise InputError(f"q has shape {q.shape}; it must have that of p, {p.shape}")
    return p, q
