"""Blocks of an encoder-decoder: one that is read layer by layer, two that read, and their stacks.

What `EncoderDecoder` repeats. Which of them a model has depends on how far it has gone on the walk
from encoder-decoder to decoder-only; see `EncoderDecoderConfig`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minilm import functional as F
from minilm.models.block import Block, Stack, make_attention, make_norm
from minilm.models.config import EncoderDecoderConfig
from minilm.nn import Attention, CrossAttention, Sight
from minilm.nn.dropout import Dropout
from minilm.tensor import Tensor

Memory = tuple[Any, Any]  # keys and values of the source for one layer, (B, G, M, D) each


class SourceBlock(Block):
    """A block of the encoder that also hands on what its attention read: step 3 of the walk."""

    def forward(self, x: Tensor, sight: Sight) -> tuple[Tensor, tuple[Tensor, Memory]]:
        """(B, M, C) -> (B, M, C), (norm(x) (B, M, C), its keys and values)."""
        read = self.norm1(x)
        q, k, v = self.attention.project(read, sight.rope)  # (B, M, C) -> (B, H or G, M, D)
        x = x + self.drop1(self.attention.attend(q, k, v, sight))  # (B, M, C)
        return x + self.drop2(self.feed_forward(self.norm2(x))), (read, (k, v))


class CrossBlock(Block):
    """Attention to the target, then to the source, then the feed-forward, each around x.

    Args:
        config: sizes and switches.
        like: a block of the encoder whose weights this one uses (step 2 of the walk), or None.
        name: for the dropout's draws.
        dtype: of the parameters.
    """

    def __init__(
        self,
        config: EncoderDecoderConfig,
        like: Block | None = None,
        name: str = "",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(config, name, dtype)
        if like is not None:
            self.norm1, self.attention = like.norm1, like.attention
            self.norm2, self.feed_forward = like.norm2, like.feed_forward
        self.pre = config.norm_position == "pre"
        if not config.merged_softmax:
            self.cross_norm = make_norm(config, dtype)
        if not config.share_cross:
            self.cross = make_attention(CrossAttention, config, dtype)
        self.cross_drop = Dropout(config.dropout, f"{name}.1")

    @property
    def reader(self) -> Attention | CrossAttention:
        """The layer whose weights read the source: the self-attention's own after step 1."""
        return getattr(self, "cross", self.attention)

    def forward(
        self,
        x: Tensor,
        sight: Sight,
        memory: Memory,
        source: Sight | None,
        cache: Any = None,
        layer: int = 0,
    ) -> Tensor:
        """One layer of the decoder.

        Args:
            x: (B, T, C), the target's residual stream.
            sight: what the target may see of itself.
            memory: the source's keys and values for this layer.
            source: what the target may see of the source; None where `sight` says it.
            cache: keys and values of earlier target positions, or None.
            layer: which one this is, for the cache.

        Returns:
            (B, T, C).
        """
        x = self._add(x, lambda h: self.attention(h, sight, cache, layer), self.norm1, self.drop1)
        x = self._add(x, lambda h: self._read(h, memory, source), self.cross_norm, self.cross_drop)
        return self._add(x, self.feed_forward, self.norm2, self.drop2)

    def _read(self, h: Tensor, memory: Memory, source: Sight | None) -> Tensor:
        return self.reader.attend(self.reader.queries(h), *memory, source)

    def _add(
        self,
        x: Tensor,
        part: Callable[[Tensor], Tensor],
        norm: Callable[[Tensor], Tensor],
        drop: Dropout,
    ) -> Tensor:
        """x + part(norm(x)), or norm(x + part(x)) with post-norm. (B, T, C) -> (B, T, C)."""
        return x + drop(part(norm(x))) if self.pre else norm(x + drop(part(x)))


class MergedBlock(CrossBlock):
    """One softmax over [source; target], then the feed-forward; arguments as in `CrossBlock`."""

    def forward(
        self,
        x: Tensor,
        sight: Sight,
        memory: Memory,
        source: Sight | None = None,
        cache: Any = None,
        layer: int = 0,
    ) -> Tensor:
        """(B, T, C) -> (B, T, C); `sight` is over source and target together."""
        x = self._add(
            x, lambda h: self._look(h, sight, memory, cache, layer), self.norm1, self.drop1
        )
        return self._add(x, self.feed_forward, self.norm2, self.drop2)

    def _look(self, h: Tensor, sight: Sight, memory: Memory, cache: Any, layer: int) -> Tensor:
        q, k, v = self.attention.project(h, sight.rope)  # (B, T, C) -> (B, H or G, T, D)
        if cache is not None:
            k, v = cache.append(layer, k.data, v.data)  # -> (B, G, S, D), the earlier ones too
        k = F.concatenate([memory[0], k], axis=2)  # (B, G, M, D), (B, G, S, D) -> (B, G, M + S, D)
        v = F.concatenate([memory[1], v], axis=2)  # (B, G, M, D), (B, G, S, D) -> (B, G, M + S, D)
        return self.attention.attend(q, k, v, sight)


class SourceStack(Stack):
    """The encoder of step 3, whose every layer is read by the decoder's of the same number.

    It has no last norm: what its last block gives is read by nobody.
    """

    def __init__(self, config: EncoderDecoderConfig, dtype: Any = np.float32) -> None:
        blocks = (SourceBlock(config, f"encoder.{i}", dtype) for i in range(config.layers))
        super().__init__(config, blocks, last_norm=False, dtype=dtype)

    def forward(self, x: Tensor, sight: Sight) -> list[tuple[Tensor, Memory]]:
        """(B, M, C) -> what each block's attention read, and its keys and values."""
        read = []
        for block in self.blocks:
            x, made = block(x, sight)
            read.append(made)
        return read


class TargetStack(Stack):
    """The decoder: blocks that read a source, and a last norm where they are pre-norm.

    Args:
        config: sizes and switches.
        like: the encoder, whose weights are used after step 2.
        dtype: of the parameters.
    """

    def __init__(self, config: EncoderDecoderConfig, like: Stack, dtype: Any = np.float32) -> None:
        shared = config.share_stacks
        kind = MergedBlock if config.merged_softmax else CrossBlock
        blocks = (
            kind(config, like.blocks[i] if shared else None, f"decoder.{i}", dtype)
            for i in range(config.T_layers)
        )
        relative = getattr(like, "relative", None) if shared else None
        super().__init__(config, blocks, relative=relative, dtype=dtype)

    def forward(
        self,
        x: Tensor,
        sight: Sight,
        memory: list[Memory],
        source: Sight | None = None,
        cache: Any = None,
    ) -> Tensor:
        """(B, T, C) -> (B, T, C); the arguments are those of `CrossBlock`, one memory a layer."""
        for i, block in enumerate(self.blocks):
            x = block(x, sight, memory[i], source, cache, i)
        return self.finish(x)
