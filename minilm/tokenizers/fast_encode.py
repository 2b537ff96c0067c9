"""Encoding fast: a cache of words already encoded in front of the merges of `fast_merge`.

Text repeats its words, so the cache answers for most of them: two loads make the key of a word of
up to 16 bytes, and one 32-byte row holds key and ids. Longer words are found by a hash and then
compared byte by byte, so that colliding hashes cannot give wrong ids. A full neighbourhood loses
one of its rows; a full store of long rows is emptied. Where text does not repeat itself (random
strings), looking words up is wasted time, so the cache keeps an account: a hit earns, a miss pays,
and once the credit is spent the cache is off for the rest of its stretch and for the next ones.
"""

import re
import threading
from collections.abc import Sequence

import numpy as np

from minilm import backend
from minilm.kernels.numba_tools.jit import jit
from minilm.tokenizers.base import utf8
from minilm.tokenizers.fast_memory import (
    K0,
    K1,
    K2,
    K4,
    K8,
    K16,
    K32,
    K48,
    K60,
    K255,
    PADDING,
    U64,
    address_of,
    padded,
    same_bytes,
    spread,
    word_key,
)
from minilm.tokenizers.fast_merge import SHORT, merge_long, merge_short, merge_table
from minilm.tokenizers.fast_scan import word_starts

_LONGEST_CACHED = 200
_PROBES = 4
_STARTS = 8192
_CACHE_ROWS = 1 << 16  # 2 MiB for each thread, and as much for the store
_CHUNK = 1 << 18  # characters of text given to one thread at a time
# Between a lower-case letter and a blank before another one, every pattern starts a word.
_CUT = re.compile(r"[a-z](?=[ \n][a-z])")
# On random letters a hit saves 20 ns for each byte after the first, a miss costs 100 ns and 8 ns a
# byte; misses are charged double, as hits save less where few merges apply. The credit is twice
# what real text was seen to use up while the cache fills.
_MISS, _CREDIT = 4, 8192
_USED, _OFF_FOR, _OFF_NEXT, _BALANCE = range(4)  # fields of the cache's state


