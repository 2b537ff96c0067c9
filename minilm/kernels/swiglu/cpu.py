"""Gated linear units in Numba: the activation and the product in one pass."""

import math

import numpy as np

from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.simd import erf, exp

_SQRT_HALF = math.sqrt(0.5)
_DENSITY = 1 / math.sqrt(2 * math.pi)


def swiglu(gate: np.ndarray, up: np.ndarray) -> np.ndarray:
    """See `reference.swiglu`."""
    return _forward(_swiglu, gate, up)


def swiglu_backward(
    g: np.ndarray, gate: np.ndarray, up: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """See `reference.swiglu_backward`."""
    return _backward(_swiglu_backward, g, gate, up)


def geglu(gate: np.ndarray, up: np.ndarray) -> np.ndarray:
    """See `reference.geglu`."""
    return _forward(_geglu, gate, up)


def geglu_backward(
    g: np.ndarray, gate: np.ndarray, up: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """See `reference.geglu_backward`."""
    return _backward(_geglu_backward, g, gate, up)


def _forward(kernel, gate: np.ndarray, up: np.ndarray) -> np.ndarray:
    out = np.empty(gate.shape, gate.dtype)
    flat = [np.ascontiguousarray(a).reshape(-1) for a in (gate, up)]
    kernel(*flat, out.reshape(-1))
    return out


def _backward(
    kernel, g: np.ndarray, gate: np.ndarray, up: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    dgate, dup = np.empty(gate.shape, gate.dtype), np.empty(gate.shape, gate.dtype)
    flat = [np.ascontiguousarray(a).reshape(-1) for a in (g, gate, up)]
    kernel(*flat, dgate.reshape(-1), dup.reshape(-1))
    return dgate, dup


@jit
def _swiglu(gate, up, y):
    one = gate.dtype.type(1)
    for i in range(gate.size):
        y[i] = gate[i] / (one + exp(-gate[i])) * up[i]


@jit
def _swiglu_backward(g, gate, up, dgate, dup):
    one = gate.dtype.type(1)
    for i in range(gate.size):
        s = one / (one + exp(-gate[i]))
        dup[i] = g[i] * gate[i] * s
        dgate[i] = g[i] * up[i] * s * (one + gate[i] * (one - s))


@jit
def _geglu(gate, up, y):
    half, one, r = gate.dtype.type(0.5), gate.dtype.type(1), gate.dtype.type(_SQRT_HALF)
    for i in range(gate.size):
        y[i] = half * gate[i] * (one + erf(gate[i] * r)) * up[i]


@jit
def _geglu_backward(g, gate, up, dgate, dup):
    half, one, r = gate.dtype.type(0.5), gate.dtype.type(1), gate.dtype.type(_SQRT_HALF)
    density = gate.dtype.type(_DENSITY)
    for i in range(gate.size):
        v = gate[i]
        phi = half * (one + erf(v * r))
        dup[i] = g[i] * v * phi
        dgate[i] = g[i] * up[i] * (phi + v * density * exp(-half * v * v))
