"""`minilm/models/gpt.py` with one change: places turn queries and keys (RoPE, arXiv 2104.09864).

Nothing is added for a token's place. A query at place i and a key at place j are turned by angles
i and j times a frequency, so their product depends on i - j alone.
"""

import numpy as np

from minilm.models.gpt import Array, Weights, feed_forward, layer_norm, part, softmax


def turned(x: Array) -> Array:
    """Turn the channels i and i + D / 2 by place / 10000^(2 i / D)."""
    tokens, half = x.shape[1], x.shape[2] // 2
    angle = np.arange(tokens)[:, None] / 10000 ** (np.arange(half) / half)  # (T, D / 2)
    a, b, cos, sin = x[..., :half], x[..., half:], np.cos(angle), np.sin(angle)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)  # (H, T, D)


def attention(x: Array, w: Weights, heads: int) -> Array:
    """As before, with queries and keys turned."""
    tokens, channels = x.shape
    qkv = x @ w["qkv.weight"].T + w["qkv.bias"]  # (T, C) -> (T, 3 C)
    q, k, v = qkv.reshape(tokens, 3, heads, -1).transpose(1, 2, 0, 3)  # -> (H, T, D) each
    scores = turned(q) @ turned(k).swapaxes(1, 2) / q.shape[-1] ** 0.5  # -> (H, T, T)
    future = np.triu(np.ones((tokens, tokens), bool), k=1)  # (T, T)
    mixed = softmax(np.where(future, -np.inf, scores)) @ v  # (H, T, T) @ (H, T, D) -> (H, T, D)
    mixed = mixed.swapaxes(0, 1).reshape(tokens, channels)  # (H, T, D) -> (T, H, D) -> (T, C)
    return mixed @ w["out.weight"].T + w["out.bias"]  # (T, C)


def gpt(ids: list[int], w: Weights, heads: int) -> Array:
    """The logits (T, V) of what comes after each token of a text."""
    x = w["tokens.weight"][ids]  # (T,) -> (T, C)
    for i in range(sum(name.endswith("norm1.weight") for name in w)):
        b = part(w, f"stack.blocks.{i}")
        x = x + attention(layer_norm(x, part(b, "norm1")), part(b, "attention"), heads)  # (T, C)
        x = x + feed_forward(layer_norm(x, part(b, "norm2")), part(b, "feed_forward"))  # (T, C)
    return layer_norm(x, part(w, "stack.norm")) @ w["tokens.weight"].T  # (T, C) -> (T, V)
