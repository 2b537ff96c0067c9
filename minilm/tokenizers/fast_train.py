"""Learning merges fast: count words in a hash table, then keep pair counts up to date in a heap.

``bpe_regex.train`` counts all pairs anew for every merge. Here a merge touches only the places
where its pair stands: each pair has a list of places, each word is a linked list of symbols, and a
heap holds the pairs by count. An entry of the heap whose count is old is put back with the new one
when it comes to the top. Cost: one pass over the text, then time in proportion to the places merged.

The merges are those of ``bpe_regex.train`` and of Hugging Face's trainer: largest count first, ties
to the smaller pair of ids.
"""

import numpy as np

from minilm.errors import InputError
from minilm.kernels.jit import jit
from minilm.tokenizers.fast_memory import (
    U64,
    address_of,
    padded,
    same_bytes,
    slot_of,
    spread,
    word_key,
)
from minilm.tokenizers.fast_scan import word_starts

_NO_KEY = -1
_LENGTH = U64(0xFFFFFFFF)  # a row of the word table: key, key, length | count << 32, offset
_ONE_MORE = U64(1 << 32)
_STARTS = 8192
_MOST_SYMBOLS = (2**31 - 2) // 3  # places are numbered in 32 bits


@jit
def count_words(text, starts, n, table, used):
    """Count the words ``text[starts[k]:starts[k + 1]]`` into a table of rows of four numbers.

    Returns:
        used: rows in use, or -1 - k when the table got too full before word k.
    """
    base = address_of(text)
    mask = U64(table.shape[0] - 1)
    limit = table.shape[0] // 2
    for k in range(n):
        start = starts[k]
        length = starts[k + 1] - start
        where = base + U64(start)
        first, second = word_key(where, length)
        t = spread(first, second) & mask
        while True:
            m = table[t, 2]
            if m == U64(0):
                if used >= limit:
                    return -1 - k
                table[t, 0] = first
                table[t, 1] = second
                table[t, 2] = U64(length) | _ONE_MORE
                table[t, 3] = U64(start)
                used += 1
                break
            if table[t, 0] == first and table[t, 1] == second and (m & _LENGTH) == U64(length):
                if length <= 16 or same_bytes(base + table[t, 3], where, length):
                    table[t, 2] = m + _ONE_MORE
                    break
            t = (t + U64(1)) & mask
    return used


@jit
def add_words(table, other):
    """Put the rows of one table, whose words differ, into an emptier one; returns how many."""
    mask = U64(table.shape[0] - 1)
    moved = 0
    for k in range(other.shape[0]):
        if other[k, 2] != U64(0):
            t = spread(other[k, 0], other[k, 1]) & mask
            while table[t, 2] != U64(0):
                t = (t + U64(1)) & mask
            for z in range(4):
                table[t, z] = other[k, z]
            moved += 1
    return moved


@jit
def _find(keys, key, shift):
    """The slot of a pair in the table of pairs, or the empty slot where it belongs."""
    mask = keys.size - 1
    h = slot_of(U64(key), shift)
    while keys[h] != key and keys[h] != _NO_KEY:
        h = (h + 1) & mask
    return h


@jit
def _push(counts, pairs, n, count, pair, pair_keys):
    """Put an entry into the heap of n entries: larger counts up, then smaller pairs."""
    k = n
    while k > 0:
        up = (k - 1) >> 1
        above = pairs[up]
        if count > counts[up] or count == counts[up] and pair_keys[pair] < pair_keys[above]:
            counts[k] = counts[up]
            pairs[k] = above
            k = up
        else:
            break
    counts[k] = count
    pairs[k] = pair


@jit
def _drop_top(counts, pairs, n, pair_keys):
    """Remove the top of a heap of n entries."""
    n -= 1
    count = counts[n]
    pair = pairs[n]
    k = 0
    while True:
        m = 2 * k + 1
        if m >= n:
            break
        r = m + 1
        if r < n and (
            counts[r] > counts[m]
            or counts[r] == counts[m]
            and pair_keys[pairs[r]] < pair_keys[pairs[m]]
        ):
            m = r
        if counts[m] > count or counts[m] == count and pair_keys[pairs[m]] < pair_keys[pair]:
            counts[k] = counts[m]
            pairs[k] = pairs[m]
            k = m
        else:
            break
    counts[k] = count
    pairs[k] = pair


