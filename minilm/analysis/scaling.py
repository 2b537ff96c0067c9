"""Scaling laws: fit loss against size, data and compute, with intervals around the fit.

Every law is a sum of powers and is fitted as in approach 3 of Hoffmann et al. 2022 (Chinchilla,
arXiv 2203.15556, section 3.3 and appendix D.3); `powers` holds the fit, `laws` what follows from
it. Points that cannot determine all constants of a law are refused.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilm.analysis.laws import HOFFMANN, HOFFMANN_ROUNDED, REFIT_2024, Chinchilla, PowerLaw
from minilm.analysis.powers import check_columns, fit_powers, huber
from minilm.backend import rng
from minilm.errors import InputError

__all__ = [
    "HOFFMANN",
    "HOFFMANN_ROUNDED",
    "REFIT_2024",
    "Chinchilla",
    "Interval",
    "Minimum",
    "PowerLaw",
    "bootstrap",
    "chinchilla_objective",
    "fit_chinchilla",
    "fit_power_law",
    "forecast",
    "frontier",
    "huber",
    "interval",
    "isoflop_minimum",
    "power_fit",
]

Numbers = Sequence[float] | np.ndarray
TOGETHER = 0.05  # the spread of log tokens about a line in log size, below which the two are one


def fit_power_law(
    x: Numbers,
    loss: Numbers,
    constant: bool = True,
    delta: float = 1e-3,
    tries: int = 8,
    start: PowerLaw | None = None,
) -> PowerLaw:
    """Fit L = E + A / x**alpha by a robust fit of log L.

    Args:
        x: (n,) size, tokens or compute, above 0; n at least 4 (3 without the constant), and at
            least 3 (2) different values.
        loss: (n,) nats, above 0.
        constant: fit the floor E; otherwise E is 0 and the law is straight on log-log paper.
        delta: where the Huber loss of the log residual turns from square to absolute.
        tries: how many of the best starts of the grid L-BFGS continues from.
        start: begin from this law alone, instead of the grid, and end early (for many fits of
            nearly the same points).

    Returns:
        The law. Where the loss does not fall with x its exponent is 0, and `undetermined` names the
        constants that the points leave open.

    Raises:
        InputError: too few points or different values of x, lengths that differ, numbers not above
            0.
    """
    x, loss = check_columns(("x", "loss"), (x, loss), 4 if constant else 3)
    _refuse_few("x", x, 3 if constant else 2, "E, A and alpha" if constant else "A and alpha")
    low, middle = float(loss.min()), float(np.log(x).mean())
    starts = []
    if start is not None:
        floor = (math.log(max(start.E, 1e-6 * low)),) if constant else ()
        starts.append((*floor, math.log(start.A), start.alpha))
    for alpha in () if starts else (0.05, 0.1, 0.2, 0.35, 0.5, 0.8, 1.2):
        for floor in (0.1, 0.5, 0.8, 0.95, 0.99) if constant else (0.0,):
            rest = math.log(float(np.median(loss)) - floor * low + 1e-12) + alpha * middle
            starts.append(((math.log(floor * low),) if constant else ()) + (rest, alpha))
    # A flat curve has a valley of equally good laws, in which more steps lead nowhere.
    exact = {"most": 300} if start is None else {"most": 150, "tolerance": 1e-8}
    theta, total = fit_powers([x], loss, constant, delta, starts, tries, **exact)
    floor = math.exp(theta[0]) if constant else 0.0
    return PowerLaw(floor, math.exp(theta[-2]), float(theta[-1]), total)


def fit_chinchilla(
    size: Numbers, tokens: Numbers, loss: Numbers, delta: float = 1e-3, tries: int = 24
) -> Chinchilla:
    """Fit L = E + A / N**alpha + B / D**beta (2203.15556, approach 3).

    The grid of starts is the paper's: alpha and beta in 0..2, log A and log B in 0..25, log E in
    -1..1. All 4500 are scored; L-BFGS runs from the best `tries`.

    Args:
        size: (n,) parameters, n at least 6, at least 3 of them different.
        tokens: (n,) training tokens, at least 3 of them different, and not a power of the sizes.
        loss: (n,) nats per token.
        delta: Huber's delta on the residual of log L.
        tries: how many starts L-BFGS continues from.

    Returns:
        The law. Where the loss does not fall with size or tokens the exponent is 0, and
        `undetermined` names the constants that the points leave open.

    Raises:
        InputError: too few points, lengths that differ, numbers not above 0, or points that cannot
            tell the effect of size from that of tokens.
    """
    size, tokens, loss = check_columns(("size", "tokens", "loss"), (size, tokens, loss), 6)
    _refuse_few("size", size, 3, "E, A and alpha")
    _refuse_few("tokens", tokens, 3, "E, B and beta")
    _refuse_together(size, tokens)
    coefficients, exponents = (0, 5, 10, 15, 20, 25), (0.0, 0.5, 1.0, 1.5, 2.0)
    starts = list(
        itertools.product((-1, -0.5, 0, 0.5, 1), coefficients, coefficients, exponents, exponents)
    )
    theta, total = fit_powers([size, tokens], loss, True, delta, starts, tries)
    e, a, b, alpha, beta = theta.tolist()
    return Chinchilla(math.exp(e), math.exp(a), math.exp(b), alpha, beta, total)


def _refuse_few(name: str, values: np.ndarray, least: int, constants: str) -> None:
    found = len(np.unique(values))
    if found < least:
        raise InputError(
            f"{name} holds {found} different value{'s' * (found > 1)}, which leaves {constants} "
            f"undetermined; it must hold at least {least}"
        )


def _refuse_together(size: np.ndarray, tokens: np.ndarray) -> None:
    """Refuse sizes and tokens of which one is a power of the other, or hardly changes."""
    n, d = np.log(size), np.log(tokens)
    for one, other in ((n, d), (d, n)):
        slope, intercept = np.polyfit(one - one.mean(), other, 1)
        if np.ptp(other - intercept - slope * (one - one.mean())) < TOGETHER:
            raise InputError(
                "size and tokens change together (one is a power of the other within "
                f"{TOGETHER:.0%}), which leaves A, B, alpha and beta undetermined; models of one "
                "size must be trained on different amounts"
            )


def chinchilla_objective(
    law: Chinchilla, size: Numbers, tokens: Numbers, loss: Numbers, delta: float = 1e-3
) -> float:
    """The sum of the Huber losses of the log residuals of given constants on given points.

    Raises:
        InputError: lengths that differ, numbers not above 0.
    """
    size, tokens, loss = check_columns(("size", "tokens", "loss"), (size, tokens, loss), 1)
    return float(huber(np.log(law.loss(size, tokens)) - np.log(loss), delta).sum())


class Interval(NamedTuple):
    """Two ends and what lies between: a median or a mean."""

    low: float
    middle: float
    high: float

    def covers(self, value: float) -> bool:
        """Whether the value is inside, ends included."""
        return self.low <= value <= self.high


def interval(values: Numbers, level: float = 0.9) -> Interval:
    """The central interval that holds this share of the values, with the median.

    Raises:
        InputError: no values, or a level that is not between 0 and 1.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0:
        raise InputError("values is empty; an interval needs at least one value")
    if not 0 < level < 1:
        raise InputError(f"level is {level}; it must be above 0 and below 1")
    low, middle, high = np.quantile(values, [(1 - level) / 2, 0.5, (1 + level) / 2])
    return Interval(float(low), float(middle), float(high))


