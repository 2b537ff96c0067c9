"""From noise to a picture, step by step.

A denoiser is a function of (x, step or noise) that answers with the picture it expects, x0. With
the exact posterior mean each of these samplers gives the true distribution as its steps grow many.
"""

from collections.abc import Callable, Sequence

import numpy as np

from minilm.diffusion.schedules import check_kept
from minilm.errors import InputError

Array = np.ndarray
Denoiser = Callable[[Array, float], Array]


def guided(free: Array, conditioned: Array, scale: float) -> Array:
    """Classifier-free guidance: free + scale (conditioned - free) (arXiv 2207.12598, eq. 6).

    scale = 0 is the prediction without a label, 1 with it; above 1 away from the former.
    """
    return free + scale * (conditioned - free)


def _kept_before(kept: Array, step: int) -> tuple[float, float]:
    """`kept` at a step and at the one before it, at step 1 a picture without noise."""
    if not 1 <= step <= len(kept):
        raise InputError(f"step is {step}; it must lie between 1 and {len(kept)}")
    return float(kept[step - 1]), float(kept[step - 2]) if step > 1 else 1.0


def posterior(image: Array, x: Array, kept: Array, step: int) -> tuple[Array, float]:
    """Mean and variance of the picture one step earlier, given both ends (DDPM, eqs. 6 and 7).

    Args:
        image: x0, or what the network takes for it.
        x: the picture at `step`, of the same shape.
        kept: (T,) schedule.
        step: from 1 to T.

    Returns:
        The mean, of the shape of `x`, and the variance, a number; 0 at step 1.

    Raises:
        InputError: `step` is out of range, or `kept` is no schedule.
    """
    now, before = _kept_before(check_kept(kept), step)
    if now == 1:
        return x, 0.0
    beta = 1 - now / before
    of_image = np.sqrt(before) * beta / (1 - now)
    of_x = np.sqrt(1 - beta) * (1 - before) / (1 - now)
    return of_image * image + of_x * x, beta * (1 - before) / (1 - now)


def ddpm_step(image: Array, x: Array, kept: Array, step: int, rng: np.random.Generator) -> Array:
    """One step back with fresh noise (DDPM, algorithm 2); arguments as for `posterior`."""
    mean, variance = posterior(image, x, kept, step)
    if variance == 0:
        return mean
    return mean + np.sqrt(variance) * rng.standard_normal(x.shape).astype(x.dtype)


def ddim_step(
    image: Array,
    x: Array,
    now: tuple[float, float],
    after: tuple[float, float],
    eta: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Array:
    """From one noise to a smaller one, as far as one likes (Song et al., arXiv 2010.02502, eq. 12).

    Args:
        image: what the network takes for x0.
        x: the noisy picture, of the same shape.
        now, after: (alpha, sigma) here and there.
        eta: how much of the noise is fresh: 0 none, 1 as in DDPM.
        rng: needed where `eta` is above 0.

    Raises:
        InputError: there is no noise here (sigma 0), `eta` is out of [0, 1], or it needs `rng`.
    """
    (alpha, sigma), (next_alpha, next_sigma) = now, after
    if not sigma > 0:
        raise InputError(f"sigma is {sigma}; it must be above 0 for a step to take noise away")
    if not 0 <= eta <= 1:
        raise InputError(f"eta is {eta}; it must lie between 0 and 1")
    if eta and rng is None:
        raise InputError(f"eta is {eta}, which draws fresh noise; it needs rng")
    noise = (x - alpha * image) / sigma
    left = max(0.0, 1 - (alpha * next_sigma / (next_alpha * sigma)) ** 2) if next_alpha else 0.0
    fresh = eta * next_sigma * np.sqrt(left)
    found = next_alpha * image + np.sqrt(max(next_sigma**2 - fresh**2, 0.0)) * noise
    if fresh and rng is not None:
        found = found + fresh * rng.standard_normal(x.shape)
    return found.astype(x.dtype)


def sample_ddim(
    denoise: Callable[[Array, float], Array],
    x: Array,
    path: Callable[[float], tuple[Array, Array]],
    steps: int,
    start: float = 0.985,
    eta: float = 0.0,
    rng: np.random.Generator | None = None,
    clip: float | None = None,
) -> Array:
    """DDIM along a path, from time `start` to 0.

    Args:
        denoise: (x, t) -> the picture expected, of the shape of x.
        x: the noise to begin with.
        path: t -> (alpha, sigma), such as `cosine_path`.
        steps: how many; one pass each.
        start: a little below 1, where the picture cannot be told from the noise.
        eta, rng: as for `ddim_step`.
        clip: pictures are kept within this size before each step.

    Raises:
        InputError: `steps` is below 1, or `start` out of (0, 1].
    """
    if steps < 1:
        raise InputError(f"steps is {steps}; it must be at least 1")
    if not 0 < start <= 1:
        raise InputError(f"start is {start}; it must lie above 0 and at most at 1")
    times = np.linspace(start, 0.0, steps + 1)
    for t, after in zip(times, times[1:], strict=False):
        image = denoise(x, float(t))
        if clip is not None:
            image = np.clip(image, -clip, clip)
        here, there = (tuple(float(part) for part in path(time)) for time in (t, after))
        x = ddim_step(image, x, here, there, eta, rng)
    return x


def edm_sigmas(steps: int, high: float = 80.0, low: float = 0.002, power: float = 7.0) -> Array:
    """Noise levels from `high` to `low`, closer together at the small end, then 0.

    (Karras et al. 2022, arXiv 2206.00364, eq. 5.)

    Returns:
        (steps + 1,) float64.

    Raises:
        InputError: `steps` is below 1, or not 0 < low <= high.
    """
    if steps < 1:
        raise InputError(f"steps is {steps}; it must be at least 1")
    if not 0 < low <= high:
        raise InputError(f"low is {low} and high is {high}; they must be above 0, low first")
    at = np.arange(steps) / max(steps - 1, 1)
    ends = high ** (1 / power), low ** (1 / power)
    return np.append((ends[0] + at * (ends[1] - ends[0])) ** power, 0.0)


def sample_ode(
    denoise: Denoiser, x: Array, sigmas: Sequence[float] | Array, method: str = "heun"
) -> Array:
    """The probability flow dx/dsigma = (x - D(x, sigma)) / sigma, where alpha is 1 throughout.

    (Karras et al. 2022, arXiv 2206.00364, algorithm 1.)

    Args:
        denoise: (x, sigma) -> the picture expected.
        x: a picture with noise of the first sigma.
        sigmas: falling; the last may be 0.
        method: "euler", one pass a step, or "heun", two but for a step to 0.

    Raises:
        InputError: `method` is another, or the sigmas do not fall.
    """
    if method not in ("euler", "heun"):
        raise InputError(f"method is {method!r}; it must be euler or heun")
    sigmas = np.asarray(sigmas, np.float64)
    if sigmas.ndim != 1 or not (np.diff(sigmas) < 0).all() or sigmas.min(initial=0) < 0:
        raise InputError("sigmas do not fall from step to step; they must, and end at 0 or above")
    for sigma, after in zip(sigmas, sigmas[1:], strict=False):
        slope = (x - denoise(x, float(sigma))) / sigma
        moved = x + (after - sigma) * slope
        if method == "heun" and after > 0:
            there = (moved - denoise(moved, float(after))) / after
            moved = x + (after - sigma) * (slope + there) / 2
        x = moved.astype(x.dtype)
    return x
