"""The robust fit behind every scaling law: a sum of powers, on the log of the loss.

log L = logsumexp([e], c_1 - a_1 log x_1, ...), Huber loss on its residual, L-BFGS from a grid of
starts (Hoffmann et al. 2022, arXiv 2203.15556, appendix D.3).
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minilm.errors import InputError

Numbers = Sequence[float] | np.ndarray


def huber(residual: np.ndarray, delta: float = 1e-3) -> np.ndarray:
    """r**2 / 2 inside |r| <= delta, delta (|r| - delta / 2) outside (Huber 1964)."""
    size = np.abs(residual)
    return np.where(size <= delta, 0.5 * residual**2, delta * (size - 0.5 * delta))


def check_columns(names: Sequence[str], columns: Sequence[Numbers], least: int) -> list[np.ndarray]:
    """The columns as float64 arrays of one length, positive and finite.

    Raises:
        InputError: fewer than `least` points, lengths that differ, or numbers not above 0.
    """
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    for name, array in zip(names, arrays, strict=True):
        if array.ndim != 1 or array.shape != arrays[0].shape:
            raise InputError(f"{name} has shape {array.shape}; all columns must be one (n,)")
        if not (np.isfinite(array) & (array > 0)).all():
            bad = array[~(np.isfinite(array) & (array > 0))][0]
            raise InputError(f"{name} holds {bad}; all its numbers must be finite and above 0")
    if len(arrays[0]) < least:
        raise InputError(f"{names[0]} has {len(arrays[0])} points; this fit needs at least {least}")
    return arrays


def fit_powers(
    columns: Sequence[np.ndarray],
    loss: np.ndarray,
    constant: bool,
    delta: float,
    starts: Iterable[Sequence[float]],
    tries: int,
    most: int = 5000,
    tolerance: float = 1e-15,
) -> tuple[np.ndarray, float]:
    """Fit log L = logsumexp([e], c_1 - a_1 log x_1, ...).

    The logs of x are centred: c and a then hardly depend on each other, and L-BFGS needs few steps.

    Args:
        columns: k arrays (n,) of x.
        loss: (n,).
        constant: whether there is a term e.
        delta: Huber's.
        starts: points ([e], c.., a..) to start from.
        tries: how many of the best starts to continue from.
        most: steps of L-BFGS from each.
        tolerance: the relative gain below which L-BFGS ends.

    Returns:
        The log of the constant, the log coefficients and the exponents, ([e], c.., a..), and the
        sum of the Huber losses.
    """
    from scipy.optimize import minimize

    k = len(columns)
    logs = np.stack([np.log(column) for column in columns])  # (k, n)
    centre = logs.mean(axis=1, keepdims=True)
    logs, y = logs - centre, np.log(loss)

    def value(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Residuals (n,) and the share of each term in the sum (terms, n)."""
        terms = theta[-2 * k : -k, None] - theta[-k:, None] * logs
        if constant:
            terms = np.concatenate([np.full((1, len(y)), theta[0]), terms])
        top = terms.max(axis=0)
        parts = np.exp(terms - top)
        total = parts.sum(axis=0)
        return top + np.log(total) - y, parts / total

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        residual, shares = value(theta)
        weight = np.clip(residual, -delta, delta) * shares  # (terms, n)
        slopes = -(weight[-k:] * logs).sum(axis=1)
        # Divided by delta**2 so that the optimizer sees numbers near 1.
        gradient = np.concatenate([weight.sum(axis=1), slopes]) / delta**2
        return float(huber(residual, delta).sum()) / delta**2, gradient

    grid = []
    for start in starts:
        theta = np.array(start, dtype=np.float64)
        theta[-2 * k : -k] -= theta[-k:] * centre[:, 0]
        grid.append((objective(theta)[0], theta))
    grid.sort(key=lambda pair: pair[0])
    # A loss does not rise with x, whatever the noise suggests. A curve with a step asks for an
    # infinite exponent; its coefficient, exp(c + a * centre), has to stay a float.
    limits = np.minimum(20.0, 500.0 / np.maximum(1.0, np.abs(centre[:, 0])))
    bounds = [(None, None)] * (constant + k) + [(0.0, limit) for limit in limits]
    best: Any = None
    for _, theta in grid[:tries]:
        found = minimize(
            objective,
            theta,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={
                "maxiter": most,
                "maxfun": 20000,
                "maxcor": 30,
                "ftol": tolerance,
                "gtol": 1e-9,
            },
        )
        if best is None or found.fun < best.fun:
            best = found
    theta = best.x.copy()
    theta[-2 * k : -k] += theta[-k:] * centre[:, 0]
    return theta, float(best.fun) * delta**2
