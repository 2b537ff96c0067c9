"""The model to beat: multinomial naive Bayes over groups of letters."""

import numpy as np

from minilm.lamp.listener import LENGTHS, SYMBOLS, check_symbol, plain


class NaiveBayes:
    """Counts how often each group of letters stood in a sentence that meant each symbol.

    Args:
        smoothing: what is added to each count.
    """

    def __init__(self, smoothing: float = 0.1) -> None:
        self.smoothing = smoothing
        self.sentences = np.zeros(len(SYMBOLS))
        self.seen: dict[str, np.ndarray] = {}  # group -> (3,)
        self.totals = np.zeros(len(SYMBOLS))

    def shares(self, text: str) -> np.ndarray:
        """(3,): how likely each symbol is."""
        logp = np.log((self.sentences + 1) / (self.sentences + 1).sum())
        below = self.totals + self.smoothing * (len(self.seen) + 1)
        for group in _groups(text):
            logp = logp + np.log((self.seen.get(group, 0) + self.smoothing) / below)
        e = np.exp(logp - logp.max())
        return e / e.sum()

    def guess(self, text: str) -> str:
        """The likeliest symbol; of equals, the first."""
        return SYMBOLS[int(self.shares(text).argmax())]

    def learn(self, text: str, symbol: str, corrected: bool = False) -> None:
        """Count a sentence."""
        self._count(text, check_symbol(symbol), 1)

    def relabel(self, text: str, old: str, new: str) -> None:
        """Count a sentence as `new` that was counted as `old`."""
        self._count(text, check_symbol(old), -1)
        self._count(text, check_symbol(new), 1)

    def _count(self, text: str, symbol: int, times: int) -> None:
        self.sentences[symbol] += times
        for group in _groups(text):
            self.seen.setdefault(group, np.zeros(len(SYMBOLS)))[symbol] += times
            self.totals[symbol] += times


def _groups(text: str) -> list[str]:
    """Every group of 1 to 4 letters, as often as it stands there."""
    text = f" {plain(text)} "
    return [text[i : i + n] for n in LENGTHS for i in range(len(text) - n + 1)]
