"""RMS normalisation in Numba."""

import numpy as np

from minilm.kernels.numba_tools.jit import jit


def rms_norm(x: np.ndarray, w: np.ndarray | None, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """See `reference.rms_norm`."""
    x = np.ascontiguousarray(x)
    y, rstd = np.empty_like(x), np.empty(len(x), x.dtype)
    if w is None:
        _forward_plain(x, x.dtype.type(eps), y, rstd)
    else:
        _forward(x, w, x.dtype.type(eps), y, rstd)
    return y, rstd


def rms_norm_backward(
    g: np.ndarray, x: np.ndarray, w: np.ndarray | None, rstd: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """See `reference.rms_norm_backward`."""
    g, x = np.ascontiguousarray(g), np.ascontiguousarray(x)
    dx = np.empty_like(x)
    if w is None:
        _backward_plain(g, x, rstd, dx)
        return dx, None
    dw = np.zeros(len(w), w.dtype)
    _backward(g, x, w, rstd, dx, dw)
    return dx, dw


@jit
def _forward(x, w, eps, y, rstd):
    one = x.dtype.type(1)
    share = one / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        row, out = x[i], y[i]
        total = x.dtype.type(0)
        for j in range(row.size):
            total += row[j] * row[j]
        r = one / np.sqrt(total * share + eps)
        rstd[i] = r
        for j in range(row.size):
            out[j] = row[j] * r * w[j]


@jit
def _backward(g, x, w, rstd, dx, dw):
    share = x.dtype.type(1) / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        gr, row, out = g[i], x[i], dx[i]
        r = rstd[i]
        along = x.dtype.type(0)
        for j in range(row.size):
            normal = row[j] * r
            dw[j] += gr[j] * normal
            along += gr[j] * w[j] * normal
        along *= share
        for j in range(row.size):
            out[j] = r * (gr[j] * w[j] - row[j] * r * along)


@jit
def _forward_plain(x, eps, y, rstd):
    one = x.dtype.type(1)
    share = one / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        row, out = x[i], y[i]
        total = x.dtype.type(0)
        for j in range(row.size):
            total += row[j] * row[j]
        r = one / np.sqrt(total * share + eps)
        rstd[i] = r
        for j in range(row.size):
            out[j] = row[j] * r


@jit
def _backward_plain(g, x, rstd, dx):
    share = x.dtype.type(1) / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        gr, row, out = g[i], x[i], dx[i]
        r = rstd[i]
        along = x.dtype.type(0)
        for j in range(row.size):
            along += gr[j] * row[j] * r
        along *= share
        for j in range(row.size):
            out[j] = r * (gr[j] - row[j] * r * along)
