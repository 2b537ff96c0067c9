"""What a decoding kernel reads: a model's arrays by layer, in place, and the model's sizes.

float32 weights are the parameters' own memory. Nothing is packed or copied, so an optimizer's step
between two tokens takes effect, and decoding a model takes no extra memory for weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

# The linear maps of a block, in the order of use.
MAPS = ("qkv", "out", "gate", "up", "down")
ACTIVATIONS = ("gelu", "gelu_tanh", "relu", "silu")
ROPES = (None, "half", "interleaved")
QK_NORMS = (None, "head", "all")


@dataclass(frozen=True)
class Map:
    """y = x W^T + b.

    Attributes:
        weight: (N, K) float32, or int8 codes with `scales`.
        bias: (N,) float32, or None.
        scales: (N,) float32; row n of the weight is scales[n] * codes[n]. None for float32.
    """

    weight: np.ndarray
    bias: np.ndarray | None = None
    scales: np.ndarray | None = None


@dataclass(frozen=True)
class Norm:
    """Weight and bias (C,) of a norm; either may be None."""

    weight: np.ndarray | None
    bias: np.ndarray | None = None


@dataclass(frozen=True)
class Layer:
    """One pre-norm block; `gate` is None where the feed-forward is not gated.

    `q_norm` and `k_norm` are None where queries and keys have no norms: else the weights (D,) that
    every head shares, or those (H D,) and (G D,) of all heads.
    """

    norm1: Norm
    qkv: Map
    out: Map
    norm2: Norm
    gate: Map | None
    up: Map
    down: Map
    q_norm: Norm | None = None
    k_norm: Norm | None = None


@dataclass
class Weights:
    """A decoder, ready to run. All arrays are C-contiguous.

    Attributes:
        layers: the blocks.
        norm: the last norm.
        head: (V, C) to the logits.
        tokens: (V, C) the embedding.
        heads, groups, size: H, G, D.
        rms: whether norms are RMS norms.
        eps: of the norms.
        activation: of ACTIVATIONS; the gate's where the feed-forward is gated.
        window: keys that a query sees, its own included; None means all.
        positions: (length, C) added to the embedding, or None.
        rope: None, "half" or "interleaved"; cos, sin: (length, D/2), or None.
        distance: (H, length) added to the scores: column length - 1 - d for distance d; or None.
        embedding_scale, attention_scale, logit_scale: factors.
        qk_norm: RMS norms on queries and keys before RoPE: "head" (each by itself), "all", or None.
        attention_cap, logit_cap: soft caps, cap tanh(x / cap), on scaled scores and on logits; None
            means none.
        room: what a tier keeps from call to call.
    """

    layers: list[Layer]
    norm: Norm
    head: Map
    tokens: np.ndarray
    heads: int
    groups: int
    size: int
    rms: bool
    eps: float
    activation: str
    attention_scale: float
    window: int | None = None
    positions: np.ndarray | None = None
    rope: str | None = None
    cos: np.ndarray | None = None
    sin: np.ndarray | None = None
    distance: np.ndarray | None = None
    embedding_scale: float = 1.0
    logit_scale: float = 1.0
    qk_norm: str | None = None
    attention_cap: float | None = None
    logit_cap: float | None = None
    room: Any = field(default=None, repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of weights that a token reads: all linear maps and their scales."""
        maps = [getattr(layer, name) for layer in self.layers for name in MAPS]
        arrays = [a for m in [*maps, self.head] if m is not None for a in (m.weight, m.scales)]
        return sum(a.nbytes for a in arrays if a is not None)