@jit
def learn(text, offsets, lengths, word_counts, byte_ids, left, right):
    """Fill ``left`` and ``right`` with the pairs to join; returns how many there were to join."""
    total = 0
    for w in range(lengths.size):
        total += lengths[w]
    # Every symbol of every word: what it is (-1: joined to the one before), its neighbours.
    symbol = np.empty(total, np.int32)
    following = np.empty(total, np.int32)
    before = np.empty(total, np.int32)
    word_of = np.empty(total, np.int32)
    p = 0
    for w in range(lengths.size):
        n = lengths[w]
        for k in range(n):
            symbol[p] = byte_ids[text[offsets[w] + k]]
            word_of[p] = w
            before[p] = p - 1 if k > 0 else -1
            following[p] = p + 1 if k < n - 1 else -1
            p += 1

    # Pairs: a hash table of keys; by pair its key, count, first and last place; the list of places.
    bits = 16
    keys = np.full(1 << bits, _NO_KEY, np.int64)
    index = np.empty(1 << bits, np.int32)
    shift = U64(64 - bits)
    room = 1 << (bits - 1)
    pair_keys = np.empty(room, np.int64)
    counts = np.zeros(room, np.int64)
    head = np.full(room, -1, np.int32)
    tail = np.full(room, -1, np.int32)
    listed = np.zeros(room, np.uint8)
    heap_counts = np.empty(room, np.int64)
    heap_pairs = np.empty(room, np.int32)
    fresh = np.empty(room, np.int32)
    pairs = 0
    heap = 0
    places = np.empty(3 * total + 1, np.int32)  # each merge adds two and there are < total merges
    next_place = np.empty(3 * total + 1, np.int32)
    used = 0

    merges = -1  # the first turn only counts: every place of the text is new
    fresh_size = 0
    while merges < left.size:
        old_a = old_b = np.int32(-1)
        joined = np.int32(-1)
        place = -1
        position = 0
        if merges >= 0:
            top = -1
            while heap > 0:
                pair = heap_pairs[0]
                count = heap_counts[0]
                _drop_top(heap_counts, heap_pairs, heap, pair_keys)
                heap -= 1
                if count == counts[pair]:
                    top = pair
                    break
                if counts[pair] > 0:
                    _push(heap_counts, heap_pairs, heap, counts[pair], pair, pair_keys)
                    heap += 1
            if top < 0:
                return merges
            old_a = np.int32(pair_keys[top] >> 32)
            old_b = np.int32(pair_keys[top] & 0xFFFFFFFF)
            joined = np.int32(256 + merges)
            left[merges] = old_a
            right[merges] = old_b
            place = head[top]
            counts[top] = 0
            fresh_size = 0
        merges += 1
        while True:
            # The next place, and the one or two pairs that are new there.
            if joined < 0:
                if position >= total:
                    break
                p = position
                position += 1
                new_left = -1
                new_right = p if following[p] >= 0 else -1
            else:
                if place < 0:
                    break
                p = places[place]
                place = next_place[place]
                q = following[p]
                if symbol[p] != old_a or q < 0 or symbol[q] != old_b:
                    continue
                far = following[q]
                symbol[p] = joined
                symbol[q] = -1
                following[p] = far
                if far >= 0:
                    before[far] = p
                new_left = before[p]
                new_right = p if far >= 0 else -1
            weight = word_counts[word_of[p]]
            for side in range(2):
                at = new_left if side == 0 else new_right
                if at < 0:
                    continue
                a = symbol[at]
                b = symbol[following[at]]
                if joined >= 0:
                    gone_a = a if side == 0 else old_b
                    gone_b = old_a if side == 0 else b
                    gone = np.int64(gone_a) << 32 | np.int64(gone_b)
                    counts[index[_find(keys, gone, shift)]] -= weight
                key = np.int64(a) << 32 | np.int64(b)
                h = _find(keys, key, shift)
                if keys[h] == _NO_KEY:
                    if pairs == room:
                        bits += 1
                        shift = U64(64 - bits)
                        keys = np.full(1 << bits, _NO_KEY, np.int64)
                        index = np.empty(1 << bits, np.int32)
                        for z in range(pairs):
                            h = _find(keys, pair_keys[z], shift)
                            keys[h] = pair_keys[z]
                            index[h] = z
                        blank = np.full(room, -1, np.int32)
                        none = np.zeros(room, np.int64)
                        pair_keys = np.concatenate((pair_keys, none))
                        counts = np.concatenate((counts, none))
                        head = np.concatenate((head, blank))
                        tail = np.concatenate((tail, blank))
                        listed = np.concatenate((listed, np.zeros(room, np.uint8)))
                        fresh = np.concatenate((fresh, blank))
                        heap_counts = np.concatenate((heap_counts, none))
                        heap_pairs = np.concatenate((heap_pairs, blank))
                        room *= 2
                        h = _find(keys, key, shift)
                    keys[h] = key
                    index[h] = pairs
                    pair_keys[pairs] = key
                    pairs += 1
                z = index[h]
                counts[z] += weight
                places[used] = at
                next_place[used] = -1
                if tail[z] < 0:
                    head[z] = used
                else:
                    next_place[tail[z]] = used
                tail[z] = used
                used += 1
                if listed[z] == 0:
                    listed[z] = 1
                    fresh[fresh_size] = z
                    fresh_size += 1
        # A pair gets new places only in the turn that makes the newer of its two symbols, so it
        # enters the heap once, and the heap never outgrows the list of pairs.
        for k in range(fresh_size):
            z = fresh[k]
            if counts[z] > 0:
                _push(heap_counts, heap_pairs, heap, counts[z], z, pair_keys)
                heap += 1
    return merges


