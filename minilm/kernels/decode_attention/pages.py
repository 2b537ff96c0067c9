"""Attention of one query over keys that lie in pages: run by run, eight dot products at a time.

A run is what lies side by side in one page. A contiguous cache is the case of a single page, and a
rolling one that of a page which is read round and round, so all three take the same loop.
"""

import numba
import numpy as np

from minilm.kernels.decode_step.dots import LINE, SUMS, WIDTH, dots8x1
from minilm.kernels.decode_step.layers import soften
from minilm.kernels.decode_step.rows import inner
from minilm.kernels.numba_tools.simd import address, ask, pointer

_ZERO = np.float32(0)
_AHEAD = 16  # places: what is read that much later is fetched now


@inner
def _soon(array, line, group, j, place):
    """Where place j + _AHEAD of a text lies, or its last one: array (P, G, S, D)."""
    slots, later = array.shape[2], min(j + _AHEAD, place)
    row = array[line[later // slots % line.size], group, later % slots]
    return address(row)


@inner
def look_pages(q, keys, values, line, group, first, place, distance, cap, scores, out, sums):
    """Attention of one scaled query over the places first to place of a text.

    Args:
        q: (D,) float32.
        keys, values: (P, G, S, D) float32 pages.
        line: (N,) int64, the text's pages: place j is in slot j mod S of page line[j // S mod N].
        group: whose keys.
        first, place: the first place seen, and the query's own.
        distance: (reach,) added to the scores, the last number to the query's own place; or empty.
        cap: soft cap on the scores, 0 for none.
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
        part = keys[page, group]
        score = scores[j - first : j - first + run]
        blocks = run // SUMS * SUMS if whole > 0 else 0
        at = address(part) + 4 * slot * d
        for t in range(0, blocks, SUMS):
            soon = _soon(keys, line, group, j + t, place)
            dots8x1(
                whole, address(q), 0, at + 4 * t * d, 4 * d, 4 * WIDTH, soon, 4 * SUMS * WIDTH, sums
            )
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
    share = soften(scores, distance, cap)
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
            soon = _soon(values, line, group, j + t, place)
            for ahead in range(0, 16 * d, LINE):
                ask(soon + ahead, LINE)
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
