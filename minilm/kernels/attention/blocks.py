"""What the blocks of attention are made of: rows, panels, and which keys a query may see."""

from numba import carray

from minilm.kernels.jit import jit
from minilm.kernels.simd import address, pointer
from minilm.kernels.tiles import ROWS

_FAR = 1 << 40  # keys: farther than any


@jit
def up(n, step):
    return (n + step - 1) // step * step


@jit
def row_of(x, b, h, t):
    """Row x[b, h, t, :] of an array whose last axis is contiguous, as an array that says so."""
    at = address(x) + b * x.strides[0] + h * x.strides[1] + t * x.strides[2]
    return carray(pointer(at, x.dtype.type(0)), x.shape[3])


@jit
def load(x, b, h, first, rows, factor, to):
    """Rows of x[b, h] times a factor into padded scratch; zeros below them."""
    zero = to.dtype.type(0)
    for i in range(rows):
        row, out = row_of(x, b, h, first + i), to[i]
        for j in range(row.size):
            out[j] = row[j] * factor
    for i in range(rows, to.shape[0]):
        out = to[i]
        for j in range(out.size):
            out[j] = zero


@jit
def panels(x, b, h, to):
    """x[b, h] (N, D) to panels of its columns: to (panels, N, W)."""
    w = to.shape[2]
    for n in range(x.shape[2]):
        row = row_of(x, b, h, n)
        for p in range(to.shape[0]):
            out = to[p, n]
            for j in range(min(w, row.size - p * w)):
                out[j] = row[p * w + j]


@jit
def panels_transposed(x, b, h, to):
    """x[b, h] (N, D) to panels of the columns of its transpose: to (panels, D, W)."""
    w = to.shape[2]
    for n in range(x.shape[2]):
        row, out, j = row_of(x, b, h, n), to[n // w], n % w
        for d in range(row.size):
            out[d, j] = row[d]


@jit
def reach(t, rows, T, S, causal, window, step):
    """Keys low .. high that some query of t .. t + rows may see; low is a multiple of ``step``."""
    low, high = 0, S
    if causal:
        high = max(0, min(S, t + rows + S - T))
        if window > 0:
            low = max(0, t + S - T - window + 1) // step * step
    return low, high


@jit
def own(t, T, S, low, n, causal, window):
    """Of the n keys from low on, the first .. last that query t may see."""
    first, last = 0, n
    if causal:
        last = max(0, min(n, t + S - T + 1 - low))
        if window > 0:
            first = min(last, max(0, t + S - T - window + 1 - low))
    return first, last


@jit
def band(t, T, S, low, causal, window):
    """Query t + i may see the keys low + i + first .. low + i + last - 1; those two numbers."""
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
    """Zeros to both sides of lo .. hi, as far as a tile reaches that begins or ends there."""
    zero = row.dtype.type(0)
    fill(row, max(0, lo - ROWS), lo, zero)
    fill(row, hi, min(row.size, hi + ROWS), zero)
