"""What the lamp makes of a sentence: a softmax layer that is solved first and trained next.

A sentence is the set of its groups of 1 to 4 letters, so that a slip of the finger spoils a few
and leaves the rest. Groups fall into `SIZE` places by a hash. The layer's weights are the explicit
solution of what was counted so far (Williams & Zhao 2023, arXiv 2311.07498), which takes no
gradient, plus a part that gradient descent adds: naive Bayes counts every letter once in each
group that holds it, and only errors on whole sentences can tell how much that was too often.
"""

import functools
import re
import zlib

import numpy as np

from minilm import backend
from minilm.errors import InputError
from minilm.explicit.solution import explicit_solution

SYMBOLS = ("nothing", "lit", "dark")  # of equal chances the first is taken
SIZE = 4096  # places for groups of letters
LENGTHS = (1, 2, 3, 4)
LONGEST = 200  # letters of a sentence that are heard
MEMORY = 1000  # sentences that are kept for the replay
SMOOTHING = 0.3
RATE, PASSES, BATCH = 0.5, 4, 16


def plain(text: str) -> str:
    """Lower-case letters and single spaces, the first `LONGEST`."""
    return " ".join(re.sub(r"[^a-z]+", " ", text.lower()).split())[:LONGEST]


def groups(text: str) -> list[str]:
    """The different groups of letters of a sentence, a space at both ends, sorted."""
    text = f" {plain(text)} "
    return sorted({text[i : i + n] for n in LENGTHS for i in range(len(text) - n + 1)})


@functools.lru_cache(maxsize=MEMORY)
def places(text: str) -> np.ndarray:
    """Where the groups of a sentence fall: ids from 0 to `SIZE` - 1, each once, sorted."""
    return np.unique([zlib.crc32(group.encode()) % SIZE for group in groups(text)])


def check_symbol(symbol: str) -> int:
    """The place of a symbol in `SYMBOLS`.

    Raises:
        InputError: another word.
    """
    if symbol not in SYMBOLS:
        raise InputError(f"symbol is {symbol!r}; allowed are {', '.join(SYMBOLS)}")
    return SYMBOLS.index(symbol)


class Listener:
    """Learns from one sentence at a time, and from a replay of earlier ones.

    A feature is 1 / sqrt(n) for each of the n places of a sentence. So the features' L1 norm is
    sqrt(n) and not n: the explicit solution then weighs n pieces of evidence, which depend on each
    other, like sqrt(n) that do not.

    Args:
        seed: of the replay.
        trains: whether gradient descent follows the counting.

    Attributes:
        counts: F, (SIZE, 3) float32, features and symbols that occurred together.
        added: (SIZE, 3) float32, what gradient descent added to the solution.
        squares: (SIZE, 3) float32, sums of squared gradients (AdaGrad).
        memory: [sentence, symbol, whether it was corrected], the latest last.
        learnt: how many sentences were learnt.
    """

    def __init__(self, seed: int = 0, trains: bool = True) -> None:
        self.seed, self.trains = seed, trains
        self.counts, self.added, self.squares = (
            np.zeros((SIZE, len(SYMBOLS)), np.float32) for _ in range(3)
        )
        self.norm = 0.0
        self.examples = 0
        self.memory: list[list] = []
        self.learnt = 0
        self._weights: np.ndarray | None = None

    @property
    def parameters(self) -> int:
        """Numbers that decide what is anticipated."""
        return self.counts.size + self.added.size

    def weights(self) -> np.ndarray:
        """(SIZE, 3): the explicit solution of the counts; zeros before the first sentence."""
        if self._weights is None:
            if self.examples:
                k = self.norm / self.examples
                self._weights = explicit_solution(self.counts, k, SMOOTHING)
            else:
                self._weights = np.zeros((SIZE, len(SYMBOLS)))
        return self._weights

    def shares(self, text: str) -> np.ndarray:
        """(3,): how likely each symbol is."""
        return _softmax(self._logits(places(text)))

    def guess(self, text: str) -> str:
        """The likeliest symbol; of equals, the first."""
        return SYMBOLS[int(self.shares(text).argmax())]

    def learn(self, text: str, symbol: str, corrected: bool = False) -> None:
        """Count a sentence, remember it, and go over earlier ones."""
        check_symbol(symbol)
        self._count(text, symbol, 1)
        self.memory.append([plain(text), symbol, corrected])
        del self.memory[:-MEMORY]
        self._replay(len(self.memory) - 1)

    def relabel(self, text: str, old: str, new: str) -> None:
        """Take back the latest such sentence that was learnt as `old`, and learn it as `new`."""
        check_symbol(new)
        self._count(text, old, -1)
        self._count(text, new, 1)
        known = [i for i, (said, s, _) in enumerate(self.memory) if (said, s) == (plain(text), old)]
        if known:
            self.memory[known[-1]][1:] = [new, True]
            self._replay(known[-1])

    def _count(self, text: str, symbol: str, times: int) -> None:
        at = places(text)
        amount = times / np.sqrt(len(at))
        column = self.counts[:, check_symbol(symbol)]
        column[at] = np.maximum(column[at] + amount, 0)  # a count taken back may leave 1e-9 below
        self.norm += times * np.sqrt(len(at))
        self.examples += times
        self._weights = None

    def _logits(self, at: np.ndarray) -> np.ndarray:
        return (self.weights()[at] + self.added[at]).sum(axis=0) / np.sqrt(len(at))

    def _replay(self, newest: int) -> None:
        """Steps of gradient descent on the newest sentence, on corrected ones, and on any."""
        self.learnt += 1
        if not self.trains:
            return
        rng = backend.rng(self.seed, "replay", self.learnt)
        corrected = [i for i, entry in enumerate(self.memory) if entry[2]] or [newest]
        half = BATCH // 2
        for _ in range(PASSES):
            picks = [newest, *rng.choice(corrected, half - 1), *rng.integers(newest + 1, size=half)]
            for i in picks:
                text, symbol, _ = self.memory[i]
                self._descend(places(text), SYMBOLS.index(symbol))

    def _descend(self, at: np.ndarray, symbol: int) -> None:
        gradient = _softmax(self._logits(at))
        gradient[symbol] -= 1
        gradient /= np.sqrt(len(at))  # dL / d weight, the same at every place: (3,)
        self.squares[at] += gradient**2
        self.added[at] -= RATE * gradient / np.sqrt(self.squares[at] + 1e-3)


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max())
    return e / e.sum()
