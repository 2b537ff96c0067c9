"""a = f(h + b) on a GPU: a Numba CUDA kernel to read, and the launchers of cuda.cu, which runs."""

import math

from numba import cuda

from minilm.backend import Array, xp_of
from minilm.kernels.bias_activation import reference
from minilm.kernels.cuda_tools.arrays import dense, or_reference
from minilm.kernels.cuda_tools.launch import c_type, launch
from minilm.kernels.gelu.cuda import GELU_ERF, GELU_TANH, RELU, SILU, elementwise_grid
from minilm.kernels.layer_norm.cuda import weight_gradients

KINDS = {"gelu": GELU_ERF, "gelu_tanh": GELU_TANH, "silu": SILU, "relu": RELU}


@cuda.jit
def bias_silu_elements(h, b, a):
    """One thread per element of h (N, F): h += b, a = silu(h)."""
    row, column = cuda.grid(2)
    if row < h.shape[0] and column < h.shape[1]:
        v = h[row, column] + b[column]
        h[row, column] = v
        a[row, column] = v / (1 + math.exp(-v))


@or_reference(reference)
def bias_activation(h: Array, b: Array | None, kind: str) -> Array:
    """See `reference.bias_activation`."""
    work = dense(h)
    a = xp_of(work).empty_like(work)
    launch(
        "bias_activation/cuda", "bias_activation", *elementwise_grid(work),
        work, None if b is None else dense(b, work), a, work.size, work.shape[-1],
        DTYPE=c_type(work, "h"), KIND=KINDS[kind],
    )  # fmt: skip
    if work is not h:
        h[...] = work
    return a


@or_reference(reference)
def bias_activation_backward(g: Array, h: Array, kind: str) -> Array:
    """See `reference.bias_activation_backward`."""
    gradient, value = dense(g, h), dense(h)
    launch(
        "bias_activation/cuda", "bias_activation_backward", *elementwise_grid(value),
        gradient, value, value.size, DTYPE=c_type(value, "h"), KIND=KINDS[kind],
    )  # fmt: skip
    if gradient is not g:
        g[...] = gradient
    if value is not h:
        h[...] = value
    return weight_gradients(gradient, gradient, gradient, None, None)[1]
