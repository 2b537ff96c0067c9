"""The selective scan on a GPU: a Numba CUDA kernel to read, and the launchers of cuda.cu."""

import math

import numpy as np
from numba import cuda, float32

from minilm.backend import Array, xp_of
from minilm.kernels.cuda_tools.arrays import blocks, dense, empty, floats, or_reference
from minilm.kernels.cuda_tools.launch import c_type, launch
from minilm.kernels.scan import reference

THREADS = 128  # of a block, as in cuda.cu
MOST = 64  # states of a channel that the readable kernel has room for


@cuda.jit
def scan_channels(x, delta, a, b, c, y):
    """One thread per channel of x (B, T, E), token after token, from a state of zeros."""
    i = cuda.grid(1)
    if i < x.shape[0] * x.shape[2]:
        row, e = i // x.shape[2], i % x.shape[2]
        h = cuda.local.array(MOST, float32)
        for n in range(a.shape[1]):
            h[n] = 0
        for t in range(x.shape[1]):
            d, total = delta[row, t, e], float32(0)
            for n in range(a.shape[1]):
                h[n] = math.exp(d * a[e, n]) * h[n] + b[row, t, n] * d * x[row, t, e]
                total += c[row, t, n] * h[n]
            y[row, t, e] = total


def sweep(x: Array) -> int:
    """The tokens that a block takes at a time: 16 bytes of them for each thread."""
    return THREADS * 16 // x.itemsize


@or_reference(reference)
def scan(
    x: Array, delta: Array, a: Array, b: Array, c: Array, h0: Array
) -> tuple[Array, Array, Array]:
    """See `reference.scan`; states are float32, and kept once a `sweep`."""
    batch, time, channels = x.shape
    states = a.shape[1]
    series = [_last(part, x) for part in (x, delta, b, c)]
    y, last = xp_of(x).empty_like(series[0]), empty(x, h0.shape, np.float32)
    marks = empty(x, (batch, blocks(time, sweep(x)), states, channels), np.float32)
    launch(
        "scan/cuda", "scan", (channels, batch), (THREADS,),
        series[0], series[1], floats(a), series[2], series[3], floats(h0), y, last, marks,
        channels, states, time, shared=4 * states, DTYPE=c_type(x, "x"),
    )  # fmt: skip
    return y.swapaxes(1, 2), last, marks


@or_reference(reference)
def scan_backward(
    g: Array, x: Array, delta: Array, a: Array, b: Array, c: Array, marks: Array
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """See `reference.scan_backward`."""
    xp = xp_of(x)
    batch, time, channels = x.shape
    states = a.shape[1]
    series = [_last(part, x) for part in (g, x, delta, b, c)]
    dx, ddelta = xp.empty_like(series[1]), xp.empty_like(series[1])
    da = xp.zeros((batch, channels, states), np.float32)
    db, dc = (xp.zeros(series[3].shape, np.float32) for _ in range(2))
    dh0 = xp.empty((batch, states, channels), np.float32)
    launch(
        "scan/cuda", "scan_backward", (channels, batch), (THREADS,),
        *series[:3], floats(a), *series[3:], floats(marks), dx, ddelta, da, db, dc, dh0,
        channels, states, time, shared=8 * states, DTYPE=c_type(x, "x"),
    )  # fmt: skip
    turned = (part.swapaxes(1, 2).astype(x.dtype, copy=False) for part in (dx, ddelta, db, dc))
    first, second, third, fourth = turned
    return first, second, da.sum(axis=0).astype(a.dtype, copy=False), third, fourth, dh0


def _last(part: Array, like: Array) -> Array:
    """Time last: (B, T, ...) -> (B, ..., T), dense and of the type of x."""
    return dense(part.swapaxes(1, 2), like)
