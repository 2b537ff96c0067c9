"""Find the texts that a question is about, to read them instead of remembering them.

The first half of retrieval-augmented generation (Lewis et al. 2020, arXiv 2005.11401). Vectors
here are counts of words, weighted by how rare they are: nothing has to be trained.
"""

import re
import zlib
from collections.abc import Sequence

import numpy as np

from minilm.errors import InputError


def retrieve(q: np.ndarray, db: np.ndarray, k: int) -> np.ndarray:
    """The k rows nearest to q by cosine, nearest first; of equals, the one that stands first.

    Args:
        q: (D,).
        db: (N, D). A row of zeros, or a q of zeros, has cosine 0 with everything.
        k: how many, at most N.

    Returns:
        (k,) int64 row numbers.
    """
    q, db = np.asarray(q), np.asarray(db)
    if db.ndim != 2 or q.shape != db.shape[1:]:
        raise InputError(f"q has shape {q.shape}, db {db.shape}; they must be (D,) and (N, D)")
    if not 0 <= k <= len(db):
        raise InputError(f"k is {k}; it must be from 0 to the number of rows, {len(db)}")
    lengths = np.linalg.norm(db, axis=1) * np.linalg.norm(q)
    cosine = np.divide(db @ q, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return np.argsort(-cosine, kind="stable")[:k]


class Index:
    """Texts that can be searched.

    Args:
        texts: what to search in.
        size: D, words are hashed into this many places.
    """

    def __init__(self, texts: Sequence[str], size: int = 16384) -> None:
        if not texts:
            raise InputError("texts is empty; an index needs at least one text")
        self.texts, self.size = list(texts), size
        counts = np.stack([self._count(text) for text in self.texts])
        self.rarity = np.log(len(counts) / np.maximum(1, (counts > 0).sum(0))).astype(np.float32)
        self.vectors = np.log1p(counts) * self.rarity

    def _count(self, text: str) -> np.ndarray:
        stems = [word[:6] for word in re.findall(r"\w+", text.lower())]  # call, calls: near enough
        places = np.array([zlib.crc32(stem.encode()) for stem in stems], np.int64) % self.size
        return np.bincount(places, minlength=self.size).astype(np.float32)

    def search(self, question: str, k: int = 3) -> list[str]:
        """The k texts nearest to the question."""
        q = np.log1p(self._count(question)) * self.rarity
        return [self.texts[row] for row in retrieve(q, self.vectors, min(k, len(self.texts)))]
