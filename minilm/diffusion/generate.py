"""A trained network as a denoiser, and pictures drawn with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minilm.diffusion.samplers import Denoiser, guided, sample_ddim
from minilm.diffusion.schedules import cosine_path
from minilm.diffusion.targets import convert
from minilm.errors import InputError
from minilm.tensor import no_grad

PIECE = 256  # pictures in one pass


def answers(model: Any, x: np.ndarray, t: float, given: np.ndarray) -> np.ndarray:
    """What the network says to pictures (B, C, H, W) of one time, without a tape."""
    found = []
    with no_grad():
        for i in range(0, len(x), PIECE):
            part = x[i : i + PIECE]
            times = np.full(len(part), t, np.float32)
            found.append(model(part, times, given[i : i + PIECE]).data)
    return np.concatenate(found)


def denoiser(
    model: Any,
    given: np.ndarray,
    predicts: str = "v",
    guidance: float = 1.0,
    path: Callable[[Any], tuple[np.ndarray, np.ndarray]] = cosine_path,
    beside: np.ndarray | None = None,
) -> Denoiser:
    """(x, t) -> the picture that the network expects, with guidance (arXiv 2207.12598).

    Args:
        model: has `unlabelled(given)` too.
        given: labels (B,) or words (B, L), one for each picture.
        predicts: what the network was trained for.
        guidance: 1 is none, one pass a step; else two.
        path: times -> alpha, sigma.
        beside: (B, C', H, W), shown beside the noisy pictures.

    Raises:
        InputError: a guidance that is not finite.
    """
    if not np.isfinite(guidance):
        raise InputError(f"guidance is {guidance}; it must be a finite number")

    def denoise(x: np.ndarray, t: float) -> np.ndarray:
        alpha, sigma = (float(part) for part in path(t))
        shown = x if beside is None else np.concatenate([x, beside], axis=1)
        if guidance == 1:
            answer = answers(model, shown, t, given)
        else:
            both = np.concatenate([given, model.unlabelled(given)])
            pair = answers(model, np.concatenate([shown, shown]), t, both)
            answer = guided(pair[len(x) :], pair[: len(x)], guidance)
        return convert(answer, x, alpha, sigma, predicts, "image")

    return denoise


def draw_pictures(
    model: Any,
    given: np.ndarray,
    random: np.random.Generator,
    steps: int = 20,
    guidance: float = 1.0,
    predicts: str = "v",
    eta: float = 0.0,
    after: Callable[[np.ndarray], Any] | None = None,
) -> np.ndarray:
    """Pictures from noise by DDIM along the cosine path, kept within -1 and 1.

    Args:
        model: a trained network with a `config` that has `channels` and `side`.
        given: labels (B,) or words (B, L).
        random: where the noise comes from.
        steps: passes, twice as many with guidance.
        guidance, predicts: as for `denoiser`.
        eta: share of fresh noise, as for `ddim_step`.
        after: called with the picture that is expected before each step, (B, C, H, W).

    Returns:
        float32 (B, C, H, W).
    """
    shape = (len(given), model.config.channels, model.config.side, model.config.side)
    inner = denoiser(model, given, predicts, guidance)

    def denoise(x: np.ndarray, t: float) -> np.ndarray:
        image = inner(x, t)
        if after is not None:
            after(np.clip(image, -1, 1))
        return image

    noise = random.standard_normal(shape, dtype=np.float32)
    return sample_ddim(denoise, noise, cosine_path, steps, eta=eta, rng=random, clip=1.0)
