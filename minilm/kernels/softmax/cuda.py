"""Softmax on a GPU: a Numba CUDA kernel to read, and the launcher of cuda.cu, which runs."""

import math

from numba import cuda, float32

from minilm.backend import Array, xp_of
from minilm.kernels.cuda_tools.arrays import dense, or_reference, row_threads, rows_of
from minilm.kernels.cuda_tools.launch import c_type, launch
from minilm.kernels.softmax import reference

THREADS = 64


@cuda.jit
def softmax_rows(x, y):
    """One block of THREADS per row of x (N, C): maximum, sum, quotient; rung 2 of cuda.cu."""
    tree = cuda.shared.array(THREADS, float32)
    row, t = cuda.blockIdx.x, cuda.threadIdx.x
    top = float32(-math.inf)
    for j in range(t, x.shape[1], THREADS):
        top = max(top, x[row, j])
    tree[t] = top
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            tree[t] = max(tree[t], tree[t + half])
        cuda.syncthreads()
        half //= 2
    top = tree[0]
    cuda.syncthreads()  # all have read the maximum before the tree is used again
    total = float32(0)
    for j in range(t, x.shape[1], THREADS):
        total += math.exp(x[row, j] - top)
    tree[t] = total
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            tree[t] += tree[t + half]
        cuda.syncthreads()
        half //= 2
    for j in range(t, x.shape[1], THREADS):
        y[row, j] = math.exp(x[row, j] - top) / tree[0]


def _one(kernel: str, x: Array) -> Array:
    x = dense(x)
    y, (rows, n) = xp_of(x).empty_like(x), rows_of(x)
    block = (row_threads(n, x.itemsize),)
    launch("softmax/cuda", kernel, (rows,), block, x, y, n, DTYPE=c_type(x, "x"))
    return y


def _two(kernel: str, g: Array, y: Array) -> Array:
    y = dense(y)
    g = dense(g, y)
    dx, (rows, n) = xp_of(y).empty_like(y), rows_of(y)
    block = (row_threads(n, y.itemsize),)
    launch("softmax/cuda", kernel, (rows,), block, g, y, dx, n, DTYPE=c_type(y, "y"))
    return dx


@or_reference(reference)
def softmax(x: Array) -> Array:
    """See `reference.softmax`."""
    return _one("softmax", x)


@or_reference(reference)
def softmax_backward(g: Array, y: Array) -> Array:
    """See `reference.softmax_backward`."""
    return _two("softmax_backward", g, y)


@or_reference(reference)
def log_softmax(x: Array) -> Array:
    """See `reference.log_softmax`."""
    return _one("log_softmax", x)


@or_reference(reference)
def log_softmax_backward(g: Array, y: Array) -> Array:
    """See `reference.log_softmax_backward`."""
    return _two("log_softmax_backward", g, y)
