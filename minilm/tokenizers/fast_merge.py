"""Merging fast: every merge and its rank in one table, and two ways to apply them to a word.

A pair of neighbours is looked up in a hash table of 64-bit rows, each a pair and its rank packed
together. Short words are merged by scanning for the lowest rank; long ones with a heap, which takes
time in proportion to n log n and not to n squared.
"""

import numpy as np

from minilm.backend import MOST_IDS
from minilm.kernels.numba_tools.jit import jit
from minilm.tokenizers.fast_memory import K21, U64, slot_of

EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)  # a row of the table that holds no pair
_RANK = np.uint64(MOST_IDS)  # the low bits of a row
_NO_RANK = np.int32(0x7FFFFFFF)
SHORT = 96  # bytes up to which a word is merged by scanning


@jit
def rank_of(a, b, pairs, shift):
    """The rank of a pair of neighbours, or _NO_RANK."""
    key = U64(a) << K21 | U64(b)
    mask = pairs.size - 1
    h = slot_of(key, shift)
    while True:
        row = pairs[h]
        if row >> K21 == key:
            return np.int32(row & _RANK)
        if row == EMPTY:
            return _NO_RANK
        h = (h + 1) & mask


@jit
def fill_pairs(left, right, ranks, pairs, shift):
    """Put pairs and their ranks into the table; where a pair comes twice, the first one counts."""
    mask = pairs.size - 1
    for k in range(left.size):
        key = U64(left[k]) << K21 | U64(right[k])
        h = slot_of(key, shift)
        while pairs[h] != EMPTY and pairs[h] >> K21 != key:
            h = (h + 1) & mask
        if pairs[h] == EMPTY:
            pairs[h] = key << K21 | U64(ranks[k])


@jit
def merge_short(ids, ranks, n, pairs, shift, joined):
    """Join the pair of lowest rank, leftmost first, in ids[:n]; returns how many ids are left."""
    for k in range(n - 1):
        ranks[k] = rank_of(ids[k], ids[k + 1], pairs, shift)
    while n > 1:
        best = _NO_RANK
        at = -1
        for k in range(n - 1):
            if ranks[k] < best:
                best = ranks[k]
                at = k
        if at < 0:
            break
        ids[at] = joined[best]
        n -= 1
        for k in range(at + 1, n):
            ids[k] = ids[k + 1]
            ranks[k - 1] = ranks[k]
        if at < n - 1:
            ranks[at] = rank_of(ids[at], ids[at + 1], pairs, shift)
        if at > 0:
            ranks[at - 1] = rank_of(ids[at - 1], ids[at], pairs, shift)
    return n


@jit
def _push(heap, n, entry):
    """Put an entry into a heap of n, smallest on top."""
    while n > 0:
        up = (n - 1) >> 1
        if entry >= heap[up]:
            break
        heap[n] = heap[up]
        n = up
    heap[n] = entry


@jit
def merge_long(ids, n, pairs, shift, joined):
    """As `merge_short` for long words: a heap of (rank, place) and a linked list."""
    following = np.empty(n, np.int32)
    before = np.empty(n, np.int32)
    heap = np.empty(3 * n, np.int64)
    size = np.int64(0)
    for k in range(n):
        following[k] = k + 1 if k + 1 < n else -1
        before[k] = k - 1
    for k in range(n - 1):
        rank = rank_of(ids[k], ids[k + 1], pairs, shift)
        if rank != _NO_RANK:
            _push(heap, size, np.int64(rank) << 32 | k)
            size += 1
    while size > 0:
        top = heap[0]
        size -= 1
        last = heap[size]
        k = 0
        while True:
            m = 2 * k + 1
            if m >= size:
                break
            if m + 1 < size and heap[m + 1] < heap[m]:
                m += 1
            if heap[m] >= last:
                break
            heap[k] = heap[m]
            k = m
        heap[k] = last
        rank = np.int32(top >> 32)
        p = np.int64(top & 0xFFFFFFFF)
        q = following[p]
        if ids[p] < 0 or q < 0 or rank_of(ids[p], ids[q], pairs, shift) != rank:
            continue  # a neighbour of this entry has been joined since
        ids[p] = joined[rank]
        ids[q] = -1
        following[p] = following[q]
        if following[q] >= 0:
            before[following[q]] = p
        for side in range(2):
            a = before[p] if side == 0 else p
            if a >= 0 and following[a] >= 0:
                rank = rank_of(ids[a], ids[following[a]], pairs, shift)
                if rank != _NO_RANK:
                    _push(heap, size, np.int64(rank) << 32 | np.int64(a))
                    size += 1
    left = 0
    for k in range(n):
        if ids[k] >= 0:
            ids[left] = ids[k]
            left += 1
    return left


def merge_table(merges: np.ndarray) -> tuple[np.ndarray, np.uint64, np.ndarray]:
    """The table that the kernels above read.

    Args:
        merges: int32 (R, 3): left id, right id and the id they make, in the order of rank.

    Returns:
        The rows (uint64), the shift that `slot_of` takes for a table of this size, and the id that
        each rank makes (int32).
    """
    size_bits = max(8, int(4 * len(merges)).bit_length())
    pairs, shift = np.full(1 << size_bits, EMPTY, np.uint64), U64(64 - size_bits)
    left, right, made = np.ascontiguousarray(merges.T, np.int32)  # (R, 3) -> (3, R)
    # Neighbouring merges that make the same token (`BPE.from_ranks`) have the same rank.
    first = np.diff(made, prepend=np.int32(-1)) != 0
    ranks = np.cumsum(first, dtype=np.int32) - np.int32(1)
    fill_pairs(left, right, ranks, pairs, shift)
    return pairs, shift, made[first]