def train(
    parts: list[bytes], merges: int, pattern: int, classes: np.ndarray, byte_ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The pairs to join, int32 (merges,) twice: fewer where the text has no more to join.

    Args:
        parts: UTF-8 texts; no word spans two of them.
        merges: how many are wanted.
        pattern: the code in ``PATTERNS``.
        classes: ``class_table()``.
        byte_ids: the id of each byte, int32 (256,).

    Raises:
        InputError: more than about 700 MB of different words.
    """
    text = padded(b"".join(parts) if len(parts) > 1 else parts[0])
    table = np.zeros((1 << 16, 4), np.uint64)
    starts = np.empty(_STARTS, np.int64)
    used = 0
    begin = 0
    for part in parts:
        i, begin = begin, begin + len(part)
        while i < begin:
            n, i = word_starts(text, i, begin, pattern, classes, starts)
            starts[n] = i
            done = 0
            while done < n:
                got = count_words(text, starts[done:], n - done, table, used)
                if got >= 0:
                    used = got
                    break
                done += -1 - got
                larger = np.zeros((table.shape[0] * 4, 4), np.uint64)
                used = add_words(larger, table)
                table = larger
    rows = table[table[:, 2] != 0]
    rows = rows[np.argsort(rows[:, 3])]  # by place in the text, which is kinder to the caches
    symbols = int((rows[:, 2] & _LENGTH).sum())
    if symbols > _MOST_SYMBOLS:
        raise InputError(
            f"text has {symbols} bytes in different words; at most {_MOST_SYMBOLS} are allowed"
        )
    left = np.empty(merges, np.int32)
    right = np.empty(merges, np.int32)
    found = learn(
        text,
        rows[:, 3].astype(np.int64),
        (rows[:, 2] & _LENGTH).astype(np.int64),
        (rows[:, 2] >> U64(32)).astype(np.int64),
        byte_ids,
        left,
        right,
    )
    return left[:found], right[:found]