def bootstrap(
    fit: Callable[..., Any], *columns: Numbers, resamples: int = 100, seed: int = 0
) -> list[Any]:
    """Fit again on points drawn with replacement (Efron 1979): one fit per resample.

    Args:
        fit: takes the columns, returns the fitted law.
        columns: each (n,); the same points are drawn from all of them.
        resamples: how many fits.
        seed: of the draws. A draw with fewer than three different points, or that `fit` refuses, is
            drawn again.

    Returns:
        The fitted laws.

    Raises:
        InputError: columns of unequal lengths, fewer than 3 points, or points of which `fit`
            refuses nearly every draw.
    """
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    if resamples < 1:
        raise InputError(f"resamples is {resamples}; it must be 1 or more")
    if not arrays or any(a.shape != arrays[0].shape or a.ndim != 1 for a in arrays):
        shapes = ", ".join(str(a.shape) for a in arrays) or "none"
        raise InputError(f"columns have the shapes {shapes}; all must be one (n,)")
    n, draws, fits = len(arrays[0]), rng(seed, "bootstrap"), []
    if n < 3:
        raise InputError(f"columns have {n} points; a bootstrap needs at least 3")
    refused = 0
    while len(fits) < resamples:
        rows = draws.integers(0, n, n)
        if len(np.unique(rows)) < 3:
            continue
        try:
            fits.append(fit(*(a[rows] for a in arrays)))
        except InputError:
            refused += 1
            if refused > 20 * (len(fits) + 1):
                raise
    return fits


