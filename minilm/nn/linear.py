"""The affine map y = x W^T + b."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.backend import Array
from minilm.errors import InputError
from minilm.nn.module import Module, Parameter, constant, draw
from minilm.tensor import Tensor


class Linear(Module):
    """y = x W^T + b with W of shape (out, in), as PyTorch keeps it.

    Args:
        in_features, out_features: widths.
        bias: whether there is a b; it starts at 0.
        std: standard deviation of the first weights; None: 1 / sqrt(in_features).
        dtype: of the parameters.

    Raises:
        InputError: a width below 1.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        std: float | None = None,
        dtype: Any = np.float32,
    ) -> None:
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            if value < 1:
                raise InputError(f"{name} is {value}; it must be at least 1")
        std = in_features**-0.5 if std is None else std
        self.weight = Parameter(draw((out_features, in_features), std, dtype))
        self.bias = Parameter(constant((out_features,), 0.0, dtype)) if bias else None

        self.in_features, self.out_features = in_features, out_features

    def forward(self, x: Tensor) -> Tensor:  # (..., in) -> (..., out)
        return F.linear(x, self.weight, self.bias)

    def dense(self) -> tuple[Array, Array | None]:
        """The weight (out, in) and the bias (out,) or None that `forward` amounts to.

        A subclass with a `forward` of its own (an adapter, a weight in fewer bits) defines this
        too; so the fast decoder and what saves merged models need not know its class.
        """
        return self.weight.data, None if self.bias is None else self.bias.data
