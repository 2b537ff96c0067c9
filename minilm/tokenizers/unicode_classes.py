r"""Which characters are letters, numbers and white space: the classes \p{L}, \p{N} and \s.

Token ids must not depend on the Python that runs: Python 3.11 knows Unicode 14, 3.13 Unicode 15.1,
tiktoken Unicode 16. So the table is Python's own plus what came after Unicode 14, up to 16.
"""

import functools
import unicodedata

import numpy as np

OTHER, LETTER, NUMBER, SPACE = 0, 1, 2, 3
UPPER, LOWER, MARK = 4, 5, 6  # only in `case_table`

# The property White_Space. Python's str.isspace also counts U+001C to U+001F, which \s does not.
WHITE_SPACE = (
    *range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B),
    0x2028, 0x2029, 0x202F, 0x205F, 0x3000,
)  # fmt: skip

# Letters and numbers of Unicode 15.0, 15.1 and 16.0: first and last code point.
_NEWER_LETTERS = (
    (0x1C89, 0x1C8A), (0xA7CB, 0xA7CD), (0xA7DA, 0xA7DC), (0x105C0, 0x105F3), (0x10D4A, 0x10D65),
    (0x10D6F, 0x10D85), (0x10EC2, 0x10EC4), (0x1123F, 0x11240), (0x11380, 0x11389),
    (0x1138B, 0x1138B), (0x1138E, 0x1138E), (0x11390, 0x113B5), (0x113B7, 0x113B7),
    (0x113D1, 0x113D1), (0x113D3, 0x113D3), (0x11BC0, 0x11BE0), (0x11F02, 0x11F02),
    (0x11F04, 0x11F10), (0x11F12, 0x11F33), (0x1342F, 0x1342F), (0x13441, 0x13446),
    (0x13460, 0x143FA), (0x16100, 0x1611D), (0x16D40, 0x16D6C), (0x18CFF, 0x18CFF),
    (0x1B132, 0x1B132), (0x1B155, 0x1B155), (0x1DF25, 0x1DF2A), (0x1E030, 0x1E06D),
    (0x1E4D0, 0x1E4EB), (0x1E5D0, 0x1E5ED), (0x1E5F0, 0x1E5F0), (0x2B739, 0x2B739),
    (0x2EBF0, 0x2EE5D), (0x31350, 0x323AF),
)  # fmt: skip
_NEWER_NUMBERS = (
    (0x10D40, 0x10D49), (0x116D0, 0x116E3), (0x11BF0, 0x11BF9), (0x11F50, 0x11F59),
    (0x16130, 0x16139), (0x16D70, 0x16D79), (0x1CCF0, 0x1CCF9), (0x1D2C0, 0x1D2D3),
    (0x1E4F0, 0x1E4F9), (0x1E5F1, 0x1E5FA),
)  # fmt: skip
_NEWER_UPPER = (
    (0x1C89, 0x1C89), (0xA7CB, 0xA7CC), (0xA7DA, 0xA7DA), (0xA7DC, 0xA7DC), (0x10D50, 0x10D65),
)  # fmt: skip
_NEWER_LOWER = (
    (0x1C8A, 0x1C8A), (0xA7CD, 0xA7CD), (0xA7DB, 0xA7DB), (0x10D70, 0x10D85), (0x1DF25, 0x1DF2A),
)  # fmt: skip
_NEWER_MARKS = (
    (0x897, 0x897), (0xCF3, 0xCF3), (0xECE, 0xECE), (0x10D69, 0x10D6D), (0x10EFC, 0x10EFF),
    (0x11241, 0x11241), (0x113B8, 0x113C0), (0x113C2, 0x113C2), (0x113C5, 0x113C5),
    (0x113C7, 0x113CA), (0x113CC, 0x113D0), (0x113D2, 0x113D2), (0x113E1, 0x113E2),
    (0x11F00, 0x11F01), (0x11F03, 0x11F03), (0x11F34, 0x11F3A), (0x11F3E, 0x11F42),
    (0x11F5A, 0x11F5A), (0x13440, 0x13440), (0x13447, 0x13455), (0x1611E, 0x1612F),
    (0x1E08F, 0x1E08F), (0x1E4EC, 0x1E4EF), (0x1E5EE, 0x1E5EF),
)  # fmt: skip

_LAST_ASSIGNED = 0x323AF  # beyond are private characters, tags and variation selectors, all OTHER
_SELECTORS = (0xE0100, 0xE01EF)  # the only ones among these that are marks


@functools.cache
def class_table() -> np.ndarray:
    """The class of every code point, uint8 (0x110000,)."""
    table = np.zeros(0x110000, np.uint8)
    categories = map(unicodedata.category, map(chr, range(_LAST_ASSIGNED + 1)))
    kinds = {"L": LETTER, "N": NUMBER}
    table[: _LAST_ASSIGNED + 1] = [kinds.get(name[0], OTHER) for name in categories]
    for first, last in _NEWER_LETTERS:
        table[first : last + 1] = LETTER
    for first, last in _NEWER_NUMBERS:
        table[first : last + 1] = NUMBER
    table[list(WHITE_SPACE)] = SPACE
    table.flags.writeable = False
    return table


@functools.cache
def case_table() -> np.ndarray:
    r"""As `class_table`, finer: \p{Lu} and \p{Lt} are UPPER, \p{Ll} LOWER, \p{M} MARK.

    Letters without case, \p{Lm} and \p{Lo}, are LETTER.
    """
    table = class_table().copy()
    kinds = {"Lu": UPPER, "Lt": UPPER, "Ll": LOWER, "Mn": MARK, "Mc": MARK, "Me": MARK}
    for point in range(_LAST_ASSIGNED + 1):
        kind = kinds.get(unicodedata.category(chr(point)))
        if kind:
            table[point] = kind
    newer = ((UPPER, _NEWER_UPPER), (LOWER, _NEWER_LOWER), (MARK, (*_NEWER_MARKS, _SELECTORS)))
    for kind, ranges in newer:
        for first, last in ranges:
            table[first : last + 1] = kind
    table.flags.writeable = False
    return table


def is_mark(point: int) -> bool:
    r"""Whether a code point is of the class \p{M}."""
    return bool(case_table()[point] == MARK)
