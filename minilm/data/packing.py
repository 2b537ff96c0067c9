"""Several texts side by side in one row, so that little of a batch is padding.

Rows carry the number of each token's text, so that a model can keep them apart
(`Transformer.loss(..., documents=...)`), and its place within it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minilm import backend
from minilm.backend import IGNORE
from minilm.errors import InputError

Example = tuple[np.ndarray, np.ndarray]  # ids (T,) and which of them are learnt, bool (T,)


class Packed(NamedTuple):
    """A batch.

    Attributes:
        ids: (B, T) int64, 0 where a row has no text.
        positions: (B, T) int64, each token's place in its text.
        documents: (B, T) int64, 0, 1, ... along a row; -1 where it has no text.
        targets: (B, T) int64, the next token of the text, `minilm.backend.IGNORE` (-100) where
            that is not learnt.
    """

    ids: np.ndarray
    positions: np.ndarray
    documents: np.ndarray
    targets: np.ndarray


def best_fit(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Numbers of items by the bin that each goes to: longest first, where it leaves least room.

    At most 11/9 of the best number of bins, and 4 (Johnson et al. 1974, SIAM J. Computing 3).

    Raises:
        InputError: an item longer than the room.
    """
    bins: list[list[int]] = []
    by_room: list[list[int]] = [[] for _ in range(room + 1)]  # bins by what is left in them
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if lengths[i] > room:
            raise InputError(f"lengths holds {lengths[i]}; an item must fit into {room}")
        left = next((free for free in range(lengths[i], room + 1) if by_room[free]), room)
        if by_room[left]:
            at = by_room[left].pop()
            bins[at].append(i)
        else:
            at = len(bins)
            bins.append([i])
        by_room[left - lengths[i]].append(at)
    return bins


class PackedBatches:
    """Batches by number: every row once an epoch, in an order of its own.

    Args:
        examples: (ids, learnt) each; what an example has beyond the context is cut off.
        context: tokens of a row at most.
        batch: rows of a batch; of fewer, all.
        seed: of the order.
        pack: False gives every example a row of its own.

    Raises:
        InputError: no example, or one of which nothing is learnt within the context.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        context: int,
        batch: int,
        seed: int = 0,
        pack: bool = True,
    ) -> None:
        for name, value in (("context", context), ("batch", batch)):
            if value < 1:
                raise InputError(f"{name} is {value}; it must be 1 or more")
        if not len(examples):
            raise InputError("examples is empty; there must be at least one")
        self.parts = [_shifted(i, example, context) for i, example in enumerate(examples)]
        lengths = [len(ids) for ids, _ in self.parts]
        rows = best_fit(lengths, context) if pack else [[i] for i in range(len(lengths))]
        self.rows = rows
        self.width = max(sum(lengths[i] for i in row) for row in rows)
        self.batch, self.seed = min(batch, len(rows)), seed

    def __call__(self, number: int) -> Packed:
        """The batch of this number, from 0."""
        first = number * self.batch
        chosen = [self._row(first + i) for i in range(self.batch)]
        shape = (self.batch, self.width)
        ids, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        documents, targets = np.full(shape, -1, np.int64), np.full(shape, IGNORE, np.int64)
        for b, row in enumerate(chosen):
            at = 0
            for document, i in enumerate(row):
                own, wanted = self.parts[i]
                here = (b, slice(at, at + len(own)))
                ids[here], targets[here] = own, wanted
                positions[here], documents[here] = np.arange(len(own)), document
                at += len(own)
        return Packed(ids, positions, documents, targets)

    def _row(self, sample: int) -> list[int]:
        epoch, place = divmod(sample, len(self.rows))
        order = backend.rng(self.seed, "packed", epoch).permutation(len(self.rows))
        return self.rows[int(order[place])]


def _shifted(i: int, example: Example, context: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids that are read and the tokens that follow them, IGNORE for what is not learnt."""
    ids, learnt = (np.asarray(part) for part in example)
    if ids.ndim != 1 or ids.shape != learnt.shape:
        raise InputError(
            f"examples[{i}] has ids of shape {ids.shape} and marks of shape {learnt.shape}; both "
            "must be (T,)"
        )
    targets = np.where(learnt[1:], ids[1:], IGNORE)[:context]
    if not (targets != IGNORE).any():
        raise InputError(
            f"examples[{i}] has nothing to learn among its first {context + 1} tokens, of "
            f"{len(ids)}"
        )
    return ids[:-1][:context], targets
