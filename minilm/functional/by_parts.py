"""The fused primitives as the steps they fuse, each a call of the package's public function.

They serve `minilm.use`: someone who replaces `log_softmax` wants the loss to call it.
"""

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.backend import IGNORE, Array, xp_of
from minilm.errors import InputError
from minilm.functional.attention_checks import check_heads, check_sight
from minilm.functional.meeting import array_like
from minilm.functional.probability import check_terms, check_weights, marked_targets, shares_of
from minilm.kernels.attention.reference import visible
from minilm.tensor import Tensor


def attention_by_parts(
    q: Any,
    k: Any,
    v: Any,
    mask: Array | None = None,
    causal: bool = False,
    window: int | None = None,
    bias: Any = None,
    scale: float | None = None,
    dropout: float = 0.0,
    rng: np.random.Generator | None = None,
    return_weights: bool = False,
    cap: float | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """`attention` as separate steps of the tape, with the package's `softmax` in the middle.

    Slower, and it holds all scores; it serves whoever wants to look inside, to drop weights or to
    put a softmax of their own there: `minilm.use(softmax=...)` runs the model this way.

    Raises:
        InputError: as `attention`.
    """
    if dropout and rng is None:
        raise InputError(f"attention: dropout is {dropout} and rng None; it needs a generator")
    check_heads(q.shape, k.shape, v.shape)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    b, h, t, d = q.shape
    groups, s = k.shape[1], k.shape[2]
    mask = mask.data if isinstance(mask, Tensor) else mask
    check_sight((b, h, t, s), mask, bias, causal, window)
    per = h // groups
    grouped = F.reshape(q, b, groups, per, t, d)  # (B, H, T, D) -> (B, G, H/G, T, D)
    keys = F.transpose(F.expand_dims(k, 2), -1, -2)  # (B, G, S, D) -> (B, G, 1, D, S)
    scores = F.mul(F.matmul(grouped, keys), scale)
    scores = scores if cap is None else F.soft_cap(scores, cap)
    scores = F.reshape(scores, b, h, t, s)  # (B, G, H/G, T, S) -> (B, H, T, S)
    if bias is not None:
        scores = F.add(scores, bias)
    xp = xp_of(scores.data)
    seen = visible(t, s, causal, window, xp)
    if mask is not None:
        seen = mask if seen is None else mask & seen
    if seen is not None:
        seen = xp.broadcast_to(seen, scores.shape)
        scores = F.where(seen, scores, -1e30)
    weights = F.softmax(scores)
    if seen is not None:
        weights = F.where(seen, weights, 0.0)
    if dropout:
        weights = F.dropout(weights, dropout, rng)
    wide = F.reshape(weights, b, groups, per, t, s)  # (B, H, T, S) -> (B, G, H/G, T, S)
    out = F.matmul(wide, F.expand_dims(v, 2))  # (B, G, H/G, T, S) @ (B, G, 1, S, D)
    out = F.reshape(out, b, h, t, v.shape[-1])  # (B, G, H/G, T, D) -> (B, H, T, D)
    return (out, weights) if return_weights else out


def self_attention_by_parts(
    packed: Any,
    heads: int,
    kv_heads: int,
    rope: tuple[Array, Array] | None = None,
    layout: str = "half",
    **options: Any,
) -> Tensor:
    """`self_attention` through `rope` and `attention`."""
    b, t, width = packed.shape
    size = width // (heads + 2 * kv_heads)
    count = heads + 2 * kv_heads
    # (B, T, W) -> (B, T, H + 2 G, D) -> (B, H + 2 G, T, D)
    split = F.transpose(F.reshape(packed, b, t, count, size), 1, 2)
    q, k = split[:, :heads], split[:, heads : heads + kv_heads]
    if rope is not None:
        q, k = F.rope(q, *rope, layout=layout), F.rope(k, *rope, layout=layout)
    out = F.attention(q, k, split[:, heads + kv_heads :], **options)
    return F.reshape(F.transpose(out, 1, 2), b, t, heads * size)  # (B, H, T, D) -> (B, T, H D)


def feed_forward_by_parts(
    x: Any, up: Any, up_bias: Any, down: Any, down_bias: Any, activation: str = "gelu"
) -> Tensor:
    """`feed_forward` through `linear` and the activation."""
    h = F.linear(x, up, up_bias)
    if activation == "gelu_tanh":
        a = F.gelu(h, approximate="tanh")
    else:
        a = {"gelu": F.gelu, "silu": F.silu, "relu": F.relu}[activation](h)
    return F.linear(a, down, down_bias)


def gated_feed_forward_by_parts(
    x: Any, gate: Any, up: Any, down: Any, activation: str = "swiglu"
) -> Tensor:
    """`gated_feed_forward` through `linear` and the gate."""
    unit = F.swiglu if activation == "swiglu" else F.geglu
    return F.linear(unit(F.linear(x, gate), F.linear(x, up)), down)


def cross_entropy_by_parts(
    logits: Any,
    targets: Any,
    ignore_index: int = IGNORE,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "mean",
    weights: Array | None = None,
) -> Tensor:
    """`cross_entropy` through `log_softmax`."""
    check_terms(label_smoothing, z_loss)
    rows = F.reshape(logits, -1, logits.shape[-1])  # (..., V) -> (N, V)
    targets = targets.data if isinstance(targets, Tensor) else array_like(targets, rows.data)
    ids = marked_targets(targets, tuple(logits.shape[:-1]), rows.shape[1], ignore_index)
    xp = xp_of(ids)
    logp = F.log_softmax(rows)
    picked = F.index(logp, (xp.arange(len(ids)), xp.where(ids < 0, 0, ids)))
    losses = F.mul(picked, label_smoothing - 1.0)
    if label_smoothing:
        losses = losses - F.mul(F.mean(logp, axis=-1), label_smoothing)
    if z_loss:
        lse = F.logsumexp(rows)
        losses = losses + F.mul(F.mul(lse, lse), z_loss)
    weights = weights.data if isinstance(weights, Tensor) else weights
    weights = check_weights(weights, targets.shape, rows.data)
    share, factors = shares_of(ids, reduction, weights, rows.dtype)
    kept = (ids >= 0).astype(rows.dtype)
    losses = F.mul(losses, kept if factors is None else kept * factors)
    if reduction == "none":
        return F.reshape(losses, targets.shape)  # (N,) -> (...)
    return F.mul(F.sum(losses), share)


def linear_cross_entropy_by_parts(x: Any, w: Any, targets: Any, **options: Any) -> Tensor:
    """`linear_cross_entropy` through `linear` and `cross_entropy`; holds all the logits."""
    return F.cross_entropy(F.linear(x, w), targets, **options)


def swiglu_by_parts(gate: Any, up: Any) -> Tensor:
    """`swiglu` through `silu`."""
    return F.mul(F.silu(gate), up)


def geglu_by_parts(gate: Any, up: Any) -> Tensor:
    """`geglu` through `gelu`."""
    return F.mul(F.gelu(gate), up)


def softmax_of_chosen_by_parts(logits: Any, experts: Array) -> Tensor:
    """`softmax_of_chosen` as a gather and the package's `softmax`."""
    return F.softmax(F.gather(logits, experts))


def expert_feed_forward_by_parts(
    x: Any,
    weights: Any,
    gate: Any,
    up: Any,
    down: Any,
    order: Array,
    place: Array,
    offsets: Array,
) -> Tensor:
    """`expert_feed_forward` as its six steps."""
    rows = F.moe_permute(x, order, place, weights.shape[1])  # (N, C) -> (N K, C)
    a, b = (F.grouped_linear(rows, w, offsets) for w in (gate, up))  # (N K, F) each
    y = F.grouped_linear(F.swiglu(a, b), down, offsets)  # (N K, C)
    return F.moe_combine(y, weights, order, place)  # (N, C)
