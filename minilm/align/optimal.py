"""What an ideal learner would reach, where all answers can be listed.

The best trade of reward against divergence from a reference, max E[r] - beta KL(pi || ref), is the
reference tilted by the reward: pi* = ref e^{r / beta} / Z, and its value is beta log Z.
"""

import numpy as np
from scipy.optimize import brentq

from minilm.errors import InputError

Array = np.ndarray


def _check_distribution(p: Array) -> Array:
    p = np.asarray(p, np.float64)
    if p.ndim != 1 or p.size == 0 or not np.isfinite(p).all() or p.min() < 0:
        raise InputError("the distribution is not one row of finite numbers that are 0 or more")
    if abs(p.sum() - 1) > 1e-6:
        raise InputError(f"the distribution adds up to {p.sum():.6g}; it must add up to 1")
    return p


def _check_rewards(r: Array, like: Array) -> Array:
    r = np.asarray(r, np.float64)
    if r.shape != like.shape:
        raise InputError(f"rewards have shape {r.shape}; they must have {like.shape}")
    if not np.isfinite(r).all():
        raise InputError("a reward is nan or infinite; rewards must be finite")
    return r


def _tilted(ref: Array, rewards: Array, beta: float) -> tuple[Array, float]:
    """log of ref e^{r / beta}, and the log of its sum."""
    if not beta > 0:
        raise InputError(f"beta is {beta}; it must be above 0")
    ref = _check_distribution(ref)
    with np.errstate(divide="ignore"):
        log = np.log(ref) + _check_rewards(rewards, ref) / beta
    return log, float(np.logaddexp.reduce(log))


def optimal_policy(ref: Array, rewards: Array, beta: float) -> Array:
    """pi* = ref e^{r / beta} / Z (Rafailov et al. 2023, arXiv 2305.18290, eq. 4).

    Args:
        ref: (K,) probabilities of the answers under the reference.
        rewards: (K,).
        beta: above 0; large: the reference, small: the best answer.

    Raises:
        InputError: no distribution, rewards that are not finite, or a `beta` that is not above 0.
    """
    log, total = _tilted(ref, rewards, beta)
    return np.exp(log - total)


def value_of(ref: Array, rewards: Array, beta: float) -> float:
    """beta log Z: reward less beta times divergence of the optimal policy; arguments as there."""
    return beta * _tilted(ref, rewards, beta)[1]


def divergence_of(policy: Array, ref: Array) -> float:
    """KL(policy || ref) in nats, both (K,); answers that the policy never gives count nothing."""
    given = policy > 0
    return float(policy[given] @ (np.log(policy[given]) - np.log(ref[given])))


def optimal_at(ref: Array, rewards: Array, kl: float) -> Array:
    """The policy with the highest reward among all that diverge by so much: the tilt is solved for.

    Args:
        ref: (K,) probabilities of the answers under the reference.
        rewards: (K,).
        kl: nats, above 0 and below what it takes to give the best answers alone.

    Raises:
        InputError: as `optimal_policy`, or a `kl` that no tilt has.
    """
    ref = _check_distribution(ref)
    rewards = _check_rewards(rewards, ref)
    most = -np.log(ref[rewards == rewards[ref > 0].max()].sum())
    if not 0 < kl < most:
        raise InputError(f"kl is {kl}; it must lie between 0 and {most:.4g}, the best answer's own")

    def too_far(log_beta: float) -> float:
        return divergence_of(optimal_policy(ref, rewards, np.exp(log_beta)), ref) - kl

    low = high = np.log(rewards.std() + 1e-12)
    while too_far(low) < 0:
        low -= 1.0
    while too_far(high) > 0:
        high += 1.0
    return optimal_policy(ref, rewards, np.exp(brentq(too_far, low, high, xtol=1e-12)))


def best_of_n(ref: Array, rewards: Array, n: int) -> Array:
    """How often each answer is the best of n drawn from the reference; ties share.

    Args:
        ref: (K,) probabilities.
        rewards: (K,).
        n: at least 1.

    Raises:
        InputError: as for `optimal_policy`, or `n` is below 1.
    """
    if n < 1:
        raise InputError(f"n is {n}; it must be at least 1")
    ref = _check_distribution(ref)
    rewards = _check_rewards(rewards, ref)
    levels, level = np.unique(rewards, return_inverse=True)
    mass = np.bincount(level, ref, len(levels))
    upto = np.minimum(np.cumsum(mass), 1.0)
    won = upto**n - np.append(0.0, upto[:-1]) ** n  # the best draw has this reward
    share = np.divide(ref, mass[level], out=np.zeros_like(ref), where=mass[level] > 0)
    return won[level] * share


def best_of_n_kl(n: int) -> float:
    """log n - (n - 1) / n: the most that best of n diverges from the reference, in nats.

    Reached where no two answers have the same reward and none is likely (Beirami et al. 2024,
    arXiv 2401.01879).
    """
    if n < 1:
        raise InputError(f"n is {n}; it must be at least 1")
    return float(np.log(n) - (n - 1) / n)
