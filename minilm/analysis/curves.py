"""The shape of a curve: its class, how wide its rise is, where two curves cross, the U.

`compute` is the scale of each model (FLOPs, parameters or tokens), always in decades.
"""

from collections.abc import Sequence

import numpy as np

from minilm.analysis.scaling import Interval
from minilm.errors import InputError

CLASSES = ("smooth", "flat", "inverse", "uncorrelated", "emergent")

Numbers = Sequence[float] | np.ndarray


def _check_columns(compute: Numbers, *scores: Numbers, least: int = 2) -> tuple[np.ndarray, ...]:
    """log10 compute and the scores, float64, sorted by compute.

    Raises:
        InputError: shapes that differ, too few points, or numbers that cannot be used.
    """
    x = np.asarray(compute, dtype=np.float64)
    ys = [np.asarray(score, dtype=np.float64) for score in scores]
    if x.ndim != 1 or any(y.shape != x.shape for y in ys):
        shapes = ", ".join(str(y.shape) for y in ys)
        raise InputError(f"compute has shape {x.shape}, scores {shapes}; all must be one (n,)")
    if len(x) < least:
        raise InputError(f"compute has {len(x)} points; at least {least} are needed")
    if not (np.isfinite(x) & (x > 0)).all():
        bad = x[~(np.isfinite(x) & (x > 0))][0]
        raise InputError(f"compute holds {bad}; all its numbers must be finite and above 0")
    if len(np.unique(x)) != len(x):
        raise InputError(f"compute holds {len(np.unique(x))} different numbers of {len(x)}; all "
                         "must be different")  # fmt: skip
    for y in ys:
        if not np.isfinite(y).all():
            raise InputError(f"scores hold {y[~np.isfinite(y)][0]}; all must be finite")
    order = np.argsort(x)
    return (np.log10(x[order]), *(y[order] for y in ys))


def rank_correlation(x: Numbers, y: Numbers) -> float:
    """Spearman's rank correlation, ties sharing their mean rank; 0 for a constant series."""

    def ranks(values: Numbers) -> np.ndarray:
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        return (np.cumsum(counts) - (counts - 1) / 2)[inverse]

    a, b = ranks(x), ranks(y)
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / scale) if scale > 0 else 0.0


def t_interval(values: Numbers, level: float = 0.95) -> Interval:
    """Where the mean lies of which a few values are samples: mean +- t s / sqrt(n).

    Two standard errors are 95 % only for many values: with three they hold the true mean in 82
    cases of 100, with five in 88. Student's t (Student 1908, "The probable error of a mean")
    puts that right: 4.30 standard errors for three values, 2.78 for five.

    Args:
        values: (n,) one number per seed, n >= 2; a paired difference is one number per seed too.
        level: share of such intervals that hold the true mean.

    Returns:
        low end, mean, high end.

    Raises:
        InputError: fewer than two values, one that is not finite, or a level outside 0..1.
    """
    from scipy.special import stdtrit  # scipy.stats would take a second to import

    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or len(numbers) < 2:
        raise InputError(f"values have shape {numbers.shape}; it must be (n,) with n >= 2")
    if not np.isfinite(numbers).all():
        raise InputError(f"values are {numbers.tolist()}; they must be finite")
    if not 0 < level < 1:
        raise InputError(f"level is {level}; it must lie between 0 and 1")
    mean, n = float(numbers.mean()), len(numbers)
    reach = float(stdtrit(n - 1, (1 + level) / 2) * numbers.std(ddof=1) / np.sqrt(n))
    return Interval(mean - reach, mean, mean + reach)


def classify_curve(
    compute: Numbers,
    accuracy: Numbers,
    chance: float = 0.0,
    noise: float = 0.03,
    jump: float = 0.2,
) -> str:
    """Sort a scaling curve into one of five classes.

    Wei et al. 2022 (arXiv 2206.07682) sorted 202 BIG-Bench tasks by eye; this is our rule for
    the same words, applied in this order:

    1. flat: all scores are within `2 * noise` of each other;
    2. emergent: the smallest models, at least two and at least a third of all, stay within
       `2 * noise` of chance; every later one is above that, and the largest is at least `jump`
       above chance. A line through the models at chance does not predict the rise;
    3. uncorrelated: Spearman's rank correlation with compute is from -0.5 to 0.5;
    4. smooth or inverse: by its sign.

    Args:
        compute: (n,) scale of each model, n >= 4, in any order.
        accuracy: (n,) score of each model, higher is better.
        chance: the score of guessing.
        noise: standard error of one score.
        jump: the least rise above chance that counts as "well above".

    Raises:
        InputError: fewer than 4 points, or numbers that cannot be used.
    """
    x, y = _check_columns(compute, accuracy, least=4)
    if noise < 0 or jump <= 0:
        raise InputError(
            f"noise is {noise} and jump is {jump}; noise must be 0 or more and jump above 0"
        )
    if np.ptp(y) <= 2 * noise:
        return "flat"
    near = np.abs(y - chance) <= 2 * noise
    onset = len(y) if near.all() else int(np.argmin(near))  # first model away from chance
    risen = (y[onset:] > chance + 2 * noise).all() and y[-1] >= chance + jump
    if max(2, len(y) / 3) <= onset < len(y) and risen:
        return "emergent"
    correlation = rank_correlation(x, y)
    if abs(correlation) <= 0.5:
        return "uncorrelated"
    return "smooth" if correlation > 0 else "inverse"


