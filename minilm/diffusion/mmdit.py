"""MMDiT: words and patches as two experts that meet in attention alone (arXiv 2403.03206).

Four ways to tell a DiT what a caption says:

    "experts"   joint attention; norms, maps and feed-forward of each kind of token apart (MMDiT)
    "shared"    joint attention, one set of weights for both
    "cross"     patches read the words by cross-attention, as in models that read T5
    "bag"       the mean of the words, through adaLN only

The time, and the mean of the words, enter through adaLN in all four. In all four the queries and
keys of each head may have an RMS norm, as in Stable Diffusion 3: our small models then learn sooner
where things stand.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import functional as F
from minilm import nn
from minilm.diffusion.conditioning import Modulation, TimeEmbedding, modulate
from minilm.diffusion.dit import AdaBlock, as_tensor, step_flops
from minilm.errors import InputError
from minilm.tensor import Tensor
from minilm.vision.patches import patchify, unpatchify

WAYS = ("experts", "shared", "cross", "bag")


@dataclass(frozen=True)
class MMDiTConfig:
    """The shape of a network from captions to pictures.

    Attributes:
        side: pixels of a picture along each axis.
        patch: pixels of a patch; divides the side.
        channels: of a picture.
        width: C.
        layers, heads: as in a transformer.
        words: of the vocabulary; word 0 stands for none.
        longest: words of a caption.
        way: one of `WAYS`.
        qk_norm: RMS norms on the queries and keys of each head.

    Raises:
        InputError: a size below 1, a patch that does not divide the side, an unknown way.
    """

    side: int = 12
    patch: int = 4
    channels: int = 3
    width: int = 64
    layers: int = 4
    heads: int = 4
    words: int = 26
    longest: int = 6
    way: str = "experts"
    qk_norm: bool = False

    def __post_init__(self) -> None:
        for name in ("side", "patch", "channels", "width", "layers", "heads", "words", "longest"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.side % self.patch:
            raise InputError(f"patch is {self.patch}; it must divide the side, {self.side}")
        if self.way not in WAYS:
            raise InputError(f"way is {self.way!r}; it must be one of {', '.join(WAYS)}")

    @property
    def tokens(self) -> int:
        """Patches of a picture."""
        return (self.side // self.patch) ** 2

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dataclasses.asdict(self)


class Expert(nn.Module):
    """What one kind of token has to itself in a joint block.

    Args:
        width, heads: as in a transformer.
        qk_norm: RMS norms on the queries and keys of each head, of this kind's own.
    """

    def __init__(
        self, width: int, heads: int, dtype: Any = np.float32, qk_norm: bool = False
    ) -> None:
        self.norm = nn.LayerNorm(width, affine=False)
        self.modulation = Modulation(width, dtype=dtype)
        self.qkv = nn.Linear(width, 3 * width, dtype=dtype)
        self.out = nn.Linear(width, width, dtype=dtype)
        self.feed_forward = nn.MLP(width, activation="gelu_tanh", dtype=dtype)
        self.heads, self.qk_norm = heads, qk_norm
        if qk_norm:
            self.q_norm = nn.RMSNorm(width // heads, eps=1e-6, dtype=dtype)
            self.k_norm = nn.RMSNorm(width // heads, eps=1e-6, dtype=dtype)

    def asks(self, x: Tensor, six: list[Tensor]) -> Tensor:  # (B, T, C) -> (B, T, 3 C)
        """Queries, keys and values."""
        packed = self.qkv(modulate(self.norm(x), six[0], six[1]))
        if not self.qk_norm:
            return packed
        q, k, v = F.split(packed, x.shape[-1])  # (B, T, C) each
        by_head = (*x.shape[:2], self.heads, -1)
        q, k = (
            norm(part.reshape(*by_head)).reshape(*x.shape)  # -> (B, T, H, D) -> (B, T, C)
            for norm, part in ((self.q_norm, q), (self.k_norm, k))
        )
        return F.concatenate([q, k, v], axis=2)

    def takes(self, x: Tensor, mixed: Tensor, six: list[Tensor]) -> Tensor:  # -> (B, T, C)
        """What attention found, and the feed-forward net's thought about it."""
        x = x + F.expand_dims(six[2], 1) * self.out(mixed)
        thought = self.feed_forward(modulate(self.norm(x), six[3], six[4]))
        return x + F.expand_dims(six[5], 1) * thought


