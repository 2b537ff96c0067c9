"""A small matrix in print, with names at its edges."""

from collections.abc import Sequence

import numpy as np


def table(
    numbers: np.ndarray, rows: Sequence[str], columns: Sequence[str], form: str = "g"
) -> None:
    """Print a matrix that can be read.

    Args:
        numbers: (rows, columns).
        rows, columns: a name for each.
        form: of the numbers, as in a format string.
    """
    left = max(map(len, rows))
    wide = max(6, *(len(name) + 1 for name in columns))
    print(" " * left, *(f"{name:>{wide}}" for name in columns), sep="")
    for name, row in zip(rows, np.asarray(numbers), strict=True):
        print(f"{name:{left}}", *(f"{number:>{wide}{form}}" for number in row), sep="")
