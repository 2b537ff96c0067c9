"""The parts of a block of attention: its rows, and which keys a query may see."""

from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.panels import AHEAD, ROW, row_of
from minilm.kernels.numba_tools.simd import address, ask
from minilm.kernels.numba_tools.tiles import ROWS

_FAR = 1 << 40  # keys: farther away than any


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
