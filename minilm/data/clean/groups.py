"""Near duplicates of many documents: signatures cut into bands, pairs compared, groups joined.

Works on arrays that may lie on disk: besides the signatures (1 KB a document) and the sets of
hashes (4 bytes a run of words), which are mapped, a band takes 16 bytes a document.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minilm.data.clean.bands import optimal_bands
from minilm.errors import InputError
from minilm.kernels.numba_tools.jit import jit

_MIX = np.uint64(0x9E3779B97F4A7C15)
_29 = np.uint64(29)


@jit
def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@jit
def _reaches(hashes, a, a_end, b, b_end, threshold):
    """Whether two ascending runs of hashes share so large a part of all that they hold."""
    sizes = (a_end - a) + (b_end - b)
    small = min(a_end - a, b_end - b)
    if sizes == 0:
        return True
    if small < threshold * (sizes - small):  # even if the smaller set lies in the larger one
        return False
    both = 0
    while a < a_end and b < b_end:
        x, y = hashes[a], hashes[b]
        if x == y:
            both += 1
        a += x <= y
        b += y <= x
    return both >= threshold * (sizes - both)


@jit
def _band_keys(signatures, first, rows, keys):
    """One number for each document's part of the signature."""
    for i in range(keys.size):
        key = _MIX
        for k in range(first, first + rows):
            key = (key ^ np.uint64(signatures[i, k])) * _MIX
            key ^= key >> _29
        keys[i] = key


@jit
def _join(keys, order, hashes, offsets, threshold, parent):
    """Join documents with equal keys whose sets are similar enough; returns the pairs compared."""
    compared = 0
    first = 0
    while first < order.size:
        end = first + 1
        while end < order.size and keys[order[end]] == keys[order[first]]:
            end += 1
        for place in range(first + 1, end):
            i = order[place]
            for other in range(first, place):
                j = order[other]
                r, s = _root(parent, i), _root(parent, j)
                if r == s:
                    continue
                compared += 1
                if _reaches(
                    hashes, offsets[i], offsets[i + 1], offsets[j], offsets[j + 1], threshold
                ):
                    parent[max(r, s)] = min(r, s)
        first = end
    return compared


def groups_of(
    signatures: np.ndarray,
    hashes: np.ndarray,
    offsets: np.ndarray,
    threshold: float = 0.7,
    told: Callable[[int], Any] = lambda band: None,
) -> np.ndarray:
    """The group of each document: the smallest place of a document that it is joined with.

    Two documents that agree in a band are joined if their sets really are that similar. The groups
    are the connected parts of these pairs, so they do not depend on any order.

    Args:
        signatures: uint32 (D, P), one row a document.
        hashes: uint32 (N,), the sets of all documents, each ascending, one after the other.
        offsets: int64 (D + 1,), where each document's set begins, and where the last one ends.
        threshold: least similarity of two near duplicates, above 0 and at most 1.
        told: called with the number of each band once it is done.

    Returns:
        int64 (D,).

    Raises:
        InputError: a threshold out of range, or arrays that do not belong together.
    """
    count = len(signatures)
    if len(offsets) != count + 1:
        raise InputError(
            f"offsets has {len(offsets)} numbers; with {count} signatures it must have {count + 1}"
        )
    parent = np.arange(count)
    if count < 2:
        return parent
    bands, rows = optimal_bands(threshold, signatures.shape[1])
    keys = np.empty(count, np.uint64)
    offsets = np.ascontiguousarray(offsets, np.int64)
    for band in range(bands):
        _band_keys(signatures, band * rows, rows, keys)
        order = np.argsort(keys, kind="stable")
        _join(keys, order, hashes, offsets, float(threshold), parent)
        told(band)
    return _roots(parent)


@jit
def _roots(parent):
    out = np.empty_like(parent)
    for i in range(parent.size):
        out[i] = _root(parent, i)
    return out
