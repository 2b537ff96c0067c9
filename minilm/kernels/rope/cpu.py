"""Rotary positions in Numba, for tables shared by the whole batch."""

import numpy as np

from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.rope import reference


def rope(x: np.ndarray, cos: np.ndarray, sin: np.ndarray, interleaved: bool) -> np.ndarray:
    """See `reference.rope`; tables that differ within the batch go there."""
    if cos.ndim != 2 or sin.ndim != 2 or cos.dtype != x.dtype or sin.dtype != x.dtype:
        return reference.rope(x, cos, sin, interleaved)
    flat = np.ascontiguousarray(x).reshape(-1, *x.shape[-2:])
    out = np.empty_like(flat)
    kernel = _interleaved if interleaved else _half
    kernel(flat, np.ascontiguousarray(cos), np.ascontiguousarray(sin), out)
    return out.reshape(x.shape)


@jit
def _half(x, cos, sin, out):
    half = cos.shape[1]
    for n in range(x.shape[0]):
        for t in range(x.shape[1]):
            row, to, c, s = x[n, t], out[n, t], cos[t], sin[t]
            for j in range(half):
                to[j] = row[j] * c[j] - row[j + half] * s[j]
            for j in range(half):
                to[j + half] = row[j] * s[j] + row[j + half] * c[j]


@jit
def _interleaved(x, cos, sin, out):
    for n in range(x.shape[0]):
        for t in range(x.shape[1]):
            row, to, c, s = x[n, t], out[n, t], cos[t], sin[t]
            for j in range(c.size):
                a, b = row[2 * j], row[2 * j + 1]
                to[2 * j] = a * c[j] - b * s[j]
                to[2 * j + 1] = a * s[j] + b * c[j]


def rope_rows(
    rows: np.ndarray,
    out: np.ndarray,
    heads: int,
    cos: np.ndarray,
    sin: np.ndarray,
    interleaved: bool,
) -> None:
    """See `reference.rope_rows`; rows and out must each be one block of memory."""
    kernel = _rows_interleaved if interleaved else _rows_half
    kernel(rows, out, heads, np.ascontiguousarray(cos), np.ascontiguousarray(sin))


@jit
def _rows_half(rows, out, heads, cos, sin):
    half = cos.shape[1]
    for n in range(rows.shape[0]):
        c, s = cos[n % cos.shape[0]], sin[n % cos.shape[0]]
        for h in range(heads):
            start = 2 * half * h
            row, to = rows[n, start : start + 2 * half], out[n, start : start + 2 * half]
            for j in range(half):
                a, b = row[j], row[j + half]
                to[j] = a * c[j] - b * s[j]
                to[j + half] = a * s[j] + b * c[j]


@jit
def _rows_interleaved(rows, out, heads, cos, sin):
    half = cos.shape[1]
    for n in range(rows.shape[0]):
        c, s = cos[n % cos.shape[0]], sin[n % cos.shape[0]]
        for h in range(heads):
            start = 2 * half * h
            row, to = rows[n, start : start + 2 * half], out[n, start : start + 2 * half]
            for j in range(half):
                a, b = row[2 * j], row[2 * j + 1]
                to[2 * j] = a * c[j] - b * s[j]
                to[2 * j + 1] = a * s[j] + b * c[j]
