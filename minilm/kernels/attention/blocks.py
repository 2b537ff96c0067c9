"""The parts of a block of attention: rows, panels, and which keys a query may see."""

from numba import carray

from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.panels import copy_strip, turn_block
from minilm.kernels.numba_tools.simd import address, ask, pointer
from minilm.kernels.numba_tools.tiles import ROWS, width

_FAR = 1 << 40  # keys: farther away than any
AHEAD = 8  # rows fetched ahead: each is in another page, so the processor does not predict them
ROW = 256  # bytes to fetch: heads of 64 numbers


@jit
def up(n, step):
    return (n + step - 1) // step * step


@jit
def row_of(x, b, h, t):
    """Row x[b, h, t, :] of an array with a contiguous last axis, as an array that is contiguous."""
    at = address(x) + b * x.strides[0] + h * x.strides[1] + t * x.strides[2]
    return carray(pointer(at, x.dtype.type(0)), x.shape[3])


@jit
def load(x, b, h, first, rows, factor, to):
    """Rows of x[b, h] times a factor, into padded scratch with zeros below them."""
    zero = to.dtype.type(0)
    for i in range(rows):
        row, out = row_of(x, b, h, first + i), to[i]
        ask(address(row) + AHEAD * x.strides[2], ROW)
        for j in range(row.size):
            out[j] = row[j] * factor
    for i in range(rows, to.shape[0]):
        out = to[i]
        for j in range(out.size):
            out[j] = zero


@jit
def panels(x, b, h, to):
    """x[b, h] (N, D) to panels of its columns: to (panels, N, W)."""
    kind, size, w = to.dtype.type(0), to.itemsize, width(to.dtype.type(0))
    whole = x.shape[3] // w
    for n in range(x.shape[2]):
        row = row_of(x, b, h, n)
        at, out = address(row), address(to) + n * w * size
        ask(at + AHEAD * x.strides[2], ROW)
        for p in range(whole):
            copy_strip(kind, at + p * w * size, out + p * to.strides[0])
        for j in range(whole * w, row.size):
            to[whole, n, j - whole * w] = row[j]


@jit
def panels_transposed(x, b, h, to):
    """x[b, h] (N, D) to panels of the columns of its transpose: to (panels, D, W)."""
    kind, size, w = to.dtype.type(0), to.itemsize, width(to.dtype.type(0))
    N, D = x.shape[2:]
    lanes = w // 2
    for first in range(0, N, lanes):
        done = D // lanes * lanes if first + lanes <= N else 0
        at, step = address(row_of(x, b, h, first)), x.strides[2]
        out = address(to[first // w]) + first % w * size
        for d in range(0, done, lanes):
            turn_block(kind, at + d * size, step, out + d * w * size)
        for n in range(first, min(N, first + lanes)):
            row, panel = row_of(x, b, h, n), to[n // w]
            ask(address(row) + lanes * step, ROW)
            for d in range(done, D):
                panel[d, n % w] = row[d]


@jit
def reach(t, rows, T, S, causal, window, step):
    """Keys low to high that some query of t to t + rows may see; low is a multiple of `step`."""
    low, high = 0, S
    if causal:
        high = max(0, min(S, t + rows + S - T))
        if window > 0:
            low = max(0, t + S - T - window + 1) // step * step
    return low, high


@jit
def own(t, T, S, low, n, causal, window):
    """Of the n keys from low on, the first and the last that query t may see."""
    first, last = 0, n
    if causal:
        last = max(0, min(n, t + S - T + 1 - low))
        if window > 0:
            first = min(last, max(0, t + S - T - window + 1 - low))
    return first, last


@jit
def band(t, T, S, low, causal, window):
    """First and last: query t + i may see the keys low + i + first to low + i + last - 1."""
    first, last = -_FAR, _FAR
    if causal:
        last = t + S - T + 1 - low
        if window > 0:
            first = last - window
    return first, last


@jit
def fill(row, first, last, value):
    """row[first:last] = value; nothing where last is not above first."""
    for j in range(first, last):
        row[j] = value


@jit
def around(row, lo, hi):
    """Zeros on both sides of lo to hi, as far as a tile reaches that begins or ends there."""
    zero = row.dtype.type(0)
    fill(row, max(0, lo - ROWS), lo, zero)
    fill(row, hi, min(row.size, hi + ROWS), zero)
