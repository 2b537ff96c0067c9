"""Judges that compare two answers, one that loves length among them, and what undoes that."""

from typing import NamedTuple

import numpy as np

from minilm.errors import InputError

Array = np.ndarray


class WinRates(NamedTuple):
    """How often the first of two systems wins, from 0 to 1.

    Attributes:
        raw: as it was judged.
        controlled: what a judge would say of answers of equal length.
        pull: how much one standard deviation of extra length moves the judge, in log-odds.
    """

    raw: float
    controlled: float
    pull: float


def preference(gap: Array, longer: Array, per_token: float = 0.0, scale: float = 2.0) -> Array:
    """How likely a simulated judge prefers the first answer: sigmoid(scale gap + bias longer).

    Args:
        gap: (N,) by how much the first answer is better.
        longer: (N,) by how many tokens it is longer.
        per_token: the bias, log-odds for each token; 0 is a fair judge.
        scale: log-odds for each unit of reward.
    """
    return 1 / (1 + np.exp(-(scale * np.asarray(gap) + per_token * np.asarray(longer))))


def length_controlled(won: Array, longer: Array, rounds: int = 50) -> WinRates:
    """The win rate at equal length, from a logistic regression on the difference of lengths.

    logit P(first wins) = a + b tanh(longer / its standard deviation), and the controlled rate is
    sigmoid(a): length is set to equal, all else stays as it was (Dubois et al. 2024, arXiv
    2404.04475, without their term for the difficulty of each question).

    Args:
        won: (N,) scores of the first system: 1, 0, or 0.5 for a draw.
        longer: (N,) by how many tokens its answer is longer.
        rounds: the most Newton steps.

    Raises:
        InputError: shapes that differ, scores out of [0, 1], lengths that never differ, or scores
            that length decides alone, so that no finite fit exists.
    """
    won, longer = np.asarray(won, np.float64), np.asarray(longer, np.float64)
    if won.shape != longer.shape or won.ndim != 1 or not len(won):
        raise InputError(f"won has shape {won.shape} and longer {longer.shape}; both must be (N,)")
    if not ((won >= 0) & (won <= 1)).all():
        raise InputError("won holds a score that is not from 0 to 1")
    if not longer.std() > 0:
        raise InputError("all differences of length are the same; nothing can be controlled for")
    x = np.stack([np.ones_like(longer), np.tanh(longer / longer.std())], axis=1)  # (N, 2)
    weights = np.zeros(2)
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (won - p)
        curve = (x * (p * (1 - p))[:, None]).T @ x
        if not np.linalg.det(curve) > 1e-9:
            raise InputError("length decides all scores; no rate can be controlled for it")
        step = np.linalg.solve(curve, slope)
        weights = weights + step * min(1.0, 2.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-10:
            break
    return WinRates(float(won.mean()), float(1 / (1 + np.exp(-weights[0]))), float(weights[1]))
