"""MinHash compiled: words, SHA-1 of each run of words, and the smallest of 256 permutations.

What `near_duplicates.minhash` says in NumPy, with the same numbers. 32 runs are hashed side by
side, so that the 80 rounds of SHA-1 (FIPS 180-4) fill vector registers; the products modulo
2**61 - 1 are made of multiplications of 32 bits, which vectorise as well.
"""

import re

import numpy as np

from minilm.kernels.numba_tools.jit import jit
from minilm.tokenizers.fast_memory import address_of, load64

_LANES = 32  # fewer, and the compiler unrolls their loop instead of using vectors
_PADDING = 72  # spare bytes, so that a block may be read past the end of the text
_WORD = re.compile(r"\W+")
_IS_WORD = np.zeros(256, np.bool_)
_IS_WORD[[ord(c) for c in "abcdefghijklmnopqrstuvwxyz0123456789_"]] = True
_NOT_BLANK = np.ones(256, np.bool_)
_NOT_BLANK[32] = False
_START = np.array([0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0], np.uint32)
_K0, _K1, _K2, _K3 = map(np.uint32, (0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6))

_u32, _u64 = np.uint32, np.uint64
_S1, _S2, _S5, _S8, _S24, _S27, _S30, _S31 = map(np.uint32, (1, 2, 5, 8, 24, 27, 30, 31))
_ALL, _TOP, _BYTE_1, _BYTE_2 = map(np.uint32, (0xFFFFFFFF, 1 << 31, 0xFF00, 0xFF0000))
_P61 = np.uint64((1 << 61) - 1)
_LOW29, _LOW32 = np.uint64((1 << 29) - 1), np.uint64(0xFFFFFFFF)
_ONE, _B29, _B32, _B61 = map(np.uint64, (1, 29, 32, 61))


@jit
def _words(text, size, is_word, flat, begins, ends):
    """Copy the words to `flat`, one blank between two, and say where each begins and ends."""
    o = 0
    count = 0
    i = 0
    while i < size:
        while i < size and not is_word[text[i]]:
            i += 1
        if i == size:
            break
        if count:
            flat[o] = 32
            o += 1
        begins[count] = o
        while i < size and is_word[text[i]]:
            flat[o] = text[i]
            o += 1
            i += 1
        ends[count] = o
        count += 1
    for k in range(_PADDING):
        flat[o + k] = 0
    return count


@jit(inline="always")
def _turned_round(x):
    """The four bytes of a number in the other order."""
    return x >> _S24 | (x >> _S8 & _BYTE_1) | (x << _S8 & _BYTE_2) | x << _S24


@jit
def _fill(text, at, left, rows, lane):
    """Put 64 bytes into a lane as 16 numbers; after `left` of them a one bit, then zeros.

    Eight bytes are read at a time, also some past the end: the text is padded.
    """
    where = address_of(text) + _u64(at)
    for t in range(0, 16, 2):
        pair = load64(where + _u64(4 * t))
        rows[t, lane] = _turned_round(_u32(pair & _LOW32))
        rows[t + 1, lane] = _turned_round(_u32(pair >> _B32))
    if left < 64:
        t = left >> 2
        bits = _u32(8 * (left & 3))
        rows[t, lane] = (rows[t, lane] & ~(_ALL >> bits)) | _TOP >> bits
        for z in range(t + 1, 16):
            rows[z, lane] = _u32(0)


@jit
def _sha1_group(text, begins, ends, which, blocks, rows, state, out):
    """The first word of the SHA-1 of `_LANES` runs that take `blocks` blocks each.

    Rows 0 to 79 hold the message, rows 80 to 164 the first word of each round: in one array, so
    that the compiler sees that they do not overlap.
    """
    for s in range(5):
        for lane in range(_LANES):
            state[s, lane] = _START[s]
    for block in range(blocks):
        for lane in range(_LANES):
            run = which[lane]
            at = begins[run] + 64 * block
            left = ends[run] - at
            if left >= 0:
                _fill(text, at, left, rows, lane)
            else:  # the one bit was in the block before
                for t in range(16):
                    rows[t, lane] = _u32(0)
            if block == blocks - 1:
                rows[15, lane] = _u32(8 * (ends[run] - begins[run]))
        for t in range(16, 80):
            for lane in range(_LANES):
                x = rows[t - 3, lane] ^ rows[t - 8, lane] ^ rows[t - 14, lane] ^ rows[t - 16, lane]
                rows[t, lane] = x << _S1 | x >> _S31
        # rows 84 + t to 80 + t are the five words of round t; three lack their rotation by 30
        for lane in range(_LANES):
            rows[84, lane] = state[0, lane]
            rows[83, lane] = state[1, lane]
            rows[82, lane] = state[2, lane] << _S2 | state[2, lane] >> _S30
            rows[81, lane] = state[3, lane] << _S2 | state[3, lane] >> _S30
            rows[80, lane] = state[4, lane] << _S2 | state[4, lane] >> _S30
        for t in range(20):
            for lane in range(_LANES):
                b, c, d, e, x = _words_of(rows, t, lane)
                rows[t + 85, lane] = x + (d ^ (b & (c ^ d))) + e + _K0 + rows[t, lane]
        for t in range(20, 40):
            for lane in range(_LANES):
                b, c, d, e, x = _words_of(rows, t, lane)
                rows[t + 85, lane] = x + (b ^ c ^ d) + e + _K1 + rows[t, lane]
        for t in range(40, 60):
            for lane in range(_LANES):
                b, c, d, e, x = _words_of(rows, t, lane)
                rows[t + 85, lane] = x + ((b & c) | (d & (b | c))) + e + _K2 + rows[t, lane]
        for t in range(60, 80):
            for lane in range(_LANES):
                b, c, d, e, x = _words_of(rows, t, lane)
                rows[t + 85, lane] = x + (b ^ c ^ d) + e + _K3 + rows[t, lane]
        for lane in range(_LANES):
            b, c, d, e, _ = _words_of(rows, 80, lane)
            state[0, lane] += rows[164, lane]
            state[1, lane] += b
            state[2, lane] += c
            state[3, lane] += d
            state[4, lane] += e
    for lane in range(_LANES):
        out[which[lane]] = _turned_round(state[0, lane])


