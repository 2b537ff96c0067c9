"""Cutting signatures into bands: which pairs of documents are compared, and how to choose.

Two signatures whose documents have similarity s agree in a row with probability s, so in a whole
band of r rows with s**r, and in at least one of b bands with 1 - (1 - s**r)**b: an S-curve.
"""

import functools

import numpy as np

from minilm.errors import InputError


def collision_probability(similarity: float, bands: int, rows: int) -> float:
    """The chance that two texts of this similarity agree in at least one band."""
    return 1 - (1 - similarity**rows) ** bands


@functools.lru_cache(maxsize=32)
def optimal_bands(threshold: float, count: int = 256) -> tuple[int, int]:
    """The numbers of bands and of rows per band that best separate pairs at a similarity threshold.

    They minimise the chance of reporting a pair below it plus the chance of missing one above it,
    both integrated over the similarity, with bands x rows <= count.

    Raises:
        InputError: a threshold that is not between 0 and 1.
    """
    if not 0 < threshold < 1:
        raise InputError(f"threshold is {threshold}; it must be above 0 and below 1")
    below = np.linspace(0, threshold, 501)
    above = np.linspace(threshold, 1, 501)
    best = (np.inf, 1, 1)
    for bands in range(1, count + 1):
        for rows in range(1, count // bands + 1):
            wrong = np.trapezoid(1 - (1 - below**rows) ** bands, below)
            missed = np.trapezoid((1 - above**rows) ** bands, above)
            best = min(best, (float(wrong + missed), bands, rows))
    return best[1], best[2]
