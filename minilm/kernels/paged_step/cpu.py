"""A step of many texts in Numba: all their tokens run through the model in one compiled call.

The work is shared among threads as in `decode_step.cpu`. A weight is read once for all tokens of a
step, which is why texts that write together cost little more than one alone.
"""

import numpy as np

from minilm.kernels.decode_step.cpu import SHARE, Room, needs
from minilm.kernels.decode_step.token import WORTH
from minilm.kernels.decode_step.weights import Weights
from minilm.kernels.paged_step.token import step


class _Room(Room):
    """The model's addresses, and scratch that grows with the largest step so far."""

    def __init__(self, w: Weights) -> None:
        super().__init__(w)
        self._shared = np.zeros(0, np.float32)
        self._alone = np.zeros((0, 0), np.float32)

    def scratch(self, batch: int, seen: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
        """Memory that all threads share, and a row for each alone."""
        shared, alone = needs(self.sizes, batch, seen)
        if len(self._shared) < shared:
            self._shared = np.zeros(shared, np.float32)
        if self._alone.shape[0] < parts or self._alone.shape[1] < alone:
            self._alone = np.zeros((parts, alone), np.float32)
        return self._shared, self._alone


def paged_step(
    logits: np.ndarray,
    weights: Weights,
    keys: np.ndarray,
    values: np.ndarray,
    ids: np.ndarray,
    places: np.ndarray,
    lines: np.ndarray,
    tables: np.ndarray,
    wanted: np.ndarray,
    threads: int,
) -> None:
    """See `reference.paged_step`."""
    if not isinstance(weights.room, _Room):
        weights.room = _Room(weights)
    room = weights.room
    worth = max(1, weights.nbytes * len(ids) // SHARE)
    parts = max(1, min(threads, worth, len(weights.tokens) // WORTH))
    longest = int(places.max()) + 1
    shared, alone = room.scratch(len(ids), longest, parts)
    job = (parts, room.table, room.sizes, room.factors, keys, values)
    job += (ids, places, lines, tables, wanted, shared, alone, logits, np.zeros(8, np.int64))
    if parts == 1:
        step(0, *job)
    else:
        room.crew.run(step, parts, *job)
