"""MinHash compiled: words, SHA-1 of each run of words, and the smallest of 256 permutations.

What `near_duplicates.minhash` says in NumPy, with the same numbers. Sixteen runs are hashed side by
side, so that the 80 rounds of SHA-1 (FIPS 180-4) fill vector registers; the products modulo
2**61 - 1 are made of multiplications of 32 bits, which vectorise as well.
"""

import re

import numpy as np

from minilm.kernels.numba_tools.jit import jit

_LANES = 16
_PADDING = 72  # spare bytes, so that a block may be read past the end of the text
_WORD = re.compile(r"\W+")
_IS_WORD = np.zeros(256, np.bool_)
_IS_WORD[[ord(c) for c in "abcdefghijklmnopqrstuvwxyz0123456789_"]] = True
_NOT_BLANK = np.ones(256, np.bool_)
_NOT_BLANK[32] = False
_START = np.array([0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0], np.uint32)
_K = np.repeat(np.array([0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6], np.uint32), 20)

_u32, _u64 = np.uint32, np.uint64
_S1, _S2, _S5, _S27, _S30, _S31 = map(np.uint32, (1, 2, 5, 27, 30, 31))
_P61 = np.uint64((1 << 61) - 1)
_LOW29, _LOW32 = np.uint64((1 << 29) - 1), np.uint64(0xFFFFFFFF)
_B29, _B32, _B61 = map(np.uint64, (29, 32, 61))


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


@jit
def _four_bytes(text, at, left):
    """Four bytes as one number, the first highest; after `left` of them a one bit, then zeros."""
    if left >= 4:
        return (
            _u32(text[at]) << _u32(24)
            | _u32(text[at + 1]) << _u32(16)
            | _u32(text[at + 2]) << _u32(8)
            | _u32(text[at + 3])
        )
    if left < 0:
        return _u32(0)
    value = _u32(0)
    for k in range(4):
        byte = _u32(0)
        if k < left:
            byte = _u32(text[at + k])
        elif k == left:
            byte = _u32(0x80)
        value = value << _u32(8) | byte
    return value


@jit
def _sha1_group(text, begins, ends, which, blocks, w, a, state, out):
    """The first word of the SHA-1 of `_LANES` runs that take `blocks` blocks each."""
    for s in range(5):
        for lane in range(_LANES):
            state[s, lane] = _START[s]
    for block in range(blocks):
        for lane in range(_LANES):
            run = which[lane]
            at = begins[run] + 64 * block
            left = ends[run] - at
            for t in range(16):
                w[t, lane] = _four_bytes(text, at + 4 * t, left - 4 * t)
            if block == blocks - 1:
                w[15, lane] = _u32(8 * (ends[run] - begins[run]))
        for t in range(16, 80):
            for lane in range(_LANES):
                x = w[t - 3, lane] ^ w[t - 8, lane] ^ w[t - 14, lane] ^ w[t - 16, lane]
                w[t, lane] = x << _S1 | x >> _S31
        # a[t + 4] .. a[t] are the five words of round t; the last three lack their rotation by 30
        for lane in range(_LANES):
            a[4, lane] = state[0, lane]
            a[3, lane] = state[1, lane]
            a[2, lane] = state[2, lane] << _S2 | state[2, lane] >> _S30
            a[1, lane] = state[3, lane] << _S2 | state[3, lane] >> _S30
            a[0, lane] = state[4, lane] << _S2 | state[4, lane] >> _S30
        for t in range(80):
            k = _K[t]
            kind = t // 20
            if kind == 0:
                for lane in range(_LANES):
                    b, c, d, e = _turned(a, t, lane)
                    x = a[t + 4, lane]
                    f = (b & c) | (~b & d)
                    a[t + 5, lane] = (x << _S5 | x >> _S27) + f + e + k + w[t, lane]
            elif kind == 2:
                for lane in range(_LANES):
                    b, c, d, e = _turned(a, t, lane)
                    x = a[t + 4, lane]
                    f = (b & c) | (b & d) | (c & d)
                    a[t + 5, lane] = (x << _S5 | x >> _S27) + f + e + k + w[t, lane]
            else:
                for lane in range(_LANES):
                    b, c, d, e = _turned(a, t, lane)
                    x = a[t + 4, lane]
                    f = b ^ c ^ d
                    a[t + 5, lane] = (x << _S5 | x >> _S27) + f + e + k + w[t, lane]
        for lane in range(_LANES):
            b, c, d, e = _turned(a, 80, lane)
            state[0, lane] += a[84, lane]
            state[1, lane] += b
            state[2, lane] += c
            state[3, lane] += d
            state[4, lane] += e
    for lane in range(_LANES):
        x = state[0, lane]
        out[which[lane]] = (
            x >> _u32(24)
            | (x >> _u32(8) & _u32(0xFF00))
            | (x << _u32(8) & _u32(0xFF0000))
            | x << _u32(24)
        )


@jit(inline="always")
def _turned(a, t, lane):
    c, d, e = a[t + 2, lane], a[t + 1, lane], a[t, lane]
    return a[t + 3, lane], c << _S30 | c >> _S2, d << _S30 | d >> _S2, e << _S30 | e >> _S2


@jit
def _run_hashes(text, begins, ends, count, out):
    """The first 32 bits (as little-endian bytes) of the SHA-1 of each run of words."""
    w = np.empty((80, _LANES), np.uint32)
    a = np.empty((85, _LANES), np.uint32)
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
            _sha1_group(text, begins, ends, waiting[kind], blocks, w, a, state, out)
            sizes[kind] = 0
    for kind in range(3):
        if sizes[kind]:
            for k in range(sizes[kind], _LANES):
                waiting[kind, k] = waiting[kind, 0]
            _sha1_group(text, begins, ends, waiting[kind], kind + 1, w, a, state, out)


@jit
def _smallest(hashes, low, high, b, out):
    """For each permutation, the smallest of `(a h + b) mod (2**61 - 1)`, low 32 bits."""
    for p in range(out.size):
        out[p] = _u32(0xFFFFFFFF)
    for k in range(hashes.size):
        h = _u64(hashes[k])
        for p in range(out.size):
            # 2**61 is 1 modulo this prime: a product's upper half is turned, not divided
            upper = h * _u64(high[p])  # below 2**61
            lower = h * _u64(low[p])  # below 2**64
            x = ((upper & _LOW29) << _B32) + (upper >> _B29) + b[p]
            x += (lower & _P61) + (lower >> _B61)
            x = (x & _P61) + (x >> _B61)
            # x is at most the prime + 3: one more turn makes the prime and above small
            x = (x + ((x + _u64(1)) >> _B61)) & _P61
            out[p] = min(out[p], _u32(x & _LOW32))


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
    out = np.empty(a.size, np.uint32)
    low, high = (a & _LOW32).astype(np.uint32), (a >> _B32).astype(np.uint32)
    _smallest(hashes, low, high, b, out)
    return out
