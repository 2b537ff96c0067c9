"""How a network is told how noisy its picture is, and what it should show."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import functional as F
from minilm import nn
from minilm.tensor import Tensor

WAVES = 64  # numbers in which a time is written before the network reads it


class TimeEmbedding(nn.Module):
    """A time between 0 and 1 as a vector: sines and cosines, then two linear maps.

    Args:
        width: C of the vector.
    """

    def __init__(self, width: int, dtype: Any = np.float32) -> None:
        self.first = nn.Linear(WAVES, width, dtype=dtype)
        self.second = nn.Linear(width, width, dtype=dtype)

    def forward(self, t: Any) -> Tensor:  # (B,) -> (B, C)
        waves = nn.sinusoidal_time(t, WAVES, dtype=self.first.weight.dtype)  # (B, 64)
        return self.second(F.silu(self.first(waves)))


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x (1 + scale) + shift: tokens x (B, T, C), one shift and one scale a picture, (B, C)."""
    return x * (F.expand_dims(scale, 1) + 1.0) + F.expand_dims(shift, 1)


class Modulation(nn.Module):
    """adaLN-Zero: shifts, scales and gates of a block, read from the condition.

    One linear map of `count` C (C + 1) numbers that starts at 0, so that a block begins as the
    identity (Peebles and Xie 2022, DiT, arXiv 2212.09748, section 3.2).

    Args:
        width: C.
        count: how many vectors; a block has 6, the last layer 2.
    """

    def __init__(self, width: int, count: int = 6, dtype: Any = np.float32) -> None:
        self.width = width
        self.map = nn.Linear(width, count * width, std=0.0, dtype=dtype)

    def forward(self, condition: Tensor) -> list[Tensor]:  # (B, C) -> count of (B, C)
        return F.split(self.map(condition), self.width)
