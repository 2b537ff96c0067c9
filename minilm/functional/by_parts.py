"""The fused primitives as the steps they fuse, each a call of the package's public function.

They serve ``minilm.use``: who replaces ``log_softmax`` wants the loss to call it.
"""

from typing import Any

from minilm import functional as F
from minilm.backend import Array, xp_of
from minilm.functional.elementwise import array_like
from minilm.functional.probability import _check_terms, _targets, _weight
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
) -> Tensor:
    """``attention`` as separate steps of the tape, with the package's ``softmax`` in the middle.

    Slower, and it holds all scores; it serves whoever wants to look inside or to put a softmax of
    their own there: ``minilm.use(softmax=...)`` runs the model this way.
    """
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    b, h, t, d = q.shape
    groups, s = k.shape[1], k.shape[2]
    grouped = F.reshape(q, b, groups, h // groups, t, d)
    keys = F.transpose(F.expand_dims(k, 2), -1, -2)
    scores = F.reshape(F.mul(F.matmul(grouped, keys), scale), b, h, t, s)
    if bias is not None:
        scores = F.add(scores, bias)
    xp = xp_of(scores.data)
    seen = visible(t, s, causal, window, xp)
    if mask is not None:
        seen = mask if seen is None else mask & seen
    if seen is not None:
        scores = F.where(xp.broadcast_to(seen, scores.shape), scores, -1e30)
    weights = F.softmax(scores)
    if seen is not None:
        weights = F.where(xp.broadcast_to(seen, scores.shape), weights, 0.0)
    wide = F.reshape(weights, b, groups, h // groups, t, s)
    out = F.matmul(wide, F.expand_dims(v, 2))
    return F.reshape(out, b, h, t, v.shape[-1])


def self_attention_by_parts(
    packed: Any,
    heads: int,
    kv_heads: int,
    rope: tuple[Array, Array] | None = None,
    layout: str = "half",
    **options: Any,
) -> Tensor:
    """``self_attention`` through ``rope`` and ``attention``."""
    b, t, width = packed.shape
    size = width // (heads + 2 * kv_heads)
    split = F.transpose(F.reshape(packed, b, t, heads + 2 * kv_heads, size), 1, 2)
    q, k = split[:, :heads], split[:, heads : heads + kv_heads]
    if rope is not None:
        q, k = F.rope(q, *rope, layout=layout), F.rope(k, *rope, layout=layout)
    out = F.attention(q, k, split[:, heads + kv_heads :], **options)
    return F.reshape(F.transpose(out, 1, 2), b, t, heads * size)


def feed_forward_by_parts(
    x: Any, up: Any, up_bias: Any, down: Any, down_bias: Any, activation: str = "gelu"
) -> Tensor:
    """``feed_forward`` through ``linear`` and the activation."""
    h = F.linear(x, up, up_bias)
    if activation == "gelu_tanh":
        a = F.gelu(h, approximate="tanh")
    else:
        a = {"gelu": F.gelu, "silu": F.silu, "relu": F.relu}[activation](h)
    return F.linear(a, down, down_bias)


def gated_feed_forward_by_parts(
    x: Any, gate: Any, up: Any, down: Any, activation: str = "swiglu"
) -> Tensor:
    """``gated_feed_forward`` through ``linear`` and the gate."""
    unit = F.swiglu if activation == "swiglu" else F.geglu
    return F.linear(unit(F.linear(x, gate), F.linear(x, up)), down)


def cross_entropy_by_parts(
    logits: Any,
    targets: Any,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """``cross_entropy`` through ``log_softmax``."""
    _check_terms(label_smoothing, z_loss)
    rows = F.reshape(logits, -1, logits.shape[-1])
    targets = targets.data if isinstance(targets, Tensor) else array_like(targets, rows.data)
    ids = _targets(targets, tuple(logits.shape[:-1]), rows.shape[1], ignore_index)
    xp = xp_of(ids)
    logp = F.log_softmax(rows)
    picked = F.index(logp, (xp.arange(len(ids)), xp.where(ids < 0, 0, ids)))
    losses = F.mul(picked, label_smoothing - 1.0)
    if label_smoothing:
        losses = losses - F.mul(F.mean(logp, axis=-1), label_smoothing)
    if z_loss:
        lse = F.logsumexp(rows)
        losses = losses + F.mul(F.mul(lse, lse), z_loss)
    losses = F.mul(losses, (ids >= 0).astype(rows.dtype))
    if reduction == "none":
        return F.reshape(losses, targets.shape)
    return F.mul(F.sum(losses), _weight(ids, reduction))


def linear_cross_entropy_by_parts(x: Any, w: Any, targets: Any, **options: Any) -> Tensor:
    """``linear_cross_entropy`` through ``linear`` and ``cross_entropy``; holds all the logits."""
    return F.cross_entropy(F.linear(x, w), targets, **options)


def swiglu_by_parts(gate: Any, up: Any) -> Tensor:
    """``swiglu`` through ``silu``."""
    return F.mul(F.silu(gate), up)


def geglu_by_parts(gate: Any, up: Any) -> Tensor:
    """``geglu`` through ``gelu``."""
    return F.mul(F.gelu(gate), up)
