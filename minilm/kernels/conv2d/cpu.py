"""Convolution on the CPU: windows of a few pixels at a time, multiplied while they are in cache.

All windows as one matrix (im2col; Chellapilla et al. 2006) would take A B times the memory of the
pictures, be written to it and read again. Here as many columns of that matrix as fill two registers
are made at a time (`windows`), stay in cache, and meet all weights in tiles of registers.
"""

import itertools

import numpy as np

from minilm import backend
from minilm.kernels.conv2d import reference
from minilm.kernels.conv2d.reference import Pair, out_size
from minilm.kernels.conv2d.windows import fill, lay_out, room, runs
from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.panels import turn_block
from minilm.kernels.numba_tools.simd import address
from minilm.kernels.numba_tools.tiles import PAD, ROWS, add_product, write_product

_PANEL = 2 * PAD  # pixels whose windows are made at a time
_DEEP = 4 * _PANEL  # and for the weights' gradient, which adds up over them
_SPLIT_FROM = 20_000_000  # multiplications of a thread, some tenths of a millisecond
_PIXELS = 512  # pixels of the pictures that are padded at a time


def conv2d(x: np.ndarray, w: np.ndarray, stride: Pair, padding: Pair) -> np.ndarray:
    """See `reference.conv2d`."""
    size = out_size(x.shape[2:], w.shape[2:], stride, padding)
    if not _fits(x, w) or min(size) < 1:
        return reference.conv2d(x, w, stride, padding)
    x, rows = np.ascontiguousarray(x), _whole(w.reshape(len(w), -1), ROWS)
    y = np.empty((len(x), len(w), size[0] * size[1]), x.dtype)

    def work(part: slice) -> None:
        padded, offsets = _padded(x[part], w.shape[2:], stride, padding, size)
        _forward(x[part], rows, padding, padded, offsets, size, y[part])

    backend.parallel(work, _shares(len(x), y[0].size * rows.shape[1]), blas=False)
    return y.reshape(len(x), len(w), *size)


def conv2d_input_gradient(
    g: np.ndarray, w: np.ndarray, size: Pair, stride: Pair, padding: Pair
) -> np.ndarray:
    """See `reference.conv2d_input_gradient`.

    With a stride of 1 it is a convolution itself, of g with the windows turned round.
    """
    a, b = w.shape[2:]
    if stride == (1, 1) and padding[0] < a and padding[1] < b:
        turned = np.ascontiguousarray(w[:, :, ::-1, ::-1].swapaxes(0, 1))
        return conv2d(g, turned, (1, 1), (a - 1 - padding[0], b - 1 - padding[1]))
    if not _fits(g, w):
        return reference.conv2d_input_gradient(g, w, size, stride, padding)
    rows, dx = w.reshape(len(w), -1), np.zeros((len(g), w.shape[1], *size), g.dtype)
    pixels = np.ascontiguousarray(g).reshape(len(g), len(w), -1)
    for picture, gradient in zip(dx, pixels, strict=True):
        _add_back(rows.T @ gradient, w.shape[2:], stride, padding, g.shape[3], picture)
    return dx


