"""Bit-ciphers: vectors for tokens that nobody trains.

The more frequent a token, the fewer others share its dimensions: the b most frequent get the
one-hot vectors of b dimensions, the next ones two-hot vectors, and so on, each divided by its
number of ones so that it sums to 1 (Zhao & Williams 2023, arXiv 2311.11012).
"""

from collections.abc import Sequence
from itertools import chain, combinations, islice
from typing import Any

import numpy as np

from minilm.analysis.skipgram import cooccurrences
from minilm.errors import InputError
from minilm.explicit.checks import check_rows


def bit_cipher(counts: Any, bits: int) -> np.ndarray:
    """A vector for each token, by its rank.

    Tokens seen equally often rank by id. Within one number of ones the sources leave the order
    open; here it is that of `itertools.combinations`: dimensions 01, 02, ..., 12, ...

    Args:
        counts: (V,) how often each token occurs.
        bits: b, at least 1; there are 2^b - 1 vectors other than 0. With b = V all are one-hot.

    Returns:
        (V, b) float64; rows sum to 1, and no two are equal.

    Raises:
        InputError: counts below 0 or not in one row; fewer than 1 bit; more tokens than vectors.
    """
    counts = np.asarray(counts)
    if counts.ndim != 1 or counts.dtype.kind not in "iuf":
        raise InputError(f"counts are {counts.shape} {counts.dtype}; they must be (V,) numbers")
    if counts.size and not counts.min() >= 0:
        raise InputError(f"counts go down to {counts.min()}; they must be 0 or more")
    if bits < 1:
        raise InputError(f"bits is {bits}; it must be 1 or more")
    if len(counts) > 2**bits - 1:
        raise InputError(
            f"the vocabulary has {len(counts)} tokens; {bits} bits tell at most 2^{bits} - 1 = "
            f"{2**bits - 1} apart"
        )
    cipher = np.zeros((len(counts), bits))
    patterns = chain.from_iterable(combinations(range(bits), ones) for ones in range(1, bits + 1))
    ranked = np.argsort(-counts.astype(np.float64), kind="stable")
    for token, places in zip(ranked, islice(patterns, len(counts)), strict=True):
        cipher[token, list(places)] = 1 / len(places)
    return cipher


def neighbour_vectors(ids: Any, cipher: Any, radii: Sequence[int]) -> np.ndarray:
    """Vectors that are alike for tokens used alike: the ciphers of their neighbours, added up.

    For each radius the ciphers of all tokens within it, to either side; side by side, divided by
    their sum. So they suit an explicit solution as the ciphers themselves do.

    Args:
        ids: (N,) one running text.
        cipher: (V, b).
        radii: R of them, each 1 or more.

    Returns:
        (V, R b) float64, rows that sum to 1; all numbers equal for tokens without neighbours.

    Raises:
        InputError: no radius, or one below 1; an id out of range.
    """
    cipher = check_rows("cipher", cipher)
    if not len(radii):
        raise InputError("radii is empty; it must hold at least one radius")
    sums = [cooccurrences(ids, radius, len(cipher)) @ cipher for radius in radii]
    rows = np.concatenate(sums, axis=1)
    total = rows.sum(axis=1, keepdims=True)
    even = np.full_like(rows, 1 / rows.shape[1])
    return np.divide(rows, total, out=even, where=total > 0)


def decipher(vectors: Any, cipher: np.ndarray) -> np.ndarray:
    """The token whose vector is nearest (least squares); of several, the first.

    Args:
        vectors: (N, b).
        cipher: (V, b), as `bit_cipher` gives it.

    Returns:
        (N,) ids.

    Raises:
        InputError: widths that differ; a cipher of no tokens.
    """
    vectors, cipher = np.asarray(vectors, np.float64), check_rows("cipher", cipher)
    if vectors.ndim != 2 or vectors.shape[1] != cipher.shape[1] or not len(cipher):
        raise InputError(
            f"vectors are {vectors.shape} and cipher {cipher.shape}; they must be (N, b) and (V, b)"
        )
    # |v - c|^2 without |v|^2, which all tokens share
    return ((cipher**2).sum(axis=1) - 2 * vectors @ cipher.T).argmin(axis=1)
