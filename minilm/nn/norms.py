"""Layer norm and RMS norm over the last axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.nn.module import Module, Parameter, constant
from minilm.tensor import Tensor


class LayerNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias (Ba et al. 2016, arXiv 1607.06450).

    Args:
        channels: width of the last axis.
        eps: added to the variance.
        bias: whether there is one; it starts at 0.
        affine: whether there is a weight (and a bias); it starts at 1.
    """

    def __init__(
        self,
        channels: int,
        eps: float = 1e-5,
        bias: bool = True,
        affine: bool = True,
        dtype: Any = np.float32,
    ) -> None:
        self.eps, self.channels = eps, channels
        self.weight = Parameter(constant((channels,), 1.0, dtype)) if affine else None
        self.bias = Parameter(constant((channels,), 0.0, dtype)) if affine and bias else None

    def forward(self, x: Tensor) -> Tensor:  # (..., C) -> (..., C)
        return F.layer_norm(x, self.weight, self.bias, eps=self.eps)


class RMSNorm(Module):
    """x / sqrt(mean(x^2) + eps) * weight (Zhang & Sennrich 2019, arXiv 1910.07467)."""

    def __init__(
        self, channels: int, eps: float = 1e-5, affine: bool = True, dtype: Any = np.float32
    ) -> None:
        self.eps, self.channels = eps, channels
        self.weight = Parameter(constant((channels,), 1.0, dtype)) if affine else None

    def forward(self, x: Tensor) -> Tensor:  # (..., C) -> (..., C)
        return F.rms_norm(x, self.weight, eps=self.eps)
