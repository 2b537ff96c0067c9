"""Stochastic gradient descent: the one every other optimizer is compared with."""

from collections.abc import Iterable
from typing import Any

from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.optim.optimizer import Optimizer


class SGD(Optimizer):
    """Gradient descent, plain, with momentum (heavy ball) or with Nesterov's look-ahead.

        v <- momentum v + g        p <- p - lr v             momentum
                                   p <- p - lr (g + momentum v)   Nesterov

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        momentum: share of the last velocity that is kept; 0 keeps no state at all.
        nesterov: step from where the momentum will have led (Sutskever et al. 2013).
        weight_decay: adds `weight_decay * p` to the gradient.

    Raises:
        InputError: a setting out of range; Nesterov without momentum.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay
        )

    def _start(self, p: Array, group: dict[str, Any]) -> dict[str, Array]:
        return {"velocity": xp_of(p).zeros_like(p)} if group["momentum"] else {}

    def _check(self, group: dict[str, Any]) -> None:
        super()._check(group)
        if group["nesterov"] and group["momentum"] == 0:
            raise InputError("momentum of SGD is 0; with nesterov it must be more than 0")

    def _update(
        self,
        p: Array,
        g: Array,
        state: dict[str, Array],
        lr: float,
        group: dict[str, Any],
        age: int,
    ) -> None:
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p
        if group["momentum"]:
            if "velocity" not in state:  # the group was given its momentum after the first step
                state["velocity"] = xp_of(p).zeros_like(p)
            v = state["velocity"]
            v *= group["momentum"]
            v += g
            g = g + group["momentum"] * v if group["nesterov"] else v
        p -= lr * g
