"""What BERT puts on top of its encoder."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.models.block import make_norm
from minilm.models.config import Config
from minilm.nn import Embedding, Linear, Module, Parameter
from minilm.nn.feedforward import activate
from minilm.nn.module import constant, draw
from minilm.tensor import Tensor


class Pooler(Module):
    """tanh(W h + b) of the first token: one vector for the sequence (BERT, arXiv 1810.04805)."""

    def __init__(self, channels: int, dtype: Any = np.float32) -> None:
        self.dense = Linear(channels, channels, dtype=dtype)

    def forward(self, hidden: Tensor) -> Tensor:  # (B, T, C) -> (B, C)
        return F.tanh(self.dense(hidden[:, 0]))


class MaskedHead(Module):
    """norm(activation(W h + b)) times the token embedding, plus a bias per token.

    The activation is the feed-forward's; GELU where that is gated.
    """

    def __init__(self, config: Config, dtype: Any = np.float32) -> None:
        self.activation = "gelu" if config.gated else config.activation
        self.dense = Linear(config.channels, config.channels, dtype=dtype)
        self.norm = make_norm(config, dtype)
        self.bias = Parameter(constant((config.vocab_size,), 0.0, dtype))
        if not config.tie:
            shape = (config.vocab_size, config.channels)
            self.weight = Parameter(draw(shape, config.init_std, dtype))

    def forward(self, hidden: Tensor, tokens: Embedding) -> Tensor:  # (B, T, C) -> (B, T, V)
        weight = getattr(self, "weight", tokens.weight)
        h = self.norm(activate(self.dense(hidden), self.activation))  # (B, T, C)
        return F.linear(h, weight, self.bias)  # -> (B, T, V)
