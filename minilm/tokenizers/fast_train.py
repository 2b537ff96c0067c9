"""Learning merges fast: count words in a hash table, then keep pair counts up to date in a heap.

`bpe_regex.train` counts all pairs anew for every merge. Here a merge touches only the places where
its pair occurs: each pair has a list of places, each word is a linked list of symbols, and a heap
holds the pairs by count. An entry of the heap with an outdated count is put back with the new one
when it comes to the top. Cost: one pass over the text, then time in proportion to the places
merged.

The merges are those of `bpe_regex.train` and of Hugging Face's trainer: largest count first, ties
going to the smaller pair of ids.
"""

import numpy as np

from minilm.errors import InputError
from minilm.kernels.numba_tools.jit import jit
from minilm.tokenizers.fast_memory import (
    K0,
    K1,
    K32,
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
    """Count the words `text[starts[k]:starts[k + 1]]` into a table of rows of four numbers.

    Returns:
        The number of rows in use, or -1 - k when the table became too full before word k.
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
            if m == K0:
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
            t = (t + K1) & mask
    return used


@jit
def add_words(table, other):
    """Copy the rows of one table, all of different words, into an emptier one; returns how many."""
    mask = U64(table.shape[0] - 1)
    moved = 0
    for k in range(other.shape[0]):
        if other[k, 2] != K0:
            t = spread(other[k, 0], other[k, 1]) & mask
            while table[t, 2] != K0:
                t = (t + K1) & mask
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
def spell_words(text, offsets, lengths, byte_ids, symbol, following, before, word_of):
    """Every word as a linked list of symbols: what each is, and its neighbours (-1: none)."""
    p = 0
    for w in range(lengths.size):
        n = lengths[w]
        for k in range(n):
            symbol[p] = byte_ids[text[offsets[w] + k]]
            word_of[p] = w
            before[p] = p - 1 if k > 0 else -1
            following[p] = p + 1 if k < n - 1 else -1
            p += 1


@jit
def learn(words, places, table, heap, state, left, right):
    """Find the pairs to join, one per turn, until enough are found, none is left, or room runs out.

    The first turn joins nothing: it lists the pairs of all neighbours.

    Args:
        words: (symbol, following, before, word_of, word_counts); symbol -1 is joined to its left.
        places: (position, next place), int32: where pairs occur, each pair's places in a chain.
        table: (hash slots -> key, slots -> pair, and by pair its key, count, first place,
            last place, whether it is in `fresh`, and fresh: the pairs that grew this turn).
        heap: (counts, pairs).
        state: int64 (6,): turns done, pairs known, entries of the heap, places used, hash shift,
            how often a pair has to occur.
        left, right: the pairs found, int32.

    Returns:
        1 if it stopped because there was no room for more pairs, else 0.
    """
    symbol, following, before, word_of, word_counts = words
    position, next_place = places
    keys, index, pair_keys, counts, head, tail, listed, fresh = table
    heap_counts, heap_pairs = heap
    shift = U64(state[4])
    while state[0] <= left.size:
        # A turn makes at most two pairs for each symbol that may be next to its new one.
        if state[1] + 2 * (state[0] + 257) > pair_keys.size:
            return 1
        joined = np.int64(-1)
        old_a = old_b = place = joined
        scan = np.int64(0)
        if state[0] > 0:
            top = np.int64(-1)
            while state[2] > 0 and top < 0:
                pair = np.int64(heap_pairs[0])
                count = heap_counts[0]
                _drop_top(heap_counts, heap_pairs, state[2], pair_keys)
                state[2] -= 1
                if count == counts[pair]:
                    top = pair
                elif counts[pair] > 0:  # it shrank since: back to its new place
                    _push(heap_counts, heap_pairs, state[2], counts[pair], pair, pair_keys)
                    state[2] += 1
            if top < 0 or counts[top] < state[5]:
                return 0
            old_a = pair_keys[top] >> 32
            old_b = pair_keys[top] & 0xFFFFFFFF
            joined = 255 + state[0]
            left[state[0] - 1] = old_a
            right[state[0] - 1] = old_b
            place = np.int64(head[top])
            counts[top] = 0
        fresh_size = np.int64(0)
        while True:
            # Find the next place where something changes, and the symbol after it.
            if joined < 0:
                if scan == symbol.size:
                    break
                p = scan
                scan += 1
                far = np.int64(following[p])
                first_side = 1
            else:
                if place < 0:
                    break
                p = np.int64(position[place])
                place = np.int64(next_place[place])
                q = np.int64(following[p])
                if symbol[p] != old_a or q < 0 or symbol[q] != old_b:
                    continue
                far = np.int64(following[q])
                symbol[p] = joined
                symbol[q] = -1
                following[p] = far
                if far >= 0:
                    before[far] = p
                first_side = 0
            weight = word_counts[word_of[p]]
            for side in range(first_side, 2):  # the pair to the left, the pair to the right
                at = np.int64(before[p]) if side == 0 else p
                if at < 0 or side == 1 and far < 0:
                    continue
                a = np.int64(symbol[at])
                b = np.int64(symbol[following[at]])
                if joined >= 0:
                    gone = a << 32 | old_a if side == 0 else old_b << 32 | b
                    counts[index[_find(keys, gone, shift)]] -= weight
                key = a << 32 | b
                h = _find(keys, key, shift)
                if keys[h] == _NO_KEY:
                    keys[h] = key
                    index[h] = state[1]
                    pair_keys[state[1]] = key
                    state[1] += 1
                pair = np.int64(index[h])
                counts[pair] += weight
                here = state[3]
                state[3] += 1
                position[here] = at
                next_place[here] = -1
                if tail[pair] < 0:
                    head[pair] = here
                else:
                    next_place[tail[pair]] = here
                tail[pair] = here
                if listed[pair] == 0:
                    listed[pair] = 1
                    fresh[fresh_size] = pair
                    fresh_size += 1
        # A pair gets new places only in the turn that makes the newer of its two symbols, so it
        # enters the heap once, and the heap never outgrows the list of pairs.
        for k in range(fresh_size):
            pair = np.int64(fresh[k])
            if counts[pair] > 0:
                _push(heap_counts, heap_pairs, state[2], counts[pair], pair, pair_keys)
                state[2] += 1
        state[0] += 1
    return 0


def _pair_table(room: int) -> tuple[np.ndarray, ...]:
    """Empty room for pairs; `learn` says what each array is."""
    none = np.full(room, -1, np.int32)
    return (
        np.full(2 * room, _NO_KEY, np.int64),
        np.empty(2 * room, np.int32),
        np.zeros(room, np.int64),
        np.zeros(room, np.int64),
        none,
        none.copy(),
        np.zeros(room, np.uint8),
        none.copy(),
    )


@jit
def _index_pairs(keys, index, pair_keys, pairs, shift):
    """Fill the hash slots of a larger table."""
    for pair in range(pairs):
        h = _find(keys, pair_keys[pair], shift)
        keys[h] = pair_keys[pair]
        index[h] = pair


def _learn(words: tuple[np.ndarray, ...], merges: int, least: int) -> tuple[np.ndarray, np.ndarray]:
    """All turns of `learn`, with more room for pairs whenever it runs out."""
    size = words[0].size
    # Each join adds at most two places, and there are fewer joins than symbols.
    places = np.empty(3 * size + 1, np.int32), np.empty(3 * size + 1, np.int32)
    bits = 17  # the pairs of bytes alone are up to 65536
    table = _pair_table(1 << bits)
    heap = np.empty(1 << bits, np.int64), np.empty(1 << bits, np.int32)
    state = np.array([0, 0, 0, 0, 63 - bits, least], np.int64)
    left, right = np.empty(merges, np.int32), np.empty(merges, np.int32)
    while learn(words, places, table, heap, state, left, right):
        bits += 1
        larger = _pair_table(1 << bits)
        for new, old in zip(larger[2:], table[2:]):
            new[: old.size] = old
        state[4] = 63 - bits
        _index_pairs(larger[0], larger[1], larger[2], state[1], U64(state[4]))
        heap = tuple(np.concatenate([old, np.empty_like(old)]) for old in heap)
        table = larger
    found = max(0, int(state[0]) - 1)
    return left[:found], right[:found]


def train(
    parts: list[bytes],
    merges: int,
    pattern: int,
    classes: np.ndarray,
    byte_ids: np.ndarray,
    least: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """The pairs to join, two int32 arrays (merges,), shorter where the text has no more to join.

    Args:
        parts: UTF-8 texts; no word spans two of them.
        merges: how many are wanted.
        pattern: the code in `PATTERNS`.
        classes: `table_of` the pattern.
        byte_ids: the id of each byte, int32 (256,).
        least: how often a pair has to occur to be joined.

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
    rows = rows[np.argsort(rows[:, 3])]  # in the order of the text, which is kinder to the caches
    symbols = int((rows[:, 2] & _LENGTH).sum())
    if symbols > _MOST_SYMBOLS:
        raise InputError(
            f"text has {symbols} bytes in different words; it must have at most {_MOST_SYMBOLS}"
        )
    offsets = rows[:, 3].astype(np.int64)
    lengths = (rows[:, 2] & _LENGTH).astype(np.int64)
    counts = (rows[:, 2] >> K32).astype(np.int64)
    spelled = tuple(np.empty(symbols, np.int32) for _ in range(4))
    spell_words(text, offsets, lengths, byte_ids, *spelled)
    return _learn((*spelled, counts), merges, least)
