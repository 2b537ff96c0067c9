"""Layer norm and RMS norm over the last axis, group norm over groups of channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
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


class GroupNorm(Module):
    """Layer norm of each picture's channels in groups, over all their pixels (arXiv 1803.08494).

    Args:
        groups: how many; they divide the channels.
        channels: C, the second axis.
        eps: added to the variance.
        affine: whether there are a weight, which starts at 1, and a bias, which starts at 0.

    Raises:
        InputError: groups that do not divide the channels.
    """

    def __init__(
        self,
        groups: int,
        channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        dtype: Any = np.float32,
    ) -> None:
        if groups < 1 or channels < 1 or channels % groups:
            raise InputError(f"groups is {groups}; it must divide the channels, {channels}")
        self.groups, self.channels, self.eps = groups, channels, eps
        self.weight = Parameter(constant((channels,), 1.0, dtype)) if affine else None
        self.bias = Parameter(constant((channels,), 0.0, dtype)) if affine else None

    def forward(self, x: Tensor) -> Tensor:  # (N, C, ...) -> (N, C, ...)
        return F.group_norm(x, self.groups, self.weight, self.bias, eps=self.eps)
