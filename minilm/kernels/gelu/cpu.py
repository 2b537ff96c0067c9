"""GELU and SiLU in Numba; the tanh formula as x * sigmoid(2 s), one exp in place of a tanh."""

import math

import numpy as np

from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.simd import erf, exp

_S = 2 * math.sqrt(2 / math.pi)  # 0.5 (1 + tanh(s)) = sigmoid(2 s)
_CUBIC = 0.044715
_SQRT_HALF = math.sqrt(0.5)
_DENSITY = 1 / math.sqrt(2 * math.pi)


def gelu(x: np.ndarray, tanh: bool) -> np.ndarray:
    """See `reference.gelu`."""
    return _map(_gelu_tanh if tanh else _gelu_erf, x)


def gelu_backward(g: np.ndarray, x: np.ndarray, tanh: bool) -> np.ndarray:
    """See `reference.gelu_backward`."""
    return _map(_gelu_tanh_backward if tanh else _gelu_erf_backward, g, x)


def silu(x: np.ndarray) -> np.ndarray:
    """See `reference.silu`."""
    return _map(_silu, x)


def silu_backward(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    """See `reference.silu_backward`."""
    return _map(_silu_backward, g, x)


def _map(kernel, *arrays: np.ndarray) -> np.ndarray:
    out = np.empty(arrays[-1].shape, arrays[-1].dtype)
    kernel(*(np.ascontiguousarray(a).reshape(-1) for a in arrays), out.reshape(-1))
    return out


@jit
def _gelu_tanh(x, y):
    one, a, b = x.dtype.type(1), x.dtype.type(_S), x.dtype.type(_S * _CUBIC)
    for i in range(x.size):
        v = x[i]
        y[i] = v / (one + exp(-(a + b * v * v) * v))


@jit
def _gelu_tanh_backward(g, x, dx):
    one, a = x.dtype.type(1), x.dtype.type(_S)
    b, c = x.dtype.type(_S * _CUBIC), x.dtype.type(3 * _S * _CUBIC)
    for i in range(x.size):
        v = x[i]
        s = one / (one + exp(-(a + b * v * v) * v))
        dx[i] = g[i] * (s + v * s * (one - s) * (a + c * v * v))


@jit
def _gelu_erf(x, y):
    half, one, r = x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(_SQRT_HALF)
    for i in range(x.size):
        y[i] = half * x[i] * (one + erf(x[i] * r))


@jit
def _gelu_erf_backward(g, x, dx):
    half, one, r = x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(_SQRT_HALF)
    density = x.dtype.type(_DENSITY)
    for i in range(x.size):
        v = x[i]
        dx[i] = g[i] * (half * (one + erf(v * r)) + v * density * exp(-half * v * v))


@jit
def _silu(x, y):
    one = x.dtype.type(1)
    for i in range(x.size):
        y[i] = x[i] / (one + exp(-x[i]))


@jit
def _silu_backward(g, x, dx):
    one = x.dtype.type(1)
    for i in range(x.size):
        s = one / (one + exp(-x[i]))
        dx[i] = g[i] * s * (one + x[i] * (one - s))