def conv2d_weight_gradient(
    g: np.ndarray, x: np.ndarray, window: Pair, stride: Pair, padding: Pair
) -> np.ndarray:
    """See `reference.conv2d_weight_gradient`."""
    if not _fits(g, x):
        return reference.conv2d_weight_gradient(g, x, window, stride, padding)
    x, size, outs = np.ascontiguousarray(x), g.shape[2:], g.shape[1]
    g = np.ascontiguousarray(g).reshape(len(g), outs, -1)  # (N, O, H', W') -> (N, O, P)
    deep = x.shape[1] * window[0] * window[1]
    shape = (-(-deep // ROWS) * ROWS, -(-outs // PAD) * PAD)

    def work(part: slice) -> np.ndarray:
        padded, offsets = _padded(x[part], window, stride, padding, size)
        sums = np.zeros(shape, x.dtype)
        _weights(x[part], g[part], padding, padded, offsets, size, sums)
        return sums

    first, *others = backend.parallel(work, _shares(len(x), g[0].size * deep), blas=False)
    for other in others:
        first += other
    dw = np.ascontiguousarray(first[:deep, :outs].T)
    return dw.reshape(outs, x.shape[1], *window)


def _shares(pictures: int, each: int) -> list[slice]:
    """The pictures in as many parts as there are threads, or whole where that is little work.

    Args:
        pictures: how many.
        each: multiplications for each of them.
    """
    ways = min(backend.threads(), pictures, max(1, pictures * each // _SPLIT_FROM))
    ends = [pictures * i // ways for i in range(ways + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(ends)]


def _fits(*arrays: np.ndarray) -> bool:
    return all(a.dtype == np.float32 and a.size for a in arrays)


def _whole(rows: np.ndarray, multiple: int) -> np.ndarray:
    """Rows, and rows of 0 up to a multiple, in one block of memory."""
    missing = -len(rows) % multiple
    return np.pad(rows, ((0, missing), (0, 0))) if missing else np.ascontiguousarray(rows)


def _padded(
    x: np.ndarray, window: Pair, stride: Pair, padding: Pair, size: Pair
) -> tuple[np.ndarray, np.ndarray]:
    """Room for some padded pictures, all 0 so far, and the offsets of the steps in one."""
    shape, offsets = room(x.shape[1], x.shape[2:], window, stride, padding)
    count = max(1, min(len(x), _PIXELS // (size[0] * size[1])))
    one = int(np.prod(shape))
    memory = np.zeros(count * one + PAD, x.dtype)  # a copy may read a register past the end
    return memory[: count * one].reshape(count, *shape), offsets


@jit
def _forward(x, rows, padding, padded, offsets, size, y):
    high, wide = size
    outs, steps, pixels = y.shape[1], offsets.size, high * wide
    windows = np.empty(steps * _PANEL + PAD, np.float32)
    product = np.empty((rows.shape[0], _PANEL), np.float32)
    starts, places = np.empty(_PANEL, np.int64), np.empty(_PANEL, np.int64)
    picture, pitch = padded[0].size, padded.shape[5]
    at, panel = address(rows), address(windows)
    for n in range(0, x.shape[0], padded.shape[0]):
        some = x[n : n + padded.shape[0]]
        fill(some, padding, padded)
        total = some.shape[0] * pixels
        for first in range(0, total, _PANEL):
            count = min(_PANEL, total - first)
            columns = _PANEL if count > PAD else PAD
            found = runs(first, count, high, wide, picture, pitch, starts, places)
            lay_out(padded, offsets, starts, places, found, windows, _PANEL)
            i, p = n + first // pixels, first % pixels
            if count == columns and p + count <= pixels and outs == rows.shape[0]:
                write_product(
                    np.float32(0), outs, columns, steps, at, steps, 1, panel, _PANEL, 0,
                    address(y[i, 0, p:]), pixels, -outs, columns + outs,
                )  # fmt: skip
                continue
            write_product(
                np.float32(0), rows.shape[0], columns, steps, at, steps, 1, panel, _PANEL, 0,
                address(product), _PANEL, -rows.shape[0], columns + rows.shape[0],
            )  # fmt: skip
            for j in range(count):
                i, p = n + (first + j) // pixels, (first + j) % pixels
                for o in range(outs):
                    y[i, o, p] = product[o, j]


@jit
def _weights(x, g, padding, padded, offsets, size, sums):
    high, wide = size
    pixels, full = high * wide, sums.shape[1]
    windows = np.zeros(sums.shape[0] * _DEEP + PAD, np.float32)
    rows = np.zeros((full, _DEEP), np.float32)  # of g, for the pixels at hand
    turned = np.empty((full + _PANEL) * _DEEP, np.float32)
    starts, places = np.empty(_DEEP, np.int64), np.empty(_DEEP, np.int64)
    picture, pitch = padded[0].size, padded.shape[5]
    for n in range(0, x.shape[0], padded.shape[0]):
        some = x[n : n + padded.shape[0]]
        fill(some, padding, padded)
        total = some.shape[0] * pixels
        for first in range(0, total, _DEEP):
            count = min(_DEEP, total - first)
            found = runs(first, count, high, wide, picture, pitch, starts, places)
            lay_out(padded, offsets, starts, places, found, windows, _DEEP)
            _take_rows(g, n, first, count, rows)
            for o in range(0, full, PAD):
                strip, half = o // _PANEL * _PANEL * _DEEP, o % _PANEL
                for j in range(0, _DEEP, PAD):
                    turn_block(
                        np.float32(0), address(rows[o, j:]), 4 * _DEEP,
                        address(turned[strip + j * _PANEL + half :]),
                    )  # fmt: skip
            add_product(
                np.float32(0), sums.shape[0], full, count, address(windows), _DEEP, 1,
                address(turned), _PANEL, _PANEL * _DEEP, address(sums), full,
                -sums.shape[0], count + sums.shape[0],
            )  # fmt: skip


@jit
def _take_rows(g, n, first, count, rows):
    """Pixels first .. first + count of pictures n, n + 1, ... of g (N, O, P) -> rows (O, ..)."""
    pixels = g.shape[2]
    done = 0
    while done < count:
        i, p = n + (first + done) // pixels, (first + done) % pixels
        length = min(pixels - p, count - done)
        for o in range(g.shape[1]):
            source, out = g[i, o, p : p + length], rows[o, done : done + length]
            for j in range(length):
                out[j] = source[j]
        done += length


@jit
def _add_back(columns, window, stride, padding, width, dx):
    """Add each column (I A B, P) to its window of the picture dx (I, H, W)."""
    (a, b), (s, t), (p, q) = window, stride, padding
    channels, high, wide = dx.shape
    for c in range(channels):
        for i in range(a):
            for j in range(b):
                source = columns[(c * a + i) * b + j]
                # Pixels whose window has its column j inside the picture: from first to past.
                first = min(width, max(0, (q - j + t - 1) // t))
                past = max(first, min(width, (wide - 1 + q - j) // t + 1))
                for row in range(source.size // width):
                    y = row * s + i - p
                    if 0 <= y < high:
                        line, out = source[row * width : (row + 1) * width], dx[c, y]
                        for k in range(first, past):
                            out[k * t + j - q] += line[k]
