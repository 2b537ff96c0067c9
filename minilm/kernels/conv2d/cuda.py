"""Convolution on a GPU: a Numba CUDA kernel to read, and cuBLAS over the columns of cuda.cu."""

from collections.abc import Iterator

import numpy as np
from numba import cuda, float32

from minilm.backend import Array, matmul, xp_of
from minilm.kernels.conv2d import reference
from minilm.kernels.conv2d.reference import Pair, out_size
from minilm.kernels.cuda_tools.arrays import blocks, dense, empty, or_reference
from minilm.kernels.cuda_tools.launch import c_type, launch

_MOST = 1 << 27  # numbers in the columns made at a time: 256 MB of 16 bits
_THREADS = 256


@cuda.jit
def conv2d_elements(x, w, y, stride, padding):
    """One thread per element of y (N, O, H', W'); rung 1 of cuda.cu."""
    j, i, plane = cuda.grid(3)
    if plane < y.shape[0] * y.shape[1] and i < y.shape[2] and j < y.shape[3]:
        n, o = plane // y.shape[1], plane % y.shape[1]
        total = float32(0)
        for c in range(x.shape[1]):
            for a in range(w.shape[2]):
                for b in range(w.shape[3]):
                    row, column = i * stride + a - padding, j * stride + b - padding
                    if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                        total += w[o, c, a, b] * x[n, c, row, column]
        y[n, o, i, j] = total


@or_reference(reference)
def conv2d(x: Array, w: Array, stride: Pair, padding: Pair) -> Array:
    """See `reference.conv2d`."""
    x, w = dense(x), dense(w, x)
    size = out_size(x.shape[2:], w.shape[2:], stride, padding)
    rows, y = w.reshape(len(w), -1), empty(x, (len(x), len(w), *size))
    for part in _parts(len(x), rows.shape[1] * size[0] * size[1]):
        columns = _unfold(x[part], w.shape[2:], stride, padding, size)
        y[part] = matmul(rows, columns).reshape(-1, len(w), *size)
    return y


@or_reference(reference)
def conv2d_input_gradient(g: Array, w: Array, size: Pair, stride: Pair, padding: Pair) -> Array:
    """See `reference.conv2d_input_gradient`."""
    g = dense(g)
    w, rows = dense(w, g), dense(w, g).reshape(len(w), -1)
    dx = empty(g, (len(g), w.shape[1], *size))
    pixels = g.reshape(len(g), len(w), -1)
    for part in _parts(len(g), rows.shape[1] * pixels.shape[2]):
        columns = dense(matmul(rows.T, pixels[part]), g)
        out = dx[part]
        _launch("fold", columns, out, size, w.shape[2:], stride, padding, g.shape[2:])
    return dx


@or_reference(reference)
def conv2d_weight_gradient(g: Array, x: Array, window: Pair, stride: Pair, padding: Pair) -> Array:
    """See `reference.conv2d_weight_gradient`; sums over pictures are float32."""
    x = dense(x)
    g, size = dense(g, x), g.shape[2:]
    outs, deep = g.shape[1], x.shape[1] * window[0] * window[1]
    pixels = g.reshape(len(g), outs, -1)
    dw = xp_of(x).zeros((outs, deep), np.float32)
    for part in _parts(len(x), deep * max(outs, pixels.shape[2])):
        columns = _unfold(x[part], window, stride, padding, size).swapaxes(1, 2)
        each = empty(x, (len(columns), outs, deep), np.float32)
        dw += matmul(pixels[part], columns, out=each).sum(axis=0)
    return dw.astype(x.dtype, copy=False).reshape(outs, x.shape[1], *window)


def _parts(count: int, each: int) -> Iterator[slice]:
    """Slices of some pictures, whose columns together are not more than `_MOST` numbers."""
    step = max(1, _MOST // each)
    return (slice(i, min(count, i + step)) for i in range(0, count, step))


def _unfold(x: Array, window: Pair, stride: Pair, padding: Pair, size: Pair) -> Array:
    """x (N, I, H, W) -> (N, I A B, H' W')."""
    columns = empty(x, (len(x), x.shape[1] * window[0] * window[1], size[0] * size[1]))
    _launch("unfold", x, columns, x.shape[2:], window, stride, padding, size)
    return columns


def _launch(
    kernel: str,
    source: Array,
    out: Array,
    picture: Pair,
    window: Pair,
    stride: Pair,
    padding: Pair,
    size: Pair,
) -> None:
    launch(
        "conv2d/cuda", kernel, (blocks(out.size, _THREADS),), (_THREADS,),
        source, out, out.size, *picture, *window, *stride, *padding, *size,
        DTYPE=c_type(source, "x"),
    )  # fmt: skip
