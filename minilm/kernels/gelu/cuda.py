"""GELU and SiLU on a GPU: Numba CUDA kernels to read, and the launchers of cuda.cu, which runs."""

import math

from numba import cuda

from minilm.backend import Array, xp_of
from minilm.kernels.cuda_tools.arrays import blocks, dense, or_reference
from minilm.kernels.cuda_tools.launch import c_type, launch
from minilm.kernels.gelu import reference

GELU_ERF, GELU_TANH, SILU, RELU = range(4)  # as in activations.cuh


@cuda.jit
def gelu_elements(x, y):
    """One thread per element, GELU by erf."""
    i = cuda.grid(1)
    if i < x.size:
        y[i] = 0.5 * x[i] * (1 + math.erf(x[i] * math.sqrt(0.5)))


@cuda.jit
def gelu_backward_elements(g, x, dx):
    """One thread per element: g times Phi(x) + x phi(x)."""
    i = cuda.grid(1)
    if i < x.size:
        share = 0.5 * (1 + math.erf(x[i] * math.sqrt(0.5)))
        density = math.exp(-0.5 * x[i] * x[i]) / math.sqrt(2 * math.pi)
        dx[i] = g[i] * (share + x[i] * density)


def elementwise_grid(array: Array) -> tuple[tuple[int], tuple[int]]:
    """Grid and block that give each thread 16 bytes."""
    return (blocks(array.size * array.itemsize, 16 * 256),), (256,)


def activation(x: Array, kind: int) -> Array:
    """One of the activations of activations.cuh, elementwise."""
    x = dense(x)
    y = xp_of(x).empty_like(x)
    launch(
        "gelu/cuda", "activation", *elementwise_grid(x), x, y, x.size,
        DTYPE=c_type(x, "x"), KIND=kind,
    )  # fmt: skip
    return y


def activation_backward(g: Array, x: Array, kind: int) -> Array:
    """g times the derivative at x."""
    x = dense(x)
    dx = xp_of(x).empty_like(x)
    launch(
        "gelu/cuda", "activation_backward", *elementwise_grid(x), dense(g, x), x, dx, x.size,
        DTYPE=c_type(x, "x"), KIND=kind,
    )  # fmt: skip
    return dx


@or_reference(reference)
def gelu(x: Array, tanh: bool) -> Array:
    """See `reference.gelu`."""
    return activation(x, GELU_TANH if tanh else GELU_ERF)


@or_reference(reference)
def gelu_backward(g: Array, x: Array, tanh: bool) -> Array:
    """See `reference.gelu_backward`."""
    return activation_backward(g, x, GELU_TANH if tanh else GELU_ERF)


@or_reference(reference)
def silu(x: Array) -> Array:
    """See `reference.silu`."""
    return activation(x, SILU)


@or_reference(reference)
def silu_backward(g: Array, x: Array) -> Array:
    """See `reference.silu_backward`."""
    return activation_backward(g, x, SILU)
