"""Gated units on a GPU: Numba CUDA kernels to read, and the launchers of cuda.cu, which runs."""

import math

from numba import cuda

from minilm.backend import Array, xp_of
from minilm.kernels.cuda_tools.arrays import dense, or_reference
from minilm.kernels.cuda_tools.launch import c_type, launch
from minilm.kernels.gelu.cuda import GELU_ERF, SILU, elementwise_grid
from minilm.kernels.swiglu import reference


@cuda.jit
def swiglu_elements(gate, up, y):
    """One thread per element: silu(gate) * up."""
    i = cuda.grid(1)
    if i < y.size:
        y[i] = gate[i] / (1 + math.exp(-gate[i])) * up[i]


@cuda.jit
def swiglu_backward_elements(g, gate, up, dgate, dup):
    """One thread per element: both gradients from a single read of the inputs."""
    i = cuda.grid(1)
    if i < g.size:
        s = 1 / (1 + math.exp(-gate[i]))
        dgate[i] = g[i] * up[i] * s * (1 + gate[i] * (1 - s))
        dup[i] = g[i] * gate[i] * s


def _forward(gate: Array, up: Array, kind: int) -> Array:
    gate = dense(gate)
    y = xp_of(gate).empty_like(gate)
    launch(
        "swiglu/cuda", "gated", *elementwise_grid(gate), gate, dense(up, gate), y, y.size,
        DTYPE=c_type(gate, "gate"), KIND=kind,
    )  # fmt: skip
    return y


def _backward(g: Array, gate: Array, up: Array, kind: int) -> tuple[Array, Array]:
    gate = dense(gate)
    dgate, dup = xp_of(gate).empty_like(gate), xp_of(gate).empty_like(gate)
    launch(
        "swiglu/cuda", "gated_backward", *elementwise_grid(gate),
        dense(g, gate), gate, dense(up, gate), dgate, dup, gate.size,
        DTYPE=c_type(gate, "gate"), KIND=kind,
    )  # fmt: skip
    return dgate, dup


@or_reference(reference)
def swiglu(gate: Array, up: Array) -> Array:
    """See `reference.swiglu`."""
    return _forward(gate, up, SILU)


@or_reference(reference)
def swiglu_backward(g: Array, gate: Array, up: Array) -> tuple[Array, Array]:
    """See `reference.swiglu_backward`."""
    return _backward(g, gate, up, SILU)


@or_reference(reference)
def geglu(gate: Array, up: Array) -> Array:
    """See `reference.geglu`."""
    return _forward(gate, up, GELU_ERF)


@or_reference(reference)
def geglu_backward(g: Array, gate: Array, up: Array) -> tuple[Array, Array]:
    """See `reference.geglu_backward`."""
    return _backward(g, gate, up, GELU_ERF)
