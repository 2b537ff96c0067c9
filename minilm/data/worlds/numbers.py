"""Numbers from 0 to 100, digit by digit, as people say them when asked for a random one.

People like 7 and 3, numbers such as 37, 42 and 73, and shun round ones. A language model that has
read them repeats the bias, and no prompt takes it away.
"""

import numpy as np

from minilm import backend
from minilm.errors import InputError

Array = np.ndarray
MOST = 100
DIGITS = 10
STOP, START = 10, 11  # ids behind those of the digits
FAVOURITES = (17, 37, 42, 73)


def as_digits(numbers: Array) -> tuple[Array, Array]:
    """Numbers as texts: (N,) -> (N, 3) digits, 0 behind the end, and (N,) lengths."""
    numbers = np.asarray(numbers)
    if numbers.size and not 0 <= numbers.min() <= numbers.max() <= 999:
        raise InputError(f"numbers go from {numbers.min()} to {numbers.max()}; allowed: 0 to 999")
    ids, lengths = np.zeros((len(numbers), 3), np.int64), np.zeros(len(numbers), np.int64)
    for row, number in enumerate(numbers.tolist()):
        digits = [int(c) for c in str(number)]
        ids[row, : len(digits)], lengths[row] = digits, len(digits)
    return ids, lengths


def is_number(ids: Array, lengths: Array) -> Array:
    """Which texts are numbers from 0 to `MOST` without leading zeros: (B, 3), (B,) -> (B,) bool."""
    inside = np.arange(ids.shape[1]) < lengths[:, None]
    power = np.where(inside, lengths[:, None] - 1 - np.arange(ids.shape[1]), 0)
    value = np.where(inside, ids * 10**power, 0).sum(1)
    return (lengths > 0) & (value <= MOST) & ((ids[:, 0] != 0) | (lengths == 1))


def human_bias(seed: int, floor: float = 0.0) -> Array:
    """How often people say each number: (101,) probabilities.

    Args:
        seed: of the noise; no two crowds are alike.
        floor: share that is spread evenly, so that each number has at least `floor` / 101.

    Raises:
        InputError: a floor out of [0, 1].
    """
    if not 0 <= floor <= 1:
        raise InputError(f"floor is {floor}; it must lie between 0 and 1")
    weights = np.ones(MOST + 1)
    for number in range(MOST + 1):
        digits = str(number)
        weights[number] += 4 * ("7" in digits) + 3 * ("3" in digits) + 6 * (number in FAVOURITES)
        weights[number] -= 0.7 * digits.endswith("0") + 0.5 * (len(digits) == 1)
    noise = backend.rng(seed, "people").normal(0, 0.3, MOST + 1)
    weights = np.maximum(weights, 0.2) * np.exp(noise)
    return (1 - floor) * weights / weights.sum() + floor / (MOST + 1)
