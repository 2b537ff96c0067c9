"""Scaling laws: fit loss against size, data and compute, and decide with the fit.

Every law here is a sum of powers and is fitted as in approach 3 of Hoffmann et al. 2022
(Chinchilla, arXiv 2203.15556, section 3.3 and appendix D.3); `powers` holds the fit.
Losses are nats per token, sizes parameters, data tokens, compute FLOPs with C = 6 N D.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minilm.analysis.powers import checked, fit_powers, huber
from minilm.backend import rng
from minilm.errors import InputError

Numbers = Sequence[float] | np.ndarray


@dataclass(frozen=True)
class PowerLaw:
    """L(x) = E + A / x**alpha."""

    E: float
    A: float
    alpha: float
    objective: float = 0.0  # sum of the Huber losses of the log residuals of the fit

    def loss(self, x: float | np.ndarray) -> float | np.ndarray:
        """The loss at x."""
        return self.E + self.A * np.asarray(x, dtype=np.float64) ** -self.alpha

    def needed(self, loss: float) -> float:
        """The x at which the loss is reached; infinite at or below the floor E."""
        return (self.A / (loss - self.E)) ** (1 / self.alpha) if loss > self.E else math.inf


@dataclass(frozen=True)
class Chinchilla:
    """L(N, D) = E + A / N**alpha + B / D**beta (2203.15556, equation 2)."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    objective: float = 0.0  # sum of the Huber losses of the log residuals of the fit

    def loss(self, size: float | np.ndarray, tokens: float | np.ndarray) -> float | np.ndarray:
        """Nats per token of a model of this many parameters after this many tokens."""
        size, tokens = np.asarray(size, dtype=np.float64), np.asarray(tokens, dtype=np.float64)
        return self.E + self.A * size**-self.alpha + self.B * tokens**-self.beta

    @property
    def size_exponent(self) -> float:
        """a in N* proportional to C**a: beta / (alpha + beta)."""
        return self.beta / (self.alpha + self.beta)

    def optimal(self, compute: float) -> tuple[float, float]:
        """The size and the tokens of least loss for this compute, C = 6 N D (equation 4)."""
        if compute <= 0:
            raise InputError(f"compute is {compute}; it must be above 0 FLOPs")
        g = (self.alpha * self.A / (self.beta * self.B)) ** (1 / (self.alpha + self.beta))
        size = g * (compute / 6) ** self.size_exponent
        return size, compute / 6 / size

    def tokens_needed(self, size: float, loss: float) -> float:
        """Tokens that a model of this size needs to reach the loss; infinite if it never does."""
        left = loss - self.E - self.A * size**-self.alpha
        return (self.B / left) ** (1 / self.beta) if left > 0 else math.inf

    def cheapest(self, loss: float) -> tuple[float, float]:
        """The size and tokens that reach this loss with the least compute."""
        if loss <= self.E:
            raise InputError(f"loss is {loss}; it must be above the floor E = {self.E}")
        # At the optimum alpha A / N^alpha = beta B / D^beta: each term's share of L - E is fixed.
        share = self.beta / (self.alpha + self.beta)
        size = (self.A / (share * (loss - self.E))) ** (1 / self.alpha)
        return size, self.tokens_needed(size, loss)

    def overhead(self, size: float, tokens: float) -> tuple[float, float]:
        """What it costs to train this model in place of the compute-optimal one of equal loss.

        Returns:
            Extra training compute, and compute saved per generated token, as fractions: a
            smaller model trained for longer is dearer to train and cheaper to run.
        """
        best_size, best_tokens = self.cheapest(float(self.loss(size, tokens)))
        return size * tokens / (best_size * best_tokens) - 1, 1 - size / best_size


# Hoffmann et al. 2022: as printed, and the unrounded values behind the print.
HOFFMANN_ROUNDED = Chinchilla(1.69, 406.4, 410.7, 0.34, 0.28)
HOFFMANN = Chinchilla(
    math.exp(0.5267228), math.exp(6.0073404), math.exp(6.0179186), 0.33917084, 0.2849083
)
# A refit of 240 points read off the paper's figure (Besiroglu, Erdil, Barnett and You 2024,
# arXiv 2404.10102), as their public notebook prints it.
REFIT_2024 = Chinchilla(1.817236, 477.84, 2143.86, 0.347313, 0.367183)


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
        x: (n,) size, tokens or compute, above 0; n at least 4 (3 without the constant).
        loss: (n,) nats, above 0.
        constant: fit the floor E; otherwise E is 0 and the law is straight on log-log paper.
        delta: where the Huber loss of the log residual turns from square to absolute.
        tries: how many of the best starts of the grid L-BFGS continues from.
        start: begin from this law alone, in place of the grid, and end early (for many fits of
            nearly the same points).

    Raises:
        InputError: too few points, lengths that differ, numbers not above 0.
    """
    x, loss = checked(("x", "loss"), (x, loss), 4 if constant else 3)
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
        size: (n,) parameters, n at least 6.
        tokens: (n,) training tokens.
        loss: (n,) nats per token.
        delta: Huber's delta on the residual of log L.
        tries: how many starts L-BFGS continues from.

    Raises:
        InputError: too few points, lengths that differ, numbers not above 0.
    """
    size, tokens, loss = checked(("size", "tokens", "loss"), (size, tokens, loss), 6)
    coefficients, exponents = (0, 5, 10, 15, 20, 25), (0.0, 0.5, 1.0, 1.5, 2.0)
    starts = list(
        itertools.product((-1, -0.5, 0, 0.5, 1), coefficients, coefficients, exponents, exponents)
    )
    theta, total = fit_powers([size, tokens], loss, True, delta, starts, tries)
    e, a, b, alpha, beta = theta.tolist()
    return Chinchilla(math.exp(e), math.exp(a), math.exp(b), alpha, beta, total)


