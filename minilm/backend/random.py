"""Seeded random streams: one generator for each purpose, independent of every other."""

import zlib

import numpy as np

from minilm.errors import InputError


def rng(seed: int, *stream: str | int) -> np.random.Generator:
    """A random generator for one purpose: the same seed and stream give the same numbers.

    Args:
        seed: any non-negative integer.
        stream: names what the numbers are for (`"init", "layer", 3`); streams are independent.

    Raises:
        InputError: a seed below 0.
    """
    if seed < 0:
        raise InputError(f"seed is {seed}; it must be 0 or more")
    words = [zlib.crc32(str(part).encode()) for part in stream]
    return np.random.default_rng([seed, *words])