@jit
def encode_words(
    text,
    starts,
    n,
    byte_ids,
    pairs,
    shift,
    joined,
    bits,
    whole,
    whole_text,
    rows,
    store,
    state,
    out,
):
    """Encode the words `text[starts[k]:starts[k + 1]]` into `out`; returns how many ids.

    Args:
        text: UTF-8, padded.
        starts, n: where the n words start, and where the last one ends.
        byte_ids: int32 (256,), the id of each byte.
        pairs, shift, joined: from `merge_table`.
        bits: 16 where every id fits into as many, else 21: ids are packed into one number.
        whole, whole_text: whole words looked up before merging (`fill_whole`); without rows, none.
        rows: the cache, uint64 (slots, 4): key, key, length | ids << 8 | place in store << 16, and
            the ids themselves where they are few. Without rows there is no cache.
        store: int32; the ids of words with many, and the bytes of words over 16 bytes.
        state: int64 (4,): the used part of the store; stretches to go without the cache, now and
            next time; the balance of what the cache earns, at first `_CREDIT`.
        out: int32, with four spare places.
    """
    base = address_of(text)
    store_base = address_of(store)
    mask = U64(rows.shape[0] - 1)
    few = 4 if bits == K16 else 3
    few_mask = (K1 << bits) - K1
    cached = rows.shape[0] > 0
    if cached and state[_OFF_FOR] > 0:
        state[_OFF_FOR] -= 1
        cached = False
    ranks = np.empty(SHORT, np.int32)
    o = 0
    balance = state[_BALANCE]  # words of one byte never use the cache
    for w in range(n):
        start = starts[w]
        length = starts[w + 1] - start
        if length == 1:
            out[o] = byte_ids[text[start]]
            o += 1
            continue
        where = base + U64(start)
        if balance < 0:
            state[_OFF_NEXT] = min(2 * state[_OFF_NEXT] + 1, 31)
            state[_OFF_FOR] = state[_OFF_NEXT]
            cached = False
            balance = np.int64(_CREDIT)
        keep = cached and length <= _LONGEST_CACHED
        first = second = h = t = K0
        if keep or whole.shape[0] > 0:
            first, second = word_key(where, length)
            h = spread(first, second)
        if keep:
            t = h & mask
            free = False
            found = False
            m = K0
            for _ in range(_PROBES):
                m = rows[t, 2]
                if m == K0:
                    free = True
                    break
                if rows[t, 0] == first and rows[t, 1] == second and np.int64(m & K255) == length:
                    bytes_at = store_base + K4 * ((m >> K16) + ((m >> K8) & K255))
                    if length <= 16 or same_bytes(bytes_at, where, length):
                        found = True
                        break
                t = (t + K1) & mask
            if found:
                balance += length - 1
                count = np.int64((m >> K8) & K255)
                if length <= 16 and count <= few:
                    packed = rows[t, 3]
                    out[o] = np.int32(packed & few_mask)
                    out[o + 1] = np.int32((packed >> bits) & few_mask)
                    out[o + 2] = np.int32((packed >> K2 * bits) & few_mask)
                    out[o + 3] = np.int32((packed >> K48) & few_mask)
                else:
                    at = np.int64(m >> K16)
                    for z in range(count):
                        out[o + z] = store[at + z]
                o += count
                continue
            balance -= length + _MISS
            if not free:
                t = ((h & mask) + (h >> K60) % U64(_PROBES)) & mask
        count = 0
        if whole.shape[0] > 0:
            s = h & U64(whole.shape[0] - 1)
            while whole[s, 2] != K0:
                if (
                    whole[s, 0] == first
                    and whole[s, 1] == second
                    and (whole[s, 2] & U64(0xFFFFFFFF)) == U64(length)
                    and same_bytes(address_of(whole_text) + whole[s, 3], where, length)
                ):
                    out[o] = np.int32(whole[s, 2] >> K32)
                    count = 1
                    break
                s = (s + K1) & U64(whole.shape[0] - 1)
        if count == 0:
            ids = out[o : o + length]
            for z in range(length):
                ids[z] = byte_ids[text[start + z]]
            if length <= SHORT:
                count = merge_short(ids, ranks, length, pairs, shift, joined)
            else:
                count = merge_long(ids, length, pairs, shift, joined)
        if keep:
            size = np.int64(0)
            if length > 16:
                size = count + (length + 3) // 4
            elif count > few:
                size = np.int64(count)
            if state[_USED] + size + 4 > store.size:
                for z in range(rows.shape[0]):
                    rows[z, 2] = K0
                state[_USED] = 0
            at = state[_USED]
            state[_USED] += size
            rows[t, 0] = first
            rows[t, 1] = second
            rows[t, 2] = U64(length) | U64(count) << K8 | U64(at) << K16
            if size == 0:
                packed = K0
                for z in range(count):
                    packed |= U64(out[o + z]) << U64(z) * bits
                rows[t, 3] = packed
            else:
                for z in range(count):
                    store[at + z] = out[o + z]
                if length > 16:
                    at += count
                    for z in range(0, length, 4):
                        part = np.uint32(0)
                        for y in range(min(np.int64(4), length - z)):
                            part |= np.uint32(text[start + z + y]) << np.uint32(8 * y)
                        store[at + z // 4] = np.int32(part)
        o += count
    if balance > _CREDIT:  # gains of long ago do not count
        state[_OFF_NEXT] = 0
        balance = np.int64(_CREDIT)
    state[_BALANCE] = balance
    return o


@jit
def fill_whole(text, starts, n, ids, rows):
    """Put whole words and their ids into a table of rows: key, key, length | id << 32, offset."""
    base = address_of(text)
    mask = U64(rows.shape[0] - 1)
    for k in range(n):
        length = starts[k + 1] - starts[k]
        first, second = word_key(base + U64(starts[k]), length)
        t = spread(first, second) & mask
        while rows[t, 2] != K0:
            t = (t + K1) & mask
        rows[t, 0] = first
        rows[t, 1] = second
        rows[t, 2] = U64(length) | U64(ids[k]) << K32
        rows[t, 3] = U64(starts[k])


class Encoder:
    """A vocabulary laid out for the kernels, and a cache for each thread.

    Args:
        tokens: bytes by id; every single byte must be among them.
        merges: int32 (R, 3): left id, right id and the id they make, in the order of rank.
        pattern: the code in `PATTERNS`.
        classes: `table_of` the pattern.
        whole_words: a word that is itself a token becomes that token, whatever the merges say.
        cache: False merges every word anew, which is what the cache is measured against.
    """

    def __init__(
        self,
        tokens: Sequence[bytes | None],
        merges: np.ndarray,
        pattern: int,
        classes: np.ndarray,
        whole_words: bool = False,
        cache: bool = True,
    ) -> None:
        numbers = {token: i for i, token in enumerate(tokens) if token is not None}
        byte_ids = np.array([numbers[bytes([b])] for b in range(256)], np.int32)
        bits = U64(16 if len(tokens) <= 1 << 16 else 21)
        whole_text, whole = padded(b""), np.zeros((0, 4), np.uint64)
        if whole_words:
            words = [t for t in numbers if len(t) > 1]
            whole_text = padded(b"".join(words))
            starts = np.cumsum([0, *map(len, words)])
            whole = np.zeros((1 << (2 * len(words)).bit_length(), 4), np.uint64)
            ids = np.array([numbers[w] for w in words], np.int32)
            fill_whole(whole_text, starts.astype(np.int64), len(words), ids, whole)
        self._tables = (byte_ids, *merge_table(merges), bits, whole, whole_text)
        self._pattern = pattern
        self._classes = classes
        self._cache = cache
        self._local = threading.local()

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text, int32 (T,); long texts on all of `backend.threads()`.

        Each chunk becomes UTF-8 in the thread that encodes it, while the others count words.
        """
        if len(text) <= _CHUNK:
            return self._chunk(text)
        cuts = [0]
        while len(text) - cuts[-1] > _CHUNK:
            match = _CUT.search(text, cuts[-1] + _CHUNK)
            if match is None:
                break
            cuts.append(match.end())
        ranges = list(zip(cuts, [*cuts[1:], len(text)]))
        if threading.current_thread() is threading.main_thread():
            parts = backend.parallel(lambda r: self._chunk(text[slice(*r)]), ranges)
        else:  # a worker must not wait for its own pool
            parts = [self._chunk(text[slice(*r)]) for r in ranges]
        return np.concatenate(parts)

    def encode_word(self, content: bytes) -> np.ndarray:
        """The ids of some bytes that are one word, whatever they are."""
        text = padded(content)
        out = np.empty(len(content) + 4, np.int32)
        starts = np.array([0, len(content)], np.int64)
        none = np.zeros((0, 4), np.uint64), np.empty(8, np.int32)  # no cache
        state = np.array([0, 0, 0, _CREDIT], np.int64)
        count = encode_words(text, starts, int(bool(content)), *self._tables, *none, state, out)
        return out[:count]

    def _chunk(self, part: str) -> np.ndarray:
        text = padded(utf8(part))
        i, end = 0, len(text) - PADDING
        local = self._local
        if not hasattr(local, "state"):
            rows = _CACHE_ROWS if self._cache else 0
            local.cache = np.zeros((rows, 4), np.uint64), np.empty(8 * rows + 8, np.int32)
            local.state = np.zeros(4, np.int64)
            local.state[_BALANCE] = _CREDIT
            local.starts = np.empty(_STARTS, np.int64)
            local.out = np.empty(0, np.int32)
        if local.out.size < end - i + 4:
            local.out = np.empty(max(end - i + 4, 4096), np.int32)
        out, starts, o = local.out, local.starts, 0
        while i < end:
            n, i = word_starts(text, i, end, self._pattern, self._classes, starts)
            starts[n] = i
            o += encode_words(text, starts, n, *self._tables, *local.cache, local.state, out[o:])
        ids = out[:o].copy()
        if out.size > 4 * _CHUNK:
            local.out = np.empty(0, np.int32)
        return ids
