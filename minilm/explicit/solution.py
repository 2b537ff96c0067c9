"""A softmax layer solved by counting, without a gradient.

Williams & Zhao 2023, arXiv 2311.07498.
"""

from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.explicit.checks import check_rows

# What stands for log 0: finite, so that a feature of 0 times it is 0 and not nan. Its exponential
# is the least normal float64.
LOG_ZERO = float(np.log(np.finfo(np.float64).tiny))


def explicit_solution(table: Any, k: float, alpha: float = 0.0) -> np.ndarray:
    """Weights of softmax(x U) from how often features x and targets y occur together.

        U_ji = log F_ji - (K - 1) / K log sum_d F_di,   F = sum over examples of x y^T

    For features of L1 norm K this is multinomial naive Bayes: with S_i = sum_d F_di, x U is
    sum_j x_j log(F_ji / S_i) + log S_i, evidence from each feature plus the log prior. So it counts
    evidence twice where features depend on each other. With K = 1 and one-hot features it is the
    optimum: softmax(x U) is the share of each target after x.

    Smoothing adds `alpha` times the share of target i to every F_ji: in the model of target i the
    same amount to each feature. The priors stay as they are.

    A target never seen has no prior. It gets weights of 2 LOG_ZERO, below those of every other.

    Args:
        table: F, (D, V), as `cooc` and `Counts` give it.
        k: K, the L1 norm of the features; where it varies, its average (`average_norm`).
        alpha: strength of smoothing, 0 or more.

    Returns:
        (D, V) float64.

    Raises:
        InputError: a table that is empty or holds a number below 0; `k` not above 0; `alpha` below
            0.
    """
    table = check_rows("table", table)
    if not 0 < k < np.inf:
        raise InputError(f"k is {k}; it must be a number above 0")
    if not 0 <= alpha < np.inf:
        raise InputError(f"alpha is {alpha}; it must be a number of 0 or more")
    seen = table.sum(axis=0)  # (V,)
    if not seen.sum() > 0:
        raise InputError("table holds nothing but 0; at least one example must be counted")
    smooth = table + alpha * seen / seen.sum()
    priors = np.where(seen > 0, smooth.sum(axis=0), 1.0)
    tiny = np.finfo(np.float64).tiny
    weights = np.log(np.maximum(smooth, tiny)) - (k - 1) / k * np.log(priors)
    return np.where(seen > 0, weights, 2 * LOG_ZERO)


def average_norm(features: Any) -> float:
    """K of features whose L1 norms differ: their mean.

    Args:
        features: (N, D), 0 or more.

    Raises:
        InputError: no rows; a number below 0.
    """
    features = check_rows("features", features)
    if not len(features):
        raise InputError("features has 0 rows; an average needs at least 1")
    return float(features.sum() / len(features))
