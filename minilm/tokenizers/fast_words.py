"""The word patterns over UTF-8 bytes, one character at a time: `pretokenize`, compiled."""

import numpy as np

from minilm.kernels.numba_tools.jit import jit
from minilm.tokenizers.unicode_classes import LETTER, NUMBER, OTHER, SPACE

GPT2, STARCODER, O200K = 0, 16, 32  # codes in `pretokenize.PATTERNS`


@jit
def class_at(text, i, classes):
    """The class of the character at byte i, plus 256 times its length in bytes."""
    c = np.int64(text[i])
    if c < 0x80:
        return np.int64(classes[c]) | 256
    if c < 0xE0:
        return np.int64(classes[((c & 31) << 6) | (np.int64(text[i + 1]) & 63)]) | 512
    point = (np.int64(text[i + 1]) & 63) << 6 | (np.int64(text[i + 2]) & 63)
    if c < 0xF0:
        return np.int64(classes[((c & 15) << 12) | point]) | 768
    point = (point << 6) | (np.int64(text[i + 3]) & 63)
    return np.int64(classes[((c & 7) << 18) | point]) | 1024


@jit
def run(text, i, end, kind, classes):
    """The end of the run of one class that begins at byte i."""
    while i < end:
        r = class_at(text, i, classes)
        if (r & 255) != kind:
            break
        i += r >> 8
    return i


@jit
def contraction(text, i, end, pattern):
    """Bytes of 's 't 'm 'd 'll 've 're at the apostrophe i, or 0; gpt4 takes either case."""
    if i + 1 >= end:
        return 0
    fold = 0 if pattern == GPT2 or pattern == STARCODER else 32
    d = np.int64(text[i + 1]) | fold
    if d == 115 or d == 116 or d == 109 or d == 100:
        return 2
    if i + 2 < end:
        e = np.int64(text[i + 2]) | fold
        if e == 101 and (d == 114 or d == 118) or d == 108 and e == 108:
            return 3
        if fold and text[i + 1] == 0xC5 and text[i + 2] == 0xBF:  # the long s folds to s
            return 3
    return 0


@jit
def next_word(text, i, end, pattern, classes):
    """Where the word that begins at byte i ends; `pattern` is the code in `PATTERNS`."""
    c = text[i]
    if c == 39:
        n = contraction(text, i, end, pattern)
        if n:
            return i + n
    r = class_at(text, i, classes)
    kind = r & 255
    j = i + (r >> 8)
    gpt2 = pattern == GPT2 or pattern == STARCODER
    if kind == NUMBER and pattern == STARCODER:
        return j
    if kind == LETTER or gpt2 and kind != SPACE:
        return run(text, j, end, kind, classes)
    if kind == NUMBER:
        left = (pattern & 7) - 1
        while left > 0 and j < end:
            r = class_at(text, j, classes)
            if (r & 255) != NUMBER:
                break
            j += r >> 8
            left -= 1
        return j
    follows = SPACE
    if j < end:
        r = class_at(text, j, classes)
        follows = r & 255
    if gpt2:
        if c == 32 and follows != SPACE and not (pattern == STARCODER and follows == NUMBER):
            return run(text, j, end, follows, classes)
    else:
        if follows == LETTER and c != 10 and c != 13:
            return run(text, j, end, np.int64(LETTER), classes)
        if kind == OTHER or c == 32 and follows == OTHER:
            j = run(text, j, end, np.int64(OTHER), classes)
            while j < end and (text[j] == 10 or text[j] == 13):
                j += 1
            return j
    return white_space(text, i, end, pattern, classes)


@jit
def white_space(text, i, end, pattern, classes):
    """The end of a word of white space."""
    last = i
    newline = -1
    j = i
    while j < end:
        r = class_at(text, j, classes)
        kind = r & 255
        if kind != SPACE:
            if pattern == STARCODER and kind == NUMBER:
                end = j  # digits stand alone, so the text before one ends here
            break
        last = j
        j += r >> 8
        if text[last] == 10 or text[last] == 13:
            newline = j
    if pattern == GPT2 or pattern == STARCODER:
        newline = -1
    if j >= end and (pattern < 8 or pattern == STARCODER or newline < 0):
        return j
    if newline >= 0:
        return newline
    return j if last == i else last
