"""One block (attention and feed-forward around a residual stream) and a stack of them.

What `Transformer` repeats. A block that reads a second sequence is in `cross`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minilm.models.config import Config
from minilm.nn import (
    GLU,
    MLP,
    Attention,
    Embedding,
    Experts,
    LayerNorm,
    Module,
    ModuleList,
    RMSNorm,
    Sight,
)
from minilm.nn.dropout import Dropout, same_draws
from minilm.tensor import Tensor, checkpoint, is_grad_enabled


class Block(Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)).

    Args:
        config: sizes and switches.
        name: for the dropout's draws.
        dtype: of the parameters.
    """

    def __init__(self, config: Config, name: str = "", dtype: Any = np.float32) -> None:
        self.norm1 = make_norm(config, dtype)
        self.attention = make_attention(Attention, config, dtype)
        self.norm2 = make_norm(config, dtype)
        self.feed_forward = make_feed_forward(config, dtype, name)
        # Two, because what is dropped depends on the name: one would drop the same places twice.
        self.drop1 = Dropout(config.dropout, f"{name}.0")
        self.drop2 = Dropout(config.dropout, f"{name}.2")

    def forward(self, x: Tensor, sight: Sight, cache: Any = None, layer: int = 0) -> Tensor:
        """One layer of the model.

        Args:
            x: (B, T, C), the residual stream.
            sight: what the queries may see.
            cache: keys and values of earlier positions, or None.
            layer: which one this is, for the cache.

        Returns:
            (B, T, C).
        """
        x = x + self.drop1(self.attention(self.norm1(x), sight, cache, layer))  # (B, T, C)
        return x + self.drop2(self.feed_forward(self.norm2(x)))  # (B, T, C)


class PostNormBlock(Block):
    """norm(x + attention(x)), then norm(x + feed_forward(x)), as in 2017 and BERT."""

    def forward(self, x: Tensor, sight: Sight, cache: Any = None, layer: int = 0) -> Tensor:
        """(B, T, C) -> (B, T, C), as in `Block`."""
        x = self.norm1(x + self.drop1(self.attention(x, sight, cache, layer)))  # (B, T, C)
        return self.norm2(x + self.drop2(self.feed_forward(x)))  # (B, T, C)


class InsideNormBlock(Block):
    """x + norm(attention(x)), then x + norm(feed_forward(x)), as in OLMo 2."""

    def forward(self, x: Tensor, sight: Sight, cache: Any = None, layer: int = 0) -> Tensor:
        """(B, T, C) -> (B, T, C), as in `Block`."""
        x = x + self.drop1(self.norm1(self.attention(x, sight, cache, layer)))  # (B, T, C)
        return x + self.drop2(self.norm2(self.feed_forward(x)))  # (B, T, C)


class BothNormsBlock(Block):
    """x + norm(attention(norm(x))), then x + norm(feed_forward(norm(x))), as in Gemma 2."""

    def __init__(self, config: Config, name: str = "", dtype: Any = np.float32) -> None:
        super().__init__(config, name, dtype)
        self.after_norm1 = make_norm(config, dtype)
        self.after_norm2 = make_norm(config, dtype)

    def forward(self, x: Tensor, sight: Sight, cache: Any = None, layer: int = 0) -> Tensor:
        """(B, T, C) -> (B, T, C), as in `Block`."""
        h = self.attention(self.norm1(x), sight, cache, layer)  # (B, T, C)
        x = x + self.drop1(self.after_norm1(h))
        return x + self.drop2(self.after_norm2(self.feed_forward(self.norm2(x))))  # (B, T, C)


class ParallelBlock(Block):
    """x + attention(norm(x)) + feed_forward(norm(x)), each norm its own, as in GPT-NeoX."""

    def forward(self, x: Tensor, sight: Sight, cache: Any = None, layer: int = 0) -> Tensor:
        """(B, T, C) -> (B, T, C), as in `Block`."""
        h = self.drop1(self.attention(self.norm1(x), sight, cache, layer))  # (B, T, C)
        return x + h + self.drop2(self.feed_forward(self.norm2(x)))  # (B, T, C)


BLOCKS = {  # by `norm_position`
    "pre": Block,
    "post": PostNormBlock,
    "inside": InsideNormBlock,
    "both": BothNormsBlock,
    "parallel": ParallelBlock,
}


class Stack(Module):
    """Blocks one after the other, and a last norm unless the blocks are post-norm.

    Args:
        config: sizes and switches.
        blocks: those to use; None makes `config.layers` of the config's kind.
        last_norm: False leaves it out.
        relative: T5's table of biases to use; None makes one where positions are "relative".
        name: for the dropout's draws.
        dtype: of the parameters.
    """

    def __init__(
        self,
        config: Config,
        blocks: Iterable[Module] | None = None,
        last_norm: bool = True,
        relative: Embedding | None = None,
        name: str = "stack",
        dtype: Any = np.float32,
    ) -> None:
        if blocks is None:
            kind = BLOCKS[config.norm_position]
            blocks = (kind(config, f"{name}.{i}", dtype) for i in range(config.layers))
        self.blocks = ModuleList(blocks)
        if config.norm_position != "post" and last_norm:
            self.norm = make_norm(config, dtype)
        if config.relative is not None:
            table = (config.relative.buckets, config.heads)
            self.relative = Embedding(*table, dtype=dtype) if relative is None else relative
        self.recompute = False
        self._global_every = config.global_every

    def forward(self, x: Tensor, sight: Sight, cache: Any = None) -> Tensor:
        """(B, T, C) -> (B, T, C); the arguments are those of `Block`.

        With `recompute` set, a training step keeps only what enters each block, and computes the
        rest again in backward (arXiv 1604.06174).
        """
        recompute = self.recompute and cache is None and is_grad_enabled()
        for i, block in enumerate(self.blocks):
            seen = self.sight_of(i, sight)
            if recompute:
                x = checkpoint(same_draws(block), x, seen)
            else:
                x = block(x, seen, cache, i)
        return self.finish(x)

    def sight_of(self, layer: int, sight: Sight) -> Sight:
        """What a layer sees: all, where layers with a window and without take turns."""
        return sight if sight.far is None or (layer + 1) % self._global_every else sight.far

    def finish(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C): the last norm, if there is one."""
        norm = getattr(self, "norm", None)
        return x if norm is None else norm(x)


def make_norm(config: Config, dtype: Any) -> LayerNorm | RMSNorm:
    """The norm that the config asks for, of width C."""
    if config.norm == "rms":
        return RMSNorm(config.channels, config.eps, config.norm_affine, dtype)
    return LayerNorm(config.channels, config.eps, config.bias, config.norm_affine, dtype)


def make_attention(kind: type, config: Config, dtype: Any) -> Any:
    """An `Attention` or `CrossAttention` of the config's sizes."""
    return kind(
        config.channels,
        config.heads,
        config.G,
        config.D,
        config.bias if config.attention_bias is None else config.attention_bias,
        config.attention_scale,
        "half" if config.rope is None else config.rope.layout,
        dtype,
        config.qk_norm,
        config.attention_cap,
        config.eps,
    )


def make_feed_forward(config: Config, dtype: Any, name: str = "") -> Experts | GLU | MLP:
    """The feed-forward that the config asks for: experts, gated or plain."""
    if config.experts is not None:
        numbers = config.experts, config.experts_per_token
        return Experts(config.channels, config.F, *numbers, config.router, name, dtype)
    kind = GLU if config.gated else MLP
    return kind(config.channels, config.F, config.activation, config.bias, dtype)
