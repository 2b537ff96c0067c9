"""Attention whose memory does not grow (Katharopoulos et al. 2020, arXiv 2006.16236)."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import functional as F
from minilm import kernels
from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.nn.linear import Linear
from minilm.nn.module import Module
from minilm.nn.states import States
from minilm.tensor import Tensor

_LEAST = 1e-6  # added to the sum of the weights: padding has none


class LinearAttention(Module):
    """Each token's weights are phi(q) phi(k) over their sum, with phi(x) = elu(x) + 1.

    A sum over all earlier keys is then a state: for each head D x D numbers, and D more for the sum
    of the weights.

    Args:
        channels: C, width in and out.
        heads: H; they share the channels.

    Parameters: `qkv.weight` (3 C, C), rows in the order queries, keys, values; `out.weight` (C, C).

    Raises:
        InputError: channels that the heads do not divide.
    """

    def __init__(self, channels: int, heads: int, dtype: Any = np.float32) -> None:
        if heads < 1 or channels < 1 or channels % heads:
            raise InputError(f"channels is {channels}; it must be a multiple of heads, {heads}")
        self.heads, self.size = heads, channels // heads
        self.qkv = Linear(channels, 3 * channels, bias=False, dtype=dtype)
        self.out = Linear(channels, channels, bias=False, dtype=dtype)

    def empty(self, like: Array, batch: int) -> tuple[Array]:
        """The state before the first token, (B, H, D, D + 1)."""
        shape = (batch, self.heads, self.size, self.size + 1)
        return (xp_of(like).zeros(shape, like.dtype),)

    def forward(
        self, x: Tensor, keep: Any = None, states: States | None = None, layer: int = 0
    ) -> Tensor:
        """(B, T, C) -> (B, T, C).

        Args:
            x: the tokens.
            keep: (B, T, 1), 0 for padding and 1 for tokens; or None.
            states: what was read before, which is gone on from and changed; or None. What is read
                through it gets no gradient.
            layer: which of its layers this is.
        """
        batch, time, channels = x.shape
        packed = self.qkv(x).reshape(batch, time, 3 * self.heads, self.size)  # -> (B, T, 3 H, D)
        q, k, v = F.split(packed.transpose(1, 2), self.heads, axis=1)  # (B, H, T, D) each
        q, k = F.elu_plus_one(q), F.elu_plus_one(k)
        if keep is not None:
            k = F.mul(k, keep[:, None])  # (B, T, 1) -> (B, 1, T, 1)
        ones = xp_of(v.data).ones((*v.shape[:3], 1), v.dtype)
        v = F.concatenate([v, Tensor(ones)], -1)  # (B, H, T, D + 1)
        if states is None:
            y = F.linear_attention(q, k, v)
        else:
            (before,) = states.layers[layer]
            mixed, after = kernels.linear_attention(q.data, k.data, v.data, before)
            y, states.layers[layer] = Tensor(mixed), (after,)
        mixed, weights = F.split(y, [self.size, 1])  # (B, H, T, D), (B, H, T, 1)
        y = F.div(mixed, F.add(weights, _LEAST)).transpose(1, 2)  # -> (B, T, H, D)
        return self.out(y.reshape(batch, time, channels))  # -> (B, T, C)
