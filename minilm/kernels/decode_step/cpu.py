"""Greedy decoding in Numba: a token runs through the whole model without leaving compiled code.

Each thread takes a share of the rows of every matrix, of the heads, and of the vocabulary, and the
threads meet at a barrier where one needs what another has computed; norms and residual sums are
cheaper to compute in each thread than to wait for. Every number is computed by one thread, in one
order, so any number of threads gives the same bits.
"""

import numpy as np

from minilm.kernels.decode_step.crew import Crew
from minilm.kernels.decode_step.dots import SUMS, WIDTH_INT8
from minilm.kernels.decode_step.rows import ROOM, stride
from minilm.kernels.decode_step.token import (
    COLUMNS,
    DOWN,
    GATE,
    HEAD,
    K_NORM,
    MAP,
    NORM1,
    NORM2,
    OUT,
    Q_NORM,
    QKV,
    TOKENS,
    UP,
    WORTH,
    decode,
)
from minilm.kernels.decode_step.weights import ACTIVATIONS, QK_NORMS, ROPES, Map, Norm, Weights
from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.simd import fmax

_ZERO, _ONE = np.float32(0), np.float32(1)
SHARE = 2_000_000  # bytes of weights to read per call below which one thread is faster than two


class Room:
    """What is kept from call to call: addresses, sizes, packed int8 weights, scratch, threads."""

    def __init__(self, w: Weights) -> None:
        self._kept: list[np.ndarray] = []
        self.int8 = w.head.scales is not None
        table = np.zeros((len(w.layers) + 1, COLUMNS), np.int64)
        for line, layer in zip(table, w.layers):
            self._norm(line, NORM1, layer.norm1)
            self._norm(line, NORM2, layer.norm2)
            for column, own in ((Q_NORM, layer.q_norm), (K_NORM, layer.k_norm)):
                if own is not None:
                    self._norm(line, column, own)
            self._map(line, QKV, layer.qkv)
            self._map(line, OUT, layer.out)
            if layer.gate is not None:
                self._map(line, GATE, layer.gate)
            self._map(line, UP, layer.up)
            self._map(line, DOWN, layer.down)
        self._norm(table[-1], 0, w.norm)
        self._map(table[-1], HEAD, w.head)
        extra = (w.tokens, w.positions, w.cos, w.sin, w.distance)
        for column, array in enumerate(extra, TOKENS):
            table[-1, column] = self._at(array)
        self.table = table
        first = w.layers[0]
        reach = 0 if w.distance is None else w.distance.shape[1]
        sizes = (len(w.layers), w.tokens.shape[1], w.heads, w.groups, w.size, len(first.up.weight))
        sizes += (len(w.tokens), reach, w.window or 0, w.rms, ACTIVATIONS.index(w.activation))
        sizes += (first.gate is not None, ROPES.index(w.rope), self.int8, QK_NORMS.index(w.qk_norm))
        self.sizes = tuple(map(int, sizes))
        factors = (w.embedding_scale, w.attention_scale, w.logit_scale, w.eps)
        factors += (w.attention_cap or 0, w.logit_cap or 0)
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
        line[column : column + MAP] = where

    def scratch(self, batch: int, seen: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
        """Memory that all threads share, and a row for each alone, zero where nothing writes."""
        key = batch, seen, parts
        if key not in self._scratch:
            shared, alone = needs(self.sizes, batch, seen)
            self._scratch = {key: (np.zeros(shared, np.float32), np.zeros((parts, alone), "f"))}
        return self._scratch[key]


def _packed(codes: np.ndarray) -> np.ndarray:
    """Codes (N, K), ordered so that memory is read in one stream: a step's codes of SUMS rows."""
    n, k = codes.shape
    out = np.zeros((-(-n // SUMS), -(-k // WIDTH_INT8), SUMS, WIDTH_INT8), np.int8)
    _pack(codes, out)
    return out


def quantize_rows(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """See `reference.quantize_rows`."""
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
    """See `reference.decode_step`."""
    if weights.room is None:
        weights.room = Room(weights)
    room = weights.room
    batch = len(ids)
    worth = max(1, weights.nbytes * count * batch // SHARE)
    parts = max(1, min(threads, worth, len(weights.tokens) // WORTH))
    shared, alone = room.scratch(batch, keys.shape[3], parts)
    new = np.empty((count, batch), np.int64)
    found, best = np.empty((parts, batch), np.int64), np.empty((parts, batch), np.float32)
    job = (parts, room.table, room.sizes, room.factors, keys, values)
    job += (ids, begin, place, count, shared, alone, logits, new, found, best)
    job += (np.zeros(8, np.int64),)
    if parts == 1:
        decode(0, *job)
    else:
        room.crew.run(decode, parts, *job)
    return new


def needs(sizes: tuple[int, ...], batch: int, seen: int) -> tuple[int, int]:
    """Floats of scratch: shared, and of each thread."""
    _, c, h, g, d, f, v = sizes[:7]
    pad = stride.py_func
    codes = batch * pad(max(c, h * d, f))
    shared = pad((h + 2 * g) * d) + pad(h * d) + 2 * pad(f) + pad(c) + pad(v)
    return batch * shared, 2 * batch * pad(c) + 3 * pad(d) + ROOM + batch + codes + seen


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
            first = block * WIDTH_INT8
            for i in range(min(WIDTH_INT8, k - first)):
                into[i] = row[first + i]
