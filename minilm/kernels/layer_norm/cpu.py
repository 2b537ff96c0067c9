"""Layer normalisation in Numba: two passes over each row forward, two backward."""

import numpy as np

from minilm.kernels.numba_tools.jit import jit


def layer_norm(
    x: np.ndarray, w: np.ndarray | None, b: np.ndarray | None, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """See `reference.layer_norm`."""
    x = np.ascontiguousarray(x)
    y = np.empty_like(x)
    mean, rstd = np.empty(len(x), x.dtype), np.empty(len(x), x.dtype)
    if w is None:
        _forward_plain(x, x.dtype.type(eps), y, mean, rstd)
    else:
        b = np.zeros(len(w), w.dtype) if b is None else b
        _forward(x, w, b, x.dtype.type(eps), y, mean, rstd)
    return y, mean, rstd


def layer_norm_backward(
    g: np.ndarray, x: np.ndarray, w: np.ndarray | None, mean: np.ndarray, rstd: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """See `reference.layer_norm_backward`."""
    g, x = np.ascontiguousarray(g), np.ascontiguousarray(x)
    dx = np.empty_like(x)
    if w is None:
        _backward_plain(g, x, mean, rstd, dx)
        return dx, None, None
    dw, db = np.zeros((2, len(w)), w.dtype)
    _backward(g, x, w, mean, rstd, dx, dw, db)
    return dx, dw, db


@jit
def _forward(x, w, b, eps, y, mean, rstd):
    one = x.dtype.type(1)
    share = one / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        row, out = x[i], y[i]
        total = x.dtype.type(0)
        for j in range(row.size):
            total += row[j]
        m = total * share
        spread = x.dtype.type(0)
        for j in range(row.size):
            d = row[j] - m
            spread += d * d
        r = one / np.sqrt(spread * share + eps)
        mean[i] = m
        rstd[i] = r
        for j in range(row.size):
            out[j] = (row[j] - m) * r * w[j] + b[j]


@jit
def _backward(g, x, w, mean, rstd, dx, dw, db):
    share = x.dtype.type(1) / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        gr, row, out = g[i], x[i], dx[i]
        m, r = mean[i], rstd[i]
        plain = along = x.dtype.type(0)
        for j in range(row.size):
            normal = (row[j] - m) * r
            gw = gr[j] * w[j]
            dw[j] += gr[j] * normal
            db[j] += gr[j]
            plain += gw
            along += gw * normal
        plain *= share
        along *= share
        for j in range(row.size):
            out[j] = r * (gr[j] * w[j] - plain - (row[j] - m) * r * along)


@jit
def _forward_plain(x, eps, y, mean, rstd):
    one = x.dtype.type(1)
    share = one / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        row, out = x[i], y[i]
        total = spread = x.dtype.type(0)
        for j in range(row.size):
            total += row[j]
        m = total * share
        for j in range(row.size):
            d = row[j] - m
            spread += d * d
        r = one / np.sqrt(spread * share + eps)
        mean[i], rstd[i] = m, r
        for j in range(row.size):
            out[j] = (row[j] - m) * r


@jit
def _backward_plain(g, x, mean, rstd, dx):
    share = x.dtype.type(1) / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        gr, row, out = g[i], x[i], dx[i]
        m, r = mean[i], rstd[i]
        plain = along = x.dtype.type(0)
        for j in range(row.size):
            plain += gr[j]
            along += gr[j] * (row[j] - m) * r
        plain *= share
        along *= share
        for j in range(row.size):
            out[j] = r * (gr[j] - plain - (row[j] - m) * r * along)
