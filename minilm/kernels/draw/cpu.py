"""Drawing tokens in Numba: all rows in one call, without an array of shares."""

import math

import numpy as np

from minilm.kernels.numba_tools.jit import jit


def draw(logits: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """See `reference.draw`."""
    ids, room = np.empty(len(logits), np.int64), np.empty(logits.shape[1], np.float64)
    _draw(np.ascontiguousarray(logits), marks, room, ids)
    return ids


# Without fast maths: the sum that the mark is a part of must be the one that is walked along.
@jit(fastmath=False)
def _draw(logits, marks, shares, ids):
    for i in range(logits.shape[0]):
        row = logits[i]
        top = row[0]
        for j in range(row.size):
            top = max(top, row[j])
        total = 0.0
        for j in range(row.size):
            if row[j] == top:  # where both are inf their difference is not a number
                total += 1.0
            else:
                total += math.exp(np.float64(row[j]) - np.float64(top))
            shares[j] = total
        mark = marks[i] * total
        if mark >= total:
            mark = np.nextafter(total, 0.0)
        low, high = 0, row.size - 1
        while low < high:  # the first share above the mark
            middle = (low + high) // 2
            if shares[middle] > mark:
                high = middle
            else:
                low = middle + 1
        ids[i] = low
