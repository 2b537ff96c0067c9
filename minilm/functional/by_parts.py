"""The fused primitives as the steps they fuse, each a call of the package's public function.

They serve ``minilm.use``: who replaces ``log_softmax`` wants the loss to call it.
"""

from typing import Any

from minilm import functional as F
from minilm.backend import xp_of
from minilm.functional.probability import _targets, _weight
from minilm.tensor import Tensor


def cross_entropy_by_parts(
    logits: Any,
    targets: Any,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """``cross_entropy`` through ``log_softmax``."""
    targets = targets.data if isinstance(targets, Tensor) else targets
    rows = F.reshape(logits, -1, logits.shape[-1])
    ids = _targets(targets, rows.shape[0], rows.shape[1], ignore_index)
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
