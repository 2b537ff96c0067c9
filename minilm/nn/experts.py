"""Mixture of experts: a feed-forward of which every token uses a few parts (arXiv 2401.04088).

Which parts is a router's choice; what it chose in a forward pass is seen inside `watch_routing`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import functional as F
from minilm import kernels
from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.nn.dropout import draws
from minilm.nn.linear import Linear
from minilm.nn.module import Buffer, Module, Parameter, constant, draw
from minilm.tensor import Tensor


@dataclass
class Routing:
    """What a router said of N tokens.

    logits    (N, E), on the tape: losses of the router are functions of them
    experts   (N, K) int64, the chosen, highest score first
    weights   (N, K), which add up to 1
    router    the module that chose
    """

    logits: Tensor
    experts: Array
    weights: Tensor
    router: Router


class _Watch(threading.local):
    """Where this thread's routers report to."""

    seen: list[Routing] | None = None


_watch = _Watch()


@contextlib.contextmanager
def watch_routing() -> Iterator[list[Routing]]:
    """Inside, in this thread, every router appends what it chose, layer after layer.

    `with watch_routing() as seen: loss = model.loss(ids, targets)`, and then
    `loss + 0.01 * F.load_balance_loss(seen[0].logits, seen[0].experts)` trains the router too.
    A stack that recomputes its blocks reports without a tape.
    """
    before, _watch.seen = _watch.seen, []
    try:
        yield _watch.seen
    finally:
        _watch.seen = before


class Router(Module):
    """Logits x W^T; the k largest are chosen, and weigh by their softmax.

    Args:
        channels: C.
        experts: E.
        chosen: K, experts per token.
        name: tells this router's draws from those of others.
        dtype: of the parameters.
    """

    def __init__(
        self, channels: int, experts: int, chosen: int, name: str = "", dtype: Any = np.float32
    ) -> None:
        self.weight = Parameter(draw((experts, channels), channels**-0.5, dtype))
        self.chosen, self.name = chosen, name

    def forward(self, x: Tensor) -> Routing:  # (N, C) -> Routing of N tokens
        logits = self.logits(x)
        return Routing(logits, *F.top_k_gate(logits, self.chosen, self.scores(logits)), self)

    def logits(self, x: Tensor) -> Tensor:  # (N, C) -> (N, E)
        """What the chosen weigh by."""
        return F.linear(x, self.weight)

    def scores(self, logits: Tensor) -> Array:  # (N, E) -> (N, E)
        """What chooses."""
        return logits.data


class NoisyRouter(Router):
    """In training, noise of a learnt size is added to the logits (arXiv 1701.06538, eq. 4)."""

    def __init__(
        self, channels: int, experts: int, chosen: int, name: str = "", dtype: Any = np.float32
    ) -> None:
        super().__init__(channels, experts, chosen, name, dtype)
        self.noise = Linear(channels, experts, bias=False, dtype=dtype)

    def logits(self, x: Tensor) -> Tensor:  # (N, C) -> (N, E)
        """Those of `Router`, in training with noise."""
        logits = super().logits(x)
        if not self.training:
            return logits
        return F.noisy_logits(logits, self.noise(x), draws("router", self.name))


class BalancedRouter(Router):
    """Biases added to the softmax choose, and do not weigh (arXiv 2408.15664).

    They change by `balance`, once per step of training; there is no loss for the load.
    """

    def __init__(
        self, channels: int, experts: int, chosen: int, name: str = "", dtype: Any = np.float32
    ) -> None:
        super().__init__(channels, experts, chosen, name, dtype)
        self.bias = Buffer(constant((experts,), 0.0, dtype))

    def scores(self, logits: Tensor) -> Array:  # (N, E) -> (N, E)
        """The softmax over all experts, and the biases."""
        return kernels.softmax(logits.data) + self.bias.data


def balance(seen: list[Routing], rate: float = 1e-3) -> None:
    """Move the biases of every balanced router that reported, after a step of training.

    Args:
        seen: from `watch_routing`; the routings of one router are taken together.
        rate: how far a bias moves.

    Raises:
        InputError: no balanced router among them; a rate below 0.
    """
    by_router: dict[int, list[Routing]] = {}
    for each in seen:
        if isinstance(each.router, BalancedRouter):
            by_router.setdefault(id(each.router), []).append(each)
    if not by_router:
        raise InputError("balance: no routing of a BalancedRouter was seen; config.router is the "
                         "place to ask for one")  # fmt: skip
    for routings in by_router.values():
        bias = routings[0].router.bias
        chosen = xp_of(bias.data).concatenate([each.experts for each in routings])
        bias.data = F.balance_step(bias.data, chosen, rate)


