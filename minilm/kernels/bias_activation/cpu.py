"""Bias and activation in Numba: one pass forward; backward recomputes the value on the way."""

import math

import numpy as np

from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.simd import erf, exp

_S = 2 * math.sqrt(2 / math.pi)  # 0.5 (1 + tanh(s)) = sigmoid(2 s)
_CUBIC = 0.044715
_SQRT_HALF = math.sqrt(0.5)
_DENSITY = 1 / math.sqrt(2 * math.pi)


def bias_activation(h: np.ndarray, b: np.ndarray | None, kind: str) -> np.ndarray:
    """See `reference.bias_activation`; h must be one block of memory."""
    out = np.empty_like(h)
    _FORWARD[kind](h, np.zeros(h.shape[1], h.dtype) if b is None else b, out)
    return out


def bias_activation_backward(g: np.ndarray, h: np.ndarray, kind: str) -> np.ndarray:
    """See `reference.bias_activation_backward`; g and h must each be one block of memory."""
    db = np.zeros(h.shape[1], h.dtype)
    _BACKWARD[kind](g, h, db)
    return db


@jit
def _gelu(h, b, out):
    half, one, r = h.dtype.type(0.5), h.dtype.type(1), h.dtype.type(_SQRT_HALF)
    for i in range(h.shape[0]):
        row, to = h[i], out[i]
        for j in range(row.size):
            x = row[j] + b[j]
            row[j] = x
            to[j] = half * x * (one + erf(x * r))


@jit
def _gelu_backward(g, h, db):
    half, one, r = h.dtype.type(0.5), h.dtype.type(1), h.dtype.type(_SQRT_HALF)
    density = h.dtype.type(_DENSITY)
    for i in range(h.shape[0]):
        row, gr = h[i], g[i]
        for j in range(row.size):
            x = row[j]
            phi = half * (one + erf(x * r))
            d = gr[j] * (phi + x * density * exp(-half * x * x))
            gr[j] = d
            db[j] += d
            row[j] = x * phi


@jit
def _gelu_tanh(h, b, out):
    one, s, c = h.dtype.type(1), h.dtype.type(_S), h.dtype.type(_S * _CUBIC)
    for i in range(h.shape[0]):
        row, to = h[i], out[i]
        for j in range(row.size):
            x = row[j] + b[j]
            row[j] = x
            to[j] = x / (one + exp(-(s + c * x * x) * x))


@jit
def _gelu_tanh_backward(g, h, db):
    one, s = h.dtype.type(1), h.dtype.type(_S)
    c, c3 = h.dtype.type(_S * _CUBIC), h.dtype.type(3 * _S * _CUBIC)
    for i in range(h.shape[0]):
        row, gr = h[i], g[i]
        for j in range(row.size):
            x = row[j]
            phi = one / (one + exp(-(s + c * x * x) * x))
            d = gr[j] * (phi + x * phi * (one - phi) * (s + c3 * x * x))
            gr[j] = d
            db[j] += d
            row[j] = x * phi


@jit
def _silu(h, b, out):
    one = h.dtype.type(1)
    for i in range(h.shape[0]):
        row, to = h[i], out[i]
        for j in range(row.size):
            x = row[j] + b[j]
            row[j] = x
            to[j] = x / (one + exp(-x))


@jit
def _silu_backward(g, h, db):
    one = h.dtype.type(1)
    for i in range(h.shape[0]):
        row, gr = h[i], g[i]
        for j in range(row.size):
            x = row[j]
            s = one / (one + exp(-x))
            d = gr[j] * s * (one + x * (one - s))
            gr[j] = d
            db[j] += d
            row[j] = x * s


@jit
def _relu(h, b, out):
    zero = h.dtype.type(0)
    for i in range(h.shape[0]):
        row, to = h[i], out[i]
        for j in range(row.size):
            x = row[j] + b[j]
            row[j] = x
            to[j] = zero if x < zero else x  # this order keeps NaN


@jit
def _relu_backward(g, h, db):
    zero = h.dtype.type(0)
    for i in range(h.shape[0]):
        row, gr = h[i], g[i]
        for j in range(row.size):
            x = row[j]
            d = gr[j] if x > zero else zero
            gr[j] = d
            db[j] += d
            row[j] = zero if x < zero else x


_FORWARD = {"gelu": _gelu, "gelu_tanh": _gelu_tanh, "silu": _silu, "relu": _relu}
_BACKWARD = {
    "gelu": _gelu_backward,
    "gelu_tanh": _gelu_tanh_backward,
    "silu": _silu_backward,
    "relu": _relu_backward,
}