def chinchilla_objective(
    law: Chinchilla, size: Numbers, tokens: Numbers, loss: Numbers, delta: float = 1e-3
) -> float:
    """Sum of the Huber losses of log residuals of given constants on given points."""
    size, tokens, loss = checked(("size", "tokens", "loss"), (size, tokens, loss), 1)
    return float(huber(np.log(law.loss(size, tokens)) - np.log(loss), delta).sum())


class Interval(NamedTuple):
    """Two ends and what lies between: a median or a mean."""

    low: float
    middle: float
    high: float

    def covers(self, value: float) -> bool:
        """Whether the value lies inside, ends included."""
        return self.low <= value <= self.high


def interval(values: Numbers, level: float = 0.9) -> Interval:
    """The central interval that holds this share of the values, with the median."""
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0 or not 0 < level < 1:
        raise InputError(f"level is {level} over {values.size} values; need 0 < level < 1, 1 value")
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
        seed: of the draws. A draw with fewer than three different points is drawn again.
    """
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    if resamples < 1:
        raise InputError(f"resamples is {resamples}; it must be 1 or more")
    if not arrays or any(a.shape != arrays[0].shape or a.ndim != 1 for a in arrays):
        raise InputError("columns must be one-dimensional and of one length")
    n, draws, fits = len(arrays[0]), rng(seed, "bootstrap"), []
    if n < 3:
        raise InputError(f"columns have {n} points; a bootstrap needs at least 3")
    while len(fits) < resamples:
        rows = draws.integers(0, n, n)
        if len(np.unique(rows)) >= 3:
            fits.append(fit(*(a[rows] for a in arrays)))
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
    """Predict the loss at a larger x from a power law, with the noise of a new point in it.

    A bootstrap of residuals: new losses are the fitted ones times the exponential of log
    residuals drawn with replacement (widened by sqrt(n / (n - p)) for the p fitted numbers), the
    law is fitted again, read at `at`, and one more drawn residual is added.

    Args:
        x, loss: (n,) the points that are known.
        at: where to predict.
        level: share of new measurements that the interval is meant to hold.
    """
    x, loss = checked(("x", "loss"), (x, loss), 5 if constant else 4)
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
    bracketed: bool  # the bottom lies between the smallest and the largest size tried


def isoflop_minimum(size: Numbers, loss: Numbers) -> Minimum:
    """The best size at one compute budget: a parabola in log N (2203.15556, approach 2).

    Args:
        size: (n,) parameters of models trained with the same FLOPs, n at least 3.
        loss: (n,) their final losses.

    Raises:
        InputError: fewer than 3 sizes, or a parabola that opens downwards (no minimum).
    """
    size, loss = checked(("size", "loss"), (size, loss), 3)
    if len(np.unique(size)) < 3:
        raise InputError("size must hold at least 3 different values for a parabola")
    x = np.log(size)
    a, b, c = np.polyfit(x - x.mean(), loss, 2)
    if a <= 0:
        raise InputError("loss has no minimum over size: the parabola through it opens downwards")
    bottom = -b / (2 * a)
    inside = bool(x.min() <= bottom + x.mean() <= x.max())
    return Minimum(float(np.exp(bottom + x.mean())), float(c - b * b / (4 * a)), inside)


def power_fit(x: Numbers, y: Numbers) -> tuple[float, float, float]:
    """Straight line on log-log paper: y = k x**p; returns k, p and R squared of log y.

    With budgets as x and `isoflop_minimum` sizes as y, p is the exponent of N* in C**p.
    """
    x, y = checked(("x", "y"), (x, y), 2)
    p, intercept = np.polyfit(np.log(x), np.log(y), 1)
    rest = np.log(y) - intercept - p * np.log(x)
    spread = ((np.log(y) - np.log(y).mean()) ** 2).sum()
    return (
        float(np.exp(intercept)),
        float(p),
        float(1 - (rest**2).sum() / spread) if spread else 1.0,
    )


def frontier(compute: Numbers, loss: Numbers) -> np.ndarray:
    """Indices of the runs that no cheaper (or equally cheap) run beats, in order of compute."""
    compute, loss = checked(("compute", "loss"), (compute, loss), 1)
    order = np.lexsort((loss, compute))
    best = np.minimum.accumulate(loss[order])
    first = np.concatenate([[True], best[1:] < best[:-1]])
    return order[first]
