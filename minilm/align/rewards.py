"""What each token of a text earned, compared with what was expected."""

import numpy as np

from minilm.errors import InputError

Array = np.ndarray


def gae(
    rewards: Array,
    values: Array,
    discount: float = 1.0,
    smoothing: float = 0.95,
    done: Array | None = None,
) -> Array:
    """Generalised advantage estimation (Schulman et al. 2015, arXiv 1506.02438, eq. 16).

    delta_t = r_t + gamma V_{t+1} - V_t;  A_t = delta_t + gamma lambda A_{t+1}. With lambda = 1 it
    is the return less the value, with 0 the one-step error.

    Args:
        rewards: (..., T).
        values: (..., T + 1), the last of the state after the end.
        discount: gamma, in [0, 1].
        smoothing: lambda, in [0, 1].
        done: (..., T) bool, True where an episode ends: nothing after it counts.

    Returns:
        (..., T) float64.

    Raises:
        InputError: shapes that do not fit, a number out of range, or a reward that is not finite.
    """
    rewards, values = np.asarray(rewards, np.float64), np.asarray(values, np.float64)
    wanted = (*rewards.shape[:-1], rewards.shape[-1] + 1)
    if values.shape != wanted:
        raise InputError(f"values have shape {values.shape}; they must have {wanted}, one more")
    for name, value in (("discount", discount), ("smoothing", smoothing)):
        if not 0 <= value <= 1:
            raise InputError(f"{name} is {value}; it must lie between 0 and 1")
    if not np.isfinite(rewards).all():
        raise InputError("a reward is nan or infinite; rewards must be finite")
    going = np.ones_like(rewards) if done is None else 1.0 - np.asarray(done, bool)
    if going.shape != rewards.shape:
        raise InputError(f"done has shape {going.shape}; it must have {rewards.shape}")
    delta = rewards + discount * values[..., 1:] * going - values[..., :-1]
    found, after = np.zeros_like(delta), np.zeros(delta.shape[:-1])
    for t in reversed(range(delta.shape[-1])):
        after = delta[..., t] + discount * smoothing * going[..., t] * after
        found[..., t] = after
    return found


def whiten(x: Array, mask: Array | None = None, shift: bool = True) -> Array:
    """Advantages with variance 1, and mean 0 where `shift`, over what the mask keeps.

    Raises:
        InputError: fewer than two numbers are kept.
    """
    x = np.asarray(x, np.float64)
    kept = x[np.asarray(mask, bool)] if mask is not None else x.reshape(-1)
    if kept.size < 2:
        raise InputError(f"{kept.size} numbers are kept; whitening needs at least 2")
    mean = kept.mean()
    found = (x - mean) / np.sqrt(kept.var() + 1e-8)
    return found if shift else found + mean
