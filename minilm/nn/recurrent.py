"""Recurrent layers: what language models were made of before transformers."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.functional.recurrent import lstm, rnn
from minilm.nn.module import Module, Parameter, constant, draw
from minilm.tensor import Tensor


class _Recurrent(Module):
    """Weights of a layer with `gates` rows per unit."""

    gates = 1

    def __init__(self, features: int, units: int, dtype: Any = np.float32) -> None:
        for name, value in (("features", features), ("units", units)):
            if value < 1:
                raise InputError(f"{name} is {value}; it must be at least 1")
        rows, std = self.gates * units, units**-0.5
        self.units = units
        self.w = Parameter(draw((rows, features), features**-0.5, dtype))
        self.u = Parameter(draw((rows, units), std, dtype))
        self.b = Parameter(constant((rows,), 0.0, dtype))

    def _zeros(self, x: Tensor) -> Tensor:
        return Tensor(np.zeros((x.shape[0], self.units), x.dtype))


class RNN(_Recurrent):
    """h_t = tanh(W x_t + U h_(t-1) + b).

    Args:
        features: I, width of the input.
        units: C, width of the state.
    """

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, T, I) and the state (B, C) or None -> every state (B, T, C), and the last one."""
        states = rnn(x, self.w, self.u, self.b, self._zeros(x) if state is None else state)
        return states, states[:, -1]


class LSTM(_Recurrent):
    """Long short-term memory; the forget gate starts open (bias 1, Jozefowicz et al. 2015).

    Args:
        features: I, width of the input.
        units: C, width of the state and of the cell.

    Parameters `w` (4C, I), `u` (4C, C), `b` (4C,): PyTorch's `weight_ih_l0`, `weight_hh_l0` and
    the sum of its two biases.
    """

    gates = 4

    def __init__(self, features: int, units: int, dtype: Any = np.float32) -> None:
        super().__init__(features, units, dtype)
        self.b.data[units : 2 * units] = 1

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(B, T, I) and (h, c), each (B, C), or None -> every h (B, T, C), and the last (h, c)."""
        h, c = (self._zeros(x), self._zeros(x)) if state is None else state
        both = lstm(x, self.w, self.u, self.b, h, c)
        return both[:, :, : self.units], (both[:, -1, : self.units], both[:, -1, self.units :])
