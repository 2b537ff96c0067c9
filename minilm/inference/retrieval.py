"""Find the texts that a question is about, so that a model can read them instead of remembering.

This is the first half of retrieval-augmented generation (Lewis et al. 2020, arXiv 2005.11401).
Nothing here has to be trained: texts are counts of words, weighted by how rare the words are.
"""

import re
import zlib
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from minilm.errors import InputError


def retrieve(q: np.ndarray, db: np.ndarray, k: int) -> np.ndarray:
    """The k rows nearest to q by cosine, nearest first; among equals, in order of row number.

    Args:
        q: (D,).
        db: (N, D). A row of zeros, or a q of zeros, has cosine 0 with everything.
        k: how many, at most N.

    Returns:
        (k,) int64 row numbers.

    Raises:
        InputError: shapes that do not fit, or a k out of range.
    """
    q, db = np.asarray(q), np.asarray(db)
    if db.ndim != 2 or q.shape != db.shape[1:]:
        raise InputError(f"q has shape {q.shape}, db {db.shape}; they must be (D,) and (N, D)")
    if not 0 <= k <= len(db):
        raise InputError(f"k is {k}; it must be from 0 to the number of rows, {len(db)}")
    lengths = np.linalg.norm(db, axis=1) * np.linalg.norm(q)
    cosine = np.divide(db @ q, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return np.argsort(-cosine, kind="stable")[:k]


def bm25(
    q: Sequence[Hashable],
    docs: Sequence[Sequence[Hashable]],
    k1: float = 1.2,
    b: float = 0.75,
) -> np.ndarray:
    """How well each document fits the words of a question.

    Each word w of q adds idf(w) f (k1 + 1) / (f + k1 (1 - b + b |d| / mean |d|)), where f counts w
    in d, n the documents that hold it, and idf(w) = ln(1 + (N - n + 0.5) / (n + 0.5)), which is
    never below 0 (Robertson and Zaragoza 2009, The Probabilistic Relevance Framework, section 3).

    Args:
        q: the question's words; one that comes twice counts twice.
        docs: the words of each document.
        k1: how soon a word that comes again stops counting; 0: at once.
        b: how much long documents are held back, from 0 to 1.

    Returns:
        (N,) float64; 0 where no word is shared.

    Raises:
        InputError: no documents, or k1 or b out of range.
    """
    if not docs:
        raise InputError("docs is empty; BM25 needs at least one document")
    if k1 < 0 or not 0 <= b <= 1:
        raise InputError(f"k1 is {k1}, b {b}; k1 must be 0 or more, and b from 0 to 1")
    counts = [Counter(doc) for doc in docs]
    lengths = np.array([len(doc) for doc in docs], float)
    usual = lengths.mean() or 1.0  # all may be empty
    room = k1 * (1 - b + b * lengths / usual)
    total = np.zeros(len(docs))
    for word in q:
        f = np.array([count[word] for count in counts], float)
        n = (f > 0).sum()
        idf = np.log1p((len(docs) - n + 0.5) / (n + 0.5))
        total += np.divide(idf * f * (k1 + 1), f + room, out=np.zeros_like(f), where=f > 0)
    return total


class Index:
    """Texts that can be searched.

    Args:
        texts: what to search in.
        size: D; words are hashed into this many places.

    Raises:
        InputError: no texts.
    """

    def __init__(self, texts: Sequence[str], size: int = 16384) -> None:
        if not texts:
            raise InputError("texts is empty; an index needs at least one text")
        self.texts, self.size = list(texts), size
        counts = np.stack([self._count(text) for text in self.texts])
        self.rarity = np.log(len(counts) / np.maximum(1, (counts > 0).sum(0))).astype(np.float32)
        self.vectors = np.log1p(counts) * self.rarity

    def _count(self, text: str) -> np.ndarray:
        # The first six letters stand for a word, so that retrieve and retrieval are one.
        stems = [word[:6] for word in re.findall(r"\w+", text.lower())]
        places = np.array([zlib.crc32(stem.encode()) for stem in stems], np.int64) % self.size
        return np.bincount(places, minlength=self.size).astype(np.float32)

    def search(self, question: str, k: int = 3) -> list[str]:
        """The k texts nearest to the question."""
        q = np.log1p(self._count(question)) * self.rarity
        return [self.texts[row] for row in retrieve(q, self.vectors, min(k, len(self.texts)))]
