"""From what an eye sees to what a language model reads: linear, two layers, gated, strided.

Each takes (N, T, I) to (N, T', C). The first three keep the number of tokens; a strided
convolution makes one of each square of four (GLM-4V: 1,120 pixels, 6,400 patches, 1,600 tokens);
the Q-Former in `qformer` makes as many as it has queries.

    nn.Linear           LLaVA (arXiv 2304.08485)
    Mlp2x               LLaVA-1.5, "mlp2x_gelu" (arXiv 2310.03744)
    Gated               CogVLM's adapter (arXiv 2311.03079)
    Strided             GLM-4V and CogVLM2 (arXiv 2408.16500)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.nn import GLU, Conv2d, LayerNorm, Linear, Module
from minilm.tensor import Tensor


class Mlp2x(Module):
    """Linear, GELU, linear.

    Args:
        in_channels: I, of the eye.
        channels: C, of the language model, and between the two maps.
        dtype: of the parameters.
    """

    def __init__(self, in_channels: int, channels: int, dtype: Any = np.float32) -> None:
        self.up = Linear(in_channels, channels, dtype=dtype)
        self.down = Linear(channels, channels, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:  # (N, T, I) -> (N, T, C)
        return self.down(F.gelu(self.up(x)))


class Gated(Module):
    """Linear, layer norm, GELU, and a gated unit.

    Args:
        in_channels: I, of the eye.
        channels: C, of the language model.
        ff: width of the gated unit; None: 2 C.
        dtype: of the parameters.
    """

    def __init__(
        self, in_channels: int, channels: int, ff: int | None = None, dtype: Any = np.float32
    ) -> None:
        self.enter = Linear(in_channels, channels, bias=False, dtype=dtype)
        self.norm = LayerNorm(channels, dtype=dtype)
        self.glu = GLU(channels, 2 * channels if ff is None else ff, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:  # (N, T, I) -> (N, T, C)
        return self.glu(F.gelu(self.norm(self.enter(x))))


class Strided(Module):
    """A convolution on the grid of patches that strides as far as its window, then a gated unit.

    The convolution is a linear map of each square of patches side by side: a patch merge.

    Args:
        in_channels: I, of the eye.
        channels: C, of the language model.
        stride: patches along each axis that become one token.
        ff: width of the gated unit; None: 2 C.
        dtype: of the parameters.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 2,
        ff: int | None = None,
        dtype: Any = np.float32,
    ) -> None:
        self.stride = stride
        self.merge = Conv2d(in_channels, channels, stride, stride, padding=0, dtype=dtype)
        self.gated = Gated(channels, channels, ff, dtype)

    def forward(self, x: Tensor) -> Tensor:  # (N, T, I) -> (N, T / stride^2, C)
        grid = as_grid(x)  # (N, I, G, G)
        if grid.shape[-1] % self.stride:
            raise InputError(
                f"the grid has {grid.shape[-1]} patches a side; stride {self.stride} must divide it"
            )
        return self.gated(of_grid(self.merge(grid)))


def as_grid(x: Tensor) -> Tensor:
    """Patches in reading order back on their grid: (N, T, I) -> (N, I, G, G), T = G G.

    Raises:
        InputError: a number of patches that is no square.
    """
    n, t, channels = x.shape
    side = math.isqrt(t)
    if side * side != t:
        raise InputError(f"x has {t} tokens; a square grid needs a square number of them")
    return x.transpose(1, 2).reshape(n, channels, side, side)  # (N, T, I) -> (N, I, G, G)


def of_grid(x: Tensor) -> Tensor:
    """`as_grid` undone: (N, C, G, G) -> (N, G G, C)."""
    n, channels, height, width = x.shape
    return x.reshape(n, channels, height * width).transpose(1, 2)


def strided_tokens(pixels: int, patch: int = 14, stride: int = 2) -> int:
    """Tokens that a picture costs a language model behind a `Strided` projector.

    Args:
        pixels: along each axis.
        patch, stride: of the eye and of the projector.

    Raises:
        InputError: sizes below 1, or that do not divide.
    """
    if min(pixels, patch, stride) < 1 or pixels % patch or (pixels // patch) % stride:
        raise InputError(
            f"pixels is {pixels}, patch {patch}, stride {stride}; patch must divide pixels, and "
            "stride the patches along a side"
        )
    return (pixels // patch // stride) ** 2
