"""Softmax over the last axis in Numba: one pass for the maximum, one for exp, one to scale."""

import numpy as np

from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.simd import exp, fmax


def softmax(x: np.ndarray) -> np.ndarray:
    """See `reference.softmax`."""
    rows = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
    y = np.empty_like(rows)
    _softmax(rows, y)
    return y.reshape(x.shape)


def softmax_backward(g: np.ndarray, y: np.ndarray) -> np.ndarray:
    """See `reference.softmax_backward`."""
    n = y.shape[-1]
    dx = np.empty(y.shape, dtype=y.dtype)
    _softmax_backward(
        np.ascontiguousarray(g).reshape(-1, n),
        np.ascontiguousarray(y).reshape(-1, n),
        dx.reshape(-1, n),
    )
    return dx


def log_softmax(x: np.ndarray) -> np.ndarray:
    """See `reference.log_softmax`."""
    rows = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
    y = np.empty_like(rows)
    _log_softmax(rows, y)
    return y.reshape(x.shape)


def log_softmax_backward(g: np.ndarray, y: np.ndarray) -> np.ndarray:
    """See `reference.log_softmax_backward`."""
    n = y.shape[-1]
    dx = np.empty(y.shape, dtype=y.dtype)
    _log_softmax_backward(
        np.ascontiguousarray(g).reshape(-1, n),
        np.ascontiguousarray(y).reshape(-1, n),
        dx.reshape(-1, n),
    )
    return dx


@jit
def _softmax(x, y):
    zero = x.dtype.type(0)
    for i in range(x.shape[0]):
        row, out = x[i], y[i]
        top = row[0]
        for j in range(row.size):
            top = fmax(top, row[j])
        if top == -np.inf:  # all are, but for NaN, which comparisons pass over
            fill = zero
            for j in range(row.size):
                if row[j] != -np.inf:
                    fill = row[j]
            for j in range(row.size):
                out[j] = fill
            continue
        total = zero
        for j in range(row.size):
            e = exp(row[j] - top)
            out[j] = e if row[j] != -np.inf else zero
            total += out[j]
        scale = x.dtype.type(1) / total
        for j in range(row.size):
            out[j] *= scale


@jit
def _softmax_backward(g, y, dx):
    for i in range(y.shape[0]):
        gr, yr, out = g[i], y[i], dx[i]
        dot = y.dtype.type(0)
        for j in range(yr.size):
            dot += gr[j] * yr[j]
        for j in range(yr.size):
            out[j] = yr[j] * (gr[j] - dot)


@jit
def _log_softmax(x, y):
    for i in range(x.shape[0]):
        row, out = x[i], y[i]
        top = row[0]
        for j in range(row.size):
            top = fmax(top, row[j])
        total = x.dtype.type(0)
        for j in range(row.size):
            total += exp(row[j] - top)
        shift = top + np.log(total)
        for j in range(row.size):
            out[j] = row[j] - shift


@jit
def _log_softmax_backward(g, y, dx):
    for i in range(y.shape[0]):
        gr, yr, out = g[i], y[i], dx[i]
        total = y.dtype.type(0)
        for j in range(yr.size):
            total += gr[j]
        for j in range(yr.size):
            out[j] = gr[j] - exp(yr[j]) * total
