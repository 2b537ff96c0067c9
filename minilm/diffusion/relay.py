"""Relay diffusion: go on from the small picture; and the cascade that starts again from noise.

A small picture is drawn first and grown. The relay's second stage takes it with noise of a middle
strength, and on the way to time 0 the blur leaves as the noise does (Teng et al. 2023, arXiv
2309.03350; in a straight line, as CogView3 does, Zheng et al. 2024, arXiv 2403.05121, section 3.2).
A cascade begins with pure noise and is shown the small picture beside it (Ho et al. 2021, arXiv
2106.15282).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minilm.backend import rng
from minilm.diffusion.schedules import cosine_path
from minilm.diffusion.training import Noisy, Path, check_conditions, column, spread_times
from minilm.errors import InputError


def grow(pictures: np.ndarray, times: int) -> np.ndarray:
    """Every pixel as times x times of it: (..., H, W) -> (..., times H, times W).

    Raises:
        InputError: `times` is below 1.
    """
    if times < 1:
        raise InputError(f"times is {times}; it must be 1 or more")
    return pictures.repeat(times, axis=-2).repeat(times, axis=-1)


def _check_top(top: float) -> None:
    if not 0 < top < 1:
        raise InputError(f"top is {top}; it must lie between 0 and 1")


def relay_batches(
    pictures: np.ndarray,
    blurred: np.ndarray,
    given: np.ndarray,
    nothing: np.ndarray,
    batch: int = 64,
    seed: int = 0,
    top: float = 0.5,
    path: Path = cosine_path,
    drop: float = 0.1,
) -> Callable[[int], Noisy]:
    """Batches of the second stage: from the number of a batch to the batch.

    At time t the picture is mixed with its blur, (1 - t / top) x0 + (t / top) blur, and noise is
    added as the path has it at t; the network is asked for x0.

    Args:
        pictures: float32 (N, C, H, W), -1 to 1.
        blurred: what the first stage would hand over of each, grown: of the same shape.
        given, nothing, batch, seed, path, drop: as for `training.noisy_batches`.
        top: the time at which the relay begins, between 0 and 1.

    Raises:
        InputError: pictures of other shapes, not finite, or a number out of range.
    """
    check_conditions(pictures, given)
    _check_top(top)
    if blurred.shape != pictures.shape:
        raise InputError(f"blurred is {blurred.shape}; it must be {pictures.shape}, as pictures")

    def draw(number: int) -> Noisy:
        random = rng(seed, "relay", number)
        rows = random.integers(0, len(pictures), batch)
        t = spread_times(random, batch) * top
        alpha, sigma = (column(part) for part in path(t))
        share = column(t / top)
        mean = (1 - share) * pictures[rows] + share * blurred[rows]
        noise = random.standard_normal(mean.shape, dtype=np.float32)
        kept = (random.random(batch) >= drop).reshape(-1, *[1] * (given.ndim - 1))
        told = np.where(kept, given[rows], nothing)
        x = alpha * mean + sigma * noise
        return Noisy(x, t.astype(np.float32), told, pictures[rows], np.ones_like(alpha))

    return draw


def sample_relay(
    denoise: Callable[[np.ndarray, float], np.ndarray],
    blurred: np.ndarray,
    steps: int,
    random: np.random.Generator,
    top: float = 0.5,
    path: Path = cosine_path,
    clip: float | None = 1.0,
) -> np.ndarray:
    """The second stage: from grown small pictures and noise at time `top` down to 0.

    Args:
        denoise: (x, t) -> x0.
        blurred: (B, C, H, W), grown small pictures.
        steps: passes.
        random: where the noise comes from.
        top, path: as in training.
        clip: pictures are kept within this size before each step.

    Raises:
        InputError: a number out of range.
    """
    if steps < 1:
        raise InputError(f"steps is {steps}; it must be at least 1")
    _check_top(top)
    times = np.linspace(top, 0.0, steps + 1)
    alpha, sigma = (float(part) for part in path(top))
    noise = random.standard_normal(blurred.shape, dtype=np.float32)
    x = (alpha * blurred + sigma * noise).astype(np.float32)
    for t, after in zip(times, times[1:], strict=False):
        image = denoise(x, float(t))
        if clip is not None:
            image = np.clip(image, -clip, clip)
        (alpha, sigma), (a, s) = (tuple(map(float, path(time))) for time in (t, after))
        here, there = (_mixed(image, blurred, time / top) for time in (t, after))
        x = (a * there + s * (x - alpha * here) / sigma).astype(np.float32)
    return x


def _mixed(image: Any, blurred: Any, share: float) -> Any:
    return (1 - share) * image + share * blurred
