"""DiT: a transformer over patches of a noisy picture (Peebles and Xie 2022, arXiv 2212.09748).

Four ways to tell it the time and the label, as in section 3.2 of the paper and in PixArt:

    "adaln"    every block reads its shifts, scales and gates from them (adaLN-Zero)
    "shared"   one such map for all blocks, and a table of its own in each (adaLN-single)
    "tokens"   two more tokens in the sequence (in-context)
    "cross"    two tokens that every block reads by cross-attention
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import functional as F
from minilm import nn
from minilm.diffusion.conditioning import Modulation, TimeEmbedding, modulate
from minilm.errors import InputError
from minilm.tensor import Tensor
from minilm.vision.patches import patchify, unpatchify

CONDITIONS = ("adaln", "shared", "tokens", "cross")


@dataclass(frozen=True)
class DiTConfig:
    """The shape of a DiT.

    Attributes:
        side: pixels of a picture along each axis.
        patch: pixels of a patch; divides the side.
        channels: of a picture that is predicted.
        width: C.
        layers, heads: as in a transformer.
        classes: labels, 0 to classes - 1; the label `classes` says nothing.
        condition: one of `CONDITIONS`.
        beside: channels that are shown beside the noisy picture, as in a cascade.

    Raises:
        InputError: a size below 1, a patch that does not divide the side, an unknown condition.
    """

    side: int = 8
    patch: int = 2
    channels: int = 1
    width: int = 64
    layers: int = 4
    heads: int = 4
    classes: int = 10
    condition: str = "adaln"
    beside: int = 0

    def __post_init__(self) -> None:
        for name in ("side", "patch", "channels", "width", "layers", "heads", "classes"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.side % self.patch:
            raise InputError(f"patch is {self.patch}; it must divide the side, {self.side}")
        if self.condition not in CONDITIONS:
            raise InputError(
                f"condition is {self.condition!r}; it must be one of {', '.join(CONDITIONS)}"
            )

    @property
    def tokens(self) -> int:
        """Patches of a picture."""
        return (self.side // self.patch) ** 2

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dataclasses.asdict(self)


class AdaBlock(nn.Module):
    """Attention and feed-forward, each shifted, scaled and gated by the condition.

    Args:
        width, heads: as in a transformer.
        shared: the six vectors come from outside, and the block adds a table to them.
        qk_norm: as `nn.Attention`'s.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        shared: bool = False,
        dtype: Any = np.float32,
        qk_norm: str | None = None,
    ) -> None:
        self.norm = nn.LayerNorm(width, affine=False)
        self.attention = nn.Attention(width, heads, dtype=dtype, qk_norm=qk_norm)
        self.feed_forward = nn.MLP(width, activation="gelu_tanh", dtype=dtype)
        self.shared, self.width = shared, width
        if shared:
            self.table = nn.Parameter(np.zeros(6 * width, dtype))
        else:
            self.modulation = Modulation(width, dtype=dtype)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """x (B, T, C); condition (B, C), or (B, 6 C) where the map is shared -> (B, T, C)."""
        if self.shared:
            six = F.split(condition + self.table, self.width)
        else:
            six = self.modulation(condition)
        shift1, scale1, gate1, shift2, scale2, gate2 = six  # (B, C) each
        mixed = self.attention(modulate(self.norm(x), shift1, scale1))  # (B, T, C)
        x = x + F.expand_dims(gate1, 1) * mixed
        thought = self.feed_forward(modulate(self.norm(x), shift2, scale2))  # (B, T, C)
        return x + F.expand_dims(gate2, 1) * thought


class PlainBlock(nn.Module):
    """A transformer's block without a condition; with `cross` it reads a second sequence."""

    def __init__(
        self, width: int, heads: int, cross: bool = False, dtype: Any = np.float32
    ) -> None:
        self.norm1 = nn.LayerNorm(width, dtype=dtype)
        self.attention = nn.Attention(width, heads, dtype=dtype)
        if cross:
            self.norm2 = nn.LayerNorm(width, dtype=dtype)
            self.reading = nn.CrossAttention(width, heads, dtype=dtype)
        self.norm3 = nn.LayerNorm(width, dtype=dtype)
        self.feed_forward = nn.MLP(width, activation="gelu_tanh", dtype=dtype)
        self.cross = cross

    def forward(self, x: Tensor, read: Tensor | None = None) -> Tensor:  # (B, T, C) -> (B, T, C)
        x = x + self.attention(self.norm1(x))
        if self.cross:
            x = x + self.reading(self.norm2(x), read)
        return x + self.feed_forward(self.norm3(x))


