"""The narrow branch: a language model that looks at a large picture through few channels.

CogAgent (Hong et al. 2023, arXiv 2312.08914). A picture of 1,120 by 1,120 pixels has 6,400 patches.
As tokens of the sequence they would meet each other in every layer, at the full width. Here they
stay outside: in every layer the sequence looks at them by cross-attention, whose queries, keys and
values are narrow. The way back starts at zero, so at first the model is what it was without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.models.block import Block, Stack, make_norm
from minilm.models.config import Config
from minilm.models.transformer import Transformer
from minilm.nn import LayerNorm, Linear, Module, Sight
from minilm.tensor import Tensor


class NarrowBranch(Module):
    """h + out(attention of norm(h) over the fine tokens), at a width of its own.

    Args:
        channels: C, of the sequence.
        source: S, of the fine tokens.
        width: of queries, keys and values, a multiple of `heads`; far below C.
        heads: of the attention.
        norm: of the sequence; None makes a layer norm.
        dtype: of the parameters.

    Parameters: `norm`, `query` (width, C), `key_value` (2 width, S), `out` (C, width), which starts
    at 0.

    Raises:
        InputError: heads that do not divide width.
    """

    def __init__(
        self,
        channels: int,
        source: int,
        width: int,
        heads: int = 1,
        norm: Module | None = None,
        dtype: Any = np.float32,
    ) -> None:
        if heads < 1 or width < 1 or width % heads:
            raise InputError(f"width is {width}; it must be a multiple of heads, which is {heads}")
        self.heads, self.source = heads, source
        self.norm = LayerNorm(channels, dtype=dtype) if norm is None else norm
        self.query = Linear(channels, width, bias=False, dtype=dtype)
        self.key_value = Linear(source, 2 * width, bias=False, dtype=dtype)
        self.out = Linear(width, channels, std=0.0, dtype=dtype)

    def forward(self, h: Tensor, fine: Tensor) -> Tensor:
        """h (B, T, C) looks at fine (B, M, S) -> (B, T, C).

        Raises:
            InputError: fine tokens of another width, or of another number of rows.
        """
        if fine.ndim != 3 or fine.shape[2] != self.source or fine.shape[0] != h.shape[0]:
            raise InputError(
                f"fine is {tuple(fine.shape)}; it must be ({h.shape[0]}, M, {self.source})"
            )
        q = self._split(self.query(self.norm(h)), 1)[0]  # (B, T, C) -> (B, H, T, D)
        k, v = self._split(self.key_value(fine), 2)  # (B, M, S) -> (B, H, M, D) twice
        mixed = F.attention(q, k, v)  # (B, H, T, D)
        b, heads, t, size = mixed.shape
        mixed = mixed.transpose(1, 2).reshape(b, t, heads * size)  # -> (B, T, H D)
        return h + self.out(mixed)

    def _split(self, x: Tensor, parts: int) -> list[Tensor]:  # (B, T, parts H D) -> (B, H, T, D)
        b, t, width = x.shape
        x = x.reshape(b, t, parts * self.heads, width // (parts * self.heads)).transpose(1, 2)
        return [x[:, i * self.heads : (i + 1) * self.heads] for i in range(parts)]


class NarrowBlock(Block):
    """A block with the branch between its attention and its feed-forward net.

    Args:
        config: of the language model.
        source, width, heads: of the branch.
        name, dtype: as for `Block`.

    `fine` is what the branch looks at, (B, M, S); None leaves it out.
    """

    fine: Tensor | None = None

    def __init__(
        self,
        config: Config,
        source: int,
        width: int,
        heads: int,
        name: str = "",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(config, name, dtype)
        norm = make_norm(config, dtype)
        self.branch = NarrowBranch(config.channels, source, width, heads, norm, dtype)

    def forward(self, x: Tensor, sight: Sight, cache: Any = None, layer: int = 0) -> Tensor:
        """(B, T, C) -> (B, T, C); without fine tokens what `Block` does."""
        x = x + self.drop1(self.attention(self.norm1(x), sight, cache, layer))  # (B, T, C)
        x = self.between(x)  # (B, T, C)
        return x + self.drop2(self.feed_forward(self.norm2(x)))  # (B, T, C)

    def between(self, x: Tensor) -> Tensor:
        """What happens between attention and feed-forward net: (B, T, C) -> (B, T, C)."""
        return x if self.fine is None else self.branch(x, self.fine)


class NarrowTransformer(Transformer):
    """A `Transformer` that can be shown fine tokens beside its sequence.

    Args:
        config: of the language model; pre-norm.
        source: S, width of the fine tokens.
        width: of the branch's queries, keys and values; None: a quarter of the channels.
        heads: of the branch.
        seed, dtype, allocate: as for `Transformer`.

    Its parameters are those of a `Transformer` of this config, under the same names, and
    `stack.blocks.N.branch`. `of` makes one from a language model that exists.

    Raises:
        InputError: a post-norm config; as `NarrowBranch`.
    """

    def __init__(
        self,
        config: Config,
        source: int,
        width: int | None = None,
        heads: int = 1,
        seed: int = 0,
        dtype: Any = np.float32,
        allocate: bool = True,
    ) -> None:
        if config.norm_position != "pre":
            raise InputError(
                f"norm_position is {config.norm_position!r}; the narrow branch needs 'pre'"
            )
        width = max(heads, config.channels // 4) if width is None else width
        self._branch = (source, width, heads)
        super().__init__(config, seed, dtype, allocate)
        for block in self.blocks if allocate else ():
            out = block.branch.out
            out.weight.data = np.zeros_like(out.weight.data)

    def _make_stacks(self, config: Config, dtype: Any) -> None:
        names = (f"stack.{i}" for i in range(config.layers))
        blocks = [NarrowBlock(config, *self._branch, name, dtype) for name in names]
        self.stack = Stack(config, blocks, dtype=dtype)

    @classmethod
    def of(
        cls, language: Transformer, source: int, width: int | None = None, heads: int = 1
    ) -> NarrowTransformer:
        """A copy of a language model with a branch beside each block; at first it says the same."""
        kind = language.tokens.weight.dtype
        made = cls(language.config, source, width, heads, dtype=kind)
        made.load_state_dict({**made.state_dict(), **language.state_dict()})
        return made

    @contextmanager
    def shown(self, fine: Tensor | None) -> Iterator[None]:
        """Inside, every pass looks at these fine tokens (B, M, S); None: at none.

        Raises:
            InputError: the stack computes its blocks again in backward, where they would be gone.
        """
        if fine is not None and self.stack.recompute:
            raise InputError("recompute is True; with fine tokens it must be False")
        before = [block.fine for block in self.blocks]
        try:
            for block in self.blocks:
                block.fine = fine
            yield
        finally:
            for block, old in zip(self.blocks, before, strict=True):
                block.fine = old

    def hidden(self, ids: Any = None, *, fine: Tensor | None = None, **options: Any) -> Tensor:
        """`Transformer.hidden` beside these fine tokens; None: beside those that are `shown`."""
        if fine is None:
            return super().hidden(ids, **options)
        with self.shown(fine):
            return super().hidden(ids, **options)

    def forward(self, ids: Any = None, *, fine: Tensor | None = None, **options: Any) -> Tensor:
        """Logits (B, T, V); arguments as in `hidden`."""
        return self.logits(self.hidden(ids, fine=fine, **options))


@dataclass(frozen=True)
class ScoreCount:
    """Multiply-adds of one layer's attention scores, queries against keys, for two designs.

    Attributes:
        concatenated: all tokens in one sequence, at the full width.
        beside: the short sequence with itself, and with the fine tokens at the narrow width.
    """

    concatenated: int
    beside: int

    @property
    def ratio(self) -> float:
        """How many times as many the concatenation needs."""
        return self.concatenated / self.beside


def count_scores(low: int, fine: int, text: int, channels: int, width: int) -> ScoreCount:
    """What a large picture costs in attention scores, inside the sequence and beside it.

    CogAgent: 256 tokens of a small picture, 6,400 of the large one, 100 of text, 4,096 channels,
    a branch of 1,024: 65.5 times as many inside. A causal mask is not counted as a saving.

    Args:
        low, fine, text: tokens of each kind.
        channels: of the language model.
        width: of the branch.

    Raises:
        InputError: a number below 1.
    """
    for name, value in (
        ("low", low), ("fine", fine), ("text", text), ("channels", channels), ("width", width),
    ):  # fmt: skip
        if value < 1:
            raise InputError(f"{name} is {value}; it must be 1 or more")
    short = low + text
    beside = short**2 * channels + short * fine * width
    return ScoreCount((short + fine) ** 2 * channels, beside)
