"""Convolutions of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.nn.module import Module, Parameter, constant, draw
from minilm.tensor import Tensor

Pair = tuple[int, int]


class Conv2d(Module):
    """`functional.conv2d` with a weight (O, I, A, B), as PyTorch keeps it, and a bias (O,).

    Args:
        in_channels, out_channels: I and O.
        window: A and B, or one number for both.
        stride: from window to window.
        padding: zeros around the picture; None: as many as keep its size at a stride of 1, which
            needs an odd window.
        bias: whether there is one; it starts at 0.
        std: standard deviation of the first weights; None: 1 / sqrt(I A B).
        dtype: of the parameters.

    Raises:
        InputError: a size below 1; no padding given and an even window.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        window: int | Pair = 3,
        stride: int | Pair = 1,
        padding: int | Pair | None = None,
        bias: bool = True,
        std: float | None = None,
        dtype: Any = np.float32,
    ) -> None:
        window = _check_sizes(in_channels, out_channels, window)
        if padding is None and not all(size % 2 for size in window):
            raise InputError(f"window is {window}; without a padding it must be odd")
        self.stride = stride
        self.padding = tuple(size // 2 for size in window) if padding is None else padding
        std = (in_channels * window[0] * window[1]) ** -0.5 if std is None else std
        self.weight = Parameter(draw((out_channels, in_channels, *window), std, dtype))
        self.bias = Parameter(constant((out_channels,), 0.0, dtype)) if bias else None

    def forward(self, x: Tensor) -> Tensor:  # (N, I, H, W) -> (N, O, H', W')
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)


class ConvTranspose2d(Module):
    """`functional.conv_transpose2d` with a weight (I, O, A, B) and a bias (O,).

    Args:
        in_channels, out_channels: I and O.
        window: A and B, or one number for both.
        stride, padding, output_padding: as for the function.
        bias: whether there is one; it starts at 0.
        std: standard deviation of the first weights; None: 1 / sqrt(I A B / (s t)), as many
            numbers as meet in one pixel.
        dtype: of the parameters.

    Raises:
        InputError: a size below 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        window: int | Pair = 4,
        stride: int | Pair = 2,
        padding: int | Pair = 1,
        output_padding: int | Pair = 0,
        bias: bool = True,
        std: float | None = None,
        dtype: Any = np.float32,
    ) -> None:
        window = _check_sizes(in_channels, out_channels, window)
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        if std is None:
            step = stride if isinstance(stride, (tuple, list)) else (stride, stride)
            meeting = in_channels * window[0] * window[1] / (step[0] * step[1])
            std = max(1.0, meeting) ** -0.5
        self.weight = Parameter(draw((in_channels, out_channels, *window), std, dtype))
        self.bias = Parameter(constant((out_channels,), 0.0, dtype)) if bias else None

    def forward(self, x: Tensor) -> Tensor:  # (N, I, H, W) -> (N, O, H', W')
        options = (self.stride, self.padding, self.output_padding)
        return F.conv_transpose2d(x, self.weight, self.bias, *options)


def _check_sizes(ins: int, outs: int, window: int | Pair) -> Pair:
    """The window as a pair.

    Raises:
        InputError: a size below 1.
    """
    window = tuple(window) if isinstance(window, (tuple, list)) else (window, window)
    for name, value in (("in_channels", ins), ("out_channels", outs), ("window", min(window))):
        if value < 1:
            raise InputError(f"{name} is {value}; it must be at least 1")
    return window
