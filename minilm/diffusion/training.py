"""Batches for a network that takes noise away, its loss, and its training.

The step is the house's own (`minilm.train`): any batch, any loss, averaged weights, a hook,
checkpoints that can be resumed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minilm import functional as F
from minilm import nn
from minilm.backend import rng
from minilm.data.images.checks import check_pictures
from minilm.diffusion.schedules import cosine_path
from minilm.diffusion.targets import mix, snr_weight, target
from minilm.errors import InputError
from minilm.optim import AdamW
from minilm.tensor import Tensor
from minilm.train import Run, examples, train

Path = Callable[[Any], tuple[np.ndarray, np.ndarray]]
ENDS = (0.001, 0.999)  # of the times that are trained


class Noisy(NamedTuple):
    """A batch: pictures on their way to noise, and what the network should answer."""

    x: np.ndarray  # (B, C, H, W), with what is shown beside it
    t: np.ndarray  # (B,)
    given: np.ndarray  # (B,) labels or (B, L) words
    wanted: np.ndarray  # (B, C, H, W)
    weight: np.ndarray  # (B, 1, 1, 1)


def check_conditions(pictures: np.ndarray, given: np.ndarray) -> None:
    """Refuse pictures that cannot be trained on, or unlike their conditions in number.

    Raises:
        InputError: they are such; as `check_pictures`.
    """
    check_pictures(pictures)
    if len(given) != len(pictures):
        raise InputError(
            f"given has {len(given)} rows for {len(pictures)} pictures; it must have as many"
        )


def spread_times(random: np.random.Generator, count: int) -> np.ndarray:
    """Times, one in each of `count` equal parts of [0, 1], in random order: float64 (count,)."""
    t = (random.permutation(count) + random.random(count)) / count
    return np.clip(t, *ENDS)


def column(numbers: np.ndarray) -> np.ndarray:
    """(B,) -> float32 (B, 1, 1, 1)."""
    return np.asarray(numbers, np.float32)[:, None, None, None]


def noisy_batches(
    pictures: np.ndarray,
    given: np.ndarray,
    nothing: np.ndarray,
    batch: int = 64,
    seed: int = 0,
    predicts: str = "v",
    path: Path = cosine_path,
    drop: float = 0.1,
    most_snr: float | None = None,
    beside: np.ndarray | None = None,
    beside_noise: float = 0.2,
) -> Callable[[int], Noisy]:
    """From the number of a batch to the batch, the same whenever it is asked for.

    Args:
        pictures: float32 (N, C, H, W), -1 to 1.
        given: labels (N,) or words (N, L).
        nothing: what stands for no condition, of the shape of one row of `given`.
        batch: pictures of a batch.
        seed: of all that is drawn.
        predicts: one of `targets.TARGETS`.
        path: times -> alpha, sigma.
        drop: share of the batch that is shown no condition, for guidance.
        most_snr: weigh the squared error by min(SNR, this), see `snr_weight`; None: evenly.
        beside: float32 (N, C', H, W), shown beside the noisy pictures, with a little noise.
        beside_noise: how much.

    Raises:
        InputError: pictures that are not finite or not of that shape; a number out of range.
    """
    check_conditions(pictures, given)
    if not 0 <= drop <= 1:
        raise InputError(f"drop is {drop}; it must lie between 0 and 1")

    def draw(number: int) -> Noisy:
        random = rng(seed, "noisy", number)
        rows = random.integers(0, len(pictures), batch)
        t = spread_times(random, batch)
        alpha, sigma = (column(part) for part in path(t))
        noise = random.standard_normal((batch, *pictures.shape[1:]), dtype=np.float32)
        kept = random.random(batch) >= drop
        kept = kept.reshape(-1, *[1] * (given.ndim - 1))
        x = mix(pictures[rows], noise, alpha, sigma)  # (B, C, H, W)
        if beside is not None:
            shape = (batch, *beside.shape[1:])
            blurred = random.standard_normal(shape, dtype=np.float32) * np.float32(beside_noise)
            x = np.concatenate([x, beside[rows] + blurred], axis=1)  # (B, C + C', H, W)
        wanted = target(predicts, pictures[rows], noise, alpha, sigma)
        weight = np.ones_like(alpha)
        if most_snr is not None:
            weight = snr_weight((alpha / sigma) ** 2, predicts, most_snr).astype(np.float32)
        return Noisy(x, t.astype(np.float32), np.where(kept, given[rows], nothing), wanted, weight)

    return draw


def denoising_loss(model: nn.Module, batch: Noisy) -> Tensor:
    """Mean squared error of what the network answers, weighted."""
    answer = model(batch.x, batch.t, batch.given)
    if (batch.weight == 1).all():
        return F.mse(answer, Tensor(batch.wanted))
    return F.mean(F.mse(answer, Tensor(batch.wanted), reduction="none") * batch.weight)


def fit(
    model: nn.Module,
    draw: Callable[[int], Any],
    steps: int,
    lr: float = 2e-3,
    ema: float = 0.995,
    loss: Callable[[Any, Any], Tensor] = denoising_loss,
    **settings: Any,
) -> Run:
    """Train a network on batches; it ends with its averaged weights.

    Args:
        model: takes what `loss` gives it.
        draw: number of a batch -> batch.
        steps: how many.
        lr: AdamW's peak; it falls to 0 along a cosine.
        ema: decay of the averages.
        loss: (model, batch) -> Tensor of one number.
        settings: of `minilm.train.train`, such as `out`, `resume`, `after_step`, `progress`.

    Raises:
        InputError: as `minilm.train.train`.
    """
    optimizer = AdamW(model.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0.01)
    run = train(
        model, draw, steps, loss=loss, weigh=examples, optimizer=optimizer, ema=ema, **settings
    )
    model.load_state_dict({**model.state_dict(), **run.ema.averages})
    return run
