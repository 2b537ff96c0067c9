"""Attention of one query over keys that lie in pages: run by run, eight dot products at a time.

A run is what lies side by side in one page. A contiguous cache is the case of a single page, and a
rolling one that of a page which is read round and round, so all three take the same loop.
"""

import numba
import numpy as np

from minilm.kernels.decode_step.dots import SUMS, WIDTH, dots8x1
from minilm.kernels.decode_step.rows import inner
from minilm.kernels.numba_tools.simd import address, expf, fmax, pointer

_ONE, _ZERO = np.float32(1), np.float32(0)


@inner
def look_pages(q, keys, values, line, group, first, place, distance, scores, out, sums):
    """Attention of one scaled query over the places first to place of a text.

    Args:
        q: (D,) float32.
        keys, values: (P, G, S, D) float32 pages.
        line: (N,) int64, the text's pages: place j is in slot j mod S of page line[j // S mod N].
        group: whose keys.
        first, place: the first place seen, and the query's own.
        distance: (reach,) added to the scores, the last number to the query's own place; or empty.
        scores: room for place - first + 1 floats.
        out: (D,) gets the mixture of values.
        sums: address of SUMS floats.
    """
    slots, d, turns = keys.shape[2], keys.shape[3], line.size
    whole = d // WIDTH * WIDTH
    total = numba.carray(pointer(sums, _ZERO), SUMS)
    j = first
    while j <= place:
        page, slot = line[j // slots % turns], j % slots
        run = min(place + 1 - j, slots - slot)
        part, mixed = keys[page, group], values[page, group]
        score = scores[j - first : j - first + run]
        blocks = run // SUMS * SUMS if whole > 0 else 0
        at, value = address(part) + 4 * slot * d, address(mixed) + 4 * slot * d
        for t in range(0, blocks, SUMS):
            skip = 4 * t * d
            dots8x1(
                whole, address(q), 0, at + skip, 4 * d, 4 * WIDTH, value + skip,
                4 * SUMS * WIDTH, sums,
            )  # fmt: skip
            for i in range(SUMS):
                score[t + i] = total[i]
        for t in range(run):
            start = whole if t < blocks else 0
            if start < d:
                key, rest = part[slot + t, start:], q[start:d]
                add = _ZERO
                for i in range(key.size):
                    add += key[i] * rest[i]
                score[t] = add + (score[t] if t < blocks else _ZERO)
        j += run
    scores = scores[: place + 1 - first]
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
    share = _ONE / mass
    for i in range(out.size):
        out[i] = _ZERO
    j = first
    while j <= place:
        page, slot = line[j // slots % turns], j % slots
        run = min(place + 1 - j, slots - slot)
        mixed = values[page, group]
        score = scores[j - first : j - first + run]
        fours = run // 4 * 4
        for t in range(0, fours, 4):
            a, b, c, e = score[t], score[t + 1], score[t + 2], score[t + 3]
            v0, v1 = mixed[slot + t], mixed[slot + t + 1]
            v2, v3 = mixed[slot + t + 2], mixed[slot + t + 3]
            for i in range(out.size):
                out[i] += a * v0[i] + b * v1[i] + c * v2[i] + e * v3[i]
        for t in range(fours, run):
            a, v0 = score[t], mixed[slot + t]
            for i in range(out.size):
                out[i] += a * v0[i]
        j += run
    for i in range(out.size):
        out[i] *= share
