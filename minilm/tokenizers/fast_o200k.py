"""The words of GPT-4o's pattern over UTF-8 bytes; `classes` is `case_table()`."""

import numpy as np

from minilm.kernels.numba_tools.jit import jit
from minilm.tokenizers.fast_words import O200K, class_at, contraction, white_space
from minilm.tokenizers.unicode_classes import LETTER, LOWER, MARK, NUMBER, OTHER, SPACE, UPPER


@jit
def _cased_end(text, s, end, classes):
    """The ends of the word of letters that begins at byte s, by either rule, or 0.

    The first rule wants capitals, then small letters, of which there must be one; letters without
    case and marks are both. The second wants capitals, of which there must be one.
    """
    u = s
    both = np.int64(0)  # where the last character that is both ends
    while u < end:
        r = class_at(text, u, classes)
        kind = r & 255
        if kind != UPPER and kind != LETTER and kind != MARK:
            break
        u += r >> 8
        if kind != UPPER:
            both = u
    v = u
    while v < end:
        r = class_at(text, v, classes)
        kind = r & 255
        if kind != LOWER and kind != LETTER and kind != MARK:
            break
        v += r >> 8
    first = v if v > u else both
    return first, u if u > s else np.int64(0)


@jit
def next_o200k(text, i, end, classes):
    """Where the word that begins at byte i ends."""
    c = text[i]
    r = class_at(text, i, classes)
    kind = r & 255
    j = i + (r >> 8)
    letter = kind == UPPER or kind == LOWER or kind == LETTER
    stop = second = np.int64(0)
    if not letter and kind != NUMBER and c != 10 and c != 13:
        stop, second = _cased_end(text, j, end, classes)  # any one sign or blank may lead
    if stop == 0 and (letter or kind == MARK):
        stop, other = _cased_end(text, i, end, classes)
        if second == 0:
            second = other
    if stop == 0:
        stop = second
    if stop > 0:
        if stop < end and text[stop] == 39:
            stop += contraction(text, stop, end, O200K)
        return stop
    if kind == NUMBER:
        left = 2
        while left > 0 and j < end:
            r = class_at(text, j, classes)
            if (r & 255) != NUMBER:
                break
            j += r >> 8
            left -= 1
        return j
    follows = SPACE
    if j < end:
        follows = class_at(text, j, classes) & 255
    if kind == OTHER or c == 32 and (follows == OTHER or follows == MARK):
        while j < end:
            r = class_at(text, j, classes)
            if (r & 255) != OTHER and (r & 255) != MARK:
                break
            j += r >> 8
        while j < end and (text[j] == 10 or text[j] == 13 or text[j] == 47):
            j += 1
        return j
    return white_space(text, i, end, O200K, classes)