def forecast(
    x: Numbers,
    loss: Numbers,
    at: float,
    level: float = 0.9,
    resamples: int = 200,
    seed: int = 0,
    constant: bool = True,
) -> Interval:
    """Predict the loss at a larger x from a power law, including the noise of a new point.

    This is a bootstrap of residuals: new losses are the fitted ones times the exponential of log
    residuals drawn with replacement (widened by sqrt(n / (n - p)) for the p fitted numbers); the
    law is fitted again and read at `at`, and one more drawn residual is added.

    Args:
        x, loss: (n,) the known points.
        at: where to predict.
        level: share of new measurements that the interval is meant to hold.
        resamples: how many times to fit again.
        seed: of the draws.
        constant: fit the floor E.

    Raises:
        InputError: too few points, lengths that differ, numbers not above 0.
    """
    x, loss = check_columns(("x", "loss"), (x, loss), 5 if constant else 4)
    law = fit_power_law(x, loss, constant, tries=4)
    fitted, free = np.asarray(law.loss(x)), 3 if constant else 2
    residual = (np.log(loss) - np.log(fitted)) * math.sqrt(len(x) / (len(x) - free))
    draws = rng(seed, "forecast")
    values = []
    for _ in range(resamples):
        again = fitted * np.exp(draws.choice(residual, len(x)))
        new = fit_power_law(x, again, constant, start=law).loss(at)
        values.append(float(new * np.exp(draws.choice(residual))))
    return interval(values, level)


class Minimum(NamedTuple):
    """The bottom of an IsoFLOP curve."""

    size: float  # parameters
    loss: float  # nats per token
    bracketed: bool  # the bottom is between the smallest and the largest size tried


def isoflop_minimum(size: Numbers, loss: Numbers) -> Minimum:
    """The best size at one compute budget: a parabola in log N (2203.15556, approach 2).

    Args:
        size: (n,) parameters of models trained with the same FLOPs, n at least 3.
        loss: (n,) their final losses.

    Raises:
        InputError: fewer than 3 sizes, or a parabola that opens downwards (no minimum).
    """
    size, loss = check_columns(("size", "loss"), (size, loss), 3)
    _refuse_few("size", size, 3, "the parabola")
    x = np.log(size)
    a, b, c = np.polyfit(x - x.mean(), loss, 2)
    if a <= 0:
        raise InputError(
            "loss has no minimum over size (the parabola through it opens downwards or is a "
            "line); try smaller and larger sizes"
        )
    bottom = -b / (2 * a)
    inside = bool(x.min() <= bottom + x.mean() <= x.max())
    return Minimum(float(np.exp(bottom + x.mean())), float(c - b * b / (4 * a)), inside)


def power_fit(x: Numbers, y: Numbers) -> tuple[float, float, float]:
    """The straight line on log-log paper, y = k x**p.

    With budgets as x and `isoflop_minimum` sizes as y, p is the exponent of N* in C**p.

    Returns:
        k, p, and R squared of log y.

    Raises:
        InputError: fewer than 2 different values of x, lengths that differ, numbers not above 0.
    """
    x, y = check_columns(("x", "y"), (x, y), 2)
    _refuse_few("x", x, 2, "k and p")
    p, intercept = np.polyfit(np.log(x), np.log(y), 1)
    rest = np.log(y) - intercept - p * np.log(x)
    spread = ((np.log(y) - np.log(y).mean()) ** 2).sum()
    return (
        float(np.exp(intercept)),
        float(p),
        float(1 - (rest**2).sum() / spread) if spread else 1.0,
    )


def frontier(compute: Numbers, loss: Numbers) -> np.ndarray:
    """The indices of runs that no cheaper (or equally cheap) run beats, in order of compute.

    Raises:
        InputError: lengths that differ, numbers not above 0.
    """
    compute, loss = check_columns(("compute", "loss"), (compute, loss), 1)
    order = np.lexsort((loss, compute))
    best = np.minimum.accumulate(loss[order])
    first = np.concatenate([[True], best[1:] < best[:-1]])
    return order[first]
