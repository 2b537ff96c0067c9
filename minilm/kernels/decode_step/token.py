"""A token's way through the model, for one of the threads that share it."""

import numba
import numpy as np

from minilm.kernels.decode_step.dots import arrive, arrived, give_way
from minilm.kernels.decode_step.layers import activate, look, norm, norm_head, soft_cap, turn
from minilm.kernels.decode_step.rows import ROOM, floats, inner, multiply, stride
from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.simd import address, fmax, pointer

_ONE, _ZERO = np.float32(1), np.float32(0)
_SPINS = 4000  # some microseconds, longer than a barrier takes where every thread has a core
WORTH = 16  # rows of a share: a multiple of SUMS

MAP = 3  # columns of a map in a table of addresses: weight, scales, bias
NORM1, QKV, OUT, NORM2, GATE, UP, DOWN = 0, 2, 5, 8, 10, 13, 16
Q_NORM, K_NORM, COLUMNS = 19, 21, 23
HEAD, TOKENS, POSITIONS, COS, SIN, DISTANCE = 2, 5, 6, 7, 8, 9  # of the last line


@inner
def meet(barrier, target):
    """Wait until `target` threads have arrived, counted from the start of the job."""
    arrive(barrier)
    spins = 0
    while arrived(barrier) < target:
        spins += 1
        if spins > _SPINS:
            give_way()