ROUTERS = {"top_k": Router, "noisy": NoisyRouter, "balanced": BalancedRouter}


class ExpertLinear(Module):
    """A matrix per expert, (E, out, in), for rows in order of expert.

    Args:
        experts: E.
        in_features, out_features: widths.
        dtype: of the parameters.
    """

    def __init__(
        self, experts: int, in_features: int, out_features: int, dtype: Any = np.float32
    ) -> None:
        shape = (experts, out_features, in_features)
        self.weight = Parameter(draw(shape, in_features**-0.5, dtype))

    def forward(self, x: Tensor, offsets: Array) -> Tensor:  # (M, in) -> (M, out)
        return F.grouped_linear(x, self.weight, offsets)


class Experts(Module):
    """sum over a token's chosen experts of weight * down(silu(gate(x)) * up(x)); none is dropped.

    Args:
        channels: C, width in and out.
        ff: F, width between, of each expert.
        experts: E, how many there are.
        chosen: K, how many a token uses.
        router: "top_k", "noisy" or "balanced".
        name: for the router's draws.
        dtype: of the parameters.

    Raises:
        InputError: chosen out of range, or another router.
    """

    def __init__(
        self,
        channels: int,
        ff: int,
        experts: int,
        chosen: int,
        router: str = "top_k",
        name: str = "",
        dtype: Any = np.float32,
    ) -> None:
        if router not in ROUTERS:
            raise InputError(f"router is {router!r}; it must be one of {', '.join(ROUTERS)}")
        if not 1 <= chosen <= experts:
            raise InputError(
                f"chosen is {chosen}; it must be from 1 to {experts}, the number of experts"
            )
        self.router = ROUTERS[router](channels, experts, chosen, name, dtype)
        self.gate = ExpertLinear(experts, channels, ff, dtype)
        self.up = ExpertLinear(experts, channels, ff, dtype)
        self.down = ExpertLinear(experts, ff, channels, dtype)

    def forward(self, x: Tensor) -> Tensor:  # (..., C) -> (..., C)
        rows = F.reshape(x, -1, x.shape[-1])  # (..., C) -> (N, C)
        routing = self.router(rows)
        if _watch.seen is not None:
            _watch.seen.append(routing)
        return F.reshape(self.mix(rows, routing), *x.shape)  # (N, C) -> (..., C)

    def mix(self, rows: Tensor, routing: Routing) -> Tensor:
        """(N, C) -> (N, C): the weighted answers of the experts that a routing names."""
        sorting = kernels.sort_by_expert(routing.experts, len(self.gate.weight.data))
        matrices = self.gate.weight, self.up.weight, self.down.weight
        return F.expert_feed_forward(rows, routing.weights, *matrices, *sorting)


class ExpertChoice(Experts):
    """Experts that choose their tokens, N K / E each, for study (arXiv 2202.09368).

    Loads are equal by construction, and a token may get any number of experts, also none. It looks
    at later tokens: a model that writes cannot use it. `model.replace_modules` puts it in place.
    """

    def forward(self, x: Tensor) -> Tensor:  # (..., C) -> (..., C)
        rows = F.reshape(x, -1, x.shape[-1])  # (..., C) -> (N, C)
        count = len(self.gate.weight.data)
        share = max(1, len(rows.data) * self.router.chosen // count)
        tokens, weights = F.expert_choice(self.router.logits(rows), share)
        flat = tokens.reshape(-1)  # (E, share) -> (M,)
        offsets = np.arange(count + 1) * share
        given = rows[flat]  # (M, C)
        hidden = F.swiglu(self.gate(given, offsets), self.up(given, offsets))  # (M, F)
        # (E, share) -> (M, 1)
        answers = F.mul(self.down(hidden, offsets), F.reshape(weights, -1, 1))  # (M, C)
        xp = xp_of(rows.data)
        places = xp.broadcast_to(flat[:, None], answers.shape)
        out = F.scatter_add(xp.zeros_like(rows.data), places, answers, axis=0)  # (N, C)
        return F.reshape(out, *x.shape)  # (N, C) -> (..., C)
