"""What counting needs of its input: numbers that are not negative."""

from typing import Any

import numpy as np

from minilm.errors import InputError


def check_rows(name: str, rows: Any) -> np.ndarray:
    """(N, D) non-negative numbers, as float64.

    Raises:
        InputError: another shape; a number that is negative, infinite or nan.
    """
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.dtype.kind not in "iufb":
        raise InputError(f"{name} is {rows.shape} {rows.dtype}; it must be (N, D) numbers")
    rows = rows.astype(np.float64, copy=False)
    if rows.size and not rows.min() >= 0:
        raise InputError(f"{name} goes down to {rows.min():g}; it must hold no number below 0")
    if rows.size and not np.isfinite(rows.max()):
        raise InputError(f"{name} holds {rows.max()}; all numbers must be finite")
    return rows
