"""Activations as modules, for a `Sequential`; and the module that does nothing."""

from __future__ import annotations

from minilm import functional as F
from minilm.errors import InputError
from minilm.nn.module import Module
from minilm.tensor import Tensor


class GELU(Module):
    """x * Phi(x) (Hendrycks & Gimpel 2016, arXiv 1606.08415).

    Args:
        approximate: "none" is exact, "tanh" as in GPT-2.

    Raises:
        InputError: another approximation.
    """

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise InputError(f"approximate is {approximate!r}; it must be 'none' or 'tanh'")
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:  # (...) -> (...)
        return F.gelu(x, self.approximate)


class SiLU(Module):
    """x * sigmoid(x) (arXiv 1606.08415, arXiv 1702.03118)."""

    def forward(self, x: Tensor) -> Tensor:  # (...) -> (...)
        return F.silu(x)


class Identity(Module):
    """x itself: takes the place of a part that a model leaves out."""

    def forward(self, x: Tensor) -> Tensor:  # (...) -> (...)
        return x
