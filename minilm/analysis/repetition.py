"""What repeated data is worth: each pass over the same tokens teaches less than the one before.

Muennighoff et al. 2023 (arXiv 2305.16264), equation 5: U unique tokens seen 1 + R times are worth
as much as D' = U + U R* (1 - exp(-R / R*)) tokens that are all new. R* is the number of repeats
after which 1 - 1/e of all that repetition can give has been had.
"""

from collections.abc import Sequence

import numpy as np

from minilm.errors import InputError


def effective_tokens(
    unique: float, epochs: float | np.ndarray, r_star: float
) -> float | np.ndarray:
    """D', the fresh tokens that so many passes over `unique` tokens are worth.

    Args:
        unique: tokens.
        epochs: passes, 1 or more; repeats are one less.
        r_star: R*, above 0.

    Raises:
        InputError: a number out of range.
    """
    if unique <= 0 or r_star <= 0:
        name, value = ("unique", unique) if unique <= 0 else ("r_star", r_star)
        raise InputError(f"{name} is {value}; it must be above 0")
    repeats = np.asarray(epochs, np.float64) - 1
    if (repeats < 0).any():
        raise InputError(f"epochs is {epochs}; it must be 1 or more")
    return unique * (1 + r_star * -np.expm1(-repeats / r_star))


def fit_r_star(
    epochs: Sequence[float], repeated: Sequence[float], fresh: Sequence[float]
) -> tuple[float, np.ndarray]:
    """R* from the losses of models that read the same tokens again, and of one that read new ones.

    The curve of fresh tokens says to how many of them each loss of a repeated run corresponds
    (linear between neighbours in the logarithm of tokens). R* is then the least-squares fit of
    `effective_tokens` to the logarithms of those numbers.

    Args:
        epochs: (n,) passes, rising from 1.
        repeated: (n,) losses after so many passes over the same tokens.
        fresh: (n,) losses after as many tokens that were all new, falling.

    Returns:
        R* (infinite where repeats are worth as much as new tokens, 0 where they are worth
        nothing), and the effective passes D' / U, (n,).

    Raises:
        InputError: lists of different lengths, fewer than three, or fresh losses that do not fall.
    """
    x, again, new = (np.asarray(row, np.float64) for row in (epochs, repeated, fresh))
    if not len(x) == len(again) == len(new) or len(x) < 3:
        raise InputError(
            f"epochs, repeated and fresh have {len(x)}, {len(again)} and {len(new)} entries; they "
            "must have the same number, 3 or more"
        )
    if (np.diff(new) >= 0).any():
        raise InputError(f"fresh is {new.round(4).tolist()}; its losses must fall")
    worth = np.exp(np.interp(-again, -new, np.log(x)))
    grid = np.geomspace(1e-3, 1e4, 4001)
    shown = np.log(1 + grid[:, None] * -np.expm1(-(x - 1) / grid[:, None]))  # (grid, n)
    best = int(((shown - np.log(worth)) ** 2).sum(1).argmin())
    r_star = 0.0 if best == 0 else np.inf if best == len(grid) - 1 else float(grid[best])
    return r_star, worth
