"""The feed-forward sub-layer: a plain two-layer perceptron, or a gated linear unit."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.nn.linear import Linear
from minilm.nn.module import Module
from minilm.tensor import Tensor

_PLAIN = ("gelu", "gelu_tanh", "relu", "silu")
_GATED = ("swiglu", "geglu", "geglu_tanh")
_GELU = {"gelu": "none", "gelu_tanh": "tanh"}


def activate(x: Tensor, activation: str) -> Tensor:
    """An activation by name, of every number: gelu, gelu_tanh, relu or silu."""
    return F.gelu(x, _GELU[activation]) if activation in _GELU else getattr(F, activation)(x)


class MLP(Module):
    """down(activation(up(x))).

    Args:
        channels: C, width in and out.
        ff: F, width between; None: 4 C.
        activation: "gelu", "gelu_tanh", "relu" or "silu".
        bias: of both linear maps.

    Raises:
        InputError: another activation.
    """

    def __init__(
        self,
        channels: int,
        ff: int | None = None,
        activation: str = "gelu",
        bias: bool = True,
        dtype: Any = np.float32,
    ) -> None:
        _check_activation(activation, _PLAIN)
        ff = 4 * channels if ff is None else ff
        self.activation = activation
        self.up = Linear(channels, ff, bias, dtype=dtype)
        self.down = Linear(ff, channels, bias, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:  # (..., C) -> (..., C)
        up, down = self.up, self.down
        if not _are_plain(up, down):
            return down(activate(up(x), self.activation))
        return F.feed_forward(x, up.weight, up.bias, down.weight, down.bias, self.activation)


class GLU(Module):
    """down(activation(gate(x)) * up(x)) (Shazeer 2020, arXiv 2002.05202).

    Args:
        channels: C, width in and out.
        ff: F, width between.
        activation: "swiglu", "geglu" or "geglu_tanh".
        bias: of the three linear maps.

    Raises:
        InputError: another activation.
    """

    def __init__(
        self,
        channels: int,
        ff: int,
        activation: str = "swiglu",
        bias: bool = False,
        dtype: Any = np.float32,
    ) -> None:
        _check_activation(activation, _GATED)
        self.activation = activation
        self.gate = Linear(channels, ff, bias, dtype=dtype)
        self.up = Linear(channels, ff, bias, dtype=dtype)
        self.down = Linear(ff, channels, bias, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:  # (..., C) -> (..., C)
        gate, up, down = self.gate, self.up, self.down
        if self.activation != "geglu_tanh" and _are_plain(gate, up, down) and gate.bias is None:
            return F.gated_feed_forward(x, gate.weight, up.weight, down.weight, self.activation)
        if self.activation == "geglu_tanh":
            return down(F.mul(F.gelu(gate(x), approximate="tanh"), up(x)))
        return down((F.swiglu if self.activation == "swiglu" else F.geglu)(gate(x), up(x)))


def _are_plain(*maps: Module) -> bool:
    """Whether all are Linear itself: others (LoRA, quantised) must be called, not looked into."""
    return all(type(each) is Linear for each in maps)


def _check_activation(activation: str, allowed: tuple[str, ...]) -> None:
    if activation not in allowed:
        raise InputError(f"activation is {activation!r}; it must be one of {', '.join(allowed)}")