def monotone(score: Numbers, rising: bool = True) -> np.ndarray:
    """The nearest monotone series in least squares (pool adjacent violators): (n,) -> (n,)."""
    blocks: list[list[float]] = []  # [mean, count]
    sign = 1 if rising else -1
    for value in np.asarray(score, dtype=np.float64):
        blocks.append([sign * value, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, count = blocks.pop()
            blocks[-1][0] = (blocks[-1][0] * blocks[-1][1] + mean * count) / (blocks[-1][1] + count)
            blocks[-1][1] += count
    return np.concatenate([np.full(int(n), sign * mean) for mean, n in blocks])


def _reach(x: np.ndarray, y: np.ndarray, level: float) -> float:
    """Where a rising y first reaches the level, with x interpolated; nan if it never does."""
    i = int(np.argmax(y >= level)) if (y >= level).any() else -1
    if i <= 0:
        return float(x[0]) if i == 0 and y[0] == level else float("nan")
    return float(x[i - 1] + (x[i] - x[i - 1]) * (level - y[i - 1]) / (y[i] - y[i - 1]))


def width_10_90(
    compute: Numbers, score: Numbers, start: float | None = None, end: float | None = None
) -> float:
    """Decades of compute that the score takes from 10 % to 90 % of its way.

    The series is first made monotone, then interpolated linearly in log10 compute. A small width
    means a sudden change.

    Args:
        compute: (n,).
        score: (n,), rising (accuracy) or falling (loss).
        start, end: the score at 0 % and at 100 %; the first and last monotone value by default.

    Returns:
        The width in decades; nan where the curve starts past 10 %, or never reaches 90 %.

    Raises:
        InputError: numbers that cannot be used, or start and end at the same level.
    """
    x, y = _check_columns(compute, score)
    rising = bool(y[-1] >= y[0]) if start is None or end is None else end > start
    y = monotone(y, rising)
    start = float(y[0]) if start is None else start
    end = float(y[-1]) if end is None else end
    if start == end:
        raise InputError(f"start and end are both {start}; a width needs two different levels")
    share = (y - start) / (end - start)
    return _reach(x, share, 0.9) - _reach(x, share, 0.1)


def onset(compute: Numbers, score: Numbers, level: float) -> float:
    """The compute at which a rising score first reaches the level, interpolated; nan if never."""
    x, y = _check_columns(compute, score)
    if y[0] >= level:
        return float(10 ** x[0])
    return float(10 ** _reach(x, y, level))


def read_at(compute: Numbers, score: Numbers, at: float) -> float:
    """The score at some compute, interpolated in log10 compute; nan outside the points.

    It reads IsoFLOP lines off runs that were tested along the way.

    Raises:
        InputError: numbers that cannot be used.
    """
    x, y = _check_columns(compute, score)
    if at <= 0:
        raise InputError(f"at is {at}; it must be above 0")
    return float(np.interp(np.log10(at), x, y, left=np.nan, right=np.nan))


def at_matched_loss(loss: Numbers, score: Numbers, level: float) -> float:
    """The score of a run at the moment its loss first falls to a level; nan if it never does.

    For the claim that loss, not size, decides what a model can do (Du et al. 2024, arXiv
    2403.15796): read several sizes at one loss.

    Args:
        loss, score: (n,) along one run, in order of steps.
        level: nats.

    Raises:
        InputError: shapes that differ, or no points.
    """
    a, b = np.asarray(loss, dtype=np.float64), np.asarray(score, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or len(a) == 0:
        raise InputError(f"loss has shape {a.shape} and score {b.shape}; both must be one (n,)")
    below = np.flatnonzero(a <= level)
    if len(below) == 0:
        return float("nan")
    i = int(below[0])
    if i == 0:
        return float(b[0]) if a[0] == level else float("nan")
    return float(b[i - 1] + (b[i] - b[i - 1]) * (a[i - 1] - level) / (a[i - 1] - a[i]))


def crossing(compute: Numbers, first: Numbers, second: Numbers) -> float:
    """The last compute at which `first - second` changes sign, interpolated; nan if it never does.

    It is meant for "more structure is ahead early, less structure wins later": give both losses.

    Raises:
        InputError: shapes that differ, or numbers that cannot be used.
    """
    x, a, b = _check_columns(compute, first, second)
    gap = a - b
    apart = np.flatnonzero(gap)
    change = np.flatnonzero(np.sign(gap[apart[:-1]]) * np.sign(gap[apart[1:]]) < 0)
    if len(change) == 0:
        return float("nan")
    i, j = apart[change[-1]], apart[change[-1] + 1]
    if j > i + 1:  # the curves touch at a point between
        return float(10 ** x[i + 1])
    return float(10 ** (x[i] + (x[j] - x[i]) * gap[i] / (gap[i] - gap[j])))


def ushape(repeat: float, fix: float, instruction: float) -> float:
    """The probability of literally repeating a misquote, from three sub-skills.

    rep (1 - fix (1 - ins)): a model that can repeat does so, unless it knows the right quote and
    corrects it, which in turn it does not do if it follows the instruction. With (1,0,0), (1,1,0),
    (1,1,1) for a small, a medium and a large model this is 1, 0, 1: the U (Wei et al. 2022, arXiv
    2211.02011).

    Args:
        repeat, fix, instruction: each a probability.

    Raises:
        InputError: a number that is not a probability.
    """
    for name, p in (("repeat", repeat), ("fix", fix), ("instruction", instruction)):
        if not 0 <= p <= 1:
            raise InputError(f"{name} is {p}; it must be from 0 to 1")
    return repeat * (1 - fix * (1 - instruction))
