"""Greedy decoding on a GPU: the launchers of cuda.cu, and the graph that repeats a token.

Everything a token needs is made once per model and cache, since a captured graph reads and writes
the addresses it saw. The first token after that runs kernel by kernel, which also compiles them;
the second is captured, and from then on a token is one launch.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from minilm.backend import Array, is_half, xp_of
from minilm.kernels.cuda_tools.arrays import blocks, empty
from minilm.kernels.cuda_tools.launch import c_type, launch, on_device
from minilm.kernels.decode_attention.cuda import attend, plan
from minilm.kernels.decode_step.weights import ACTIVATIONS, ROPES, Layer, Map, Norm, Weights

FILE = "decode_step/cuda"
RING = 1024  # tokens that the device remembers for the host
MOST_BLOCKS = 1056  # eight for each of 132 processors
MOST_SHARED = 96 * 1024  # bytes of shared memory for the rows of a product
NO_ACTIVATION = len(ACTIVATIONS)


def decode_step(
    logits: Array,
    weights: Weights,
    keys: Array,
    values: Array,
    ids: np.ndarray,
    begin: np.ndarray,
    place: int,
    count: int,
    threads: int,
) -> np.ndarray:
    """See `reference.decode_step`; logits float32, keys and values in the model's type."""
    addresses = tuple(a.data.ptr if hasattr(a.data, "ptr") else id(a) for a in (logits, keys))
    if weights.room is None or weights.room.addresses != addresses:
        weights.room = Room(logits, weights, keys, values, addresses)
    return weights.room.run(ids, begin, place, count)


