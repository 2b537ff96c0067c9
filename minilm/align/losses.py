"""Losses over pairs of answers and over rollouts.

log-probabilities are of whole answers, summed over their tokens, (N,) each; means over the batch.
"""

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.backend import xp_of
from minilm.errors import InputError
from minilm.tensor import Tensor


def _check_same(**given: Any) -> None:
    shapes = {name: np.shape(getattr(x, "data", x)) for name, x in given.items()}
    first = next(iter(shapes))
    for name, shape in shapes.items():
        if shape != shapes[first]:
            raise InputError(
                f"{name} has shape {shape}; it must have that of {first}, {shapes[first]}"
            )


def _check_above_zero(**given: float) -> None:
    for name, value in given.items():
        if not value > 0:
            raise InputError(f"{name} is {value}; it must be above 0")


def bradley_terry_loss(better: Tensor, worse: Tensor) -> Tensor:
    """-log sigmoid(r_better - r_worse): how likely the pair is under its rewards.

    Only differences count: a number added to both changes nothing (Bradley and Terry 1952; Ouyang
    et al. 2022, arXiv 2203.02155, eq. 1).

    Args:
        better, worse: (N,) rewards.

    Raises:
        InputError: the shapes differ.
    """
    _check_same(better=better, worse=worse)
    return F.softplus(worse - better).mean()


def _gap(better: Any, worse: Any, ref_better: Any, ref_worse: Any) -> Tensor:
    """How much more the policy prefers the better answer than the reference does, in nats."""
    _check_same(better=better, worse=worse, ref_better=ref_better, ref_worse=ref_worse)
    return (better - ref_better) - (worse - ref_worse)


def dpo_loss(
    better: Tensor,
    worse: Tensor,
    ref_better: Any,
    ref_worse: Any,
    beta: float = 0.1,
    smoothing: Any = 0.0,
) -> Tensor:
    """Direct preference optimisation: -log sigmoid(beta gap) (Rafailov et al. 2023, eq. 7).

    The gap is that of the log-ratios, (log pi - log ref)(better) - (log pi - log ref)(worse). With
    `smoothing` e each label is taken to be wrong with probability e ("conservative" DPO), and the
    gap stops at log((1 - e) / e) / beta. arXiv 2305.18290.

    Args:
        better, worse: (N,) log-probabilities of the answers under the policy.
        ref_better, ref_worse: the same under the reference.
        beta: strength of the tie to the reference.
        smoothing: from 0 to 1; a number, or (N,), one for each pair.

    Raises:
        InputError: shapes differ, `beta` is not above 0, or `smoothing` out of [0, 1].
    """
    _check_above_zero(beta=beta)
    smoothing = xp_of(better.data).asarray(smoothing, better.dtype)
    if not ((smoothing >= 0) & (smoothing <= 1)).all():
        raise InputError(f"smoothing is {smoothing}; it must lie between 0 and 1")
    gap = beta * _gap(better, worse, ref_better, ref_worse)
    loss = F.softplus(-gap)
    if smoothing.any():
        loss = (1 - smoothing) * loss + smoothing * F.softplus(gap)
    return loss.mean()


def ipo_loss(
    better: Tensor, worse: Tensor, ref_better: Any, ref_worse: Any, beta: float = 0.1
) -> Tensor:
    """(gap - 1 / (2 beta))^2: a gap to reach and not to pass (Azar et al., arXiv 2310.12036).

    Arguments and errors as for `dpo_loss`.
    """
    _check_above_zero(beta=beta)
    gap = _gap(better, worse, ref_better, ref_worse)
    return ((gap - 1 / (2 * beta)) ** 2).mean()


def kto_loss(
    policy: Tensor,
    ref: Any,
    good: np.ndarray,
    baseline: float,
    beta: float = 0.1,
    weights: tuple[float, float] = (1.0, 1.0),
) -> Tensor:
    """Answers that are good or bad by themselves, no pairs (Ethayarajh et al., arXiv 2402.01306).

    A good one costs w (1 - sigmoid(beta (ratio - z))), a bad one w (1 - sigmoid(beta (z - ratio))),
    with the ratio log pi - log ref and z the policy's divergence from the reference (eq. 8).

    Args:
        policy, ref: (N,) log-probabilities.
        good: (N,) bool.
        baseline: z, at least 0; no gradient goes through it.
        beta: as for `dpo_loss`.
        weights: w of good and of bad answers.

    Raises:
        InputError: shapes differ, `beta` is not above 0, or `baseline` is negative.
    """
    _check_above_zero(beta=beta)
    if not baseline >= 0:
        raise InputError(f"baseline is {baseline}; it must be at least 0, as a divergence is")
    good = np.asarray(good, bool)
    _check_same(policy=policy, ref=ref, good=good)
    sign = np.where(good, 1.0, -1.0)
    weight = np.where(good, *weights)
    return (weight * F.sigmoid(-beta * sign * (policy - ref - baseline))).mean()


def orpo_loss(better: Tensor, worse: Tensor, strength: float = 0.1) -> Tensor:
    """-log p(better) - strength log sigmoid(log-odds ratio), and no reference.

    (Hong et al. 2024, arXiv 2403.07691, eq. 6.)

    Args:
        better, worse: (N,) *mean* log-probabilities of a token of each answer, below 0.
        strength: lambda.

    Raises:
        InputError: shapes differ, or a log-probability is not below 0.
    """
    _check_same(better=better, worse=worse)
    for name, logp in (("better", better), ("worse", worse)):
        if not (logp.data < 0).all():
            raise InputError(f"{name} holds a log-probability that is not below 0; odds need p < 1")

    def log_odds(logp: Tensor) -> Tensor:
        return logp - F.log(1 - F.exp(logp))

    ratio = log_odds(better) - log_odds(worse)
    return (-better + strength * F.softplus(-ratio)).mean()


def ppo_loss(logp: Tensor, old: Any, advantage: Any, clip: float = 0.2) -> Tensor:
    """-min(ratio A, clip(ratio, 1 - e, 1 + e) A) (Schulman et al. 2017, arXiv 1707.06347, eq. 7).

    Args:
        logp: log-probabilities of what was drawn, under the policy; any shape.
        old: the same under the policy that drew it.
        advantage: A, of the same shape.
        clip: e.

    Raises:
        InputError: shapes differ, or `clip` is out of (0, 1).
    """
    _check_same(logp=logp, old=old, advantage=advantage)
    if not 0 < clip < 1:
        raise InputError(f"clip is {clip}; it must lie between 0 and 1")
    advantage = np.asarray(advantage)
    ratio = F.exp(logp - old)
    # Past the edge on the side that pays, the ratio is held, and gives no gradient.
    over = np.where(advantage > 0, ratio.data > 1 + clip, ratio.data < 1 - clip)
    held = np.where(advantage > 0, 1 + clip, 1 - clip)
    return -(F.where(over, held, ratio) * advantage).mean()