class DiT(nn.Module):
    """Predicts noise, image or v from a noisy picture, a time and a label.

    Args:
        config: the shape.
        seed: of the first weights.
    """

    def __init__(self, config: DiTConfig, seed: int = 0, dtype: Any = np.float32) -> None:
        nn.manual_seed(seed)
        self.config, c = config, config.width
        p2, way = config.patch**2, config.condition
        self.patch = nn.Linear((config.channels + config.beside) * p2, c, dtype=dtype)
        self.place = nn.Embedding(config.tokens, c, dtype=dtype)
        self.label = nn.Embedding(config.classes + 1, c, dtype=dtype)
        self.time = TimeEmbedding(c, dtype)
        if way in ("adaln", "shared"):
            blocks = [AdaBlock(c, config.heads, way == "shared", dtype) for _ in self._layers()]
            self.norm = nn.LayerNorm(c, affine=False)
            self.last = Modulation(c, 2, dtype)
        else:
            blocks = [PlainBlock(c, config.heads, way == "cross", dtype) for _ in self._layers()]
            self.norm = nn.LayerNorm(c, dtype=dtype)
        if way == "shared":
            self.modulation = nn.Linear(c, 6 * c, std=0.0, dtype=dtype)
        self.blocks = nn.ModuleList(blocks)
        self.out = nn.Linear(c, config.channels * p2, std=0.0, dtype=dtype)

    def _layers(self) -> range:
        return range(self.config.layers)

    def forward(self, x: Any, t: Any, labels: Any) -> Tensor:
        """What `predicts` names of each picture.

        Args:
            x: (B, channels + beside, side, side).
            t: (B,), 0 = picture, 1 = noise.
            labels: (B,) integers.

        Returns:
            (B, channels, side, side).
        """
        config = self.config
        x = self.patch(patchify(as_tensor(x), config.patch)) + self.place.weight  # (B, T, C)
        time, label = self.time(t), self.label(labels)  # (B, C) each
        x = self._through(x, time, label)  # (B, T, C)
        return unpatchify(self.out(x), config.patch, config.side, config.side)

    def _through(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        way = self.config.condition
        if way in ("adaln", "shared"):
            condition = F.silu(time + label)  # (B, C)
            each = self.modulation(condition) if way == "shared" else condition
            for block in self.blocks:
                x = block(x, each)
            return modulate(self.norm(x), *self.last(condition))
        two = F.stack([time, label], axis=1)  # (B, 2, C)
        if way == "tokens":
            x = F.concatenate([two, x], axis=1)  # (B, 2 + T, C)
        for block in self.blocks:
            x = block(x, two)
        x = self.norm(x)
        return x[:, 2:] if way == "tokens" else x

    def unlabelled(self, labels: np.ndarray) -> np.ndarray:
        """Labels that say nothing, as many."""
        return np.full_like(labels, self.config.classes)


def as_tensor(x: Any) -> Tensor:
    """An array as a Tensor."""
    return x if isinstance(x, Tensor) else Tensor(x)


def step_flops(model: nn.Module, tokens: dict[str, int], batch: int) -> float:
    """Operations of a training step: 6 per weight and per token that meets it.

    Args:
        model: whose matrices are counted; tables of an embedding cost nothing.
        tokens: how often a matrix is met for one picture, by the start of its name; the longest
            start that fits holds, and "" is for the rest.
        batch: pictures.
    """
    total = 0
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    for name, p in model.named_parameters():
        if p.ndim >= 2 and id(p) not in tables:
            start = max((s for s in tokens if name.startswith(s)), key=len)
            total += p.numel() * tokens[start]
    return 6.0 * batch * total


def dit_flops(config: DiTConfig, batch: int) -> float:
    """Operations of one training step of a DiT, without attention's products."""
    with nn.shapes_only():
        model = DiT(config)
    t, once = config.tokens, {"time": 1, "last": 1, "modulation": 1}
    inside = t + 2 if config.condition == "tokens" else t
    layers = {}
    for i in range(config.layers):
        layers |= {f"blocks.{i}.modulation": 1, f"blocks.{i}.reading.key_value": 2}
    return step_flops(model, {"": inside, "patch": t, "out": t, **once, **layers}, batch)


def published_count(layers: int, width: int, classes: int = 1001) -> dict[str, int]:
    """Parameters of the published DiTs, which predict noise and its variance of 4-channel latents.

    Args:
        layers, width: DiT-XL/2 has 28 of 1152.
        classes: with the one that says nothing.

    Returns:
        "total" (without the fixed sines of the positions), "modulation" of the blocks, "last", that
        of the last layer, and "block", one block in all.
    """
    with nn.shapes_only():
        block = AdaBlock(width, 1)
        ends = [nn.Linear(16, width), nn.Linear(256, width), nn.Linear(width, width)]
        ends += [nn.Embedding(classes, width), nn.Linear(width, 32)]
        last = Modulation(width, 2)
    one, last_count = block.num_parameters(), last.num_parameters()
    return {
        "total": sum(end.num_parameters() for end in ends) + last_count + layers * one,
        "modulation": layers * block.modulation.num_parameters(),
        "last": last_count,
        "block": one,
        "qkv": layers * block.attention.qkv.num_parameters(),
    }
