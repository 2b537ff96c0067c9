"""Layer norm on a GPU: Numba CUDA kernels to read, and the launchers of cuda.cu, which runs."""

import math

import numpy as np
from numba import cuda, float32

from minilm.backend import Array, xp_of
from minilm.kernels.cuda_tools.arrays import blocks, dense, empty, floats, or_reference, row_threads
from minilm.kernels.cuda_tools.launch import c_type, launch
from minilm.kernels.layer_norm import reference


@cuda.jit
def layer_norm_rows(x, w, b, y, mean, rstd, eps):
    """One thread per row of x (N, C); rung 2 of cuda.cu: right, but its reads are C apart."""
    row = cuda.grid(1)
    if row < x.shape[0]:
        n = x.shape[1]
        total = float32(0)
        for j in range(n):
            total += x[row, j]
        m = total / n
        square = float32(0)
        for j in range(n):
            square += (x[row, j] - m) * (x[row, j] - m)
        r = 1 / math.sqrt(square / n + eps)
        for j in range(n):
            y[row, j] = (x[row, j] - m) * r * w[j] + b[j]
        mean[row], rstd[row] = m, r


@cuda.jit
def layer_norm_backward_rows(g, x, w, mean, rstd, dx):
    """The gradient of x, one thread per row."""
    row = cuda.grid(1)
    if row < x.shape[0]:
        n = x.shape[1]
        total, dot = float32(0), float32(0)
        for j in range(n):
            h = g[row, j] * w[j]
            total += h
            dot += h * (x[row, j] - mean[row]) * rstd[row]
        for j in range(n):
            z = (x[row, j] - mean[row]) * rstd[row]
            dx[row, j] = (g[row, j] * w[j] - total / n - z * dot / n) * rstd[row]


@cuda.jit
def weight_gradient_columns(g, x, mean, rstd, dw, db):
    """The gradients of w and b, one thread per column: neighbours read neighbours."""
    j = cuda.grid(1)
    if j < x.shape[1]:
        a, s = float32(0), float32(0)
        for row in range(x.shape[0]):
            a += g[row, j] * (x[row, j] - mean[row]) * rstd[row]
            s += g[row, j]
        dw[j], db[j] = a, s


@or_reference(reference)
def layer_norm(
    x: Array, w: Array | None, b: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """See `reference.layer_norm`; mean and 1 / deviation are float32."""
    x = dense(x)
    rows, n = x.shape
    y = xp_of(x).empty_like(x)
    mean, rstd = (empty(x, (rows,), np.float32) for _ in range(2))
    w, b = (None if a is None else dense(a, x) for a in (w, b))
    launch(
        "layer_norm/cuda", "layer_norm", (rows,), (row_threads(n, x.itemsize),),
        x, w, b, y, mean, rstd, n, eps, DTYPE=c_type(x, "x"),
    )  # fmt: skip
    return y, mean, rstd


@or_reference(reference)
def layer_norm_backward(
    g: Array, x: Array, w: Array | None, mean: Array, rstd: Array
) -> tuple[Array, Array | None, Array | None]:
    """See `reference.layer_norm_backward`."""
    x = dense(x)
    g, mean, rstd = dense(g, x), floats(mean), floats(rstd)
    rows, n = x.shape
    dx = xp_of(x).empty_like(x)
    launch(
        "layer_norm/cuda", "layer_norm_backward", (rows,), (row_threads(n, x.itemsize),),
        g, x, None if w is None else dense(w, x), mean, rstd, dx, n, DTYPE=c_type(x, "x"),
    )  # fmt: skip
    if w is None:
        return dx, None, None
    dw, db = weight_gradients(g, x, w, mean, rstd)
    return dx, dw, db


def weight_gradients(
    g: Array, x: Array, w: Array, mean: Array | None, rstd: Array | None
) -> tuple[Array, Array]:
    """Sums over rows of g * (x - mean) * rstd and of g, in w's type; None counts as 0 and 1."""
    rows, n = x.shape
    shares = min(64, blocks(rows, 64))
    kind = c_type(x, "x")
    parts = empty(x, (2, shares, n), np.float32)
    launch(
        "layer_norm/cuda", "weight_gradients", (blocks(n, 32), shares), (32, 8),
        g, x, mean, rstd, parts, rows, n, DTYPE=kind,
    )  # fmt: skip
    dw, db = (empty(x, (n,)) for _ in range(2))
    launch(
        "layer_norm/cuda", "sum_parts", (blocks(n, 128),), (128,),
        parts, dw, db, shares, n, DTYPE=kind,
    )  # fmt: skip
    return dw.astype(w.dtype, copy=False), db.astype(w.dtype, copy=False)
