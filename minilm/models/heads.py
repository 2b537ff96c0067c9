"""What goes on top of a stack in place of the map to the vocabulary: BERT's heads, and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
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


class ScalarHead(Module):
    """w h + b: one number for each place, such as a value, or a reward read at the last token.

    It stands on the hidden states of any model, `head(model.hidden(ids))`.

    Args:
        channels: C.
        std: standard deviation of the first weights; None: 1 / sqrt(C + 1), so that numbers start
            within a few units (Stiennon et al. 2020, arXiv 2009.01325, appendix B).
        dtype: of the parameters.
    """

    def __init__(self, channels: int, std: float | None = None, dtype: Any = np.float32) -> None:
        self.dense = Linear(
            channels, 1, std=(channels + 1) ** -0.5 if std is None else std, dtype=dtype
        )

    def forward(self, hidden: Tensor) -> Tensor:  # (B, T, C) -> (B, T)
        return F.squeeze(self.dense(hidden), -1)  # (B, T, 1) -> (B, T)

    def at(self, hidden: Tensor, places: Any) -> Tensor:
        """The number of one place of each sequence: hidden (B, T, C), places (B,) ints -> (B,).

        Raises:
            InputError: places of another shape, or outside the sequences.
        """
        places = np.asarray(places)
        batch, time = hidden.shape[:2]
        if places.shape != (batch,) or places.dtype.kind not in "iu":
            raise InputError(
                f"places is {places.dtype} of shape {places.shape}; it must be whole numbers of "
                f"shape {(batch,)}"
            )
        if places.min() < 0 or places.max() >= time:
            worst = places.min() if places.min() < 0 else places.max()
            raise InputError(f"places holds {worst}; it must be from 0 to {time - 1}")
        return self(hidden[np.arange(batch), places])  # (B, T, C) -> (B, C) -> (B,)
