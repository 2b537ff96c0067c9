"""What comes between the matrices of a model: norms, activations, rotations, attention."""

import numba
import numpy as np
from numba import types

from minilm.kernels.decode_step.dots import LINE, SUMS, WIDTH, dots8x1
from minilm.kernels.decode_step.rows import floats, inner
from minilm.kernels.numba_tools.simd import address, ask, erf, expf, fmax, pointer

_f = types.float32
_ONE, _ZERO, _HALF = np.float32(1), np.float32(0), np.float32(0.5)
_SQRT_HALF = np.float32(0.5**0.5)
_TANH = 2 * (2 / np.pi) ** 0.5  # tanh(z) as 2 sigmoid(2 z) - 1
_TANH_1, _TANH_3 = np.float32(_TANH), np.float32(_TANH * 0.044715)


@inner
def norm(line, rms, eps, factor, c, x, y):
    mean = _ZERO
    share = _ONE / _f(c)
    x, y = x[:c], y[:c]
    if rms == 0:
        for i in range(x.size):
            mean += x[i]
        mean *= share
    square = _ZERO
    for i in range(x.size):
        y[i] = x[i] - mean
        square += y[i] * y[i]
    r = factor / np.sqrt(square * share + eps)
    for i in range(y.size):
        y[i] *= r
    if line[0] != 0:
        w = floats(line[0], c)
        for i in range(y.size):
            y[i] *= w[i]
    if line[1] != 0:
        b = floats(line[1], c)
        for i in range(y.size):
            y[i] += factor * b[i]


@inner
def activate(kind, x):
    if kind == 0:
        for i in range(x.size):
            x[i] = _HALF * x[i] * (_ONE + erf(x[i] * _SQRT_HALF))
    elif kind == 1:
        for i in range(x.size):
            v = x[i]
            x[i] = v / (_ONE + expf(-(_TANH_1 + _TANH_3 * v * v) * v))
    elif kind == 2:
        for i in range(x.size):
            x[i] = fmax(x[i], _ZERO)
    else:
        for i in range(x.size):
            x[i] = x[i] / (_ONE + expf(-x[i]))


@inner
def turn(rope, x, cos, sin, out):
    """RoPE of one head (D,)."""
    half = cos.size
    for i in range(half):
        p = 2 * i if rope == 2 else i
        q = p + 1 if rope == 2 else p + half
        a, b = x[p], x[q]
        out[p] = a * cos[i] - b * sin[i]
        out[q] = b * cos[i] + a * sin[i]


@inner
def norm_head(line, kind, eps, packed, heads, h, d, out):
    """Head h of packed (heads D,) over its own root mean square (kind 1) or that of all heads."""
    span = packed[h * d : (h + 1) * d] if kind == 1 else packed[: heads * d]
    square = _ZERO
    for i in range(span.size):
        square += span[i] * span[i]
    r = _ONE / np.sqrt(square / _f(span.size) + eps)
    head, w = packed[h * d : (h + 1) * d], floats(line[0] + (0 if kind == 1 else 4 * h * d), d)
    for i in range(head.size):
        out[i] = head[i] * r * w[i]


@inner
def soft_cap(x, cap):
    """cap tanh(x / cap), in place: as cap (1 - 2 / (1 + e^(2 x / cap)))."""
    twice = _f(2) / cap
    for i in range(x.size):
        x[i] = cap - _f(2) * cap / (_ONE + expf(twice * x[i]))


@inner
def soften(scores, distance, cap):
    """Scores to weights, in place, capped and with the last of `distance`; 1 / the weights' sum."""
    if cap > _ZERO:
        soft_cap(scores, cap)
    if distance.size > 0:
        near = distance[distance.size - scores.size :]
        for t in range(scores.size):
            scores[t] += near[t]
    top = scores[0]
    for t in range(scores.size):
        top = fmax(top, scores[t])
    mass = _ZERO
    for t in range(scores.size):
        scores[t] = expf(scores[t] - top)
        mass += scores[t]
    return _ONE / mass


@inner
def look(q, keys, values, soon, first, place, distance, cap, scores, out, sums):
    """Attention of one scaled query (D,) over the places first to place of a cache (S, D).

    It fetches the values while it reads the keys, and the keys at `soon`, the next to be read,
    while it reads the values, because the cache of many texts does not fit into the processor's.
    """
    slots, d = keys.shape
    whole = d // WIDTH * WIDTH
    total = numba.carray(pointer(sums, _ZERO), SUMS)
    j = first
    while j <= place:  # in a ring, at most two runs
        slot = j % slots
        run = min(place + 1 - j, slots - slot)
        score = scores[j - first : j - first + run]
        blocks = run // SUMS * SUMS if whole > 0 else 0
        for t in range(0, blocks, SUMS):
            at = address(keys) + 4 * (slot + t) * d
            value = address(values) + 4 * (slot + t) * d
            dots8x1(whole, address(q), 0, at, 4 * d, 4 * WIDTH, value, 4 * SUMS * WIDTH, sums)
            for i in range(SUMS):
                score[t + i] = total[i]
        for t in range(run):
            start = whole if t < blocks else 0
            if start < d:
                key, rest = keys[slot + t, start:], q[start:d]
                add = _ZERO
                for i in range(key.size):
                    add += key[i] * rest[i]
                score[t] = add + (score[t] if t < blocks else _ZERO)
        j += run
    scores = scores[: place + 1 - first]
    share = soften(scores, distance, cap)
    for i in range(out.size):
        out[i] = _ZERO
    j = first
    while j <= place:
        slot = j % slots
        run = min(place + 1 - j, slots - slot)
        score = scores[j - first : j - first + run]
        fours = run // 4 * 4
        for t in range(0, fours, 4):
            for ahead in range(0, 16 * d, LINE):
                ask(soon + 4 * (slot + t) * d + ahead, LINE)
            a, b, c, e = score[t], score[t + 1], score[t + 2], score[t + 3]
            v0, v1 = values[slot + t], values[slot + t + 1]
            v2, v3 = values[slot + t + 2], values[slot + t + 3]
            for i in range(out.size):
                out[i] += a * v0[i] + b * v1[i] + c * v2[i] + e * v3[i]
        for t in range(fours, run):
            a, v0 = score[t], values[slot + t]
            for i in range(out.size):
                out[i] += a * v0[i]
        j += run
    for i in range(out.size):
        out[i] *= share
