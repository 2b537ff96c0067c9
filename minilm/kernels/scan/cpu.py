"""The selective scan in Numba: 32 channels at a time, whose states stay in cache.

Token follows token, so what runs side by side are channels: 32 of them are worth a vector loop, and
every group of 32 of every row of the batch is a piece of work for a thread of its own. No array of
(B, T, N, E) numbers exists at any time.
"""

import itertools

import numpy as np

from minilm import backend
from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.simd import exp
from minilm.kernels.scan.reference import SPAN, spans

_WIDE = 32  # channels at a time: fewer, and LLVM gives up the loops of backward
_SPLIT_FROM = 500_000  # exponentials of a thread, some tenths of a millisecond


def scan(
    x: np.ndarray, delta: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray, h0: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """See `reference.scan`."""
    x, delta, b, c = (np.ascontiguousarray(part) for part in (x, delta, b, c))
    rates, last = np.ascontiguousarray(a.T), np.array(h0, x.dtype, order="C")  # (E, N) -> (N, E)
    batch, time, channels = x.shape
    y, marks = np.empty_like(x), np.empty((batch, spans(time), *rates.shape), x.dtype)

    def work(part: tuple[int, int]) -> None:
        _forward(x, delta, rates, b, c, last, y, marks, *part)

    backend.parallel(work, _shares(batch, channels, time * len(rates)), blas=False)
    return y, last, marks


def scan_backward(
    g: np.ndarray,
    x: np.ndarray,
    delta: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    marks: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """See `reference.scan_backward`."""
    g, x, delta, b, c, marks = (np.ascontiguousarray(part) for part in (g, x, delta, b, c, marks))
    rates = np.ascontiguousarray(a.T)  # (E, N) -> (N, E)
    batch, time, channels = x.shape
    dx, ddelta = np.empty_like(x), np.empty_like(x)
    dh0 = np.zeros((batch, *rates.shape), x.dtype)

    def work(part: tuple[int, int]) -> tuple[np.ndarray, ...]:
        sums = np.zeros_like(rates), np.zeros_like(b), np.zeros_like(c)  # over channels or rows
        _backward(g, x, delta, rates, b, c, marks, dx, ddelta, dh0, *sums, *part)
        return sums

    shares = _shares(batch, channels, time * len(rates))
    (da, db, dc), *others = backend.parallel(work, shares, blas=False)
    for more in others:
        for total, part in zip((da, db, dc), more, strict=True):
            total += part
    return dx, ddelta, np.ascontiguousarray(da.T), db, dc, dh0


def _shares(batch: int, channels: int, each: int) -> list[tuple[int, int]]:
    """The groups of channels of all rows, in as many parts as there are threads.

    Args:
        batch, channels: how many rows, and channels in each.
        each: exponentials of a channel.
    """
    groups = batch * -(-channels // _WIDE)
    ways = max(1, min(backend.threads(), groups, groups * _WIDE * each // _SPLIT_FROM))
    return list(itertools.pairwise(groups * i // ways for i in range(ways + 1)))


@jit(inline="always")
def _take(row, first, width, into):
    """Channels first .. first + width of a row; what is left of 32 stays as it is, 0."""
    for e in range(width):
        into[e] = row[first + e]


@jit
def _forward(x, delta, rates, b, c, last, y, marks, begin, end):
    kind = x.dtype
    states, channels = rates.shape
    batch = x.shape[0]
    h, rate = np.zeros((states, _WIDE), kind), np.zeros((states, _WIDE), kind)
    entering, taking, total = np.zeros(_WIDE, kind), np.zeros(_WIDE, kind), np.zeros(_WIDE, kind)
    for piece in range(begin, end):
        first, row = piece // batch * _WIDE, piece % batch
        width = min(_WIDE, channels - first)
        entering[:] = 0
        taking[:] = 0
        for n in range(states):
            _take(last[row, n], first, width, h[n])
            _take(rates[n], first, width, rate[n])
        for t in range(x.shape[1]):
            if t % SPAN == 0:
                for n in range(states):
                    for e in range(width):
                        marks[row, t // SPAN, n, first + e] = h[n, e]
            _take(x[row, t], first, width, entering)
            _take(delta[row, t], first, width, taking)
            for e in range(_WIDE):
                entering[e] *= taking[e]
                total[e] = 0
            for n in range(states):
                bn, cn, state, fading = b[row, t, n], c[row, t, n], h[n], rate[n]
                for e in range(_WIDE):
                    new = exp(taking[e] * fading[e]) * state[e] + bn * entering[e]
                    state[e] = new
                    total[e] += cn * new
            for e in range(width):
                y[row, t, first + e] = total[e]
        for n in range(states):
            for e in range(width):
                last[row, n, first + e] = h[n, e]


@jit
def _backward(g, x, delta, rates, b, c, marks, dx, ddelta, dh0, da, db, dc, begin, end):
    kind = x.dtype
    states, channels = rates.shape
    batch, time = x.shape[:2]
    h = np.zeros((SPAN + 1, states, _WIDE), kind)  # the states before and after each token
    decay = np.zeros((SPAN, states, _WIDE), kind)
    shape = (SPAN, _WIDE)
    gs, xs, ds = np.zeros(shape, kind), np.zeros(shape, kind), np.zeros(shape, kind)
    shape = (states, _WIDE)
    rate, dh, drate = np.zeros(shape, kind), np.zeros(shape, kind), np.zeros(shape, kind)
    product, entered, slopes = np.zeros(_WIDE, kind), np.zeros(_WIDE, kind), np.zeros(_WIDE, kind)
    for piece in range(begin, end):
        first, row = piece // batch * _WIDE, piece % batch
        width = min(_WIDE, channels - first)
        for part in (h, decay):
            part[:] = 0
        for part in (gs, xs, ds, rate, dh, drate):
            part[:] = 0
        for n in range(states):
            _take(rates[n], first, width, rate[n])
        for span in range(marks.shape[1] - 1, -1, -1):
            start = span * SPAN
            count = min(SPAN, time - start)
            for n in range(states):
                _take(marks[row, span, n], first, width, h[0, n])
            for k in range(count):
                _take(g[row, start + k], first, width, gs[k])
                _take(x[row, start + k], first, width, xs[k])
                _take(delta[row, start + k], first, width, ds[k])
                taking = ds[k]
                for e in range(_WIDE):
                    product[e] = taking[e] * xs[k, e]
                for n in range(states):
                    bn, fading, kept = b[row, start + k, n], rate[n], decay[k, n]
                    before, after = h[k, n], h[k + 1, n]
                    for e in range(_WIDE):
                        kept[e] = exp(taking[e] * fading[e])
                        after[e] = kept[e] * before[e] + bn * product[e]
            for k in range(count - 1, -1, -1):
                t = start + k
                coming, entering, taking = gs[k], xs[k], ds[k]
                for e in range(_WIDE):
                    product[e] = taking[e] * entering[e]
                    entered[e] = 0
                    slopes[e] = 0
                for n in range(states):
                    bn, cn, fading, kept = b[row, t, n], c[row, t, n], rate[n], decay[k, n]
                    before, after, back, faded = h[k, n], h[k + 1, n], dh[n], drate[n]
                    of_b, of_c = x.dtype.type(0), x.dtype.type(0)
                    for e in range(_WIDE):
                        d = back[e] + cn * coming[e]
                        of_c += coming[e] * after[e]
                        of_b += d * product[e]
                        entered[e] += d * bn
                        d *= kept[e]
                        back[e] = d
                        slope = d * before[e]
                        slopes[e] += slope * fading[e]
                        faded[e] += slope * taking[e]
                    db[row, t, n] += of_b
                    dc[row, t, n] += of_c
                for e in range(width):
                    dx[row, t, first + e] = entered[e] * taking[e]
                    ddelta[row, t, first + e] = entered[e] * entering[e] + slopes[e]
        for n in range(states):
            for e in range(width):
                dh0[row, n, first + e] = dh[n, e]
                da[n, first + e] += drate[n, e]
