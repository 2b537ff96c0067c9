"""Kneser-Ney: the strongest language model that only counts.

A neural model has to beat it before anyone should be impressed.
"""

import numpy as np

from minilm.errors import InputError


class KneserNey:
    """Interpolated modified Kneser-Ney n-gram model (Chen & Goodman 1998, TR-10-98, section 3).

    A k-gram seen c times lends D(c) of its count to the next shorter context. Orders below the
    highest count in how many different contexts a k-gram occurs, not how often: "Francisco" is
    frequent, but only after "San". Order 0 is uniform.

    Every k-gram is a row of a sorted table. Row numbers stand for k-grams: the code of one is
    `row of its first k - 1 tokens * V + its last token`, so training and scoring take only one
    sorted search per order and position.

    Args:
        tokens: (N,) integers in [0, vocab_size), one running text; bytes are tokens with V = 256.
        order: n, the longest k-gram counted; n - 1 tokens of context.
        vocab_size: V.

    Raises:
        InputError: an order below 1, fewer tokens than that, or a token out of range.
    """

    def __init__(self, tokens: np.ndarray, order: int = 5, vocab_size: int = 256) -> None:
        self.order, self.vocab_size = order, vocab_size
        if order < 1:
            raise InputError(f"order is {order}; it must be 1 or more")
        tokens = self._check_tokens(tokens)
        if len(tokens) < order:
            raise InputError(f"tokens holds {len(tokens)} ids; order {order} needs {order} or more")
        self._codes: list[np.ndarray] = []
        rows = [np.zeros(len(tokens) + 1, np.int64)]  # of the 0-gram before each token
        for k in range(1, order + 1):
            codes = rows[-1][k - 1 : -1] * vocab_size + tokens[k - 1 :]
            table, row = np.unique(codes, return_inverse=True)
            self._codes.append(table)
            rows.append(np.concatenate([np.full(k, -1), row]))  # [i]: the k-gram before token i
        self._kept: list[np.ndarray] = []  # per order and k-gram: what is left of its count
        self._totals: list[np.ndarray] = []  # per order and context: all counts after it
        self._lent: list[np.ndarray] = []  # per order and context: what the discounts took
        for k in range(1, order + 1):
            if k == order:
                counts = np.bincount(rows[k][k:], minlength=len(self._codes[k - 1]))
            else:  # one vote per different (k + 1)-gram that ends in this k-gram
                _, first = np.unique(rows[k + 1][k + 1 :], return_index=True)
                endings = rows[k][k + 1 :][first]
                counts = np.bincount(endings, minlength=len(self._codes[k - 1]))
            self._discount(k, counts)

    def _discount(self, k: int, counts: np.ndarray) -> None:
        discounts = np.concatenate([[0.0], _discounts(counts)])[np.minimum(counts, 3)]
        context = self._codes[k - 1] // self.vocab_size
        contexts = 1 if k == 1 else len(self._codes[k - 2])
        self._kept.append(counts - discounts)
        self._totals.append(np.bincount(context, counts, contexts))
        self._lent.append(np.bincount(context, discounts, contexts))

    def bits(self, tokens: np.ndarray) -> np.ndarray:
        """-log2 of the probability of each token given those before it.

        Args:
            tokens: (N,) integers; the first ones have as much context as there is.

        Returns:
            (N,) float64.

        Raises:
            InputError: a token out of range.
        """
        tokens = self._check_tokens(tokens)
        p = np.full(len(tokens), 1.0 / self.vocab_size)
        before = np.zeros(len(tokens), np.int64)  # row of the (k-1)-gram before each token
        for k in range(1, self.order + 1):
            p, row = self._mix(k, p, before, tokens)
            before = np.concatenate([[-1], row[:-1]])
        return -np.log2(p)

    def probabilities(self, context: np.ndarray) -> np.ndarray:
        """The distribution of the next token.

        Args:
            context: (N,) the tokens before it, of which the last n - 1 matter.

        Returns:
            (V,) float64, which sums to 1.

        Raises:
            InputError: a token out of range.
        """
        context = self._check_tokens(context)
        everything = np.arange(self.vocab_size)
        p = np.full(self.vocab_size, 1.0 / self.vocab_size)
        for k in range(1, min(self.order, len(context) + 1) + 1):
            row = 0
            for depth, token in enumerate(context[len(context) - k + 1 :]):
                row = self._find(depth + 1, np.array([row]), np.array([token]))[0]
            p, _ = self._mix(k, p, np.full(self.vocab_size, row), everything)
        return p

    def _mix(
        self, k: int, p: np.ndarray, before: np.ndarray, tokens: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Order k's probabilities from order k - 1's, and the rows of the k-grams themselves."""
        row = self._find(k, before, tokens)
        total = np.where(before >= 0, self._totals[k - 1][before], 0.0)
        seen = total > 0
        total = np.where(seen, total, 1.0)
        kept = np.where(row >= 0, self._kept[k - 1][row], 0.0)
        mixed = (kept + self._lent[k - 1][before] * p) / total
        return np.where(seen, mixed, p), row

    def _find(self, k: int, before: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Rows of the k-grams made of the (k-1)-grams `before` and `tokens`; -1: never seen."""
        table = self._codes[k - 1]
        codes = before * self.vocab_size + tokens
        place = np.minimum(np.searchsorted(table, codes), len(table) - 1)
        return np.where((before >= 0) & (table[place] == codes), place, -1)

    def _check_tokens(self, tokens: np.ndarray) -> np.ndarray:
        tokens = np.asarray(tokens, np.int64)
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < self.vocab_size:
            odd = tokens.min() if tokens.min() < 0 else tokens.max()
            raise InputError(
                f"tokens holds {odd}; ids must be from 0 to vocab_size - 1, {self.vocab_size - 1}"
            )
        return tokens


def _discounts(counts: np.ndarray) -> np.ndarray:
    """What k-grams seen once, twice, and more often lend (equation 26)."""
    n1, n2, n3, n4 = (float((counts == c).sum()) for c in (1, 2, 3, 4))
    if min(n1, n2, n3, n4) > 0:
        y = n1 / (n1 + 2 * n2)
        found = np.array([1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
        if np.all((found >= 0) & (found <= [1, 2, 3])):
            return found
    return np.array([0.5, 1.0, 1.5])  # KenLM's fallback, where there are too few rare k-grams
