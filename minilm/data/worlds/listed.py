"""A world so small that every answer can be listed: 6 symbols, 4 tokens, 1296 texts.

With all texts in one table, means, divergences and the best policy are sums, without any noise of
sampling. A text follows the prompt `begin`; a model of 6 ids then puts all its probability on the
1296 texts, since none of them ends early.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from minilm.backend import rng
from minilm.data.pairs import refuse_below
from minilm.errors import InputError


@dataclass(frozen=True)
class ListedWorld:
    """All texts of some length.

    Args:
        symbols: number of ids.
        length: tokens of a text.

    Attributes:
        begin: the id of the prompt, one token. It is a symbol too; that it comes first tells it.
    """

    symbols: int = 6
    length: int = 4
    begin: int = 0

    def __post_init__(self) -> None:
        refuse_below(2, symbols=self.symbols)
        refuse_below(1, length=self.length)

    @property
    def texts(self) -> np.ndarray:
        """(K, T) ids of every text, in the order of counting; K = symbols ** length."""
        return np.array(list(itertools.product(range(self.symbols), repeat=self.length)))

    @property
    def prefixes(self) -> list[tuple[int, ...]]:
        """Every text and every beginning of one, the empty one first: 1555 of them."""
        every = range(self.symbols)
        return [p for n in range(self.length + 1) for p in itertools.product(every, repeat=n)]

    def place(self, texts: np.ndarray) -> np.ndarray:
        """Where texts stand in the list: (N, T) ids -> (N,).

        Raises:
            InputError: texts of another length, or an id that is not there.
        """
        texts = np.asarray(texts)
        if texts.ndim != 2 or texts.shape[1] != self.length:
            raise InputError(f"texts have shape {texts.shape}; it must be (N, {self.length})")
        if texts.size and (texts.min() < 0 or texts.max() >= self.symbols):
            raise InputError(
                f"texts hold ids from {texts.min()} to {texts.max()}; they must lie from 0 to "
                f"{self.symbols - 1}"
            )
        return texts @ self.symbols ** np.arange(self.length - 1, -1, -1)

    def spoken(self, seed: int) -> np.ndarray:
        """A lumpy distribution over the texts, (K,): what a pre-trained model would have learnt.

        The first symbol is drawn from a Dirichlet, each later one given the two before it.
        """
        r = rng(seed, "worlds", "listed", "spoken")
        n = self.symbols
        first = r.dirichlet(np.ones(n))
        after = r.dirichlet(np.full(n, 0.7), (n, n))  # (before last, last) -> next
        texts = self.texts
        p, before, last = first[texts[:, 0]], texts[:, 0], texts[:, 0]
        for t in range(1, self.length):
            p = p * after[before, last, texts[:, t]]
            before, last = last, texts[:, t]
        p = p + 1e-4
        return p / p.sum()

    def gold(self, seed: int, ref: np.ndarray) -> np.ndarray:
        """The true reward of every text, (K,): symbols at their places, neighbours, a hidden motif.

        Args:
            seed: of the reward.
            ref: (K,) probabilities under which it has mean 0 and standard deviation 1.

        Raises:
            InputError: no distribution over the texts.
        """
        ref, texts = np.asarray(ref, np.float64), self.texts
        if ref.shape != (len(texts),) or not abs(ref.sum() - 1) < 1e-4:
            raise InputError(
                f"ref has shape {ref.shape} and adds up to {ref.sum():.6g}; it must be "
                f"{len(texts)} probabilities that add up to 1"
            )
        r = rng(seed, "worlds", "listed", "gold")
        at, pair = r.normal(size=(self.length, self.symbols)), r.normal(size=(self.symbols,) * 2)
        reward = sum(at[t, texts[:, t]] for t in range(self.length))
        reward = reward + sum(pair[a, b] for a, b in zip(texts.T[:-1], texts.T[1:], strict=True))
        motif = r.choice(self.symbols, 2, replace=False)
        reward = reward + 2.0 * (texts[:, :, None] == motif).any(1).all(1)  # both are in the text
        reward = reward - ref @ reward
        return reward / np.sqrt(ref @ reward**2)