class JointBlock(nn.Module):
    """Attention over words and patches together; everything else apart."""

    def __init__(
        self, width: int, heads: int, dtype: Any = np.float32, qk_norm: bool = False
    ) -> None:
        self.words = Expert(width, heads, dtype, qk_norm)
        self.patches = Expert(width, heads, dtype, qk_norm)
        self.heads = heads

    def forward(self, words: Tensor, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """words (B, L, C), x (B, T, C), condition (B, C) -> words, x."""
        ours, theirs = self.words.modulation(condition), self.patches.modulation(condition)
        asked = [self.words.asks(words, ours), self.patches.asks(x, theirs)]
        packed = F.concatenate(asked, axis=1)  # (B, L + T, 3 C)
        mixed = F.self_attention(packed, self.heads, self.heads)  # (B, L + T, C)
        n = words.shape[1]
        words = self.words.takes(words, mixed[:, :n], ours)
        return words, self.patches.takes(x, mixed[:, n:], theirs)


class ReadingBlock(nn.Module):
    """An adaLN block between whose two halves the patches read the words."""

    def __init__(
        self, width: int, heads: int, dtype: Any = np.float32, qk_norm: bool = False
    ) -> None:
        normed = "head" if qk_norm else None
        self.inner = AdaBlock(width, heads, dtype=dtype, qk_norm=normed)
        self.norm = nn.LayerNorm(width, dtype=dtype)
        self.reading = nn.CrossAttention(width, heads, dtype=dtype, qk_norm=normed)

    def forward(self, words: Tensor, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Arguments and answer as those of `JointBlock`."""
        x = x + self.reading(self.norm(x), words)
        return words, self.inner(x, condition)


class MMDiT(nn.Module):
    """Predicts noise, image or v from a noisy picture, a time and a caption.

    Args:
        config: the shape.
        seed: of the first weights.
    """

    def __init__(self, config: MMDiTConfig, seed: int = 0, dtype: Any = np.float32) -> None:
        nn.manual_seed(seed)
        self.config, c = config, config.width
        numbers = config.channels * config.patch**2
        self.patch = nn.Linear(numbers, c, dtype=dtype)
        self.place = nn.Embedding(config.tokens, c, dtype=dtype)
        self.words = nn.Embedding(config.words, c, dtype=dtype)
        self.order = nn.Embedding(config.longest, c, dtype=dtype)
        self.time, self.pool = TimeEmbedding(c, dtype), nn.Linear(c, c, dtype=dtype)
        shape: dict[str, Any] = {"width": c, "heads": config.heads, "dtype": dtype}
        kind = {"experts": JointBlock, "cross": ReadingBlock}.get(config.way)
        if kind is None:
            blocks = [
                AdaBlock(**shape, qk_norm="head" if config.qk_norm else None)
                for _ in range(config.layers)
            ]
        else:
            blocks = [kind(**shape, qk_norm=config.qk_norm) for _ in range(config.layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(c, affine=False)
        self.last = Modulation(c, 2, dtype)
        self.out = nn.Linear(c, numbers, std=0.0, dtype=dtype)

    def forward(self, x: Any, t: Any, ids: Any) -> Tensor:
        """What `predicts` names of each picture.

        Args:
            x: (B, channels, side, side).
            t: (B,), 0 = picture, 1 = noise.
            ids: (B, longest) words.

        Returns:
            (B, channels, side, side).
        """
        config = self.config
        x = self.patch(patchify(as_tensor(x), config.patch)) + self.place.weight  # (B, T, C)
        words = self.words(ids)  # (B, L, C)
        condition = F.silu(self.time(t) + self.pool(words.mean(axis=1)))  # (B, C)
        words = words + self.order.weight
        if config.way in ("experts", "cross"):
            for block in self.blocks:
                words, x = block(words, x, condition)
        else:
            n = 0 if config.way == "bag" else words.shape[1]
            x = F.concatenate([words, x], axis=1) if n else x  # (B, n + T, C)
            for block in self.blocks:
                x = block(x, condition)
            x = x[:, n:] if n else x
        x = self.out(modulate(self.norm(x), *self.last(condition)))  # (B, T, numbers)
        return unpatchify(x, config.patch, config.side, config.side)

    def unlabelled(self, ids: np.ndarray) -> np.ndarray:
        """Captions without a word, as many."""
        return np.zeros_like(ids)


def mmdit_flops(config: MMDiTConfig, batch: int) -> float:
    """Operations of one training step, without attention's products."""
    with nn.shapes_only():
        model = MMDiT(config)
    t, n = config.tokens, config.longest
    inside = t + n if config.way == "shared" else t
    met = {"": inside, "patch": t, "out": t, "time": 1, "last": 1, "pool": 1}
    for i in range(config.layers):
        start = f"blocks.{i}."
        met |= {f"{start}modulation": 1, f"{start}inner.modulation": 1}
        met |= {f"{start}words": n, f"{start}reading.key_value": n}
        met |= {f"{start}{half}.modulation": 1 for half in ("words", "patches")}
    return step_flops(model, met, batch)
