"""How much image and how much noise there is at each step.

A discrete schedule is a table `kept` of T numbers, the share of the image's variance that is left
after step t + 1: "alpha bar" in the papers. From it alpha = sqrt(kept), sigma = sqrt(1 - kept).
A path gives alpha and sigma at any time t between 0 (image) and 1 (noise).
"""

import numpy as np

from minilm.errors import InputError

Array = np.ndarray


def check_kept(kept: Array) -> Array:
    """The table as float64.

    Raises:
        InputError: it is empty, not one row, not finite, out of [0, 1], or it rises.
    """
    kept = np.asarray(kept, np.float64)
    if kept.ndim != 1 or kept.size == 0:
        raise InputError(f"kept has shape {kept.shape}; it must be one row of at least one number")
    if not np.isfinite(kept).all() or kept.min() < 0 or kept.max() > 1:
        raise InputError("kept holds numbers that are nan or out of range; they must lie in [0, 1]")
    if (np.diff(kept) > 0).any():
        step = int(np.argmax(np.diff(kept) > 0)) + 2
        raise InputError(f"kept rises at step {step}; noise can only be added")
    return kept


def _check_steps(steps: int) -> None:
    if steps < 1:
        raise InputError(f"steps is {steps}; it must be at least 1")


def linear(steps: int = 1000, first: float = 1e-4, last: float = 0.02) -> Array:
    """The schedule of DDPM (Ho et al. 2020, arXiv 2006.11239, section 4): beta grows in a line.

    Args:
        steps: T.
        first, last: beta of the first and the last step, in (0, 1).

    Returns:
        (T,) float64.

    Raises:
        InputError: a beta is out of (0, 1), or `steps` is below 1.
    """
    _check_steps(steps)
    for name, beta in (("first", first), ("last", last)):
        if not 0 < beta < 1:
            raise InputError(f"{name} is {beta}; it must lie between 0 and 1")
    return np.cumprod(1 - np.linspace(first, last, steps))


def scaled_linear(steps: int = 1000, first: float = 0.00085, last: float = 0.012) -> Array:
    """The schedule of latent diffusion: the root of beta grows in a line (arXiv 2112.10752).

    Args, returns and errors are those of `linear`.
    """
    _check_steps(steps)
    for name, beta in (("first", first), ("last", last)):
        if not 0 < beta < 1:
            raise InputError(f"{name} is {beta}; it must lie between 0 and 1")
    return np.cumprod(1 - np.linspace(first**0.5, last**0.5, steps) ** 2)


def cosine(steps: int = 1000, offset: float = 0.008, most: float = 0.999) -> Array:
    """kept = cos^2((t/T + s) / (1 + s) pi/2) (Nichol and Dhariwal 2021, arXiv 2102.09672, eq. 17).

    Args:
        steps: T.
        offset: s, so that the first steps are not too small.
        most: the largest beta; without it the last would be 1.

    Returns:
        (T,) float64.

    Raises:
        InputError: `steps` is below 1, `offset` negative, or `most` out of (0, 1].
    """
    _check_steps(steps)
    if offset < 0 or not 0 < most <= 1:
        raise InputError(
            f"offset is {offset} and most is {most}; they must be at least 0, and in (0, 1]"
        )
    at = (np.arange(steps + 1) / steps + offset) / (1 + offset)
    whole = np.cos(at * np.pi / 2) ** 2
    return np.cumprod(1 - np.minimum(1 - whole[1:] / whole[:-1], most))


def zero_terminal(kept: Array) -> Array:
    """The schedule stretched so that nothing of the image is left at its end.

    sqrt(kept) is moved and scaled: its first entry stays, its last becomes 0 (Lin et al. 2023,
    arXiv 2305.08891, algorithm 1).

    Raises:
        InputError: `kept` is no schedule, or has one step or one value only.
    """
    root = np.sqrt(check_kept(kept))
    if root[0] == root[-1]:
        raise InputError(f"kept is {root[0] ** 2:.6g} throughout; a schedule must fall")
    return ((root - root[-1]) * (root[0] / (root[0] - root[-1]))) ** 2


def snr(kept: Array) -> Array:
    """Signal to noise, kept / (1 - kept): the ratio of variances; inf where there is no noise."""
    kept = check_kept(kept)
    with np.errstate(divide="ignore"):
        return kept / (1 - kept)


def log_snr(kept: Array) -> Array:
    """Natural logarithm of `snr`; -inf where nothing of the image is left."""
    kept = check_kept(kept)
    with np.errstate(divide="ignore"):
        return np.log(kept) - np.log1p(-kept)


def shift_snr(kept: Array, factor: float) -> Array:
    """A schedule whose signal to noise is 1 / factor of this one's, at every step.

    kept / (factor + (1 - factor) kept). Averaging s x s pixels divides the variance of independent
    noise by s^2, so a picture with s times the side shows its old content under the old noise with
    s^2 times the signal to noise; `factor` = s^2 restores it (Hoogeboom et al. 2023,
    arXiv 2301.11093, section 3.1).

    Raises:
        InputError: `factor` is not above 0, or `kept` is no schedule.
    """
    if not factor > 0:
        raise InputError(f"factor is {factor}; it must be above 0")
    kept = check_kept(kept)
    return kept / (factor + (1 - factor) * kept)


def shift_time(t: Array | float, factor: float) -> Array:
    """Time moved towards noise: factor t / (1 + (factor - 1) t).

    What `shift_snr` is to tables, for the straight path of rectified flow; `factor` is the root of
    the ratio of pixels (Esser et al. 2024, arXiv 2403.03206, eq. 23).

    Raises:
        InputError: `factor` is not above 0, or a time lies outside [0, 1].
    """
    t = _check_times(t)
    if not factor > 0:
        raise InputError(f"factor is {factor}; it must be above 0")
    return factor * t / (1 + (factor - 1) * t)


def _check_times(t: Array | float) -> Array:
    t = np.asarray(t, np.float64)
    if not ((t >= 0) & (t <= 1)).all():
        raise InputError("a time is nan or out of range; times must lie between 0 and 1")
    return t


def cosine_path(t: Array | float, factor: float = 1.0) -> tuple[Array, Array]:
    """alpha, sigma = cos, sin of pi t / 2; the signal to noise divided by `factor`.

    Args:
        t: any shape, 0 = image, 1 = noise.
        factor: as for `shift_snr`.

    Raises:
        InputError: as for `shift_time`.
    """
    t = _check_times(t)
    if not factor > 0:
        raise InputError(f"factor is {factor}; it must be above 0")
    alpha, sigma = np.cos(np.pi * t / 2), np.sqrt(factor) * np.sin(np.pi * t / 2)
    length = np.hypot(alpha, sigma)
    return alpha / length, sigma / length
