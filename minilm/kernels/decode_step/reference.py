"""Greedy decoding of whole tokens by the formulas, on the arrays that the fast tier reads."""

import numpy as np

from minilm.backend import xp_of
from minilm.kernels.decode_step.weights import Layer, Map, Norm, Weights
from minilm.kernels.gelu.reference import gelu, silu


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
    """Feed one token per row, then the likeliest next ones, `count` in all.

    Args:
        logits: (B, V) float32, receives the logits after the last token fed.
        weights: the model.
        keys, values: (L, B, G, S, D) float32 cache, to which the new ones are added; place p of
            the text is in slot p mod S.
        ids: (B,) int64, the first tokens to feed.
        begin: (B,) int64, the place of each row's first token (padding before it).
        place: of the tokens in `ids`; the cache holds all places before that the window sees.
        count: how many tokens to feed.
        threads: how many may share the work; the result does not depend on it.

    Returns:
        (count, B) int64, the likeliest token after each one fed; among equals, the lowest.
    """
    new = np.empty((count, len(ids)), np.int64)
    for step in range(count):
        logits[...] = _token(weights, keys, values, ids, begin, place + step)
        new[step] = ids = logits.argmax(axis=-1)
    return new


def _token(
    w: Weights,
    keys: np.ndarray,
    values: np.ndarray,
    ids: np.ndarray,
    begin: np.ndarray,
    place: int,
) -> np.ndarray:
    x = w.tokens[ids] * np.float32(w.embedding_scale)  # (B, C)
    if w.positions is not None:
        x = x + w.positions[place - begin]
    for index, layer in enumerate(w.layers):
        qkv = qk_normed(w, layer, linear(norm(w, layer.norm1, x), layer.qkv))
        mixed = _attention(w, qkv, keys[index], values[index], begin, place)
        x = x + linear(mixed, layer.out)
        y = norm(w, layer.norm2, x)
        if layer.gate is None:
            h = activation(w, linear(y, layer.up))
        else:
            h = activation(w, linear(y, layer.gate)) * linear(y, layer.up)
        x = x + linear(h, layer.down)
    return capped(linear(norm(w, w.norm, x) * np.float32(w.logit_scale), w.head), w.logit_cap)


def linear(x: np.ndarray, m: Map) -> np.ndarray:
    """x (B, I) -> (B, O)."""
    y = x @ m.weight.T.astype(np.float32)
    if m.scales is not None:
        y *= m.scales
    return y if m.bias is None else y + m.bias


def norm(w: Weights, own: Norm, x: np.ndarray) -> np.ndarray:
    """x (B, C), each row normalised as the model does."""
    if not w.rms:
        x = x - x.mean(axis=-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + np.float32(w.eps))
    x = x if own.weight is None else x * own.weight
    return x if own.bias is None else x + own.bias


def qk_normed(w: Weights, layer: Layer, qkv: np.ndarray) -> np.ndarray:
    """qkv (B, (H + 2 G) D) with the norms of its queries and keys, where there are any."""
    if layer.q_norm is None or layer.k_norm is None:
        return qkv
    q, k, v = np.split(qkv, [w.heads * w.size, (w.heads + w.groups) * w.size], axis=1)

    def normed(x: np.ndarray, own: Norm) -> np.ndarray:
        apart = x.reshape(len(x), -1, w.size if w.qk_norm == "head" else x.shape[1])
        root = np.sqrt((apart * apart).mean(axis=-1, keepdims=True) + np.float32(w.eps))
        return (apart / root * own.weight).reshape(x.shape)

    return np.concatenate([normed(q, layer.q_norm), normed(k, layer.k_norm), v], axis=1)


def capped(x: np.ndarray, cap: float | None) -> np.ndarray:
    """cap tanh(x / cap), or x where there is no cap."""
    return x if cap is None else np.float32(cap) * np.tanh(x / np.float32(cap))


def activation(w: Weights, x: np.ndarray) -> np.ndarray:
    """The feed-forward's activation, or its gate's, of each number of x."""
    if w.activation == "relu":
        return np.maximum(x, 0)
    if w.activation == "silu":
        return silu(x)
    return gelu(x, w.activation == "gelu_tanh").astype(np.float32)


def turn(w: Weights, x: np.ndarray, where: np.ndarray) -> np.ndarray:
    """RoPE: x (B, n, D), row b turned by the angles of position where[b]."""
    cos, sin = w.cos[where][:, None], w.sin[where][:, None]
    half = w.size // 2
    pairs = (slice(half), slice(half, None))
    if w.rope == "interleaved":
        pairs = (slice(0, None, 2), slice(1, None, 2))
    a, b = x[..., pairs[0]], x[..., pairs[1]]
    out = np.empty_like(x)
    out[..., pairs[0]], out[..., pairs[1]] = a * cos - b * sin, b * cos + a * sin
    return out


def _attention(
    w: Weights, qkv: np.ndarray, keys: np.ndarray, values: np.ndarray, begin: np.ndarray, place: int
) -> np.ndarray:
    """qkv (B, (H + 2 G) D), keys and values (B, G, S, D) -> (B, H D)."""
    batch, slots = len(qkv), keys.shape[2]
    packed = qkv.reshape(batch, -1, w.size)
    turned = w.heads + w.groups
    if w.rope is not None:
        packed = np.concatenate([turn(w, packed[:, :turned], place - begin), packed[:, turned:]], 1)
    keys[:, :, place % slots] = packed[:, w.heads : turned]
    values[:, :, place % slots] = packed[:, turned:]
    out = np.empty((batch, w.heads, w.size), np.float32)
    for row in range(batch):
        first = int(begin[row])
        if w.window is not None:
            first = max(first, place - w.window + 1)
        seen = np.arange(first, place + 1)
        k, v = keys[row][:, seen % slots], values[row][:, seen % slots]  # (G, S', D)
        q = packed[row, : w.heads].reshape(w.groups, -1, w.size)
        scores = (q @ k.swapaxes(1, 2)).reshape(w.heads, -1) * np.float32(w.attention_scale)
        scores = capped(scores, w.attention_cap)
        if w.distance is not None:
            scores = scores + w.distance[:, w.distance.shape[1] - 1 - (place - seen)]
        share = np.exp(scores - scores.max(axis=-1, keepdims=True))
        share /= share.sum(axis=-1, keepdims=True)
        out[row] = (share.reshape(w.groups, -1, len(seen)) @ v).reshape(w.heads, w.size)
    return out.reshape(batch, -1)


def quantize_rows(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric int8 by row: the largest magnitude of a row becomes 127.

    Args:
        weight: (N, K) float32.

    Returns:
        codes (N, K) int8, scales (N,) float32 with weight ~ scales[:, None] * codes.
    """
    xp = xp_of(weight)
    codes, scales = xp.empty(weight.shape, np.int8), xp.empty(len(weight), np.float32)
    for first in range(0, len(weight), 256):  # blocks that stay in cache between the passes
        part = weight[first : first + 256]
        top = xp.maximum(part.max(axis=1), -part.min(axis=1))
        scale = xp.where(top > 0, top, 1).astype(np.float32) / np.float32(127)
        scales[first : first + 256] = scale
        codes[first : first + 256] = xp.rint(part * (1 / scale)[:, None])
    return codes, scales
