"""A step of many texts over pages, by the formulas, on the arrays that the fast tier reads."""

import numpy as np

from minilm.kernels.decode_step.reference import activation, capped, linear, norm, qk_normed, turn
from minilm.kernels.decode_step.weights import Weights


def paged_step(
    logits: np.ndarray,
    weights: Weights,
    keys: np.ndarray,
    values: np.ndarray,
    ids: np.ndarray,
    places: np.ndarray,
    lines: np.ndarray,
    tables: np.ndarray,
    wanted: np.ndarray,
    threads: int,
) -> None:
    """Feed N tokens of any texts: one each of those that write, runs of those that are read.

    Args:
        logits: (M, V) float32, receives the logits after the wanted tokens.
        weights: the model.
        keys, values: (L, P, G, S, D) float32 pages, to which the new ones are added.
        ids: (N,) int64 tokens. A token sees those of its text at places up to its own, which are
            in the pages already or among these.
        places: (N,) int64, each token's place in its text.
        lines: (N,) int64, the line of `tables` that its text has.
        tables: (R, most) int64: place j of a text is in slot j mod S of page tables[r, j // S].
        wanted: (M,) int64, the tokens after which logits are wanted, by number.
        threads: how many may share the work; the result does not depend on it.
    """
    w = weights
    x = w.tokens[ids] * np.float32(w.embedding_scale)  # (N, C)
    if w.positions is not None:
        x = x + w.positions[places]
    for index, layer in enumerate(w.layers):
        qkv = qk_normed(w, layer, linear(norm(w, layer.norm1, x), layer.qkv))
        mixed = _attention(w, qkv, keys[index], values[index], places, tables[lines])
        x = x + linear(mixed, layer.out)
        y = norm(w, layer.norm2, x)
        if layer.gate is None:
            h = activation(w, linear(y, layer.up))
        else:
            h = activation(w, linear(y, layer.gate)) * linear(y, layer.up)
        x = x + linear(h, layer.down)
    last = norm(w, w.norm, x[wanted]) * np.float32(w.logit_scale)
    logits[...] = capped(linear(last, w.head), w.logit_cap)


def _attention(
    w: Weights,
    qkv: np.ndarray,
    keys: np.ndarray,
    values: np.ndarray,
    places: np.ndarray,
    tables: np.ndarray,
) -> np.ndarray:
    """qkv (N, (H + 2 G) D), pages (P, G, S, D), tables (N, most) -> (N, H D)."""
    count, slots = len(qkv), keys.shape[2]
    packed = qkv.reshape(count, -1, w.size)
    turned = w.heads + w.groups
    if w.rope is not None:
        packed = np.concatenate([turn(w, packed[:, :turned], places), packed[:, turned:]], 1)
    pages = tables[np.arange(count), places // slots]
    keys[pages, :, places % slots] = packed[:, w.heads : turned]
    values[pages, :, places % slots] = packed[:, turned:]
    out = np.empty((count, w.heads, w.size), np.float32)
    for n, (place, table) in enumerate(zip(places, tables)):
        seen = np.arange(0 if w.window is None else max(0, place - w.window + 1), place + 1)
        k, v = (a[table[seen // slots], :, seen % slots].swapaxes(0, 1) for a in (keys, values))
        q = packed[n, : w.heads].reshape(w.groups, -1, w.size)
        scores = (q @ k.swapaxes(1, 2)).reshape(w.heads, -1) * np.float32(w.attention_scale)
        scores = capped(scores, w.attention_cap)
        if w.distance is not None:
            scores = scores + w.distance[:, w.distance.shape[1] - 1 - (place - seen)]
        share = np.exp(scores - scores.max(axis=-1, keepdims=True))
        share /= share.sum(axis=-1, keepdims=True)
        out[n] = (share.reshape(w.groups, -1, len(seen)) @ v).reshape(w.heads, w.size)
    return out.reshape(count, -1)
