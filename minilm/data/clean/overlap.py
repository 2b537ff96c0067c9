"""ROUGE-L, and the filter of self-instruct: no new instruction that is much like an old one.

A model that writes instructions for its own training repeats itself. Self-instruct (Wang et al.
2022, arXiv 2212.10560, section 2.2) takes a new one only if its ROUGE-L with every instruction in
the pool is below 0.7.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minilm.errors import InputError

THRESHOLD = 0.7


def common_subsequence(a: Sequence[Any], b: Sequence[Any]) -> int:
    """The length of the longest row of things that both hold in this order, gaps allowed.

    O(len(a) len(b)) time, O(len(b)) memory; the inner loop is a running maximum in NumPy.
    """
    if len(a) == 0 or len(b) == 0:
        return 0
    index = {thing: i for i, thing in enumerate(dict.fromkeys(b))}
    columns = np.array([index[thing] for thing in b])
    equal = {}  # thing -> where b has it
    row = np.zeros(len(b) + 1, np.int64)
    for thing in a:
        if thing not in index:
            continue
        if thing not in equal:
            equal[thing] = columns == index[thing]
        # a match extends what was possible before it; whatever ends earlier may also end later
        row[1:] = np.maximum.accumulate(np.maximum(row[1:], row[:-1] + equal[thing]))
    return int(row[-1])


def rouge_l(a: str, b: str) -> float:
    """ROUGE-L's F score of two texts (Lin 2004): 2 L / (|a| + |b|) with L common words in order.

    Precision is L / |a|, recall L / |b|; this is their harmonic mean. Words are those of
    `text.lower().split()`.

    Returns:
        From 0 to 1; 0 where either text has no word.
    """
    first, second = a.lower().split(), b.lower().split()
    if not first or not second:
        return 0.0
    return 2 * common_subsequence(first, second) / (len(first) + len(second))


def self_instruct_filter(
    texts: Iterable[str], pool: Iterable[str] = (), threshold: float = THRESHOLD
) -> list[str]:
    """The texts that are unlike the pool and unlike those taken before them, in order.

    Args:
        texts: candidates, looked at one after the other.
        pool: texts that are there already.
        threshold: a text is taken if its ROUGE-L with all of them is below this.

    Raises:
        InputError: a threshold that is not above 0 and at most 1.
    """
    if not 0 < threshold <= 1:
        raise InputError(f"threshold is {threshold}; it must be above 0 and at most 1")
    known, taken = [_Words(text) for text in pool], []
    for text in texts:
        new = _Words(text)
        if all(not new.reaches(old, threshold) for old in known):
            known.append(new)
            taken.append(text)
    return taken


class _Words:
    """A text's words, and how often each occurs: enough to rule most pairs out."""

    def __init__(self, text: str) -> None:
        self.words = text.lower().split()
        self.counts: dict[str, int] = {}
        for word in self.words:
            self.counts[word] = self.counts.get(word, 0) + 1

    def reaches(self, other: "_Words", threshold: float) -> bool:
        """Whether ROUGE-L is at least the threshold; two texts without words are unlike."""
        total = len(self.words) + len(other.words)
        if not self.words or not other.words:
            return False
        shared = sum(min(n, other.counts.get(word, 0)) for word, n in self.counts.items())
        if 2 * shared / total < threshold:  # no order has more in common than the counts
            return False
        return 2 * common_subsequence(self.words, other.words) / total >= threshold
