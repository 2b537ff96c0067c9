"""A font of 3 by 5 dots, drawn by hand, for pages whose text is as small as text can be.

A sign stands in a cell of 4 by 6 dots: its own dots at the top left, then a gap. Two signs in a row
are 7 dots wide, so `write` of them fits a square of 8.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np

from minilm.errors import InputError

HEIGHT, WIDTH = 5, 3  # dots of a sign
LINE, STEP = 6, 4  # dots from line to line, and from sign to sign
_DRAWN = """
0 111 101 101 101 111  1 010 110 010 010 111  2 111 001 111 100 111  3 111 001 011 001 111
4 101 101 111 001 001  5 111 100 111 001 111  6 111 100 111 101 111  7 111 001 001 010 010
8 111 101 111 101 111  9 111 101 111 001 001
A 010 101 111 101 101  B 110 101 110 101 110  C 011 100 100 100 011  D 110 101 101 101 110
E 111 100 110 100 111  F 111 100 111 100 100  G 011 100 101 101 011  H 101 101 111 101 101
I 111 010 010 010 111  J 001 001 001 101 010  K 101 101 110 101 101  L 100 100 100 100 111
M 101 111 111 101 101  N 110 101 101 101 101  O 010 101 101 101 010  P 110 101 110 100 100
Q 010 101 101 110 011  R 110 101 110 110 101  S 011 100 010 001 110  T 111 010 010 010 010
U 101 101 101 101 111  V 101 101 101 101 010  W 101 101 111 111 101  X 101 101 010 101 101
Y 101 101 010 010 010  Z 111 001 010 100 111
< 001 010 100 010 001  > 100 010 001 010 100  ? 110 001 010 000 010  ! 010 010 010 000 010
+ 000 010 111 010 000  - 000 000 111 000 000  . 000 000 000 000 010  : 000 010 000 010 000
""".split()
SIGNS: dict[str, np.ndarray] = {
    _DRAWN[i]: np.array([[int(dot) for dot in row] for row in _DRAWN[i + 1 : i + 6]], np.float32)
    for i in range(0, len(_DRAWN), 6)
}
SIGNS[" "] = np.zeros((HEIGHT, WIDTH), np.float32)
DIGITS = "0123456789"


def write(text: str) -> np.ndarray:
    """One line of text: (5, 4 n - 1) float32, 0 (paper) to 1 (ink).

    Raises:
        InputError: no text, or a sign that the font does not have.
    """
    if not text:
        raise InputError("text is empty; it must have at least one sign")
    for sign in text:
        if sign not in SIGNS:
            raise InputError(f"text has {sign!r}; the font has {''.join(sorted(SIGNS))!r}")
    line = np.zeros((HEIGHT, STEP * len(text)), np.float32)
    for i, sign in enumerate(text):
        line[:, STEP * i : STEP * i + WIDTH] = SIGNS[sign]
    return line[:, :-1]


def write_page(lines: Sequence[str], columns: int) -> np.ndarray:
    """Lines of text below each other: (6 rows, 4 columns) float32, each sign in its cell.

    Raises:
        InputError: no line; a line that is longer than `columns`; what `write` refuses.
    """
    if not lines:
        raise InputError("lines is empty; a page must have at least one line")
    page = np.zeros((LINE * len(lines), STEP * columns), np.float32)
    for i, text in enumerate(lines):
        if len(text) > columns:
            raise InputError(f"line {text!r} has {len(text)} signs; columns is {columns}")
        if text:
            ink = write(text)
            page[LINE * i : LINE * i + HEIGHT, : ink.shape[1]] = ink
    return page


@cache
def _cells(shrunk: int) -> tuple[list[str], np.ndarray]:
    """Every sign and its cell, averaged over squares of `shrunk` dots: (signs, 6 4 / shrunk^2)."""
    names = sorted(SIGNS)
    cells = np.stack([write_page([name], 1) for name in names])  # (signs, 6, 4)
    high, wide = LINE // shrunk, STEP // shrunk
    cells = cells.reshape(-1, high, shrunk, wide, shrunk).mean((2, 4))
    return names, cells.reshape(len(names), -1)


def read_page(page: np.ndarray, shrunk: int = 1, tolerance: float = 0.02) -> list[str] | None:
    """The lines of a page, trailing blanks left out, or None where a sign is not legible.

    Args:
        page: (6 rows / shrunk, 4 columns / shrunk), 0 to 1, as `write_page` draws it.
        shrunk: 1, or 2 where every square of 2 by 2 dots was averaged.
        tolerance: most mean squared difference of a cell from the nearest sign.

    Raises:
        InputError: a page of another shape, or shrunk by another number.
    """
    if shrunk not in (1, 2):
        raise InputError(f"shrunk is {shrunk}; it must be 1 or 2")
    page = np.asarray(page)
    high, wide = LINE // shrunk, STEP // shrunk
    if page.ndim != 2 or not page.size or page.shape[0] % high or page.shape[1] % wide:
        raise InputError(
            f"page is {page.shape}; it must be (rows, columns) in multiples of {(high, wide)}"
        )
    names, known = _cells(shrunk)
    rows, columns = page.shape[0] // high, page.shape[1] // wide
    cells = page.reshape(rows, high, columns, wide).transpose(0, 2, 1, 3)
    cells = cells.reshape(rows * columns, -1)  # (cells, dots)
    error = ((cells[:, None] - known) ** 2).mean(-1)  # (cells, signs)
    if not (error.min(1) <= tolerance).all():  # nan is not legible either
        return None
    signs = [names[i] for i in error.argmin(1)]
    return ["".join(signs[columns * r : columns * (r + 1)]).rstrip() for r in range(rows)]
