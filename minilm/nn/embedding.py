"""A table of vectors, looked up by id."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.nn.module import Module, Parameter, draw
from minilm.tensor import Tensor


class Embedding(Module):
    """Row `ids` of a (count, channels) table.

    Args:
        count: number of rows.
        channels: width of a row.
        std: standard deviation of the first weights. Rows must be of a size with what they are
            added to: positions and labels of .02 beside inputs of 1 are not heard, and a model
            stalls for long. A language model, whose embeddings meet only each other, sets
            `Config.init_std` (`models.initialise`).

    Raises:
        InputError: a size below 1.
    """

    def __init__(
        self, count: int, channels: int, std: float = 0.5, dtype: Any = np.float32
    ) -> None:
        for name, value in (("count", count), ("channels", channels)):
            if value < 1:
                raise InputError(f"{name} is {value}; it must be at least 1")
        self.weight = Parameter(draw((count, channels), std, dtype))

    def forward(self, ids: Any) -> Tensor:  # (...) -> (..., channels)
        return F.embedding(ids, self.weight)
