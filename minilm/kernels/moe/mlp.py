"""Gated experts in Numba: each expert's rows are gathered, multiplied and given back in blocks.

A block of rows goes through all three matrices of its expert while it is in cache, in the register
tiles of `numba_tools.tiles`; what is written to memory is what backward needs, the two inputs of
the activation. The weight of a token's expert is multiplied into the narrow end of the last
product, so that the answers need not be kept for its gradient. Blocks have no spare rows and no
dropped ones: an expert with 3 rows takes a block of 3 (rounded up to a tile), one with 3,000 takes
many (dropless; Gale et al. 2022, arXiv 2211.15841).
"""

import numpy as np

from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.panels import copy_strip, panels, panels_transposed, up
from minilm.kernels.numba_tools.simd import address, exp
from minilm.kernels.numba_tools.tiles import PAD, ROWS, add_product, width, write_product

BLOCK = 64  # rows at a time
_DEPTH = 256  # inner steps at a time: a strip of that depth, 32 kB, stays in the first cache
_FAR = 1 << 40  # every row needs every inner step


def kept_shape(rows: int, ff: int) -> tuple[int, int, int]:
    """The shape of what forward keeps: gate and up products, padded so that tiles need no tails."""
    return 2, rows + BLOCK, -(-ff // PAD) * PAD


@jit
def _multiply(m, n, k, a, row, column, b, panel, c, ldc, add):
    """C (m, n) = A B or, with `add`, C += A B, in steps of the depth that suits the cache."""
    zero, w = np.float32(0), width(np.float32(0))
    for done in range(0, k, _DEPTH):
        depth = min(_DEPTH, k - done)
        left, right = a + 4 * done * column, b + 4 * done * w
        if add or done > 0:
            add_product(zero, m, n, depth, left, row, column, right, w, panel, c, ldc, -_FAR, _FAR)
        else:
            write_product(
                zero, m, n, depth, left, row, column, right, w, panel, c, ldc, -_FAR, _FAR
            )


@jit
def _gather(x, order, choices, first, rows, to):
    """Rows of x for the assignments order[first : first + rows]; zeros below and beside them."""
    for i in range(to.shape[0]):
        out = to[i]
        if i >= rows:
            for j in range(out.size):
                out[j] = np.float32(0)
            continue
        row = x[order[first + i] // choices]
        for j in range(row.size):
            out[j] = row[j]


@jit
def _to_panels(x, columns, to):
    """x (N, ...), its first columns, to panels (P, N, W)."""
    w, size = to.shape[2], x.itemsize
    kind = np.float32(0)
    whole = columns // w
    for n in range(x.shape[0]):
        row = x[n]
        at, out = address(row), address(to) + n * w * size
        for p in range(whole):
            copy_strip(kind, at + p * w * size, out + p * to.strides[0])
        for j in range(whole * w, columns):
            to[whole, n, j - whole * w] = row[j]


@jit
def _scatter(y, rows, order, choices, first, out):
    """Add each row to the token it came from."""
    for i in range(rows):
        row, to = y[i], out[order[first + i] // choices]
        for j in range(to.size):
            to[j] += row[j]


@jit
def forward(x, weights, order, offsets, gate, up_, down, kept, out):
    """out (N, C) and kept (2, ., .); the matrices of the experts are (E, 1, ., .)."""
    E, F, C = gate.shape[0], gate.shape[2], gate.shape[3]
    zero, one = np.float32(0), np.float32(1)
    choices, w = weights.shape[1], width(zero)
    across, wide = up(C, PAD), up(F, PAD)
    gates = np.zeros((up(F, w) // w, C, w), np.float32)  # panels of gate transposed
    ups = np.zeros(gates.shape, np.float32)
    downs = np.zeros((up(C, w) // w, F, w), np.float32)
    given, y = np.zeros((BLOCK, across), np.float32), np.zeros((BLOCK, across), np.float32)
    h = np.zeros((BLOCK, wide), np.float32)
    out[:] = zero
    for e in range(E):
        if offsets[e] == offsets[e + 1]:
            continue
        panels_transposed(gate, e, 0, gates)
        panels_transposed(up_, e, 0, ups)
        panels_transposed(down, e, 0, downs)
        for first in range(offsets[e], offsets[e + 1], BLOCK):
            rows = min(BLOCK, offsets[e + 1] - first)
            tall = up(rows, ROWS)
            _gather(x, order, choices, first, rows, given)
            a, b = kept[0, first:], kept[1, first:]
            _multiply(
                tall,
                wide,
                C,
                address(given),
                across,
                1,
                address(gates),
                C * w,
                address(a),
                wide,
                False,
            )
            _multiply(
                tall,
                wide,
                C,
                address(given),
                across,
                1,
                address(ups),
                C * w,
                address(b),
                wide,
                False,
            )
            for i in range(rows):
                at = order[first + i]
                share = weights[at // choices, at % choices]
                ai, bi, hi = a[i], b[i], h[i]
                for j in range(hi.size):
                    hi[j] = share * ai[j] / (one + exp(-ai[j])) * bi[j]
            _multiply(
                tall,
                across,
                F,
                address(h),
                wide,
                1,
                address(downs),
                F * w,
                address(y),
                across,
                False,
            )
            _scatter(y, rows, order, choices, first, out)


@jit
def backward(
    g, x, weights, order, offsets, gate, up_, down, kept_gate, kept_up, dx, dweights, dgate, dup,
    ddown,
):  # fmt: skip
    """The gradients of x, of the weights and of the experts' matrices."""
    E, F, C = gate.shape[0], gate.shape[2], gate.shape[3]
    zero, one = np.float32(0), np.float32(1)
    choices, w = weights.shape[1], width(zero)
    across, wide = up(C, PAD), up(F, PAD)
    gates = np.zeros((up(C, w) // w, F, w), np.float32)  # panels of gate
    ups = np.zeros(gates.shape, np.float32)
    downs = np.zeros((up(F, w) // w, C, w), np.float32)  # panels of down
    given, slopes = np.zeros((BLOCK, across), np.float32), np.zeros((BLOCK, across), np.float32)
    given_panels = np.zeros((up(C, w) // w, BLOCK, w), np.float32)
    slope_panels = np.zeros(given_panels.shape, np.float32)
    hidden_panels = np.zeros((up(F, w) // w, BLOCK, w), np.float32)
    strip = BLOCK * w
    dh, h = np.zeros((BLOCK, wide), np.float32), np.zeros((BLOCK, wide), np.float32)
    da, db = np.zeros((BLOCK, wide), np.float32), np.zeros((BLOCK, wide), np.float32)
    y = np.zeros((BLOCK, across), np.float32)
    sums = np.zeros((3, wide, across), np.float32)  # of gate, up and down transposed
    dx[:] = zero
    for e in range(E):
        if offsets[e] == offsets[e + 1]:
            dgate[e] = zero
            dup[e] = zero
            ddown[e] = zero
            continue
        panels(gate, e, 0, gates)
        panels(up_, e, 0, ups)
        panels(down, e, 0, downs)
        sums[:] = zero
        for first in range(offsets[e], offsets[e + 1], BLOCK):
            rows = min(BLOCK, offsets[e + 1] - first)
            tall = up(rows, ROWS)
            _gather(x, order, choices, first, rows, given)
            _gather(g, order, choices, first, rows, slopes)
            _to_panels(given, C, given_panels)
            _to_panels(slopes, C, slope_panels)
            _multiply(
                tall,
                wide,
                C,
                address(slopes),
                across,
                1,
                address(downs),
                C * w,
                address(dh),
                wide,
                False,
            )
            for i in range(rows):
                at = order[first + i]
                share, dot = weights[at // choices, at % choices], zero
                ai, bi, di = kept_gate[first + i], kept_up[first + i], dh[i]
                hi, dai, dbi = h[i], da[i], db[i]
                for j in range(di.size):
                    s = one / (one + exp(-ai[j]))
                    silu = ai[j] * s
                    mixed = silu * bi[j]
                    dot += di[j] * mixed
                    hi[j] = share * mixed
                    d = share * di[j]
                    dbi[j] = d * silu
                    dai[j] = d * bi[j] * s * (one + ai[j] - silu)
                dweights[at // choices, at % choices] = dot
            for i in range(rows, tall):
                for j in range(wide):
                    da[i, j] = zero
                    db[i, j] = zero
            _multiply(
                tall,
                across,
                F,
                address(da),
                wide,
                1,
                address(gates),
                F * w,
                address(y),
                across,
                False,
            )
            _multiply(
                tall, across, F, address(db), wide, 1, address(ups), F * w, address(y), across, True
            )
            _scatter(y, rows, order, choices, first, dx)
            for part, left, right in ((0, da, given_panels), (1, db, given_panels),
                                      (2, h, slope_panels)):  # fmt: skip
                _to_panels(left, wide, hidden_panels)
                for p in range(hidden_panels.shape[0]):
                    _multiply(min(w, wide - p * w), across, rows, address(hidden_panels[p]), 1, w,
                              address(right), strip, address(sums[part, p * w]), across,
                              True)  # fmt: skip
        for f in range(F):
            for c in range(C):
                dgate[e, f, c] = sums[0, f, c]
                dup[e, f, c] = sums[1, f, c]
        for c in range(C):
            for f in range(F):
                ddown[e, c, f] = sums[2, f, c]
