"""Whose code is this? Every place where a piece of text stands in a collection, by a suffix array.

All suffixes of the joined documents are sorted once; then any piece is found by binary search, and
the suffixes that begin with it stand side by side. So a passage that a model wrote can be traced to
the documents that hold it, as StarCoder's membership test does for its training set.
Source: Manber and Myers 1990; sorted here by prefix doubling.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minilm.errors import InputError

LEAST = 20  # bytes: shorter passages occur by chance


class Passage(NamedTuple):
    """A stretch of a text that stands in the collection too.

    Attributes:
        start, stop: bytes of the text's UTF-8 form.
        text: the stretch.
        documents: numbers of the documents that hold it, rising.
    """

    start: int
    stop: int
    text: str
    documents: tuple[int, ...]


class Attribution:
    """An index of documents, about nine bytes in memory for each byte of text.

    Args:
        documents: texts; their numbers are their places in the list.

    Raises:
        InputError: no document, or a text that holds a NUL, which parts documents here.
    """

    def __init__(self, documents: Sequence[str]) -> None:
        if not len(documents):
            raise InputError("documents is empty; there must be at least one")
        parts = []
        for i, text in enumerate(documents):
            if "\0" in text:
                raise InputError(f"documents[{i}] holds a NUL; it must be text")
            parts.append(text.encode("utf-8", "replace") + b"\0")
        self._text = b"".join(parts)
        self._starts = np.cumsum([0, *map(len, parts[:-1])])
        self._order = _suffixes(np.frombuffer(self._text, np.uint8))

    def find(self, piece: str) -> list[tuple[int, int]]:
        """(document, byte in it) of every place of a piece, in order.

        Raises:
            InputError: an empty piece.
        """
        if not piece:
            raise InputError("piece is empty; it must be text")
        low, high = self._span(piece.encode("utf-8", "replace"))
        places = np.sort(self._order[low:high])
        which = np.searchsorted(self._starts, places, side="right") - 1
        return list(zip(which.tolist(), (places - self._starts[which]).tolist()))

    def passages(self, text: str, least: int = LEAST) -> list[Passage]:
        """The stretches of a text, longest from each start on, that stand in the collection.

        One that lies within another is left out.

        Args:
            text: what a model wrote, say.
            least: bytes of a stretch at least.

        Raises:
            InputError: `least` below 1.
        """
        if least < 1:
            raise InputError(f"least is {least}; it must be 1 or more")
        data = text.encode("utf-8", "replace")
        found, reached = [], 0
        for start in range(len(data) - least + 1):
            length = self._longest(data[start:])
            if length >= least and start + length > reached:
                reached = start + length
                low, high = self._span(data[start:reached])
                which = np.searchsorted(self._starts, self._order[low:high], side="right") - 1
                said = data[start:reached].decode("utf-8", "replace")
                found.append(Passage(start, reached, said, tuple(np.unique(which).tolist())))
        return found

    def _longest(self, piece: bytes) -> int:
        """Bytes of the longest beginning of a piece that occurs: that of a neighbour in order."""
        at = self._first(piece)
        best = 0
        for near in (at - 1, at):
            if 0 <= near < len(self._order):
                place = int(self._order[near])
                best = max(best, _shared(piece, self._text[place : place + len(piece)]))
        return best

    def _span(self, piece: bytes) -> tuple[int, int]:
        """The suffixes that begin with a piece, from and to."""
        low = self._first(piece)
        left, right = low, len(self._order)
        while left < right:
            middle = (left + right) // 2
            place = int(self._order[middle])
            if self._text[place : place + len(piece)] == piece:
                left = middle + 1
            else:
                right = middle
        return low, left

    def _first(self, piece: bytes) -> int:
        """How many suffixes come before a piece."""
        left, right = 0, len(self._order)
        while left < right:
            middle = (left + right) // 2
            place = int(self._order[middle])
            if self._text[place : place + len(piece)] < piece:
                left = middle + 1
            else:
                right = middle
        return left


def _shared(a: bytes, b: bytes) -> int:
    """How many bytes two texts begin with in common."""
    count = min(len(a), len(b))
    same = np.frombuffer(a, np.uint8, count) != np.frombuffer(b, np.uint8, count)
    return int(same.argmax()) if same.any() else count


def _suffixes(text: np.ndarray) -> np.ndarray:
    """The starts of all suffixes of bytes (T,), in the order of the suffixes."""
    rank = text.astype(np.int64)
    width = 1
    while True:
        behind = np.full(len(text), -1, np.int64)
        behind[:-width] = rank[width:]
        key = rank * (int(rank.max()) + 2) + behind + 1
        order = np.argsort(key, kind="stable")
        steps = np.concatenate([[0], np.diff(key[order]) > 0]).astype(np.int64)
        rank = np.empty(len(text), np.int64)
        rank[order] = np.cumsum(steps)
        if rank[order[-1]] == len(text) - 1 or width >= len(text):
            return order.astype(np.int64)
        width *= 2
