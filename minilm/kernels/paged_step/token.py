"""The way of many tokens through the model, for one of the threads that share it.

It is `decode_step.token` for texts that stand at different places: a token knows its own place and
its text's pages, a text may bring several tokens, and the head runs only where logits are wanted.
"""

import numba
import numpy as np

from minilm.kernels.decode_attention.pages import look_pages
from minilm.kernels.decode_step.layers import activate, norm, norm_head, soft_cap, turn
from minilm.kernels.decode_step.rows import ROOM, floats, multiply, stride
from minilm.kernels.decode_step.token import (
    COS,
    DISTANCE,
    DOWN,
    GATE,
    HEAD,
    K_NORM,
    NORM1,
    NORM2,
    OUT,
    POSITIONS,
    Q_NORM,
    QKV,
    SIN,
    TOKENS,
    UP,
    meet,
    part_of,
)
from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.simd import address, pointer

_ONE, _ZERO = np.float32(1), np.float32(0)


@jit
def step(
    part,
    parts,
    table,
    sizes,
    factors,
    keys,
    values,
    ids,
    places,
    lines,
    tables,
    wanted,
    shared,
    alone,
    logits,
    barrier,
):
    """Feed N tokens: what one thread of the crew does.

    Args:
        part, parts: which thread this is, of how many.
        table, sizes, factors: the model, as in `decode_step.token.decode`.
        keys, values: (L, P, G, S, D) float32 pages, get the new ones.
        ids, places, lines: (N,) int64, as in `reference.paged_step`.
        tables: (R, most) int64.
        wanted: (M,) int64.
        shared: float32 scratch of all threads: queries, keys and values (N, (H + 2 G) D), mixed
            heads (N, H D), hidden and gate (N, F), a block's change (N, C), scores (M, V); each row
            padded to `stride` floats.
        alone: (parts, ...) float32 scratch, a line for each thread: x and y (N, C), a query, a
            turned key and a normed head (D,), sums of a tile (ROOM,), the steps (N,) and codes of
            vectors, the scores of one head (longest text,).
        logits: (M, V) float32, gets those after the wanted tokens.
        barrier: (8,) int64, zeros: how many threads have come, in a cache line of its own.
    """
    layers, c, heads, groups, d, f, vocab, reach, window, rms, kind, gated, rope, int8, qk = sizes
    scale, eps, cap, last_cap = factors[1], factors[3], factors[4], factors[5]
    count, asked, slots = ids.size, wanted.size, keys.shape[3]
    end = table[layers]
    packed = (heads + 2 * groups) * d
    cs, ps, ms, fs, vs = stride(c), stride(packed), stride(heads * d), stride(f), stride(vocab)
    bell, target = address(barrier), 0
    qkv = shared[: count * ps].reshape(count, ps)  # -> (N, (H + 2 G) D)
    mixed = shared[count * ps :][: count * ms].reshape(count, ms)  # -> (N, H D)
    hidden = shared[count * (ps + ms) :][: count * fs].reshape(count, fs)  # -> (N, F)
    gate = shared[count * (ps + ms + fs) :][: count * fs].reshape(count, fs)  # -> (N, F)
    change = shared[count * (ps + ms + 2 * fs) :][: count * cs].reshape(count, cs)  # -> (N, C)
    scored = shared[count * (ps + ms + 2 * fs + cs) :][: asked * vs].reshape(asked, vs)  # (M, V)
    own = alone[part]
    # both (N, C)
    x, y = own[: count * cs].reshape(count, cs), own[count * cs :][: count * cs].reshape(count, cs)
    own = own[2 * count * cs :]
    ds = stride(d)
    q, turned, normed, own = own[:ds], own[ds : 2 * ds], own[2 * ds : 3 * ds], own[3 * ds :]
    total, steps, own = own[:ROOM], own[ROOM:][:count], own[ROOM + count :]
    widest = stride(max(c, heads * d, f))
    codes = numba.carray(pointer(address(own), np.int16(0)), (count, 2 * widest))
    scores = own[count * widest :]
    sums = address(total)
    empty = total[:0]
    c_lo, c_hi = part_of(c, part, parts)
    f_lo, f_hi = part_of(f, part, parts)
    p_lo, p_hi = part_of(packed, part, parts)
    v_lo, v_hi = part_of(vocab, part, parts)
    pair_lo, pair_hi = count * heads * part // parts, count * heads * (part + 1) // parts
    store_lo, store_hi = count * groups * part // parts, count * groups * (part + 1) // parts
    per = heads // groups
    for n in range(count):
        row, into = floats(end[TOKENS] + 4 * ids[n] * c, c), x[n, :c]
        for i in range(into.size):
            into[i] = row[i] * factors[0]
        if end[POSITIONS] != 0:
            row = floats(end[POSITIONS] + 4 * places[n] * c, c)
            for i in range(into.size):
                into[i] += row[i]
    for layer in range(layers):
        line = table[layer]
        for n in range(count):
            norm(line[NORM1:], rms, eps, _ONE, c, x[n], y[n])
        multiply(line[QKV:], int8, c, y, qkv, p_lo, p_hi, sums, codes, steps)
        target += parts
        meet(bell, target)
        for pair in range(store_lo, store_hi):
            n, g = pair // groups, pair % groups
            place = places[n]
            page, slot = tables[lines[n], place // slots], place % slots
            k_in = qkv[n, (heads + g) * d : (heads + g + 1) * d]
            v_in = qkv[n, (heads + groups + g) * d : (heads + groups + g + 1) * d]
            if qk != 0:
                k_all = qkv[n, heads * d : (heads + groups) * d]
                norm_head(line[K_NORM:], qk, eps, k_all, groups, g, d, normed)
                k_in = normed[:d]
            if rope != 0:
                cos = floats(end[COS] + 4 * place * (d // 2), d // 2)
                sin = floats(end[SIN] + 4 * place * (d // 2), d // 2)
                turn(rope, k_in, cos, sin, turned)
            else:
                for i in range(d):
                    turned[i] = k_in[i]
            k_out, v_out = keys[layer, page, g, slot], values[layer, page, g, slot]
            for i in range(d):
                k_out[i] = turned[i]
                v_out[i] = v_in[i]
        target += parts  # a token sees the keys of others of its text, so all must be there
        meet(bell, target)
        for pair in range(pair_lo, pair_hi):
            n, h = pair // heads, pair % heads
            place = places[n]
            q_in = qkv[n, h * d : (h + 1) * d]
            if qk != 0:
                norm_head(line[Q_NORM:], qk, eps, qkv[n], heads, h, d, normed)
                q_in = normed[:d]
            if rope != 0:
                cos = floats(end[COS] + 4 * place * (d // 2), d // 2)
                sin = floats(end[SIN] + 4 * place * (d // 2), d // 2)
                turn(rope, q_in, cos, sin, q)
                for i in range(d):
                    q[i] *= scale
            else:
                for i in range(d):
                    q[i] = q_in[i] * scale
            first = max(0, place - window + 1) if window > 0 else 0
            far = empty
            if reach > 0:
                far = floats(end[DISTANCE] + 4 * h * reach, reach)
            out = mixed[n, h * d : (h + 1) * d]
            look_pages(
                q[:d], keys[layer], values[layer], tables[lines[n]], h // per, first, place, far,
                cap, scores, out, sums,
            )  # fmt: skip
        target += parts
        meet(bell, target)
        multiply(line[OUT:], int8, heads * d, mixed, change, c_lo, c_hi, sums, codes, steps)
        target += parts
        meet(bell, target)
        for n in range(count):
            into, add = x[n, :c], change[n, :c]
            for i in range(into.size):
                into[i] += add[i]
            norm(line[NORM2:], rms, eps, _ONE, c, x[n], y[n])
        multiply(line[UP:], int8, c, y, hidden, f_lo, f_hi, sums, codes, steps)
        if gated != 0:
            multiply(line[GATE:], int8, c, y, gate, f_lo, f_hi, sums, codes, steps)
        for n in range(count):
            out = hidden[n, f_lo:f_hi]
            if gated != 0:
                opened = gate[n, f_lo:f_hi]
                activate(kind, opened)
                for i in range(out.size):
                    out[i] *= opened[i]
            else:
                activate(kind, out)
        target += parts
        meet(bell, target)
        multiply(line[DOWN:], int8, f, hidden, change, c_lo, c_hi, sums, codes, steps)
        target += parts
        meet(bell, target)
        for n in range(count):
            into, add = x[n, :c], change[n, :c]
            for i in range(into.size):
                into[i] += add[i]
    if asked > 0:
        for m in range(asked):
            norm(end, rms, eps, factors[2], c, x[wanted[m]], y[m])
        multiply(end[HEAD:], int8, c, y[:asked], scored, v_lo, v_hi, sums, codes, steps)
        for m in range(asked):
            out, row = logits[m, v_lo:v_hi], scored[m, v_lo:v_hi]
            if last_cap > _ZERO:
                soft_cap(row, last_cap)
            for i in range(out.size):
                out[i] = row[i]
    target += parts
    meet(bell, target)
