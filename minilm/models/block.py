"""One block (attention, cross-attention, feed-forward around a residual stream) and a stack."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.models.config import Config
from minilm.nn import (
    GLU,
    MLP,
    Attention,
    CrossAttention,
    Embedding,
    LayerNorm,
    Module,
    ModuleList,
    RMSNorm,
    Sight,
)
from minilm.nn.dropout import Dropout, same_draws
from minilm.tensor import Tensor, checkpoint, is_grad_enabled


def make_norm(config: Config, dtype: Any) -> LayerNorm | RMSNorm:
    """The norm that the config asks for, of width C."""
    if config.norm == "rms":
        return RMSNorm(config.channels, config.eps, config.norm_affine, dtype)
    return LayerNorm(config.channels, config.eps, config.bias, config.norm_affine, dtype)


def _attention(kind: type, config: Config, dtype: Any) -> Any:
    bias = config.bias if config.attention_bias is None else config.attention_bias
    return kind(
        config.channels,
        config.heads,
        config.G,
        config.D,
        bias,
        config.attention_scale,
        config.rope_layout,
        dtype,
    )


class Block(Module):
    """x + attention(norm(x)), then cross-attention if any, then the feed-forward.

    With norm_position "post" each is norm(x + f(x)) instead.

    Args:
        config: sizes and switches.
        cross: reads a source sequence as well.
        like: a block whose weights this one uses (step 2 of the walk), or None.
        name: for the dropout's draws.
    """

    def __init__(
        self,
        config: Config,
        cross: bool = False,
        like: Block | None = None,
        name: str = "",
        dtype: Any = np.float32,
    ) -> None:
        self.pre = config.norm_position == "pre"
        self.merged = cross and config.merged_softmax
        if like is None:
            self.norm1 = make_norm(config, dtype)
            self.attention = _attention(Attention, config, dtype)
            self.norm2 = make_norm(config, dtype)
            if config.gated:
                self.feed_forward: Module = GLU(
                    config.channels, config.F, config.activation, config.bias, dtype
                )
            else:
                self.feed_forward = MLP(
                    config.channels, config.F, config.activation, config.bias, dtype
                )
        else:
            self.norm1, self.attention = like.norm1, like.attention
            self.norm2, self.feed_forward = like.norm2, like.feed_forward
        self.reads = cross and not self.merged
        if self.reads:
            self.cross_norm = make_norm(config, dtype)
        if cross and not config.share_cross:
            self.cross = _attention(CrossAttention, config, dtype)
        self.drops = ModuleList(Dropout(config.dropout, f"{name}.{part}") for part in range(3))

    @property
    def reader(self) -> Attention | CrossAttention:
        """The layer whose weights read the source: the self-attention's own after step 1."""
        return getattr(self, "cross", self.attention)

    def forward(
        self,
        x: Tensor,
        sight: Sight,
        cache: Any = None,
        layer: int = 0,
        memory: tuple[Any, Any] | None = None,
        source: Sight | None = None,
        record: list | None = None,
    ) -> Tensor:
        """(B, T, C) -> (B, T, C).

        Args:
            sight, source: what the queries may see of their own and of the source sequence.
            cache, layer: keys and values of earlier positions.
            memory: keys and values of the source, (B, G, M, D) each.
            record: gets (what the attention read, (k, v)) appended.
        """
        h = self.norm1(x) if self.pre else x
        own: list | None = None if record is None else []
        a = self.attention(h, sight, cache, layer, memory if self.merged else None, own)
        if record is not None:
            record.append((h, own[0]))
        x = self._add(x, a, self.norm1, 0)
        if self.reads:
            h = self.cross_norm(x) if self.pre else x
            q = self.reader.queries(h)
            x = self._add(x, self.reader.attend(q, *memory, source), self.cross_norm, 1)
        return self._add(x, self.feed_forward(self.norm2(x) if self.pre else x), self.norm2, 2)

    def _add(self, x: Tensor, change: Tensor, norm: Module, part: int) -> Tensor:
        x = F.add(x, self.drops[part](change))
        return x if self.pre else norm(x)


class Stack(Module):
    """Blocks one after the other, and a final norm where the blocks are pre-norm.

    Args:
        config: sizes and switches.
        cross: the blocks read a source sequence.
        like: a stack whose weights this one uses, or None.
        final_norm: whether there may be one.
    """

    def __init__(
        self,
        config: Config,
        cross: bool = False,
        like: Stack | None = None,
        final_norm: bool = True,
        name: str = "stack",
        dtype: Any = np.float32,
    ) -> None:
        count = config.T_layers if cross else config.layers
        self.blocks = ModuleList(
            Block(config, cross, like.blocks[i] if like else None, f"{name}.{i}", dtype)
            for i in range(count)
        )
        if config.norm_position == "pre" and final_norm:
            self.norm = make_norm(config, dtype)
        if config.positions == "relative":
            shared = like.relative if like else None
            self.relative = shared or Embedding(config.relative_buckets, config.heads, dtype=dtype)
        self.recompute = False

    def forward(
        self,
        x: Tensor,
        sight: Sight,
        cache: Any = None,
        memory: list | None = None,
        source: Sight | None = None,
        record: list | None = None,
    ) -> Tensor:
        """(B, T, C) -> (B, T, C); the arguments are those of `Block`, `memory` one per layer."""
        plain = cache is None and memory is None and record is None
        for i, block in enumerate(self.blocks):
            if self.recompute and plain and is_grad_enabled():
                x = checkpoint(same_draws(block), x, sight)
            else:
                x = block(x, sight, cache, i, memory[i] if memory else None, source, record)
        norm = getattr(self, "norm", None)
        return x if norm is None else norm(x)