@jit(inline="always")
def _words_of(rows, t, lane):
    """Words b to e of round t, and the first one turned by 5."""
    x, c = rows[t + 84, lane], rows[t + 82, lane]
    d, e = rows[t + 81, lane], rows[t + 80, lane]
    return (
        rows[t + 83, lane],
        c << _S30 | c >> _S2,
        d << _S30 | d >> _S2,
        e << _S30 | e >> _S2,
        x << _S5 | x >> _S27,
    )


@jit
def _run_hashes(text, begins, ends, count, out):
    """The first 32 bits (as little-endian bytes) of the SHA-1 of each run of words."""
    rows = np.empty((165, _LANES), np.uint32)
    state = np.empty((5, _LANES), np.uint32)
    waiting = np.empty((4, _LANES), np.int64)  # runs of one to three blocks, and longer ones
    sizes = np.zeros(4, np.int64)
    for run in range(count):
        blocks = (ends[run] - begins[run] + 8) // 64 + 1
        kind = min(blocks, 4) - 1
        waiting[kind, sizes[kind]] = run
        sizes[kind] += 1
        if kind == 3 or sizes[kind] == _LANES:
            for k in range(sizes[kind], _LANES):
                waiting[kind, k] = waiting[kind, 0]
            _sha1_group(text, begins, ends, waiting[kind], blocks, rows, state, out)
            sizes[kind] = 0
    for kind in range(3):
        if sizes[kind]:
            for k in range(sizes[kind], _LANES):
                waiting[kind, k] = waiting[kind, 0]
            _sha1_group(text, begins, ends, waiting[kind], kind + 1, rows, state, out)


@jit(inline="always")
def _permuted(h, low, high, b):
    """The low 32 bits of `(a h + b) mod (2**61 - 1)`, where a is high * 2**32 + low."""
    # 2**61 is 1 modulo this prime: a product's upper half is turned, not divided
    upper = h * _u64(high)  # below 2**61
    lower = h * _u64(low)  # below 2**64
    x = ((upper & _LOW29) << _B32) + (upper >> _B29) + b
    x += (lower & _P61) + (lower >> _B61)
    x = (x & _P61) + (x >> _B61)
    # x is at most the prime + 3: one more turn makes the prime and above small
    return np.int64((x + ((x + _ONE) >> _B61)) & _LOW32)


@jit
def _smallest(hashes, low, high, b, best):
    """For each permutation, the smallest of `(a h + b) mod (2**61 - 1)`, low 32 bits."""
    for p in range(best.size):
        best[p] = np.int64(0xFFFFFFFF)
    k = 0
    while k + 1 < hashes.size:  # two at a time, which halves the traffic of what is not h
        h, i = _u64(hashes[k]), _u64(hashes[k + 1])
        for p in range(best.size):
            one = _permuted(h, low[p], high[p], b[p])
            other = _permuted(i, low[p], high[p], b[p])
            best[p] = min(best[p], min(one, other))
        k += 2
    if k < hashes.size:
        h = _u64(hashes[k])
        for p in range(best.size):
            best[p] = min(best[p], _permuted(h, low[p], high[p], b[p]))


def run_hashes(text: str, n: int = 5) -> np.ndarray:
    """The set of a text's runs of words, as sorted hashes.

    Args:
        text: any string.
        n: words of a run; a shorter text is one run.

    Returns:
        uint32 (N,), ascending, each once: the first 32 bits of SHA-1 of every run in `shingles`.
    """
    text = text.lower()
    if text.isascii():
        content, is_word = text.encode(), _IS_WORD
    else:
        words = " ".join(word for word in _WORD.split(text) if word)
        content, is_word = words.encode("utf-8", "replace"), _NOT_BLANK
    size = len(content)
    flat = np.empty(size + _PADDING + 1, np.uint8)
    begins, ends = np.empty(size // 2 + 2, np.int64), np.empty(size // 2 + 2, np.int64)
    count = _words(np.frombuffer(content, np.uint8), size, is_word, flat, begins, ends)
    if count == 0:  # one run of no words, as in `shingles`
        begins[0] = ends[0] = 0
        first, last = begins[:1], ends[:1]
    else:
        first = begins[: max(1, count - n + 1)]
        last = ends[min(n, count) - 1 : count]
    out = np.empty(first.size, np.uint32)
    _run_hashes(flat, first, last, first.size, out)
    out.sort()
    return out[np.concatenate(([True], out[1:] != out[:-1]))]


def signature(hashes: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The signature of a set of hashes, as `near_duplicates.minhash` makes it.

    Args:
        hashes: uint32 (N,).
        a, b: factors and summands of the permutations, uint64 (P,), below 2**61 - 1.

    Returns:
        uint32 (P,).
    """
    best = np.empty(a.size, np.int64)
    low, high = (a & _LOW32).astype(np.uint32), (a >> _B32).astype(np.uint32)
    _smallest(hashes, low, high, b, best)
    return best.astype(np.uint32)
