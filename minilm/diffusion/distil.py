"""Progressive distillation: a student learns to do in one step what its teacher does in two.

(Salimans and Ho 2022, arXiv 2202.00512, algorithm 2.) Repeated, it halves the steps each time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minilm.backend import rng
from minilm.diffusion.generate import denoiser
from minilm.diffusion.samplers import ddim_step
from minilm.diffusion.schedules import cosine_path
from minilm.diffusion.targets import mix, target
from minilm.diffusion.training import Noisy, check_conditions, column
from minilm.errors import InputError

START = 0.985  # the time at which sampling begins


def two_steps_as_one(x: Any, end: Any, now: tuple[Any, Any], after: tuple[Any, Any]) -> Any:
    """The picture that a single DDIM step would need to reach `end` from `x`.

    Args:
        x: the noisy picture at (alpha, sigma) = `now`.
        end: where two steps brought it, at `after`.
    """
    (alpha, sigma), (a, s) = now, after
    ratio = s / sigma
    return (end - ratio * x) / (a - ratio * alpha)


def distilling_batches(
    teacher: Any,
    pictures: np.ndarray,
    given: np.ndarray,
    steps: int,
    batch: int = 64,
    seed: int = 0,
    guidance: float = 1.0,
    clip: float = 1.0,
) -> Callable[[int], Noisy]:
    """Batches for a student of `steps` steps whose teacher takes twice as many; it predicts v.

    Args:
        teacher: a network that predicts v, with or without a student's past; it is not changed.
        pictures: float32 (N, C, H, W), -1 to 1.
        given: labels (N,) or words (N, L).
        steps: of the student, from time .985 to 0.
        batch, seed: as for `training.noisy_batches`.
        guidance: of the teacher; the student has it built in and needs one pass a step.
        clip: the teacher's pictures are kept within this size.

    Raises:
        InputError: a number out of range, pictures that are not finite.
    """
    check_conditions(pictures, given)
    if steps < 1:
        raise InputError(f"steps is {steps}; it must be at least 1")
    times = np.linspace(START, 0.0, 2 * steps + 1)

    def draw(number: int) -> Noisy:
        random = rng(seed, "distil", steps, number)
        rows = random.integers(0, len(pictures), batch)
        first = 2 * int(random.integers(0, steps))  # all pictures of a batch are at one time
        t, middle, after = (float(time) for time in times[first : first + 3])
        alpha, sigma = (float(part) for part in cosine_path(t))
        noise = random.standard_normal((batch, *pictures.shape[1:]), dtype=np.float32)
        x = mix(pictures[rows], noise, np.float32(alpha), np.float32(sigma))
        denoise = denoiser(teacher, given[rows], "v", guidance)
        here, end = x, x
        for now, to in ((t, middle), (middle, after)):
            image = np.clip(denoise(here, now), -clip, clip)
            end = ddim_step(image, here, _at(now), _at(to))
            here = end
        image = np.clip(two_steps_as_one(x, end, (alpha, sigma), _at(after)), -clip, clip)
        left = (x - alpha * image) / sigma
        wanted = target("v", image, left, alpha, sigma).astype(np.float32)
        told = np.full(batch, t, np.float32)
        return Noisy(x, told, given[rows], wanted, column(np.ones(batch)))

    return draw


def _at(time: float) -> tuple[float, float]:
    alpha, sigma = cosine_path(time)
    return float(alpha), float(sigma)
