"""Mamba's mixer: a selective state space between two gates (Gu & Dao 2023, arXiv 2312.00752)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minilm import functional as F
from minilm import kernels
from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.nn.linear import Linear
from minilm.nn.module import Module, Parameter, constant, draw
from minilm.nn.states import States
from minilm.tensor import Tensor

FASTEST, SLOWEST = 0.1, 0.001  # between these lie the first steps in time (section 3.6)


class CausalConv(Module):
    """`functional.causal_conv` with weights of its own: the last few tokens, channel by channel.

    Args:
        channels: E.
        window: K, tokens that are seen, the present one included.

    Parameters: `weight` (E, K), `bias` (E,).
    """

    def __init__(self, channels: int, window: int, dtype: Any = np.float32) -> None:
        if window < 1:
            raise InputError(f"window is {window}; it must be at least 1")
        self.weight = Parameter(draw((channels, window), (3 * window) ** -0.5, dtype))
        self.bias = Parameter(constant((channels,), 0.0, dtype))

    def forward(self, x: Tensor, before: Any = None) -> Tensor:  # (B, T, E) -> (B, T, E)
        return F.causal_conv(x, self.weight, self.bias, before)


class Mamba(Module):
    """out(scan(silu(conv(x))) * silu(z)): what a Mamba block has in the place of attention.

    x and z come from one map of the input. From x come, for each token, what is written (B), what
    is read (C) and how much time passes (delta); a long time forgets the past and takes the token
    in, a short one passes it over.

    Args:
        channels: C, width in and out.
        inner: E, width of the scan; None: 2 C.
        states: N, numbers of state of each channel.
        window: K, tokens of the short convolution.
        rank: R, width between x and delta; None: C / 16, rounded up.

    Parameters have the names of the authors' code: `in_proj` (2 E, C), `conv1d` (E, K), `x_proj`
    (R + 2 N, E), `dt_proj` (E, R) with a bias, `A_log` (E, N), `D` (E,), `out_proj` (C, E).

    Raises:
        InputError: a size below 1.
    """

    def __init__(
        self,
        channels: int,
        inner: int | None = None,
        states: int = 16,
        window: int = 4,
        rank: int | None = None,
        dtype: Any = np.float32,
    ) -> None:
        inner = 2 * channels if inner is None else inner
        rank = -(-channels // 16) if rank is None else rank
        sizes = {"channels": channels, "inner": inner, "states": states, "rank": rank}
        for name, value in sizes.items():
            if value < 1:
                raise InputError(f"{name} is {value}; it must be at least 1")
        self.inner, self.states, self.window, self.rank = inner, states, window, rank
        self.in_proj = Linear(channels, 2 * inner, bias=False, dtype=dtype)
        self.conv1d = CausalConv(inner, window, dtype)
        self.x_proj = Linear(inner, rank + 2 * states, bias=False, dtype=dtype)
        self.dt_proj = Linear(rank, inner, dtype=dtype)
        self.A_log = Parameter(constant((inner, states), 0.0, dtype))
        self.A_log.decays = False
        self.D = Parameter(constant((inner,), 1.0, dtype))
        self.out_proj = Linear(inner, channels, bias=False, dtype=dtype)
        if self.A_log.data.flags.writeable:  # not a shape without memory
            self.start(np.random.default_rng(draw((2,), 1.0, np.float32).view(np.uint32)))

    def start(self, rng: np.random.Generator) -> None:
        """First values of what is no plain map: rates, steps in time and the convolution.

        State n of every channel fades at rate n + 1 (S4D-Real, arXiv 2206.11893), and the biases
        of delta are such that a step takes between 0.001 and 0.1, evenly in the logarithm.
        """
        self.A_log.data[...] = np.log(np.arange(1.0, self.states + 1))
        self.D.data[...] = 1
        low, high = math.log(SLOWEST), math.log(FASTEST)
        steps = np.exp(rng.uniform(low, high, self.inner))
        self.dt_proj.bias.data[...] = steps + np.log(-np.expm1(-steps))  # softplus of it is `steps`
        wide, width = self.rank**-0.5, self.window**-0.5
        self.dt_proj.weight.data[...] = rng.uniform(-wide, wide, (self.inner, self.rank))
        self.conv1d.weight.data[...] = rng.uniform(-width, width, (self.inner, self.window))

    def empty(self, like: Array, batch: int) -> tuple[Array, Array]:
        """Before the first token: the last inputs (B, K - 1, E), and the state (B, N, E)."""
        xp = xp_of(like)
        shapes = (batch, self.window - 1, self.inner), (batch, self.states, self.inner)
        return xp.zeros(shapes[0], like.dtype), xp.zeros(shapes[1], like.dtype)

    def forward(
        self, x: Tensor, keep: Any = None, states: States | None = None, layer: int = 0
    ) -> Tensor:
        """(B, T, C) -> (B, T, C).

        Args:
            x: the tokens.
            keep: (B, T, 1), 0 for padding, which must come first, and 1 for tokens; or None.
            states: what was read before, which is gone on from and changed; or None. What is read
                through it gets no gradient.
            layer: which of its layers this is.
        """
        if keep is not None:
            x = F.mul(x, keep)
        x, z = F.split(self.in_proj(x), self.inner)  # (B, T, E) each
        before = None
        if states is not None:
            before, h = states.layers[layer]
            whole = xp_of(before).concatenate([before, x.data], axis=1)
            kept = whole[:, whole.shape[1] - before.shape[1] :]
        x = F.silu(self.conv1d(x, before))
        if keep is not None:
            x = F.mul(x, keep)
        sizes = [self.rank, self.states, self.states]
        dt, b, c = F.split(self.x_proj(x), sizes)  # (B, T, R), (B, T, N) twice
        delta = F.softplus(self.dt_proj(dt))  # (B, T, E)
        a = F.neg(F.exp(self.A_log))  # (E, N)
        if states is None:
            y = F.selective_scan(x, delta, a, b, c)
        else:
            parts = (part.data for part in (x, delta, a, b, c))
            y, h, _ = kernels.scan(*parts, h)
            states.layers[layer] = kept, h
        return self.out_proj(F.swiglu(z, F.add(y, F.mul(x, self.D))))
