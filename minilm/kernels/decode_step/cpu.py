"""Greedy decoding in Numba: a token runs through the whole model without leaving compiled code.

Each thread takes a share of the rows of every matrix, of the heads, and of the vocabulary, and they
meet at a barrier where one needs what another made; norms and residual sums are cheaper done by
each than waited for. Every number is computed by one thread, in one order, so any number of threads
gives the same bits.
"""

import numba
import numpy as np
from numba import types

from minilm.kernels.decode_step.crew import Crew
from minilm.kernels.decode_step.dots import (
    SUMS,
    WIDTH,
    arrive,
    arrived,
    dots2x4,
    dots2x4_int8,
    dots8x1,
    dots8x1_int8,
    give_way,
)
from minilm.kernels.decode_step.weights import ACTIVATIONS, ROPES, Map, Norm, Weights
from minilm.kernels.jit import jit
from minilm.kernels.simd import address, erf, expf, fmax, pointer

_f = types.float32
_ONE, _ZERO, _HALF = np.float32(1), np.float32(0), np.float32(0.5)
_SQRT_HALF = np.float32(0.5**0.5)
_TANH = 2 * (2 / np.pi) ** 0.5  # tanh(z) as 2 sigmoid(2 z) - 1
_TANH_1, _TANH_3 = np.float32(_TANH), np.float32(_TANH * 0.044715)
_SPINS = 4000  # some microseconds, longer than a barrier takes where every thread has a core
_SHARE = 2_000_000  # bytes of weights to read per call below which one thread is faster than two
_WORTH = 16  # rows of a share: a multiple of SUMS
_NEAR = 100_000  # bytes of weights that stay in cache until all of a batch have met them

_MAP = 3  # columns of a map in a table of addresses: weight, scales, bias
_NORM1, _QKV, _OUT, _NORM2, _GATE, _UP, _DOWN, _COLUMNS = 0, 2, 5, 8, 10, 13, 16, 19
_HEAD, _TOKENS, _POSITIONS, _COS, _SIN, _DISTANCE = 2, 5, 6, 7, 8, 9  # of the last line


