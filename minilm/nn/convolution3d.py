"""Convolutions of videos that never look ahead."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.nn.convolution import Pair, _check_sizes
from minilm.nn.module import Module, Parameter, constant, draw
from minilm.tensor import Tensor


class CausalConv3d(Module):
    """`functional.causal_conv3d` with a weight (O, I, K, A, B), as PyTorch keeps it, and a bias.

    Args:
        in_channels, out_channels: I and O.
        taps: K, frames of a window.
        window: A and B, or one number for both.
        step: frames from window to window in time, at most `taps`.
        stride: from window to window in space.
        padding: zeros around each frame; None: as many as keep its size at a stride of 1, which
            needs an odd window.
        bias: whether there is one; it starts at 0.
        std: standard deviation of the first weights; None: 1 / sqrt(I K A B).
        dtype: of the parameters.

    Raises:
        InputError: a size below 1; a step that is not from 1 to `taps`; no padding given and an
            even window.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        taps: int = 3,
        window: int | Pair = 3,
        step: int = 1,
        stride: int | Pair = 1,
        padding: int | Pair | None = None,
        bias: bool = True,
        std: float | None = None,
        dtype: Any = np.float32,
    ) -> None:
        window = _check_sizes(in_channels, out_channels, window)
        if not 1 <= step <= taps:
            raise InputError(f"step is {step}; it must be from 1 to taps, which is {taps}")
        if padding is None and not all(size % 2 for size in window):
            raise InputError(f"window is {window}; without a padding it must be odd")
        self.step, self.stride = step, stride
        self.padding = tuple(size // 2 for size in window) if padding is None else padding
        std = (in_channels * taps * window[0] * window[1]) ** -0.5 if std is None else std
        self.weight = Parameter(draw((out_channels, in_channels, taps, *window), std, dtype))
        self.bias = Parameter(constant((out_channels,), 0.0, dtype)) if bias else None

    def forward(self, x: Tensor) -> Tensor:  # (N, I, T, H, W) -> (N, O, T / step, H', W')
        options = (self.step, self.stride, self.padding)
        return F.causal_conv3d(x, self.weight, self.bias, *options)
