"""A small U-Net: convolutions that see a noisy picture at several sizes.

What diffusion models were made of before transformers (Ho et al. 2020, arXiv 2006.11239,
appendix B): down by half at each level, up again, and at every level what the way down saw is put
beside what the way up knows.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import functional as F
from minilm import nn
from minilm.diffusion.conditioning import TimeEmbedding
from minilm.diffusion.dit import as_tensor
from minilm.errors import InputError
from minilm.tensor import Tensor

GROUPS = 8  # of the group norms; channels are multiples of it


@dataclass(frozen=True)
class UNetConfig:
    """The shape of a U-Net.

    Attributes:
        side: pixels of a picture along each axis; 2^(levels - 1) divides it.
        channels: of a picture.
        width: channels of the first level, a multiple of 8; doubled at each level.
        levels: sizes at which the picture is seen.
        classes: labels; the label `classes` says nothing.

    Raises:
        InputError: a size below 1; a width that is not a multiple of 8; a side that the levels
            cannot halve.
    """

    side: int = 8
    channels: int = 1
    width: int = 32
    levels: int = 2
    classes: int = 10

    def __post_init__(self) -> None:
        for name in ("side", "channels", "width", "levels", "classes"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.width % GROUPS:
            raise InputError(f"width is {self.width}; it must be a multiple of {GROUPS}")
        if self.side % 2 ** (self.levels - 1):
            raise InputError(
                f"side is {self.side}; {self.levels} levels need a multiple of "
                f"{2 ** (self.levels - 1)}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dataclasses.asdict(self)


class ResidualBlock(nn.Module):
    """Two convolutions around a residual; the condition shifts and scales between them."""

    def __init__(self, ins: int, outs: int, width: int, dtype: Any = np.float32) -> None:
        self.norm1 = nn.GroupNorm(GROUPS, ins, dtype=dtype)
        self.conv1 = nn.Conv2d(ins, outs, dtype=dtype)
        self.told = nn.Linear(width, 2 * outs, std=0.0, dtype=dtype)
        self.norm2 = nn.GroupNorm(GROUPS, outs, dtype=dtype)
        self.conv2 = nn.Conv2d(outs, outs, std=0.0, dtype=dtype)
        self.skip = nn.Identity() if ins == outs else nn.Conv2d(ins, outs, 1, dtype=dtype)
        self.outs = outs

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:  # (B, I, H, W) -> (B, O, H, W)
        h = self.norm2(self.conv1(F.silu(self.norm1(x))))
        shift, scale = F.split(self.told(condition), self.outs)  # (B, O) each
        rows = (len(condition.data), self.outs, 1, 1)
        h = h * (scale.reshape(*rows) + 1.0) + shift.reshape(*rows)
        return self.skip(x) + self.conv2(F.silu(h))


class UNet(nn.Module):
    """Predicts noise, image or v from a noisy picture, a time and a label.

    Args:
        config: the shape.
        seed: of the first weights.
    """

    def __init__(self, config: UNetConfig, seed: int = 0, dtype: Any = np.float32) -> None:
        nn.manual_seed(seed)
        self.config, first = config, config.width
        told = 2 * first
        sizes = [first * 2**i for i in range(config.levels)]
        self.time = TimeEmbedding(told, dtype)
        self.label = nn.Embedding(config.classes + 1, told, dtype=dtype)
        self.enter = nn.Conv2d(config.channels, first, dtype=dtype)
        self.down = nn.ModuleList([ResidualBlock(c, c, told, dtype) for c in sizes])
        pairs = list(zip(sizes, sizes[1:]))
        self.shrink = nn.ModuleList(
            [nn.Conv2d(a, b, 3, stride=2, padding=1, dtype=dtype) for a, b in pairs]
        )
        self.middle = ResidualBlock(sizes[-1], sizes[-1], told, dtype)
        self.up = nn.ModuleList([ResidualBlock(2 * c, c, told, dtype) for c in reversed(sizes)])
        self.grow = nn.ModuleList(
            [nn.ConvTranspose2d(b, a, dtype=dtype) for a, b in reversed(pairs)]
        )
        self.norm = nn.GroupNorm(GROUPS, first, dtype=dtype)
        self.out = nn.Conv2d(first, config.channels, std=0.0, dtype=dtype)

    def forward(self, x: Any, t: Any, labels: Any) -> Tensor:
        """Arguments and answer as those of `DiT`: (B, channels, side, side) in and out."""
        condition = F.silu(self.time(t) + self.label(labels))  # (B, 2 width)
        x, seen = self.enter(as_tensor(x)), []
        for level, block in enumerate(self.down):
            x = block(x, condition)
            seen.append(x)
            x = self.shrink[level](x) if level < len(self.shrink) else x
        x = self.middle(x, condition)
        for level, block in enumerate(self.up):
            x = block(F.concatenate([x, seen.pop()], axis=1), condition)
            x = self.grow[level](x) if level < len(self.grow) else x
        return self.out(F.silu(self.norm(x)))

    def unlabelled(self, labels: np.ndarray) -> np.ndarray:
        """Labels that say nothing, as many."""
        return np.full_like(labels, self.config.classes)