class _Room:
    """What stays from call to call: addresses, sizes, packed int8 weights, scratch, threads."""

    def __init__(self, w: Weights) -> None:
        self._kept: list[np.ndarray] = []
        self.int8 = w.head.scales is not None
        table = np.zeros((len(w.layers) + 1, _COLUMNS), np.int64)
        for line, layer in zip(table, w.layers):
            self._norm(line, _NORM1, layer.norm1)
            self._norm(line, _NORM2, layer.norm2)
            self._map(line, _QKV, layer.qkv)
            self._map(line, _OUT, layer.out)
            if layer.gate is not None:
                self._map(line, _GATE, layer.gate)
            self._map(line, _UP, layer.up)
            self._map(line, _DOWN, layer.down)
        self._norm(table[-1], 0, w.norm)
        self._map(table[-1], _HEAD, w.head)
        extra = (w.tokens, w.positions, w.cos, w.sin, w.distance)
        for column, array in enumerate(extra, _TOKENS):
            table[-1, column] = self._at(array)
        self.table = table
        first = w.layers[0]
        reach = 0 if w.distance is None else w.distance.shape[1]
        sizes = (len(w.layers), w.tokens.shape[1], w.heads, w.groups, w.size, len(first.up.weight))
        sizes += (len(w.tokens), reach, w.window or 0, w.rms, ACTIVATIONS.index(w.activation))
        sizes += (first.gate is not None, ROPES.index(w.rope), self.int8)
        self.sizes = tuple(map(int, sizes))
        factors = (w.embedding_scale, w.attention_scale, w.logit_scale, w.eps)
        self.factors = np.array(factors, np.float32)
        self.crew = Crew()
        self._scratch: dict[tuple[int, int, int], tuple[np.ndarray, np.ndarray]] = {}

    def _at(self, array: np.ndarray | None) -> int:
        if array is None:
            return 0
        self._kept.append(array)
        return array.ctypes.data

    def _norm(self, line: np.ndarray, column: int, norm: Norm) -> None:
        line[column : column + 2] = self._at(norm.weight), self._at(norm.bias)

    def _map(self, line: np.ndarray, column: int, m: Map) -> None:
        weight = _packed(m.weight) if self.int8 else m.weight
        where = self._at(weight), self._at(m.scales), self._at(m.bias)
        line[column : column + _MAP] = where

    def scratch(self, batch: int, seen: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
        """Memory that all threads share, and a row for each alone; zeros where nobody writes."""
        key = batch, seen, parts
        if key not in self._scratch:
            shared, alone = _needs(self.sizes, batch, seen)
            self._scratch = {key: (np.zeros(shared, np.float32), np.zeros((parts, alone), "f"))}
        return self._scratch[key]


def _packed(codes: np.ndarray) -> np.ndarray:
    """Codes (N, K) so that memory is read in one stream: SUMS rows side by side, WIDTH by WIDTH."""
    n, k = codes.shape
    out = np.zeros((-(-n // SUMS), -(-k // WIDTH), SUMS, WIDTH), np.int8)
    _pack(codes, out)
    return out


def quantize_rows(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """See ``reference.quantize_rows``."""
    codes, scales = np.empty(weight.shape, np.int8), np.empty(len(weight), np.float32)
    _quantize(weight, codes, scales)
    return codes, scales


def decode_step(
    logits: np.ndarray,
    weights: Weights,
    keys: np.ndarray,
    values: np.ndarray,
    ids: np.ndarray,
    begin: np.ndarray,
    place: int,
    count: int,
    threads: int,
) -> np.ndarray:
    """See ``reference.decode_step``."""
    if weights.room is None:
        weights.room = _Room(weights)
    room = weights.room
    batch = len(ids)
    worth = max(1, weights.nbytes * count * batch // _SHARE)
    parts = max(1, min(threads, worth, len(weights.tokens) // _WORTH))
    shared, alone = room.scratch(batch, keys.shape[3], parts)
    new = np.empty((count, batch), np.int64)
    found, best = np.empty((parts, batch), np.int64), np.empty((parts, batch), np.float32)
    job = (parts, room.table, room.sizes, room.factors, keys, values)
    job += (ids, begin, place, count, shared, alone, logits, new, found, best)
    job += (np.zeros(8, np.int64),)
    if parts == 1:
        _decode(0, *job)
    else:
        room.crew.run(_decode, parts, *job)
    return new


@jit
def _stride(n):
    """Floats from row to row of a scratch array: padded, and never a power of two, whose rows would
    all fall on the same lines of a cache."""
    return -(-n // 16) * 16 + 16


def _needs(sizes: tuple[int, ...], batch: int, seen: int) -> tuple[int, int]:
    """Floats of scratch: shared, and of each thread."""
    _, c, h, g, d, f, v = sizes[:7]
    pad = _stride.py_func
    shared = pad((h + 2 * g) * d) + pad(h * d) + 2 * pad(f) + pad(c) + pad(v)
    return batch * shared, 2 * batch * pad(c) + 2 * pad(d) + SUMS + seen


@jit
def _quantize(weight, codes, scales):
    for n in range(weight.shape[0]):
        row, out = weight[n], codes[n]
        top = _ZERO
        for i in range(row.size):
            top = fmax(top, abs(row[i]))
        scale = (top if top > _ZERO else _ONE) / np.float32(127)
        scales[n] = scale
        steps = _ONE / scale
        for i in range(row.size):
            out[i] = np.int8(np.rint(row[i] * steps))


@jit
def _pack(codes, out):
    k = codes.shape[1]
    for n in range(codes.shape[0]):
        row = codes[n]
        for block in range(out.shape[1]):
            into = out[n // SUMS, block, n % SUMS]
            first = block * WIDTH
            for i in range(min(WIDTH, k - first)):
                into[i] = row[first + i]


_inner = jit(no_cpython_wrapper=True, no_cfunc_wrapper=True)  # called from compiled code alone


@_inner
def _floats(at, n):
    return numba.carray(pointer(at, _ZERO), n)


@_inner
def _meet(barrier, target):
    """Wait until ``target`` threads have come, counted from the start of the job."""
    arrive(barrier)
    spins = 0
    while arrived(barrier) < target:
        spins += 1
        if spins > _SPINS:
            give_way()


@_inner
def _rows(line, int8, k, x, y, lo, hi, sums):
    """y[b, n] = w[n] x[b] + bias[n] for rows n from lo to hi; lo is a multiple of SUMS.

    x and y are scratch, of strides that `_stride` gave. float32 rows lie as the model keeps them;
    what goes beyond the last whole vector or block of rows is added plainly. int8 is padded.
    """
    weight, scale, bias = line[0], line[1], line[2]
    batch = x.shape[0]
    whole, size = k // WIDTH * WIDTH, 4
    step, following = 4 * k, 4 * WIDTH
    block = lo + (hi - lo) // SUMS * SUMS
    if int8 != 0:
        whole, size = (k + WIDTH - 1) // WIDTH * WIDTH, 1
        step, following = WIDTH, SUMS * WIDTH
        block = hi
    if whole == 0:
        block = lo
    row_bytes = whole if int8 != 0 else 4 * k
    x_bytes = 4 * x.shape[1]
    total = numba.carray(pointer(sums, _ZERO), SUMS)
    fours = batch // 4 * 4
    near = max(SUMS, _NEAR // (size * k) // SUMS * SUMS)
    for first in range(lo, block, near):
        last = min(block, first + near)
        for b in range(0, fours, 4):
            left = address(x) + b * x_bytes
            for n in range(first, last, 2):
                at = weight + n // SUMS * SUMS * row_bytes + n % SUMS * step
                if int8 != 0:
                    dots2x4_int8(whole, left, x_bytes, at, step, following, sums)
                else:
                    dots2x4(whole, left, x_bytes, at, step, following, sums)
                for i in range(min(2, last - n)):
                    for j in range(4):
                        y[b + j, n + i] = total[4 * i + j]
        for b in range(fours, batch):
            left = address(x) + b * x_bytes
            for n in range(first, last, SUMS):
                at = weight + n * row_bytes
                if int8 != 0:
                    dots8x1_int8(whole, left, 0, at, step, following, sums)
                else:
                    dots8x1(whole, left, 0, at, step, following, sums)
                for i in range(min(SUMS, last - n)):
                    y[b, n + i] = total[i]
    for b in range(batch):
        out = y[b]
        if int8 != 0:
            factor = _floats(scale, hi)
            for n in range(lo, hi):
                out[n] *= factor[n]
        else:
            for n in range(lo, hi):
                start = whole if n < block else 0
                if start < k:
                    row, rest = _floats(weight + 4 * (n * k + start), k - start), x[b, start:k]
                    add = _ZERO
                    for i in range(row.size):
                        add += row[i] * rest[i]
                    out[n] = add + (out[n] if n < block else _ZERO)
        if bias != 0:
            more = _floats(bias, hi)
            for n in range(lo, hi):
                out[n] += more[n]


@_inner
def _norm(line, rms, eps, factor, c, x, y):
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
        w = _floats(line[0], c)
        for i in range(y.size):
            y[i] *= w[i]
    if line[1] != 0:
        b = _floats(line[1], c)
        for i in range(y.size):
            y[i] += factor * b[i]


@_inner
def _activate(kind, x):
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


@_inner
def _turn(rope, x, cos, sin, out):
    """RoPE of one head (D,)."""
    half = cos.size
    for i in range(half):
        p = 2 * i if rope == 2 else i
        q = p + 1 if rope == 2 else p + half
        a, b = x[p], x[q]
        out[p] = a * cos[i] - b * sin[i]
        out[q] = b * cos[i] + a * sin[i]


@_inner
def _look(q, keys, values, first, place, distance, scores, out, sums):
    """Attention of one scaled query (D,) over the places first .. place of a cache (S, D)."""
    slots, d = keys.shape
    whole = d // WIDTH * WIDTH
    total = numba.carray(pointer(sums, _ZERO), SUMS)
    j = first
    while j <= place:  # a ring is at most two runs
        slot = j % slots
        run = min(place + 1 - j, slots - slot)
        score = scores[j - first : j - first + run]
        blocks = run // SUMS * SUMS if whole > 0 else 0
        for t in range(0, blocks, SUMS):
            at = address(keys) + 4 * (slot + t) * d
            dots8x1(whole, address(q), 0, at, 4 * d, 4 * WIDTH, sums)
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
        slot = j % slots
        run = min(place + 1 - j, slots - slot)
        score = scores[j - first : j - first + run]
        fours = run // 4 * 4
        for t in range(0, fours, 4):
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


@_inner
def _part(n, part, parts):
    """The rows of n that are a thread's: whole blocks, the last one may be ragged."""
    blocks = (n + _WORTH - 1) // _WORTH
    return min(n, blocks * part // parts * _WORTH), min(n, blocks * (part + 1) // parts * _WORTH)


@_inner
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
def _decode(
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
    layers, c, heads, groups, d, f, vocab, reach, window, rms, kind, gated, rope, int8 = sizes
    scale, eps = factors[1], factors[3]
    batch = ids.size
    end = table[layers]
    packed = (heads + 2 * groups) * d
    cs, ps, ms, fs, vs = _stride(c), _stride(packed), _stride(heads * d), _stride(f), _stride(vocab)
    bell, target = address(barrier), 0
    qkv = shared[: batch * ps].reshape(batch, ps)
    mixed = shared[batch * ps :][: batch * ms].reshape(batch, ms)
    hidden = shared[batch * (ps + ms) :][: batch * fs].reshape(batch, fs)
    gate = shared[batch * (ps + ms + fs) :][: batch * fs].reshape(batch, fs)
    change = shared[batch * (ps + ms + 2 * fs) :][: batch * cs].reshape(batch, cs)
    scored = shared[batch * (ps + ms + 2 * fs + cs) :][: batch * vs].reshape(batch, vs)
    own = alone[part]
    x, y = own[: batch * cs].reshape(batch, cs), own[batch * cs :][: batch * cs].reshape(batch, cs)
    own = own[2 * batch * cs :]
    q, turned, own = own[: _stride(d)], own[_stride(d) : 2 * _stride(d)], own[2 * _stride(d) :]
    total, scores = own[:SUMS], own[SUMS:]
    sums = address(total)
    empty = total[:0]
    c_lo, c_hi = _part(c, part, parts)
    f_lo, f_hi = _part(f, part, parts)
    p_lo, p_hi = _part(packed, part, parts)
    v_lo, v_hi = _part(vocab, part, parts)
    pair_lo, pair_hi = batch * heads * part // parts, batch * heads * (part + 1) // parts
    per = heads // groups
    for step in range(count):
        here = place + step
        for b in range(batch):
            token = ids[b] if step == 0 else new[step - 1, b]
            row, into = _floats(end[_TOKENS] + 4 * token * c, c), x[b, :c]
            for i in range(into.size):
                into[i] = row[i] * factors[0]
            if end[_POSITIONS] != 0:
                row = _floats(end[_POSITIONS] + 4 * (here - begin[b]) * c, c)
                for i in range(into.size):
                    into[i] += row[i]
        for layer in range(layers):
            line = table[layer]
            for b in range(batch):
                _norm(line[_NORM1:], rms, eps, _ONE, c, x[b], y[b])
            _rows(line[_QKV:], int8, c, y, qkv, p_lo, p_hi, sums)
            target += parts
            _meet(bell, target)
            for pair in range(pair_lo, pair_hi):
                b, h = pair // heads, pair % heads
                g = h // per
                line_in = qkv[b]
                where = here - begin[b]
                cos = sin = empty
                if rope != 0:
                    cos = _floats(end[_COS] + 4 * where * (d // 2), d // 2)
                    sin = _floats(end[_SIN] + 4 * where * (d // 2), d // 2)
                k_cache, v_cache = keys[layer, b, g], values[layer, b, g]
                if pair == pair_lo or h % per == 0:  # whoever reads a group stores the same there
                    slot = here % k_cache.shape[0]
                    k_in = line_in[(heads + g) * d : (heads + g + 1) * d]
                    v_in = line_in[(heads + groups + g) * d : (heads + groups + g + 1) * d]
                    if rope != 0:
                        _turn(rope, k_in, cos, sin, turned)
                    else:
                        for i in range(d):
                            turned[i] = k_in[i]
                    for i in range(d):
                        k_cache[slot, i] = turned[i]
                        v_cache[slot, i] = v_in[i]
                q_in = line_in[h * d : (h + 1) * d]
                if rope != 0:
                    _turn(rope, q_in, cos, sin, q)
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
                    far = _floats(end[_DISTANCE] + 4 * h * reach, reach)
                out = mixed[b, h * d : (h + 1) * d]
                _look(q, k_cache, v_cache, first, here, far, scores, out, sums)
            target += parts
            _meet(bell, target)
            _rows(line[_OUT:], int8, heads * d, mixed, change, c_lo, c_hi, sums)
            target += parts
            _meet(bell, target)
            for b in range(batch):
                into, add = x[b, :c], change[b, :c]
                for i in range(into.size):
                    into[i] += add[i]
                _norm(line[_NORM2:], rms, eps, _ONE, c, x[b], y[b])
            _rows(line[_UP:], int8, c, y, hidden, f_lo, f_hi, sums)
            if gated != 0:
                _rows(line[_GATE:], int8, c, y, gate, f_lo, f_hi, sums)
            for b in range(batch):
                out = hidden[b, f_lo:f_hi]
                if gated != 0:
                    opened = gate[b, f_lo:f_hi]
                    _activate(kind, opened)
                    for i in range(out.size):
                        out[i] *= opened[i]
                else:
                    _activate(kind, out)
            target += parts
            _meet(bell, target)
            _rows(line[_DOWN:], int8, f, hidden, change, c_lo, c_hi, sums)
            target += parts
            _meet(bell, target)
            for b in range(batch):
                into, add = x[b, :c], change[b, :c]
                for i in range(into.size):
                    into[i] += add[i]
        for b in range(batch):
            _norm(end, rms, eps, factors[2], c, x[b], y[b])
        _rows(end[_HEAD:], int8, c, y, scored, v_lo, v_hi, sums)
        for b in range(batch):
            row = scored[b, v_lo:v_hi]
            at = _likeliest(row)
            found[part, b], best[part, b] = v_lo + at, row[at]
            if step == count - 1:
                out = logits[b, v_lo:v_hi]
                for i in range(out.size):
                    out[i] = row[i]
        target += parts
        _meet(bell, target)
        for b in range(batch):  # each thread for itself; all write the same
            winner = 0
            for other in range(1, parts):
                if best[other, b] > best[winner, b]:
                    winner = other
            new[step, b] = found[winner, b]
