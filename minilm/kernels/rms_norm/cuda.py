"""RMS norm on a GPU: a Numba CUDA kernel to read, and the launchers of cuda.cu, which runs."""

import math

import numpy as np
from numba import cuda, float32

from minilm.backend import Array, xp_of
from minilm.kernels.cuda_tools.arrays import dense, empty, floats, or_reference, row_threads
from minilm.kernels.cuda_tools.launch import c_type, launch
from minilm.kernels.layer_norm.cuda import weight_gradients
from minilm.kernels.rms_norm import reference


@cuda.jit
def rms_norm_rows(x, w, y, rstd, eps):
    """One warp per row of x (N, C): lanes read neighbours, and add up through registers."""
    row, lane = cuda.blockIdx.x, cuda.threadIdx.x
    square = float32(0)
    for j in range(lane, x.shape[1], 32):
        square += x[row, j] * x[row, j]
    step = 16
    while step > 0:
        square += cuda.shfl_xor_sync(0xFFFFFFFF, square, step)
        step //= 2
    r = 1 / math.sqrt(square / x.shape[1] + eps)
    for j in range(lane, x.shape[1], 32):
        y[row, j] = x[row, j] * r * w[j]
    if lane == 0:
        rstd[row] = r


@cuda.jit
def rms_norm_backward_rows(g, x, w, rstd, dx):
    """The gradient of x, one warp per row."""
    row, lane = cuda.blockIdx.x, cuda.threadIdx.x
    dot = float32(0)
    for j in range(lane, x.shape[1], 32):
        dot += g[row, j] * w[j] * x[row, j] * rstd[row]
    step = 16
    while step > 0:
        dot += cuda.shfl_xor_sync(0xFFFFFFFF, dot, step)
        step //= 2
    for j in range(lane, x.shape[1], 32):
        z = x[row, j] * rstd[row]
        dx[row, j] = (g[row, j] * w[j] - z * dot / x.shape[1]) * rstd[row]


@or_reference(reference)
def rms_norm(x: Array, w: Array | None, eps: float) -> tuple[Array, Array]:
    """See `reference.rms_norm`; 1 / root mean square is float32."""
    x = dense(x)
    rows, n = x.shape
    y, rstd = xp_of(x).empty_like(x), empty(x, (rows,), np.float32)
    launch(
        "rms_norm/cuda", "rms_norm", (rows,), (row_threads(n, x.itemsize),),
        x, None if w is None else dense(w, x), y, rstd, n, eps, DTYPE=c_type(x, "x"),
    )  # fmt: skip
    return y, rstd


@or_reference(reference)
def rms_norm_backward(
    g: Array, x: Array, w: Array | None, rstd: Array
) -> tuple[Array, Array | None]:
    """See `reference.rms_norm_backward`."""
    x = dense(x)
    g, rstd = dense(g, x), floats(rstd)
    rows, n = x.shape
    dx = xp_of(x).empty_like(x)
    launch(
        "rms_norm/cuda", "rms_norm_backward", (rows,), (row_threads(n, x.itemsize),),
        g, x, None if w is None else dense(w, x), rstd, dx, n, DTYPE=c_type(x, "x"),
    )  # fmt: skip
    return dx, None if w is None else weight_gradients(g, x, w, None, rstd)[0]
