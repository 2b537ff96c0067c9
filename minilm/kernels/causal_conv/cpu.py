"""The causal convolution in Numba: a row of channels is read while its neighbours are in cache."""

import numpy as np

from minilm.kernels.numba_tools.jit import jit


def causal_conv(x: np.ndarray, w: np.ndarray, b: np.ndarray, before: np.ndarray) -> np.ndarray:
    """See `reference.causal_conv`."""
    whole = np.concatenate([before, x], axis=1)  # (B, K - 1 + T, E)
    y = np.empty(x.shape, x.dtype)
    _forward(whole, np.ascontiguousarray(w.T), np.ascontiguousarray(b), y)
    return y


def causal_conv_backward(
    g: np.ndarray, x: np.ndarray, w: np.ndarray, before: np.ndarray
) -> tuple[np.ndarray, ...]:
    """See `reference.causal_conv_backward`."""
    whole, g = np.concatenate([before, x], axis=1), np.ascontiguousarray(g)
    dwhole = np.zeros_like(whole)
    dw, db = np.zeros((w.shape[1], w.shape[0]), w.dtype), np.zeros(w.shape[0], w.dtype)
    _backward(g, whole, np.ascontiguousarray(w.T), dwhole, dw, db)
    first = before.shape[1]
    return dwhole[:, first:], np.ascontiguousarray(dw.T), db, dwhole[:, :first]


@jit
def _forward(whole, w, b, y):
    for i in range(y.shape[0]):
        for t in range(y.shape[1]):
            out = y[i, t]
            for e in range(out.size):
                out[e] = b[e]
            for k in range(w.shape[0]):
                row, weight = whole[i, t + k], w[k]
                for e in range(out.size):
                    out[e] += weight[e] * row[e]


@jit
def _backward(g, whole, w, dwhole, dw, db):
    for i in range(g.shape[0]):
        for t in range(g.shape[1]):
            coming = g[i, t]
            for e in range(coming.size):
                db[e] += coming[e]
            for k in range(w.shape[0]):
                row, weight, into, total = whole[i, t + k], w[k], dwhole[i, t + k], dw[k]
                for e in range(coming.size):
                    into[e] += weight[e] * coming[e]
                    total[e] += coming[e] * row[e]
