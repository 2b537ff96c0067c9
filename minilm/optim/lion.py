"""Lion: every weight moves by the same amount, only the direction is learnt."""

from collections.abc import Iterable
from typing import Any

from minilm.backend import Array, xp_of
from minilm.optim.optimizer import Optimizer


class Lion(Optimizer):
    """Evolved sign momentum (Chen et al. 2023, arXiv 2302.06675, algorithm 2).

        p <- p - lr (sign(b1 m + (1 - b1) g) + weight_decay p)
        m <- b2 m + (1 - b2) g

    Half of Adam's state. Every step has the same length, so the learning rate is 3-10 times
    smaller than AdamW's and the weight decay as many times larger.

    Args:
        params: parameters, or groups of them.
        lr: learning rate: exactly how far each weight moves.
        betas: b1 mixes the direction, b2 the memory.
        weight_decay: decoupled, as in AdamW.

    Raises:
        InputError: a setting out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, weight_decay=weight_decay)

    def _start(self, p: Array, group: dict[str, Any]) -> dict[str, Array]:
        return {"m": xp_of(p).zeros_like(p)}

    def _update(
        self,
        p: Array,
        g: Array,
        state: dict[str, Array],
        lr: float,
        group: dict[str, Any],
        age: int,
    ) -> None:
        m = state["m"]
        b1, b2 = group["betas"]
        direction = xp_of(p).sign(b1 * m + (1 - b1) * g)
        p *= 1 - lr * group["weight_decay"]
        p -= lr * direction
        m += (1 - b2) * (g - m)
