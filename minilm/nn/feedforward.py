"""The feed-forward sub-layer: a plain two-layer perceptron, or a gated linear unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.nn.linear import Linear
from minilm.nn.module import Module
from minilm.tensor import Tensor

_PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": lambda x: F.gelu(x),
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": lambda x: F.relu(x),
    "silu": lambda x: F.silu(x),
}
_GATED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "swiglu": lambda gate, up: F.swiglu(gate, up),
    "geglu": lambda gate, up: F.geglu(gate, up),
    "geglu_tanh": lambda gate, up: F.mul(F.gelu(gate, approximate="tanh"), up),
}


class MLP(Module):
    """down(activation(up(x))).

    Args:
        channels: C, width in and out.
        ff: F, width between; None: 4 C.
        activation: "gelu", "gelu_tanh", "relu" or "silu".
        bias: of both linear maps.
    """

    def __init__(
        self,
        channels: int,
        ff: int | None = None,
        activation: str = "gelu",
        bias: bool = True,
        dtype: Any = np.float32,
    ) -> None:
        _check(activation, _PLAIN)
        ff = 4 * channels if ff is None else ff
        self.activation = activation
        self.up = Linear(channels, ff, bias, dtype=dtype)
        self.down = Linear(ff, channels, bias, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:  # (..., C) -> (..., C)
        return self.down(_PLAIN[self.activation](self.up(x)))


class GLU(Module):
    """down(activation(gate(x)) * up(x)) (Shazeer 2020, arXiv 2002.05202).

    Args:
        channels: C, width in and out.
        ff: F, width between.
        activation: "swiglu", "geglu" or "geglu_tanh".
        bias: of the three linear maps.
    """

    def __init__(
        self,
        channels: int,
        ff: int,
        activation: str = "swiglu",
        bias: bool = False,
        dtype: Any = np.float32,
    ) -> None:
        _check(activation, _GATED)
        self.activation = activation
        self.gate = Linear(channels, ff, bias, dtype=dtype)
        self.up = Linear(channels, ff, bias, dtype=dtype)
        self.down = Linear(ff, channels, bias, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:  # (..., C) -> (..., C)
        return self.down(_GATED[self.activation](self.gate(x), self.up(x)))


def _check(activation: str, allowed: dict[str, Any]) -> None:
    if activation not in allowed:
        raise InputError(f"activation must be one of {', '.join(allowed)}, not {activation!r}.")
