"""Rows of a matrix times the vectors of a batch: where decoding spends its time."""

import numba
import numpy as np

from minilm.kernels.decode_step.dots import (
    SUMS,
    WIDTH,
    WIDTH_INT8,
    dots2x4,
    dots2x4_int8,
    dots8x1,
    dots8x1_int8,
)
from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.simd import address, fmax, nearest_int16, pointer
from minilm.kernels.numba_tools.tiles import ROWS, STREAM, stream_tile

inner = jit(no_cpython_wrapper=True, no_cfunc_wrapper=True)  # called only from compiled code

_ONE, _ZERO, _SHORT = np.float32(1), np.float32(0), np.int16(0)
_NEAR = 100_000  # bytes of weights that stay in cache until all of a batch have used them
_MOST = 2**31 - 1
ROOM = max(SUMS, ROWS * STREAM)  # floats for the results of one tile


@jit
def stride(n):
    """Floats from row to row of a scratch array.

    Padded, and never a power of two, with which all rows would fall on the same lines of a cache.
    At least 80: where two arrays of a loop start within 256 bytes, four vectors of 64, the compiler
    takes them for overlapping and runs a scalar version, whose sums differ in their last bits.
    """
    return max(80, -(-n // 16) * 16 + 16)


@inner
def floats(at, n):
    return numba.carray(pointer(at, _ZERO), n)


@inner
def _encode(x, k, whole, out):
    """x (k,) as 16-bit codes, zeros up to `whole`; the size of a step.

    A lane of 32 bits adds whole / WIDTH products of a code and a weight of at most 127. Up to
    whole = 4128 there is room for all 16 bits of the codes.
    """
    limit = np.float32(min(32767, _MOST // (127 * (whole // WIDTH))))
    x, top = x[:k], _ZERO
    for i in range(x.size):
        top = fmax(top, abs(x[i]))
    step = (top if top > _ZERO else _ONE) / limit
    steps = _ONE / step
    for i in range(x.size):
        out[i] = nearest_int16(x[i] * steps)
    for i in range(k, whole):
        out[i] = _SHORT
    return step


@inner
def _across(x, k, out):
    """STREAM vectors x (STREAM, k), rearranged so that their numbers of one place are together."""
    for j in range(STREAM):
        row = x[j, :k]
        for i in range(row.size):
            out[STREAM * i + j] = row[i]


@inner
def _add_dots(weight, k, start, x, out, lo, hi):
    """out[n] += w[n, start:] x[start:], by a simple loop."""
    for n in range(lo, hi):
        row, rest = floats(weight + 4 * (n * k + start), k - start), x[start:k]
        add = _ZERO
        for i in range(row.size):
            add += row[i] * rest[i]
        out[n] += add


@inner
def multiply(line, int8, k, x, y, lo, hi, sums, codes, steps):
    """y[b, n] = w[n] x[b] + bias[n] for rows n from lo to hi; lo is a multiple of SUMS.

    x and y are scratch, with the strides that `stride` gives. float32 rows are as the model stores
    them; what is left over after the last whole vector or block of rows is added by a simple loop.
    Texts are multiplied with the rows in tiles, as many as fill a tile's columns, and the rest as
    dot products. int8 is padded, and multiplied by x as 16-bit codes.

    Args:
        line: addresses of weight, scales (of int8) and bias (0 for none).
        sums: address of ROOM floats, for this call alone.
        codes: room for 2 k codes of each x, or for all of x.
        steps: room for the size of each x's steps.
    """
    weight, scale, bias = line[0], line[1], line[2]
    batch, tiled = x.shape[0], 0
    if int8 != 0:
        whole, block = (k + WIDTH_INT8 - 1) // WIDTH_INT8 * WIDTH_INT8, hi
        step, following, row_bytes = WIDTH_INT8, SUMS * WIDTH_INT8, whole
        each, left_0, left_bytes = WIDTH_INT8, address(codes), 2 * codes.shape[1]
        for b in range(batch):
            steps[b] = _encode(x[b], k, whole, codes[b])
    else:
        whole = k // WIDTH * WIDTH
        block = lo + (hi - lo) // SUMS * SUMS if whole > 0 else lo
        step, following, row_bytes = 4 * k, 4 * WIDTH, 4 * k
        each, left_0, left_bytes = WIDTH, address(x), 4 * x.shape[1]
        tiled = batch // STREAM * STREAM
        for b in range(0, tiled, STREAM):
            _across(x[b:], k, floats(address(codes) + 4 * k * b, k * STREAM))
    total = numba.carray(pointer(sums, _ZERO), ROOM)
    fours = tiled + (batch - tiled) // 4 * 4
    near = max(SUMS, _NEAR // row_bytes // SUMS * SUMS)
    # While four texts use a block of rows, their share of the next block is fetched.
    share = 8 * row_bytes // batch
    share_step = share * each // max(each, whole)
    for first in range(lo, block, near):
        last = min(block, first + near)
        soon = weight + last * row_bytes
        for b in range(0, tiled, STREAM):
            right = address(codes) + 4 * k * b
            for n in range(first, last, ROWS):
                at = weight + n * row_bytes
                stream_tile(k, at, k, 1, right, STREAM, sums, STREAM, False)
                for j in range(STREAM):
                    for i in range(ROWS):
                        y[b + j, n + i] = total[STREAM * i + j]
        for b in range(tiled, fours, 4):
            left = left_0 + b * left_bytes
            for n in range(first, last, 2):
                at = weight + n // SUMS * SUMS * row_bytes + n % SUMS * step
                if int8 != 0:
                    dots2x4_int8(
                        whole, left, left_bytes, at, step, following, soon, share_step, sums
                    )
                else:
                    dots2x4(whole, left, left_bytes, at, step, following, soon, share_step, sums)
                soon += share
                for i in range(min(2, last - n)):
                    for j in range(4):
                        y[b + j, n + i] = total[4 * i + j]
        for b in range(fours, batch):
            left = left_0 + b * left_bytes
            for n in range(first, last, SUMS):
                at = weight + n * row_bytes
                soon = at + SUMS * row_bytes
                if int8 != 0:
                    dots8x1_int8(whole, left, 0, at, step, following, soon, following, sums)
                else:
                    dots8x1(whole, left, 0, at, step, following, soon, SUMS * following, sums)
                for i in range(min(SUMS, last - n)):
                    y[b, n + i] = total[i]
    for b in range(batch):
        out = y[b]
        if int8 != 0:
            factor = floats(scale, hi)
            for n in range(lo, hi):
                out[n] *= factor[n] * steps[b]
        else:
            if b >= tiled and whole < k:
                _add_dots(weight, k, whole, x[b], out, lo, block)
            for n in range(block, hi):
                out[n] = _ZERO
            _add_dots(weight, k, 0, x[b], out, block, hi)
        if bias != 0:
            more = floats(bias, hi)
            for n in range(lo, hi):
                out[n] += more[n]
