"""Muon: momentum whose update is made orthogonal, for the matrices of a network."""

import math
from collections.abc import Iterable
from typing import Any

from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.optim.optimizer import Optimizer

_QUINTIC = (3.4445, -4.7750, 2.0315)  # steepest at 0 while every singular value stays near 1

_SIZES = {  # of a step, given the rows and columns of a matrix
    "original": lambda rows, columns: math.sqrt(max(1.0, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
}


def orthogonalize(g: Array, iterations: int = 5) -> Array:
    """Nearly the closest orthogonal matrix: U S V^T becomes U S' V^T with S' about 0.7 to 1.2.

    Newton-Schulz iteration X <- a X + b (X X^T) X + c (X X^T)^2 X, which acts on each singular
    value s as a s + b s^3 + c s^5 and needs matrix products only (Jordan et al. 2024,
    "Muon: an optimizer for hidden layers in neural networks").

    Args:
        g: (R, C) matrix of any float dtype.
        iterations: how often the polynomial is applied; 5 lift values above about 0.01 of the norm.

    Returns:
        (R, C) matrix of the same dtype.
    """
    a, b, c = _QUINTIC
    x = g.T if g.shape[0] > g.shape[1] else g  # X X^T is the smaller of the two products
    x = x / max(float(xp_of(g).linalg.norm(x)), 1e-7)  # every singular value is now at most 1
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if g.shape[0] > g.shape[1] else x


class Muon(Optimizer):
    """Momentum made orthogonal (Jordan et al. 2024; Liu et al. 2025, arXiv 2502.16982).

        m <- momentum m + (1 - momentum) g
        p <- p - lr (weight_decay p + size * orthogonalize(m))

    A gradient matrix is dominated by few directions. Making it orthogonal gives the rare ones
    an equal say. Embeddings, heads, biases and norms belong to AdamW.

    Args:
        params: matrices, or groups of them.
        lr: learning rate.
        momentum: share of the last direction that is kept.
        nesterov: step along `(1 - momentum) g + momentum m`.
        weight_decay: decoupled, as in AdamW.
        adjust: the `size` above; `"original"` is sqrt(max(1, R/C)), `"match_rms_adamw"` is
            0.2 sqrt(max(R, C)), which lets AdamW's learning rate serve both (section 2.2).
        iterations: of Newton-Schulz.

    Raises:
        InputError: a parameter that is not a matrix; a setting out of range.
    """

    ranges = Optimizer.ranges | {
        "adjust": (_SIZES.__contains__, f"one of {', '.join(_SIZES)}"),
        "iterations": (lambda x: x >= 1 and x == int(x), "a whole number from 1"),
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.95,
        nesterov: bool = True,
        weight_decay: float = 0.1,
        adjust: str = "original",
        iterations: int = 5,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            nesterov=nesterov,
            weight_decay=weight_decay,
            adjust=adjust,
            iterations=iterations,
        )

    def _start(self, p: Array, group: dict[str, Any]) -> dict[str, Array]:
        if p.ndim != 2:
            raise InputError(
                f"a parameter has shape {p.shape}; Muon takes matrices, give the rest to AdamW"
            )
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
        m, momentum = state["m"], group["momentum"]
        m += (1 - momentum) * (g - m)
        direction = (1 - momentum) * g + momentum * m if group["nesterov"] else m
        size = _SIZES[group["adjust"]](*p.shape)
        p *= 1 - lr * group["weight_decay"]
        p -= lr * size * orthogonalize(direction, int(group["iterations"]))
