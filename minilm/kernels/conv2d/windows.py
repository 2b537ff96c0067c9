"""Windows of a picture laid out as columns, a few pixels at a time: what the products read.

A picture is copied once with its border of 0, split into the s x t pictures of every s-th row and
t-th column where the stride is (s, t). After that all windows of a row of output pixels lie side by
side in memory: step k = (channel, row, column of the window) is one offset, and a run of pixels one
copy of whole registers. A copy may write past its run: what comes next overwrites that.
"""

from functools import lru_cache

import numpy as np

from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.panels import copy_vector
from minilm.kernels.numba_tools.simd import address
from minilm.kernels.numba_tools.tiles import PAD


@lru_cache(1024)  # small pictures take less time to convolve than this takes
def room(channels: int, size, window, stride, padding):
    """The shape of one padded picture, (I, s, t, high, wide), and the offset of each step in it.

    Args:
        channels: I.
        size, window, stride, padding: (rows, columns) each.

    Returns:
        the shape; (I A B,) int64, which is kept: not to be written to.
    """
    (s, t), (a, b) = stride, window
    high, wide = (-(-(n + 2 * p) // d) for n, p, d in zip(size, padding, stride, strict=True))
    shape = (channels, s, t, high, wide)
    c, i, j = np.ogrid[:channels, :a, :b]
    places = (c, i % s, j % t, i // s, j // t)
    offsets = np.ravel_multi_index(np.broadcast_arrays(*places), shape)
    return shape, offsets.reshape(-1).astype(np.int64)  # (I, A, B) -> (I A B,)


@jit
def fill(x, padding, out):
    """Copy pictures x (N, I, H, W) inside their borders of 0: out (N, I, s, t, high, wide)."""
    s, t = out.shape[2], out.shape[3]
    if s == 1 and t == 1 and out.shape[5] - x.shape[3] <= PAD:
        _fill_rows(x, padding, out)
        return
    p, q = padding
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            source = x[n, c]
            for down in range(s):
                for right in range(t):
                    part = out[n, c, down, right]
                    # Row i of the picture is row i + p of the padded one, whose every s-th is here.
                    top, left = (down - p) % s, (right - q) % t
                    high, wide = (top + p) // s, (left + q) // t
                    rows = (source.shape[0] - top + s - 1) // s
                    columns = (source.shape[1] - left + t - 1) // t
                    for i in range(rows):
                        for j in range(columns):
                            part[high + i, wide + j] = source[top + i * s, left + j * t]


@jit
def _fill_rows(x, padding, out):
    """`fill` at a stride of 1, by whole registers.

    What a register writes past a row is 0 again after the next store, which also makes the border
    between two rows; what that writes past the border is a later row, still to come.
    """
    zeros = np.zeros(PAD, np.float32)
    source, target, nothing = address(x), address(out), address(zeros)
    high, wide, last = x.shape[2], x.shape[3], x.size - (x.shape[3] + PAD)
    taller, wider = out.shape[4], out.shape[5]
    for plane in range(x.shape[0] * x.shape[1]):
        for i in range(high):
            at = (plane * high + i) * wide
            to = target + 4 * ((plane * taller + i + padding[0]) * wider + padding[1])
            if at <= last:
                for j in range(0, wide, PAD):
                    copy_vector(source + 4 * (at + j), to + 4 * j)
            else:  # a register would read past the end
                n, c = plane // x.shape[1], plane % x.shape[1]
                line = out[n, c, 0, 0, i + padding[0]]
                for j in range(wide):
                    line[padding[1] + j] = x[n, c, i, j]
            copy_vector(nothing, to + 4 * wide)


@jit
def runs(first, count, high, wide, picture, pitch, starts, places):
    """Where the windows of pixels first .. first + count of all pictures begin: a list of runs.

    Args:
        high, wide: of the output, whose pixels are counted row by row, picture by picture.
        picture, pitch: numbers from picture to picture and from row to row of the padded ones.
        starts, places: filled with where each run is read from, and which column it is written to.

    Returns:
        how many runs there are.
    """
    total, done = 0, 0
    while done < count:
        pixel = first + done
        n, rest = pixel // (high * wide), pixel % (high * wide)
        row, column = rest // wide, rest % wide
        length = min(wide - column, count - done)
        for at in range(0, length, PAD):
            starts[total] = n * picture + row * pitch + column + at
            places[total] = done + at
            total += 1
        done += length
    return total


@jit
def lay_out(pictures, offsets, starts, places, count, out, step):
    """Write the windows: step k of the pixels into row k of `out`, `step` numbers apart."""
    source, target = address(pictures), address(out)
    if count == 4:
        a, b, c, d = 4 * starts[0], 4 * starts[1], 4 * starts[2], 4 * starts[3]
        e, f, g, h = 4 * places[0], 4 * places[1], 4 * places[2], 4 * places[3]
        for k in range(offsets.size):
            x, y = source + 4 * offsets[k], target + 4 * k * step
            copy_vector(x + a, y + e)
            copy_vector(x + b, y + f)
            copy_vector(x + c, y + g)
            copy_vector(x + d, y + h)
        return
    for k in range(offsets.size):
        x, y = source + 4 * offsets[k], target + 4 * k * step
        for i in range(count):
            copy_vector(x + 4 * starts[i], y + 4 * places[i])
