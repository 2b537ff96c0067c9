"""Each row's token is the first whose share, added to those before it, exceeds the row's mark."""

import numpy as np

from minilm.backend import Array, to_numpy


def draw(logits: Array, marks: np.ndarray) -> np.ndarray:
    """One token per row from softmax(logits), added up in float64.

    Args:
        logits: (B, V) without NaN; -inf is never drawn, inf always. No row is -inf throughout.
        marks: (B,) float64 in [0, 1): even ones give the softmax.

    Returns:
        (B,) int64, in host memory.
    """
    wide = to_numpy(logits).astype(np.float64)
    top = wide.max(axis=-1, keepdims=True)
    with np.errstate(over="ignore", invalid="ignore"):  # inf - inf, where the largest is inf
        e = np.exp(np.where(wide == top, 0, wide - top))
    shares = np.cumsum(e, axis=-1)
    ids = [
        # Below the total, because rounding could otherwise pick a token after the last likely one.
        np.searchsorted(row, min(mark * row[-1], np.nextafter(row[-1], 0)), side="right")
        for row, mark in zip(shares, marks, strict=True)
    ]
    return np.array(ids, np.int64)
