"""A classifier of quality: which texts look like those that somebody trusts.

GPT-3's filter (Brown et al. 2020, arXiv 2005.14165, appendix A) is logistic regression on hashed
words, trained to tell trusted texts from whatever was crawled. It never sees what is wrong with a
text, only that it is unlike what is trusted.

Which words a text has says above all what it is about, and what is about something else is not
worse. So ours reads pairs of neighbouring words instead, as fastText does beside words (Joulin et
al. 2016, arXiv 1607.01759), which know order; and how many came before, which knows a page of one
line.
"""

import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from minilm.errors import InputError

Array = np.ndarray
SIZE = 8192  # places that words and pairs of words are hashed into
PLACES = 65_536  # those of the classifier: pairs are many
AGAIN = "<again>"  # stands for a pair that came before in the text; no pair, for it has no blank
DECAY = 1e-3  # of the weights
_WORD = re.compile(r"\w+|[^\w\s]")


def pairs_of(text: str) -> list[str]:
    """The pairs of neighbouring words of a text, what stands between blanks being a word.

    For each pair that came before there is one `AGAIN` more.
    """
    words = text.lower().split()
    pairs = [f"{a} {b}" for a, b in zip(words, words[1:])]
    return pairs + [AGAIN] * (len(pairs) - len(set(pairs)))


def hashed_words(text: str, size: int = SIZE) -> Array:
    """The words and pairs of neighbouring words of a text, counted in hashed places.

    Args:
        text: any.
        size: D.

    Returns:
        (D,) float32: the square roots of the counts, scaled to length 1; zeros for no word.
    """
    words = _WORD.findall(text.lower())
    runs = [*words, *(f"{a} {b}" for a, b in zip(words, words[1:]))]
    places = [zlib.crc32(run.encode()) % size for run in runs]
    found = np.sqrt(np.bincount(np.array(places, np.int64), minlength=size)).astype(np.float32)
    return found / max(float(np.linalg.norm(found)), 1e-12)


def fit_logistic(X: Any, y: Any, decay: float = DECAY, steps: int = 500) -> tuple[Array, float]:
    """Logistic regression by L-BFGS: mean cross-entropy + decay / 2 |w|^2, exact to its tolerance.

    Args:
        X: (N, D) features, an array or a sparse one of SciPy.
        y: (N,) labels, 0 or 1, both of which occur.
        decay: 0 or more; the bias has none.
        steps: of L-BFGS at most.

    Returns:
        w (D,) and the bias, float64: sigmoid(X w + b) is the probability of a 1.

    Raises:
        InputError: shapes that do not fit, other labels, one label only, or a decay below 0.
    """
    from scipy.optimize import minimize

    X = X.tocsr().astype(np.float64) if sparse.issparse(X) else np.asarray(X, np.float64)
    y = np.asarray(y, np.float64)
    if X.ndim != 2 or y.shape != X.shape[:1]:
        raise InputError(f"X has shape {X.shape} and y {y.shape}; they must be (N, D) and (N,)")
    if set(np.unique(y)) != {0.0, 1.0}:
        raise InputError(
            f"y holds the labels {np.unique(y).tolist()}; it must hold both 0 and 1 and no other"
        )
    if decay < 0:
        raise InputError(f"decay is {decay}; it must be 0 or more")

    def objective(wb: Array) -> tuple[float, Array]:
        w, z = wb[:-1], X @ wb[:-1] + wb[-1]
        value = np.mean(np.logaddexp(0, z) - y * z) + decay / 2 * (w @ w)
        slope = (_sigmoid(z) - y) / len(y)
        return value, np.append(slope @ X + decay * w, slope.sum())

    start = np.zeros(X.shape[1] + 1)
    best = minimize(
        objective, start, jac=True, method="L-BFGS-B", options={"maxiter": steps, "gtol": 1e-7}
    ).x
    return best[:-1], float(best[-1])


def _sigmoid(z: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * z))  # never overflows


def auc(scores: Any, labels: Any) -> float:
    """How often a text with label 1 gets more than one with label 0; ties count half.

    Args:
        scores: (N,) numbers.
        labels: (N,) 0 or 1, both of which occur.

    Returns:
        From 0 to 1; a coin gives 0.5. It is the area under the ROC curve.

    Raises:
        InputError: shapes that differ, or one label only.
    """
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels).astype(bool)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise InputError(
            f"scores has shape {scores.shape} and labels {labels.shape}; both must be (N,)"
        )
    ones = int(labels.sum())
    zeros = len(labels) - ones
    if not ones or not zeros:
        raise InputError(f"labels hold {ones} ones and {zeros} zeros; both must occur")
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # from 1, ties share their mean
    return float((ranks[labels].sum() - ones * (ones + 1) / 2) / (ones * zeros))


class QualityClassifier:
    """Tells trusted texts from others.

    Args:
        trusted: texts that are good for sure.
        others: texts of the kind that is to be judged, good ones among them.
        size: D, the places that what is read is hashed into.
        decay: as in `fit_logistic`.
        read: text -> what is counted.

    Raises:
        InputError: no text of one kind.
    """

    def __init__(
        self,
        trusted: Sequence[str],
        others: Sequence[str],
        size: int = PLACES,
        decay: float = DECAY,
        read: Callable[[str], Sequence[str]] = pairs_of,
    ) -> None:
        if not trusted or not others:
            raise InputError(
                f"trusted holds {len(trusted)} texts and others {len(others)}; "
                "each must hold at least one"
            )
        self.size, self.read = size, read
        y = np.repeat([1.0, 0.0], [len(trusted), len(others)])
        self.weights, self.bias = fit_logistic(self._features([*trusted, *others]), y, decay)

    def _features(self, texts: Sequence[str]) -> sparse.csr_array:
        """(N, D): the square roots of the counts, each row scaled to length 1."""
        counts = [
            Counter(zlib.crc32(one.encode()) % self.size for one in self.read(text))
            for text in texts
        ]
        ends = np.cumsum([0, *map(len, counts)])
        places = np.array([place for row in counts for place in row], np.int64)
        values = np.sqrt([n for row in counts for n in row.values()])
        scale = np.sqrt([max(row.total(), 1) for row in counts])  # of the roots: their length
        values = values / np.repeat(scale, np.diff(ends))
        return sparse.csr_array((values, places, ends), shape=(len(texts), self.size))

    def scores(self, texts: Sequence[str]) -> Array:
        """Log odds that texts are trusted ones, (N,) float64."""
        if not texts:
            return np.zeros(0)
        return self._features(texts) @ self.weights + self.bias