class Room:
    """The arrays of one token's work, and its graph.

    Attributes:
        graphs: whether tokens after the second are replayed; the environment variable
            MINILM_GRAPHS=0 turns that off.
    """

    def __init__(
        self, logits: Array, weights: Weights, keys: Array, values: Array, addresses: tuple
    ) -> None:
        self.logits, self.weights, self.addresses = logits, weights, addresses
        self.keys, self.values = list(keys), list(values)
        w, first = weights, weights.layers[0]
        b, channels = len(logits), weights.tokens.shape[1]
        wide = max(len(layer.up.weight) for layer in w.layers)
        heads = w.heads * w.size
        self.x, self.packed, self.mixed, self.hidden = (
            empty(logits, (b, n))
            for n in (channels, len(first.qkv.weight), heads, wide)
        )  # fmt: skip
        self.apart = self.mixed.reshape(b, w.heads, w.size)  # the same memory by heads
        self.q = empty(keys, (b, w.heads, w.size))
        slots = keys.shape[3]
        self.pages = (slots, 0) if w.window is not None and slots <= w.window else (0, 0)
        self.share, splits = plan(self.q, w.groups, slots)
        self.parts = (
            empty(logits, (b * w.heads, splits, w.size)),
            *(empty(logits, (b * w.heads, splits)) for _ in range(2)),
        )
        self.ids, self.lengths, self.begins = (empty(logits, (b,), np.int32) for _ in range(3))
        self.history = empty(logits, (RING, b), np.int32)
        depths = (channels, heads, wide)
        self.rows = next(n for n in (8, 1) if n == 1 or 4 * n * max(depths) <= MOST_SHARED)
        self.rows = 1 if b == 1 else self.rows  # of a product's launch
        self.names = {"DTYPE": c_type(keys, "the cache"), "ROWS": self.rows}
        if first.qkv.scales is not None:
            self.names["WEIGHT"] = "int8_t"
        self.graphs = on_device(logits) and os.environ.get("MINILM_GRAPHS") != "0"
        self._graph: Any = None
        self._ran = False

    def use_graphs(self, graphs: bool) -> None:
        """Whether to replay tokens from now on, or to start their kernels one by one."""
        self.graphs, self._graph = graphs, None

    def run(self, ids: np.ndarray, begin: np.ndarray, place: int, count: int) -> np.ndarray:
        """Feeds ids (B,), then what follows; (count, B) int64 on the host."""
        xp = xp_of(self.logits)
        self.ids[...] = xp.asarray(ids.astype(np.int32))
        self.begins[...] = xp.asarray(begin.astype(np.int32))
        self.lengths.fill(place + 1)
        found = np.empty((count, len(ids)), np.int64)
        for done in range(0, count, RING):
            some = min(RING, count - done)
            for _ in range(some):
                self._advance()
            rows = (place + done + np.arange(some)) % RING
            history = self.history.get() if xp is not np else self.history
            found[done : done + some] = history[rows]
        return found

    def _advance(self) -> None:
        if self._graph is None and self.graphs and self._ran:
            self._graph = _captured(self._token)
        if self._graph is None:
            self._token()
            self._ran = True
        else:
            self._graph.launch()

    def _token(self) -> None:
        """One token: every launch writes arrays made earlier, and none waits for the host."""
        w, b = self.weights, len(self.logits)
        channels = self.x.shape[1]
        fixed = w.positions is not None and w.positions.dtype != w.tokens.dtype
        launch(
            FILE, "decode_embed", (b,), (256,), w.tokens, None if fixed else w.positions,
            w.positions if fixed else None, self.ids, self.lengths, self.begins, self.x, channels,
            w.embedding_scale, **self.names,
        )  # fmt: skip
        for layer, keys, values in zip(w.layers, self.keys, self.values):
            self._layer(layer, keys, values)
        self._linear(self.x, w.head, self.logits, norm=w.norm, factor=w.logit_scale)
        launch(
            FILE, "decode_choose", (b,), (512,), self.logits, self.ids, self.lengths, self.history,
            self.logits.shape[1], RING, **self.names,
        )  # fmt: skip

    def _layer(self, layer: Layer, keys: Array, values: Array) -> None:
        w, b = self.weights, len(self.logits)
        self._linear(self.x, layer.qkv, self.packed, norm=layer.norm1)
        steps = (keys.strides[0] // keys.itemsize, keys.strides[1] // keys.itemsize)
        launch(
            FILE, "decode_turn", (w.heads + 2 * w.groups, b), (w.size,), self.packed, w.cos, w.sin,
            self.lengths, self.begins, self.q, keys, values, w.heads, w.groups, keys.shape[2],
            *steps, ROPES.index(w.rope), **self.names,
        )  # fmt: skip
        attend(
            self.q, keys, values, self.lengths, self.begins, None, w.distance, self.parts,
            self.apart, None, self.pages, self.share,
            w.attention_scale, w.window,
        )  # fmt: skip
        self._linear(self.mixed, layer.out, self.x, add=True)
        kind = ACTIVATIONS.index(w.activation)
        hidden = self.hidden[:, : len(layer.up.weight)]
        self._linear(self.x, layer.up, hidden, norm=layer.norm2, gate=layer.gate, kind=kind)
        self._linear(hidden, layer.down, self.x, add=True)

    def _linear(
        self,
        x: Array,
        m: Map,
        y: Array,
        norm: Norm | None = None,
        gate: Map | None = None,
        kind: int = NO_ACTIVATION,
        add: bool = False,
        factor: float = 1.0,
    ) -> None:
        """y = (y +) f(norm(x) m), a few rows per launch; see cuda.cu."""
        w = self.weights
        width, depth = m.weight.shape
        other = gate or Map(None)
        which = 0 if norm is None else 2 if w.rms else 1
        for begin in range(0, len(x), self.rows):
            part, to = x[begin : begin + self.rows], y[begin : begin + self.rows]
            launch(
                FILE, "decode_linear", (min(blocks(width, 4), MOST_BLOCKS),), (128,), part,
                norm and norm.weight, norm and norm.bias, m.weight, m.scales, m.bias, other.weight,
                other.scales, other.bias, to if add else None, to, len(part), depth, width, which,
                _KINDS[kind], w.eps, factor, shared=4 * self.rows * depth, **self.names,
            )  # fmt: skip


_KINDS = (0, 1, 3, 2, 4)  # of ACTIVATIONS and none, as activations.cuh and cuda.cu number them


def _captured(work: Any) -> Any:
    """The launches of `work` as a graph; nothing runs yet."""
    import cupy

    stream = cupy.cuda.Stream(non_blocking=True)  # the default stream cannot be captured
    with stream:
        stream.begin_capture()
        try:
            work()
        finally:
            graph = stream.end_capture()
    return graph


def quantize_rows(weight: Array) -> tuple[Array, Array]:
    """See `reference.quantize_rows`."""
    from minilm.kernels.decode_step import reference

    return reference.quantize_rows(weight.astype(np.float32) if is_half(weight) else weight)
