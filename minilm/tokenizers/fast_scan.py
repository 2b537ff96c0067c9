"""The word patterns over UTF-8 bytes: 64 bytes at a time where the text is ASCII.

`fast_words` goes one character at a time. `word_starts` does the same with bit masks, one bit per
byte: a word starts where a mask of "this is a letter" has a 1 and the
mask shifted by one does not, and so on. It turns 64 bytes into starts with some forty operations,
about 1 GB/s. The idea is simdjson's (Langdale, Lemire, arXiv 1902.08318).
"""

import numpy as np

from minilm.kernels.numba_tools.jit import jit
from minilm.tokenizers.fast_memory import K0, K2, K61, K64, U64, address_of, class_masks, lowest_bit
from minilm.tokenizers.fast_o200k import next_o200k
from minilm.tokenizers.fast_words import O200K, STARCODER, class_at, contraction, next_word
from minilm.tokenizers.unicode_classes import SPACE

ONE = np.uint64(1)
TOP = np.uint64(63)
_MARGIN = 192  # bytes that word_starts leaves to next_word, because it looks two blocks ahead


@jit
def _newline_later(text, i, end, pattern, classes):
    """Whether white space from i runs on to a newline, so that no word starts at i (gpt4)."""
    while i < end:
        if text[i] == 10 or text[i] == 13:
            return True
        r = class_at(text, i, classes)
        if (r & 255) != SPACE:
            return False
        i += r >> 8
    return pattern < 8


@jit
def _digit_starts(digit_mask, before, most):
    """Where words of up to `most` digits start, and how many digits the last one has so far."""
    two = digit_mask & (digit_mask << ONE)
    four = two & (two << K2)
    if most == 3 and four == K0 and (before == 0 or digit_mask & ONE == K0):
        after = 0
        if digit_mask >> TOP:
            after = 1 if two >> TOP == K0 else 2
            if after == 2 and (digit_mask >> K61) & ONE:
                after = 0
        return digit_mask & ~(digit_mask << ONE), after
    starts = K0
    for q in range(64):
        if (digit_mask >> U64(q)) & ONE:
            if before == 0:
                starts |= ONE << U64(q)
            before = before + 1 if before + 1 < most else 0
        else:
            before = 0
    return starts, before


@jit
def ascii_starts(text, p, end, pattern, classes, out, n):
    """Where words start from byte p on, as long as the two blocks ahead are ASCII.

    A word has to start at p.

    Returns:
        The number n plus how many starts were written to `out[n:]`, and the first byte that was
        not examined.
    """
    base = address_of(text)
    room = out.size - 140
    # L letters, N digits, W white space, S spaces, R newlines, A apostrophes, H high bytes
    L, N, W, S, R, A, H = class_masks(base + U64(p))
    L2, N2, W2, S2, R2, A2, H2 = class_masks(base + U64(p + 64))
    if (H | H2) != K0:
        return n, p
    before_L = before_N = before_O = before_W = before_S = before_Z = K0
    led = eaten = started = ended = K0
    digits = np.int64(0)  # digits of the word so far, at the end of the block before
    while True:
        O = ~(L | N | W)  # noqa: E741
        prev_S = (S << ONE) | before_S
        prev_W = (W << ONE) | before_W
        next_W = (W >> ONE) | (W2 << TOP)
        first_O = O & ~((O << ONE) | before_O) & ~prev_S
        if pattern == 0:
            starts = first_O | (L & ~((L << ONE) | before_L) & ~prev_S)
            starts |= N & ~((N << ONE) | before_N) & ~prev_S
            starts |= (W & ~prev_W) | (W & ~next_W)
            starts = (starts & ~ended) | started
            ended = started = K0
        else:
            Z = W & ~R
            # A letter after one sign, or after white space other than a newline, starts nothing.
            starts = L & ~((L << ONE) | before_L | (Z << ONE) | before_Z | (first_O << ONE) | led)
            starts |= first_O | started
            started = K0
            first_digits, digits = _digit_starts(N, digits, pattern & 7)
            starts |= first_digits
            # Newlines right after signs belong to them.
            eat = R & ((O << ONE) | before_O | eaten)
            while True:
                more = eat | ((eat << ONE) & R)
                if more == eat:
                    break
                eat = more
            starts |= (W & ~prev_W & ~eat) | (Z & ~next_W)
            # After the last newline of white space a word starts, whatever follows.
            ends = R & ~((R >> ONE) | (R2 << TOP))
            while ends != K0:
                q = lowest_bit(ends)
                ends &= ends - ONE
                z = p + np.int64(q) + 1
                if (eat >> q) & ONE or not _newline_later(text, z, end, pattern, classes):
                    if q == TOP:
                        started |= ONE
                    else:
                        starts |= ONE << (q + ONE)
            eaten = eat >> TOP
            before_Z = Z >> TOP
            led = first_O >> TOP
        quotes = A & first_O
        while quotes != K0:
            q = lowest_bit(quotes)
            quotes &= quotes - ONE
            length = contraction(text, p + np.int64(q), end, pattern)
            if length:
                if pattern == 0:  # the letter after the apostrophe does not start a word
                    if q == TOP:
                        ended |= ONE
                    else:
                        starts &= ~(ONE << (q + ONE))
                x = q + U64(length)
                if x < K64:
                    starts |= ONE << x
                else:
                    started |= ONE << (x - K64)
        while starts != K0:
            out[n] = p + np.int64(lowest_bit(starts))
            n += 1
            starts &= starts - ONE
        before_L = L >> TOP
        before_N = N >> TOP
        before_O = O >> TOP
        before_W = W >> TOP
        before_S = S >> TOP
        p += 64
        if p + _MARGIN > end or n >= room:
            break
        L, N, W, S, R, A = L2, N2, W2, S2, R2, A2
        L2, N2, W2, S2, R2, A2, H2 = class_masks(base + U64(p + 64))
        if H2 != K0:
            break
    return n, p


@jit
def word_starts(text, i, end, pattern, classes, out):
    """Where words start in text[i:end], i itself first, until `out` is nearly full.

    The patterns that few texts are cut by (codes from `STARCODER` on) have no masks.

    Returns:
        How many starts were written, and where the next word starts (`end` if none is left).
    """
    n = np.int64(0)  # a literal 0 has a type of its own, and each type is compiled anew
    one_by_one = i  # up to here, next_word alone
    while i < end and n < out.size - 140:
        if i >= one_by_one and i + _MARGIN <= end and pattern < STARCODER:
            m, p = ascii_starts(text, i, end, pattern, classes, out, n)
            one_by_one = p + 64
            if m > n:  # the last word found has no end yet: next_word takes it again
                n = m - 1
                i = out[n]
        out[n] = i
        n += 1
        if pattern == O200K:
            i = next_o200k(text, i, end, classes)
        else:
            i = next_word(text, i, end, pattern, classes)
    return n, i
