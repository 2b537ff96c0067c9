"""Adam and AdamW: each weight gets a step of its own size."""

import math
from collections.abc import Iterable
from typing import Any

from minilm import kernels
from minilm.backend import Array, xp_of
from minilm.optim.optimizer import Optimizer
from minilm.tensor import Tensor


class Adam(Optimizer):
    """Adam (Kingma & Ba 2014, arXiv 1412.6980, algorithm 1).

        m <- b1 m + (1 - b1) g          running mean of the gradient
        v <- b2 v + (1 - b2) g^2        running mean of its square
        p <- p - lr m' / (sqrt(v') + eps)

    where m' = m / (1 - b1^t) and v' = v / (1 - b2^t) make up for starting both at 0; t counts the
    parameter's own steps, those that had a gradient.

    Args:
        params: parameters, or groups of them.
        lr: learning rate; about the size of one weight's step.
        betas: b1 and b2.
        eps: keeps a weight whose gradient is nearly 0 from taking a full step.
        weight_decay: adds `weight_decay * p` to the gradient, which Adam then rescales: weights
            with large gradients hardly decay. AdamW does not have that flaw.

    Raises:
        InputError: a setting out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def _start(self, p: Array, group: dict[str, Any]) -> dict[str, Array]:
        xp = xp_of(p)
        return {"m": xp.zeros_like(p), "v": xp.zeros_like(p)}

    def _update(
        self,
        p: Array,
        g: Array,
        state: dict[str, Array],
        lr: float,
        group: dict[str, Any],
        age: int,
    ) -> None:
        m, v = state["m"], state["v"]
        b1, b2 = group["betas"]
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p
        m += (1 - b1) * (g - m)
        v += (1 - b2) * (g * g - v)
        size = xp_of(p).sqrt(v) / math.sqrt(1 - b2**age) + group["eps"]
        p -= lr / (1 - b1**age) * m / size


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2017, arXiv 1711.05101).

    First `p <- p - lr weight_decay p`, then Adam's step from a gradient that knows nothing of
    the decay. One fused kernel does both in a single pass over memory.

    Args:
        params: parameters, or groups of them; the usual groups decay matrices only.
        lr: learning rate.
        betas: b1 and b2 of Adam.
        eps: as in Adam.
        weight_decay: share of a weight that a step of learning rate 1 would take away.

    Raises:
        InputError: a setting out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def _update_all(
        self,
        held: list[tuple[Tensor, dict[str, Array]]],
        lr: float,
        group: dict[str, Any],
        age: int,
        factor: float = 1.0,
    ) -> None:
        halves = [pair for pair in held if "master" in pair[1]]
        settings = (lr, *group["betas"], group["eps"], group["weight_decay"], age)
        for part in (halves, [pair for pair in held if "master" not in pair[1]]):
            copies = [p.data for p, _ in part] if part is halves else None
            if part:
                kernels.adamw_many(
                    [state.get("master", p.data) for p, state in part],
                    [p.grad for p, _ in part],
                    [state["m"] for _, state in part],
                    [state["v"] for _, state in part],
                    *settings,
                    *(() if copies is None and factor == 1.0 else (copies, factor)),
                )
