"""How often at least one of k programs is right, estimated from n that were judged.

The plain way, one minus the k-th power of the share that failed, is biased: it underestimates,
because draws without repetition differ more. Source: Chen et al. 2021, arXiv 2107.03374, section
2.1.
"""

import math
from collections.abc import Sequence

import numpy as np

from minilm.errors import InputError


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that k of n programs, drawn without repetition, hold one of the c right ones.

    1 - C(n - c, k) / C(n, k), computed as a product, so that no number is larger than 1.

    Args:
        n: programs written for the problem.
        c: how many of them passed its tests.
        k: how many one may hand in; at most n.

    Raises:
        InputError: numbers that cannot be.
    """
    for name, value, least, most in (("n", n, 1, math.inf), ("c", c, 0, n), ("k", k, 1, n)):
        if not least <= value <= most:
            rest = "1 or more" if name == "n" else f"from {least} to n = {n}"
            raise InputError(f"{name} is {value}; it must be {rest}")
    if n - c < k:
        return 1.0
    # 1 - prod over i = n-c+1 .. n of (1 - k / i)
    return 1.0 - math.prod(1.0 - k / i for i in range(n - c + 1, n + 1))


def naive_pass_at_k(n: int, c: int, k: int) -> float:
    """1 - (1 - c / n)**k: what it would be if programs were drawn with repetition; too low."""
    pass_at_k(n, c, k)
    return 1.0 - (1.0 - c / n) ** k


def mean_pass_at_k(n: int, right: Sequence[int] | np.ndarray, k: int) -> float:
    """The mean of `pass_at_k` over problems.

    Args:
        n: programs written for each problem.
        right: (P,) how many passed, problem by problem.
        k: how many one may hand in.

    Raises:
        InputError: no problem, or numbers that cannot be.
    """
    if not len(right):
        raise InputError("right is empty; there must be at least one problem")
    return float(np.mean([pass_at_k(n, int(c), k) for c in right]))


def sampling_error(n: int, chances: Sequence[float] | np.ndarray, k: int) -> float:
    """How far `mean_pass_at_k` strays because no more than n programs were drawn: a standard error.

    Exact, over all outcomes. What it does not hold is that other problems would give another score.

    Args:
        n: programs written for each problem.
        chances: (P,) how likely a program for each problem is right.
        k: how many one may hand in; at most n.

    Raises:
        InputError: no problem, numbers that cannot be, or a chance that is not from 0 to 1.
    """
    p = np.asarray(chances, np.float64)
    if p.ndim != 1 or not len(p) or not ((p >= 0) & (p <= 1)).all():
        raise InputError("chances is not one row of probabilities, at least one of them")
    estimate = np.array([pass_at_k(n, c, k) for c in range(n + 1)])
    c = np.arange(n + 1)
    ways = np.array([math.comb(n, i) for i in c], np.float64)
    weight = ways * p[:, None] ** c * (1 - p[:, None]) ** (n - c)  # (P, n + 1)
    mean = weight @ estimate
    return float(np.sqrt((weight @ estimate**2 - mean**2).clip(0).sum()) / len(p))
