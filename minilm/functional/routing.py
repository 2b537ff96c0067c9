"""Which experts a token goes to, with what weight, and what keeps their loads even.

Each rule is a small function of the router's logits (N, E): take one, or write another. A token
chooses k experts (`top_k_gate`), perhaps by scores with noise (`noisy_logits`) or with biases that
follow the load (`balance_step`); or an expert chooses its tokens (`expert_choice`, for study: it
looks at later tokens). Two losses are added to a model's where they are wanted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import kernels
from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.functional.elementwise import mul
from minilm.functional.meeting import floats, meet
from minilm.functional.probability import softmax
from minilm.functional.reductions import logsumexp, mean, sum
from minilm.tensor import Tensor, primitive


def top_k_gate(logits: Tensor, k: int, by: Array | None = None) -> tuple[Array, Tensor]:
    """A token's k experts and their weights: a softmax over the logits of the chosen.

    That is the softmax over all, limited to the chosen and divided by its sum (arXiv 2401.04088,
    section 2.1).

    Args:
        logits: (N, E).
        k: experts per token, from 1 to E.
        by: (N, E) scores that choose in place of the logits; the weights are the logits' still.

    Returns:
        experts (N, k) int64, highest score first (of equal ones the lower number), and weights
        (N, k), which add up to 1.

    Raises:
        InputError: k out of range; logits of other than two axes, or that are not numbers.
    """
    scores = _checked("top_k_gate", logits) if by is None else _checked("top_k_gate", by)
    if not 1 <= k <= scores.shape[1]:
        raise InputError(f"k is {k}; it must be from 1 to {scores.shape[1]}, the number of experts")
    if scores.shape != logits.shape:
        raise InputError(f"by has shape {scores.shape}; it must be that of logits, {logits.shape}")
    experts = kernels.top_k(scores, k)
    return experts, softmax_of_chosen(logits, experts)


@primitive
def softmax_of_chosen(logits: Array, experts: Array):
    """Softmax over some logits of each row: (N, E), experts (N, K) all different -> (N, K).

    Raises:
        InputError: experts of other rows, or that the logits do not have.
    """
    logits = floats(logits)
    if logits.ndim != 2 or experts.ndim != 2 or len(experts) != len(logits):
        raise InputError(
            f"softmax_of_chosen: logits is {logits.shape} and experts {experts.shape}; they must "
            "be (N, E) and (N, K)"
        )
    xp, (n, count) = xp_of(logits), logits.shape
    if type(experts) is np.ndarray and experts.size and not (
        0 <= experts.min() and experts.max() < count
    ):  # fmt: skip
        raise InputError(
            f"softmax_of_chosen: experts go from {experts.min()} to {experts.max()}; there are "
            f"{count}"
        )
    places = experts + xp.arange(n)[:, None] * count  # in the flattened logits
    y = kernels.softmax(logits.reshape(-1)[places])  # (N, E) -> (N E,) -> (N, K)

    def pullback(g: Array):
        dlogits = xp.zeros(n * count, logits.dtype)
        dlogits[places] = kernels.softmax_backward(g, y)
        return (dlogits.reshape(n, count),)  # (N E,) -> (N, E)

    return y, pullback


@primitive
def noisy_logits(logits: Array, spread: Array, rng: np.random.Generator):
    """logits + normal noise * softplus(spread): noisy top-k gating (arXiv 1701.06538, eq. 4).

    Args:
        logits, spread: (N, E), each a linear map of the token.
        rng: where the noise comes from.

    Raises:
        InputError: two shapes.
    """
    if logits.shape != spread.shape:
        raise InputError(f"noisy_logits: logits is {logits.shape} and spread {spread.shape}; they "
                         "must be alike")  # fmt: skip
    logits, spread = meet(logits, spread)
    xp = xp_of(logits)
    noise = xp.asarray(rng.standard_normal(logits.shape, np.float32).astype(logits.dtype))
    one = logits.dtype.type(1)
    size = xp.log1p(xp.exp(-xp.abs(spread))) + xp.maximum(spread, 0)
    return logits + noise * size, lambda g: (g, lambda: g * noise / (one + xp.exp(-spread)))


def expert_choice(logits: Tensor, capacity: int) -> tuple[Array, Tensor]:
    """Each expert's `capacity` tokens and their weights (arXiv 2202.09368, section 3.2).

    Loads are equal by construction; a token may be chosen by none, and whether it is depends on
    tokens after it: for study, and not for a model that writes.

    Args:
        logits: (N, E).
        capacity: tokens per expert, from 1 to N.

    Returns:
        tokens (E, capacity) int64, and weights (E, capacity): the softmax over experts.

    Raises:
        InputError: capacity out of range; logits as in `top_k_gate`.
    """
    scores = _checked("expert_choice", logits)
    n, count = scores.shape
    if not 1 <= capacity <= n:
        raise InputError(f"capacity is {capacity}; it must be from 1 to {n}, the number of tokens")
    shares = softmax(logits)  # (N, E)
    tokens = kernels.top_k(xp_of(scores).ascontiguousarray(shares.data.T), capacity)
    return tokens, shares[tokens, xp_of(scores).arange(count)[:, None]]


def load_balance_loss(logits: Tensor, experts: Array) -> Tensor:
    """E sum_e f_e P_e, the Switch Transformer's loss (arXiv 2101.03961, eq. 4).

    f is the share of all choices that fell on an expert (it adds up to 1 for any k), P the mean
    softmax probability: 1 where both are even, E where one expert gets all. Only P has a gradient.

    Args:
        logits: (N, E).
        experts: (N, K), the chosen.

    Raises:
        InputError: no tokens; logits as in `top_k_gate`.
    """
    count = _checked("load_balance_loss", logits).shape[1]
    if not experts.size:
        raise InputError("load_balance_loss: experts is empty; it needs at least one token")
    xp = xp_of(experts)
    counts = xp.bincount(experts.reshape(-1), minlength=count)  # (N, K) -> (N K,) -> (E,)
    load = counts / experts.size
    average = mean(softmax(logits), 0)  # (E,)
    return mul(sum(mul(average, load.astype(average.dtype))), average.dtype.type(count))


def router_z_loss(logits: Tensor) -> Tensor:
    """The mean square of the logits' logsumexp, which keeps them small (arXiv 2202.08906, eq. 5).

    Args:
        logits: (N, E).

    Raises:
        InputError: logits as in `top_k_gate`.
    """
    _checked("router_z_loss", logits)
    size = logsumexp(logits)  # (N,)
    return mean(mul(size, size))


def balance_step(bias: Array, experts: Array, rate: float = 1e-3) -> Array:
    """The biases after one step of balancing without a loss (arXiv 2408.15664, algorithm 1).

    An expert with more than the mean load is made `rate` less likely to be chosen, one with less
    `rate` more. The biases choose and do not weigh: they have no gradient and disturb none.

    Args:
        bias: (E,), added to the scores that choose.
        experts: (N, K), what was chosen in the batch.
        rate: how far a bias moves.

    Raises:
        InputError: a rate below 0, or experts that the bias does not have.
    """
    if not rate >= 0:
        raise InputError(f"rate is {rate}; it must be at least 0")
    xp = xp_of(bias)
    load = xp.bincount(experts.reshape(-1), minlength=len(bias))  # (N, K) -> (N K,) -> (E,)
    if len(load) > len(bias):
        raise InputError(f"experts go up to {len(load) - 1}; bias has {len(bias)}")
    return bias + bias.dtype.type(rate) * xp.sign(load.mean() - load).astype(bias.dtype)


def _checked(name: str, logits: Any) -> Array:
    """The array of the logits, two axes of numbers."""
    array = logits.data if isinstance(logits, Tensor) else logits
    if array.ndim != 2:
        raise InputError(f"{name}: logits has shape {array.shape}; it must be (N, E)")
    if type(array) is np.ndarray and not np.isfinite(array).all():
        row = int(np.argmin(np.isfinite(array).all(1)))
        raise InputError(f"{name}: logits of token {row} are {array[row]}; they must be finite")
    return array
