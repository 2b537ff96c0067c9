"""A transformer with linear attention: its memory of a text has one size (arXiv 2006.16236)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minilm.backend import Array
from minilm.errors import InputError
from minilm.models.block import make_norm
from minilm.models.state_model import StateConfig, StateModel
from minilm.nn import GLU, LinearAttention, Module, States
from minilm.tensor import Tensor

POSITIONS = ("none", "learned", "sinusoidal")


@dataclass(frozen=True)
class LinearConfig(StateConfig):
    """The shape of a `LinearTransformer`.

    vocab_size    V, number of token ids
    context       longest sequence, in tokens
    layers        L, blocks
    heads         H, which share the channels
    channels      C, width of the residual stream
    ff            F, width of the gated feed-forward; None: 8/3 C rounded up to 32
    positions     "none", "learned" or "sinusoidal", added to the embedding
    tie           the head uses the token embedding's weight
    eps           of the RMS norms
    init_std      standard deviation of the first weights
    embedding_scale   factor on the token embedding; with sinusoidal positions, whose size is 1,
                  sqrt(C) as in 2017: otherwise they drown small embeddings

    Raises:
        InputError: a size that is no whole number of 1 or more; channels that the heads do not
            divide; other positions.
    """

    kind: ClassVar[str] = "linear"

    vocab_size: int
    context: int
    layers: int
    heads: int
    channels: int
    ff: int | None = None
    positions: str = "none"
    tie: bool = True
    eps: float = 1e-5
    init_std: float = 0.02
    embedding_scale: float = 1.0

    def __post_init__(self) -> None:
        sizes = ("vocab_size", "context", "layers", "heads", "channels")
        self.check_counts(*sizes, *(("ff",) if self.ff is not None else ()))
        if self.channels % self.heads:
            raise InputError(
                f"channels is {self.channels}; it must be a multiple of heads, {self.heads}"
            )
        if self.positions not in POSITIONS:
            raise InputError(f"positions is {self.positions!r}; allowed are {', '.join(POSITIONS)}")

    @property
    def D(self) -> int:
        """Width of one head."""
        return self.channels // self.heads

    @property
    def F(self) -> int:
        """Feed-forward width."""
        return -(-8 * self.channels // (3 * 32)) * 32 if self.ff is None else self.ff

    def replace(self, **changes: Any) -> LinearConfig:
        """A copy with some fields changed, checked again."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Every field and the kind, ready for JSON."""
        return {"kind": self.kind, **dataclasses.asdict(self)}


class LinearBlock(Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)).

    Args:
        config: sizes.
        dtype: of the parameters.
    """

    def __init__(self, config: LinearConfig, dtype: Any = np.float32) -> None:
        self.norm1 = make_norm(config, dtype)
        self.attention = LinearAttention(config.channels, config.heads, dtype)
        self.norm2 = make_norm(config, dtype)
        self.feed_forward = GLU(config.channels, config.F, "swiglu", False, dtype)

    def empty(self, like: Array, batch: int) -> tuple[Array]:
        """What the block remembers before the first token; see `nn.LinearAttention`."""
        return self.attention.empty(like, batch)

    def forward(
        self, x: Tensor, keep: Any = None, states: States | None = None, layer: int = 0
    ) -> Tensor:
        """(B, T, C) -> (B, T, C); the arguments are those of `nn.LinearAttention`."""
        x = x + self.attention(self.norm1(x), keep, states, layer)  # (B, T, C)
        return x + self.feed_forward(self.norm2(x))  # (B, T, C)


class LinearTransformer(StateModel):
    """A decoder with linear attention.

    Args:
        config: what to build.
        seed: of the first weights (`minilm.models.initialise`).
        dtype: of the parameters, float32 or float64.
        allocate: False builds the shapes only, at any size; count them, or load weights.
    """

    config_class: ClassVar[type] = LinearConfig

    def make_block(self, config: LinearConfig, dtype: Any) -> LinearBlock:
        return LinearBlock(config, dtype)
