"""GPT-2 on one screen: the whole transformer as functions of arrays (Radford et al. 2019).

Rung 1 of this folder's ladder: gpt -> transformer -> encoder_decoder -> presets. It reads one text
and says how likely each token is to come next. It does not learn (there are no gradients), take
several texts at once, or keep what it computed for the last token; `transformer` does all three.

`w` is `Transformer(gpt2(...)).state_dict()`; each function gets the part of it that it needs.
Shapes: T tokens, C channels, H heads, D = C / H channels of a head, F = 4 C, V ids.
"""

import numpy as np

Array = np.ndarray
Weights = dict[str, np.ndarray]


def embed(ids: list[int], w: Weights) -> Array:
    """What each token is, plus where it stands."""
    return w["tokens.weight"][ids] + w["positions.weight"][: len(ids)]  # (T,) -> (T, C)


def layer_norm(x: Array, w: Weights) -> Array:
    """Every token to mean 0 and variance 1, then scaled and shifted as learnt."""
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)  # (T, C) -> (T, 1) each
    return (x - mean) / np.sqrt(var + 1e-5) * w["weight"] + w["bias"]  # (T, C)


def softmax(x: Array) -> Array:
    """Scores to shares: positive, and every row adds up to 1."""
    e = np.exp(x - x.max(-1, keepdims=True))  # (..., T); less the largest, so that none overflows
    return e / e.sum(-1, keepdims=True)  # (..., T)


def attention(x: Array, w: Weights, heads: int) -> Array:
    """Every token looks back and takes up what it finds: softmax(Q K^T / sqrt(D)) V."""
    tokens, channels = x.shape
    qkv = x @ w["qkv.weight"].T + w["qkv.bias"]  # (T, C) -> (T, 3 C)
    q, k, v = qkv.reshape(tokens, 3, heads, -1).transpose(1, 2, 0, 3)  # -> (H, T, D) each
    scores = q @ k.swapaxes(1, 2) / q.shape[-1] ** 0.5  # (H, T, D) @ (H, D, T) -> (H, T, T)
    future = np.triu(np.ones((tokens, tokens), bool), k=1)  # (T, T), True where key > query
    shares = softmax(np.where(future, -np.inf, scores))  # (H, T, T), nothing of the future
    mixed = shares @ v  # (H, T, T) @ (H, T, D) -> (H, T, D)
    mixed = mixed.swapaxes(0, 1).reshape(tokens, channels)  # (H, T, D) -> (T, H, D) -> (T, C)
    return mixed @ w["out.weight"].T + w["out.bias"]  # (T, C)


def gelu(x: Array) -> Array:
    """About x where x > 0, about 0 where x < 0, smooth in between."""
    return 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))  # (T, F)


def feed_forward(x: Array, w: Weights) -> Array:
    """Every token thinks for itself, in four times as many channels."""
    up = gelu(x @ w["up.weight"].T + w["up.bias"])  # (T, C) -> (T, F)
    return up @ w["down.weight"].T + w["down.bias"]  # (T, F) -> (T, C)


def block(x: Array, w: Weights, heads: int) -> Array:
    """Look around, then think; each adds to x what it found."""
    x = x + attention(layer_norm(x, part(w, "norm1")), part(w, "attention"), heads)  # (T, C)
    return x + feed_forward(layer_norm(x, part(w, "norm2")), part(w, "feed_forward"))  # (T, C)


def gpt(ids: list[int], w: Weights, heads: int) -> Array:
    """The logits of what comes after each token of a text."""
    x = embed(ids, w)  # (T,) -> (T, C)
    layers = sum(name.endswith("norm1.weight") for name in w)
    for i in range(layers):
        x = block(x, part(w, f"stack.blocks.{i}"), heads)  # (T, C)
    return layer_norm(x, part(w, "stack.norm")) @ w["tokens.weight"].T  # (T, C) -> (T, V)


def part(w: Weights, name: str) -> Weights:
    """The weights below a name: "norm1" -> norm1.weight and norm1.bias as weight and bias."""
    return {key.removeprefix(f"{name}."): w[key] for key in w if key.startswith(f"{name}.")}


def generate(ids: list[int], w: Weights, heads: int, tokens: int) -> list[int]:
    """The text and what follows: each time the likeliest token, and the longer text again."""
    for _ in range(tokens):
        ids = [*ids, int(gpt(ids, w, heads)[-1].argmax())]  # (T, V) -> (V,) -> one id
    return ids