@inner
def part_of(n, part, parts):
    """The rows of n that are a thread's: whole blocks, the last one may be ragged."""
    blocks = (n + WORTH - 1) // WORTH
    return min(n, blocks * part // parts * WORTH), min(n, blocks * (part + 1) // parts * WORTH)


@inner
def _likeliest(row):
    """The place of the largest; of equals, the first."""
    top = row[0]
    for i in range(row.size):
        top = fmax(top, row[i])
    for i in range(row.size):
        if not row[i] < top:
            return i
    return 0


@jit
def decode(
    part,
    parts,
    table,
    sizes,
    factors,
    keys,
    values,
    ids,
    begin,
    place,
    count,
    shared,
    alone,
    logits,
    new,
    found,
    best,
    barrier,
):
    """Feed `count` tokens to a row each, the likeliest next: what one thread of the crew does.

    All threads run this with the same arguments but `part`. Each owns a share of the rows of every
    matrix and of the pairs (row of the batch, head); what the others need of its results lies in
    `shared`, and before it is read all have met at `barrier`. The residual x and its norm every
    thread computes for itself: they are short, and a meeting would cost more.

    Args:
        part, parts: which thread this is, of how many.
        table: (L + 1, COLUMNS) int64 addresses of float32 or int8 arrays, 0 for none. A line per
            layer, columns NORM1 .. K_NORM: a norm's weight and bias, a map's weight (O, I), its
            scales (O,) and bias (O,). The last line holds the final norm in columns 0 and 1, the
            head's map (V, C) from HEAD, and TOKENS (V, C), POSITIONS (P, C), COS and SIN (P, D/2),
            DISTANCE (H, reach).
        sizes: integers: layers L, channels C, heads H, groups G, head size D, feed-forward width F,
            vocabulary V, reach of the distances (0 for none), window (0 for none), whether norms
            are RMS norms, the activation's number, whether there is a gate, the number of the kind
            of rope (0 for none), whether weights are int8, the number of the kind of norms on
            queries and keys (0 for none).
        factors: (6,) float32: of the embedding, of attention scores, of logits; eps of the norms;
            soft caps on attention scores and on logits (0 for none).
        keys, values: (L, B, G, S, D) float32 cache, gets the new ones; place p is in slot p mod S.
        ids: (B,) int64, the first tokens to feed.
        begin: (B,) int64, the place of each row's first token.
        place: of the tokens in `ids`.
        count: how many tokens to feed, T.
        shared: float32 scratch of all threads: queries, keys and values (B, (H + 2 G) D), mixed
            heads (B, H D), hidden and gate (B, F), a block's change (B, C), scores (B, V); each row
            padded to `stride` floats.
        alone: (parts, ...) float32 scratch, a line for each thread: x and y (B, C), a query, a
            turned key and a normed head (D,), sums of a tile (ROOM,), the steps (B,) and 16-bit
            codes of vectors that meet int8 weights, the scores of one head (S,).
        logits: (B, V) float32, gets those after the last token.
        new: (T, B) int64, gets the likeliest token after each one fed; of equals the lowest.
        found, best: (parts, B) int64 and float32: each thread's likeliest token and its logit.
        barrier: (8,) int64, zeros: how many threads have come, in a cache line of its own.
    """
    layers, c, heads, groups, d, f, vocab, reach, window, rms, kind, gated, rope, int8, qk = sizes
    scale, eps, cap, last_cap = factors[1], factors[3], factors[4], factors[5]
    batch = ids.size
    end = table[layers]
    packed = (heads + 2 * groups) * d
    cs, ps, ms, fs, vs = stride(c), stride(packed), stride(heads * d), stride(f), stride(vocab)
    bell, target = address(barrier), 0
    qkv = shared[: batch * ps].reshape(batch, ps)  # -> (B, (H + 2 G) D)
    mixed = shared[batch * ps :][: batch * ms].reshape(batch, ms)  # -> (B, H D)
    hidden = shared[batch * (ps + ms) :][: batch * fs].reshape(batch, fs)  # -> (B, F)
    gate = shared[batch * (ps + ms + fs) :][: batch * fs].reshape(batch, fs)  # -> (B, F)
    change = shared[batch * (ps + ms + 2 * fs) :][: batch * cs].reshape(batch, cs)  # -> (B, C)
    scored = shared[batch * (ps + ms + 2 * fs + cs) :][: batch * vs].reshape(batch, vs)  # -> (B, V)
    own = alone[part]
    # both (B, C)
    x, y = own[: batch * cs].reshape(batch, cs), own[batch * cs :][: batch * cs].reshape(batch, cs)
    own = own[2 * batch * cs :]
    ds = stride(d)
    q, turned, normed, own = own[:ds], own[ds : 2 * ds], own[2 * ds : 3 * ds], own[3 * ds :]
    total, steps, own = own[:ROOM], own[ROOM:][:batch], own[ROOM + batch :]
    widest = stride(max(c, heads * d, f))
    codes = numba.carray(pointer(address(own), np.int16(0)), (batch, 2 * widest))
    scores = own[batch * widest :]
    sums = address(total)
    empty = total[:0]
    c_lo, c_hi = part_of(c, part, parts)
    f_lo, f_hi = part_of(f, part, parts)
    p_lo, p_hi = part_of(packed, part, parts)
    v_lo, v_hi = part_of(vocab, part, parts)
    pair_lo, pair_hi = batch * heads * part // parts, batch * heads * (part + 1) // parts
    per = heads // groups
    for step in range(count):
        here = place + step
        for b in range(batch):
            token = ids[b] if step == 0 else new[step - 1, b]
            row, into = floats(end[TOKENS] + 4 * token * c, c), x[b, :c]
            for i in range(into.size):
                into[i] = row[i] * factors[0]
            if end[POSITIONS] != 0:
                row = floats(end[POSITIONS] + 4 * (here - begin[b]) * c, c)
                for i in range(into.size):
                    into[i] += row[i]
        for layer in range(layers):
            line = table[layer]
            for b in range(batch):
                norm(line[NORM1:], rms, eps, _ONE, c, x[b], y[b])
            multiply(line[QKV:], int8, c, y, qkv, p_lo, p_hi, sums, codes, steps)
            target += parts
            meet(bell, target)
            for pair in range(pair_lo, pair_hi):
                b, h = pair // heads, pair % heads
                g = h // per
                line_in = qkv[b]
                where = here - begin[b]
                cos = sin = empty
                if rope != 0:
                    cos = floats(end[COS] + 4 * where * (d // 2), d // 2)
                    sin = floats(end[SIN] + 4 * where * (d // 2), d // 2)
                k_cache, v_cache = keys[layer, b, g], values[layer, b, g]
                if pair == pair_lo or h % per == 0:  # whoever reads a group stores the same there
                    slot = here % k_cache.shape[0]
                    k_in = line_in[(heads + g) * d : (heads + g + 1) * d]
                    v_in = line_in[(heads + groups + g) * d : (heads + groups + g + 1) * d]
                    if qk != 0:
                        k_all = line_in[heads * d : (heads + groups) * d]
                        norm_head(line[K_NORM:], qk, eps, k_all, groups, g, d, normed)
                        k_in = normed[:d]
                    if rope != 0:
                        turn(rope, k_in, cos, sin, turned)
                    else:
                        for i in range(d):
                            turned[i] = k_in[i]
                    for i in range(d):
                        k_cache[slot, i] = turned[i]
                        v_cache[slot, i] = v_in[i]
                q_in = line_in[h * d : (h + 1) * d]
                if qk != 0:
                    norm_head(line[Q_NORM:], qk, eps, line_in, heads, h, d, normed)
                    q_in = normed[:d]
                if rope != 0:
                    turn(rope, q_in, cos, sin, q)
                    for i in range(d):
                        q[i] *= scale
                else:
                    for i in range(d):
                        q[i] = q_in[i] * scale
                first = begin[b]
                if window > 0:
                    first = max(first, here - window + 1)
                far = empty
                if reach > 0:
                    far = floats(end[DISTANCE] + 4 * h * reach, reach)
                out = mixed[b, h * d : (h + 1) * d]
                later = min(pair + 1, pair_hi - 1)
                soon = address(keys[layer, later // heads, later % heads // per])
                look(q, k_cache, v_cache, soon, first, here, far, cap, scores, out, sums)
            target += parts
            meet(bell, target)
            multiply(line[OUT:], int8, heads * d, mixed, change, c_lo, c_hi, sums, codes, steps)
            target += parts
            meet(bell, target)
            for b in range(batch):
                into, add = x[b, :c], change[b, :c]
                for i in range(into.size):
                    into[i] += add[i]
                norm(line[NORM2:], rms, eps, _ONE, c, x[b], y[b])
            multiply(line[UP:], int8, c, y, hidden, f_lo, f_hi, sums, codes, steps)
            if gated != 0:
                multiply(line[GATE:], int8, c, y, gate, f_lo, f_hi, sums, codes, steps)
            for b in range(batch):
                out = hidden[b, f_lo:f_hi]
                if gated != 0:
                    opened = gate[b, f_lo:f_hi]
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
            for b in range(batch):
                into, add = x[b, :c], change[b, :c]
                for i in range(into.size):
                    into[i] += add[i]
        for b in range(batch):
            norm(end, rms, eps, factors[2], c, x[b], y[b])
        multiply(end[HEAD:], int8, c, y, scored, v_lo, v_hi, sums, codes, steps)
        for b in range(batch):
            row = scored[b, v_lo:v_hi]
            if last_cap > _ZERO:
                soft_cap(row, last_cap)
            at = _likeliest(row)
            found[part, b], best[part, b] = v_lo + at, row[at]
            if step == count - 1:
                out = logits[b, v_lo:v_hi]
                for i in range(out.size):
                    out[i] = row[i]
        target += parts
        meet(bell, target)
        for b in range(batch):  # each thread for itself; all write the same
            winner = 0
            for other in range(1, parts):
                if best[other, b] > best[winner, b]:
                    winner = other
            new[step, b] = found[winner, b]
