"""Rows of a fixed data set in batches, shuffled, seeded, and found again at any step."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minilm import backend
from minilm.errors import InputError
from minilm.train.batch import arrays_of


def rows_of(n: int, batch: int, seed: int) -> Callable[[int], np.ndarray]:
    """Which rows the batch of a number holds: each row once in every pass, in a new order.

    Raises:
        InputError: no rows, or a batch below 1.
    """
    if n < 1 or batch < 1:
        raise InputError(f"there are {n} rows and batch is {batch}; both must be 1 or more")
    orders: dict[int, np.ndarray] = {}

    def row(place: int) -> int:
        epoch, at = divmod(place, n)
        if epoch not in orders:
            orders.clear()
            orders[epoch] = backend.rng(seed, "rows", epoch).permutation(n)
        return int(orders[epoch][at])

    return lambda number: np.array([row(number * batch + i) for i in range(batch)])


def batches_of(data: Any, batch: int, seed: int) -> Callable[[int], Any]:
    """Batches of `Pairs`, `Answers` or anything with `rows`, by their number."""
    which = rows_of(len(arrays_of(data)[0]), batch, seed)
    return lambda number: data.rows(which(number))
