"""Kernels that lesson 00b shows beside those of its own cells."""

import math
from typing import Any

from numba import cuda, float32

ALL = 0xFFFFFFFF  # the mask of a shuffle in which all 32 lanes take part


@cuda.jit
def product_swapped(a, b, c):
    """c = a b; lanes of a warp stand one below the other in a column of c."""
    row, column = cuda.grid(2)
    total = float32(0)
    for k in range(a.shape[1]):
        total += a[row, k] * b[k, column]
    c[row, column] = total


@cuda.jit
def sum_shuffle(x, out):
    """out[block] = sum of the block's 256 numbers."""
    partial = cuda.shared.array(8, float32)
    t = cuda.threadIdx.x
    value = x[cuda.grid(1)]
    for lanes in (16, 8, 4, 2, 1):
        value += cuda.shfl_xor_sync(ALL, value, lanes)
    if t % 32 == 0:
        partial[t // 32] = value
    cuda.syncthreads()
    if t == 0:
        total = float32(0)
        for warp in range(8):
            total += partial[warp]
        out[cuda.blockIdx.x] = total


def transposer(pad: int) -> Any:
    """A kernel whose tile has `pad` unused columns on its right."""
    width = 32 + pad

    @cuda.jit
    def transpose(x, y):
        """y = x^T by tiles of 32 x 32; block (32, 8)."""
        tile = cuda.shared.array((32, width), float32)
        i, j = cuda.threadIdx.x, cuda.threadIdx.y
        row, column = 32 * cuda.blockIdx.y, 32 * cuda.blockIdx.x
        for k in range(j, 32, 8):
            tile[k, i] = x[row + k, column + i]  # a row of x becomes a row of the tile
        cuda.syncthreads()
        for k in range(j, 32, 8):
            y[column + k, row + i] = tile[i, k]  # a column of the tile becomes a row of y

    return transpose


@cuda.jit
def softmax_online(x, y):
    """One warp per row: each lane carries a maximum and a sum, and shuffles join them."""
    row, lane = cuda.blockIdx.x, cuda.threadIdx.x
    top, total = float32(-math.inf), float32(0)
    for j in range(lane, x.shape[1], 32):
        value = x[row, j]
        higher = max(top, value)
        total = total * math.exp(top - higher) + math.exp(value - higher)
        top = higher
    for lanes in (16, 8, 4, 2, 1):
        other = cuda.shfl_xor_sync(ALL, top, lanes)
        theirs = cuda.shfl_xor_sync(ALL, total, lanes)
        higher = max(top, other)
        total = total * math.exp(top - higher) + theirs * math.exp(other - higher)
        top = higher
    for j in range(lane, x.shape[1], 32):
        y[row, j] = math.exp(x[row, j] - top) / total
