"""Batches of code for fill-in-the-middle: every epoch cuts each document at other places.

A document is rearranged whole and only then cut into windows, as by Bavarian et al. (arXiv
2207.14255, section 4.2): so most windows hold complete examples, and one that is too long loses its
end like any other document.
"""

from collections.abc import Sequence

import numpy as np

from minilm import backend
from minilm.errors import InputError
from minilm.tokenizers.base import Tokenizer
from minilm.tokenizers.infill import fim_encode
from minilm.tokenizers.repository import Repository, repository_encode


class InfillBatches:
    """Batches (ids, targets) by number, from 0; the batch depends on nothing but the arguments.

    An epoch takes all documents in an order of its own, rearranges each with probability `rate`,
    joins them and cuts the row into windows, which are visited in an order of their own. What is
    left at its end is shorter than one window, and is dropped.

    Args:
        documents: texts, projects (`tokenizers.Repository`), or ids of texts, any integer type
            (T,), which are decoded only where they are rearranged.
        tokenizer: one with the three markers, and `end`, among its special tokens.
        batch: windows in a batch.
        context: tokens in a window.
        seed: of all draws.
        rate: share of documents that are rearranged, 0 to 1; of a project's files likewise.
        spm_rate: share of those in suffix-prefix-middle order.
        end: the special token behind each document.

    Raises:
        InputError: a number out of range, a tokenizer without a marker, or documents that do not
            fill one window.
    """

    def __init__(
        self,
        documents: Sequence[str | Repository | np.ndarray],
        tokenizer: Tokenizer,
        batch: int,
        context: int,
        seed: int = 0,
        rate: float = 0.5,
        spm_rate: float = 0.5,
        end: str = "<|endoftext|>",
    ) -> None:
        for name, value in (("batch", batch), ("context", context)):
            if value < 1:
                raise InputError(f"{name} is {value}; it must be 1 or more")
        if not len(documents):
            raise InputError("documents is empty; there must be at least one")
        self.documents, self.tokenizer = documents, tokenizer
        self.batch, self.context, self.seed = batch, context, seed
        self.rate, self.spm_rate = rate, spm_rate
        self._end = np.array([tokenizer.special_id(end)], np.int32)
        self._epoch, self._first, self._windows = -1, 0, 0
        self._row, self._order = np.zeros(0, np.int32), np.zeros(0, np.int64)
        self._begin(0, 0)

    @property
    def windows(self) -> int:
        """Windows of the epoch that was last looked at: cuts move it a little."""
        return self._windows

    def __call__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The batch of this number: ids and targets, int32 (B, T) each."""
        rows = np.stack([self._window(number * self.batch + i) for i in range(self.batch)])
        return np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, 1:])

    def _window(self, sample: int) -> np.ndarray:
        if sample < self._first:
            self._begin(0, 0)
        while sample >= self._first + self._windows:
            self._begin(self._epoch + 1, self._first + self._windows)
        start = int(self._order[sample - self._first]) * self.context
        return self._row[start : start + self.context + 1]

    def _begin(self, epoch: int, first: int) -> None:
        """Arrange an epoch whose first window has the number `first` of the run."""
        order = backend.rng(self.seed, "infill order", epoch).permutation(len(self.documents))
        parts = []
        for i in order.tolist():
            parts += [self._arranged(i, epoch), self._end]
        self._row = np.concatenate(parts)
        self._windows = (len(self._row) - 1) // self.context
        if self._windows < 1:
            raise InputError(
                f"documents hold {len(self._row)} tokens; context {self.context} needs at least "
                f"{self.context + 1}"
            )
        self._epoch, self._first = epoch, first
        self._order = backend.rng(self.seed, "infill windows", epoch).permutation(self._windows)

    def _arranged(self, i: int, epoch: int) -> np.ndarray:
        document = self.documents[i]
        rng = backend.rng(self.seed, "infill", epoch, i)
        how = self.rate, self.spm_rate
        if isinstance(document, Repository):
            return repository_encode(self.tokenizer, document, rng, *how)
        if isinstance(document, str):
            return fim_encode(self.tokenizer, document, rng, *how)
        if rng.random() >= self.rate:
            return np.asarray(document, np.int32)
        text = self.tokenizer.decode(document.tolist())
        if "\ufffd" in text:  # a part that begins or ends within a letter
            return np.asarray(document, np.int32)
        return fim_encode(self.tokenizer, text, rng, 1.0, self.spm_rate)


def split_documents(
    tokens: np.ndarray, end: int, longest: int | None = None, tokenizer: Tokenizer | None = None
) -> list[np.ndarray]:
    """The documents of a row of ids, each without the id `end` that stands behind it.

    Args:
        tokens: (T,) ids, any integer type; the parts are views of it.
        end: the id behind each document.
        longest: ids of a part at most: longer documents come in several, cut behind a line where
            there is one.
        tokenizer: what knows which ids end a line; needed with `longest`.

    Raises:
        InputError: `longest` below 1, or without a tokenizer.
    """
    ends = np.flatnonzero(np.asarray(tokens) == end)
    starts = np.concatenate([[0], ends + 1]).tolist()
    stops = np.concatenate([ends, [len(tokens)]]).tolist()
    if longest is None:
        return [tokens[a:b] for a, b in zip(starts, stops) if b > a]
    if longest < 1 or tokenizer is None:
        raise InputError(f"longest is {longest}; it must be 1 or more, with a tokenizer")
    line = np.array(
        [tokenizer.decode_bytes([i])[-1:] == b"\n" for i in range(tokenizer.vocab_size)]
    )
    found = []
    for a, b in zip(starts, stops):
        while b - a > longest:
            good = np.flatnonzero(line[np.asarray(tokens[a : a + longest])])
            cut = a + (int(good[-1]) + 1 if len(good) else longest)
            found.append(tokens[a:cut])
            a = cut
        if b > a:
            found.append(tokens[a:b])
    return found
