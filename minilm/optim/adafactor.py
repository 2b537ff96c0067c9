"""Adafactor: Adam's step sizes in almost no memory."""

import math
from collections.abc import Iterable
from typing import Any

from minilm.backend import Array, xp_of
from minilm.optim.optimizer import Optimizer


class Adafactor(Optimizer):
    """Adafactor (Shazeer & Stern 2018, arXiv 1804.04235, algorithms 4 and 5).

    Adam keeps the mean square of every weight's gradient. Adafactor keeps only the means of its
    rows r and of its columns c, and rebuilds the matrix as `r c / mean(r)`: R + C numbers
    instead of R x C. There is no momentum. The update is clipped to a root mean square of `d`,
    and the step is relative to the size of the weights: `max(eps2, rms(p)) * min(lr, 1/sqrt(t))`.

    Args:
        params: parameters, or groups of them; vectors keep their full mean square.
        lr: largest relative step.
        beta2_decay: the mean square remembers `1 - t ** beta2_decay` of the last one, so that
            its memory grows with the step t (section 7.2).
        eps: (added under the root, smallest size of a weight).
        d: largest root mean square of an update before the learning rate.
        weight_decay: decoupled, as in AdamW.

    Raises:
        InputError: a setting out of range.
    """

    ranges = Optimizer.ranges | {
        "eps": (lambda x: len(x) == 2 and all(0 <= e < math.inf for e in x), "two numbers from 0"),
        "beta2_decay": (lambda x: -math.inf < x <= 0, "0 or less, and finite"),
        "d": (lambda x: x > 0, "more than 0"),
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float, float] = (1e-15, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params, lr=lr, beta2_decay=beta2_decay, eps=eps, d=d, weight_decay=weight_decay
        )

    def _start(self, p: Array, group: dict[str, Any]) -> dict[str, Array]:
        xp = xp_of(p)
        if p.ndim < 2:
            return {"v": xp.zeros_like(p)}
        return {
            "row": xp.zeros((*p.shape[:-1], 1), p.dtype),  # (..., R, 1)
            "column": xp.zeros((*p.shape[:-2], 1, p.shape[-1]), p.dtype),  # (..., 1, C)
        }

    def _update(
        self,
        p: Array,
        g: Array,
        state: dict[str, Array],
        lr: float,
        group: dict[str, Any],
        age: int,
    ) -> None:
        xp = xp_of(p)
        eps1, eps2 = group["eps"]
        new = float(age) ** group["beta2_decay"]  # share of this step's squares
        step = max(eps2, _rms(p)) * min(lr, 1 / math.sqrt(age))
        if group["weight_decay"]:
            p *= 1 - lr * group["weight_decay"]
        square = g * g
        if p.ndim < 2:
            state["v"] += new * (square - state["v"])
            mean_square = state["v"]
        else:
            row, column = state["row"], state["column"]
            row += new * (square.mean(axis=-1, keepdims=True) - row)
            column += new * (square.mean(axis=-2, keepdims=True) - column)
            total = xp.maximum(row.mean(axis=-2, keepdims=True), eps1)
            mean_square = row * column / total
        update = g / xp.sqrt(xp.maximum(mean_square, eps1 * eps1))
        p -= step / max(1.0, _rms(update) / group["d"]) * update


def _rms(x: Array) -> float:
    """Root mean square of an array."""
    return float(xp_of(x).linalg.norm(x)) / math.sqrt(x.size)
