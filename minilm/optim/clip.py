"""Gradient clipping by the norm of all gradients together."""

import math
from collections.abc import Iterable

from minilm import kernels
from minilm.backend import xp_of
from minilm.errors import InputError
from minilm.tensor import Tensor


def grad_norm(params: Iterable[Tensor]) -> float:
    """The Euclidean norm of all gradients as one vector; inf or nan if any entry is."""
    grads = [p.grad for p in params if p.grad is not None]
    total = math.sqrt(kernels.sum_squares(grads)) if grads else 0.0
    if math.isinf(total):  # the square of a finite float32 above 1.8e19 overflows: ask float64
        norms = [float(xp_of(g).linalg.norm(g.astype("float64"))) for g in grads]
        total = math.hypot(*norms)
    return total


def clip_grad_norm(params: Iterable[Tensor], max_norm: float) -> float:
    """Shorten all gradients together so that their norm is at most `max_norm`.

    Their direction stays (Pascanu et al. 2013, arXiv 1211.5063). A norm that is not finite leaves
    them as they are, for the caller to find the culprit.

    Args:
        params: parameters; those without a gradient are passed over.
        max_norm: largest norm.

    Returns:
        The norm before clipping.

    Raises:
        InputError: `max_norm` is not above 0.
    """
    if not max_norm > 0:
        raise InputError(f"max_norm is {max_norm}; it must be more than 0")
    params = list(params)
    norm = grad_norm(params)
    if max_norm < norm < math.inf:
        for p in params:
            if p.grad is not None:
                p.grad = p.grad * (max_norm / norm)  # not in place: two may share one array
    return norm
