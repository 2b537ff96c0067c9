"""Training what makes tokens of pictures, by the one step of `train`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minilm.backend import rng
from minilm.data.images.checks import check_pictures
from minilm.errors import InputError
from minilm.optim import AdamW
from minilm.tensor import Tensor, no_grad
from minilm.train.batch import examples
from minilm.train.loop import Run, train
from minilm.vision.vqvae import VqVae


def batches_of(count: int, batch: int, seed: int, name: str) -> Callable[[int], np.ndarray]:
    """A function from the number of a batch to the places (batch,) of its examples.

    It depends on nothing else, so a resumed run reads what it would have read.

    Raises:
        InputError: a batch below 1.
    """
    if batch < 1:
        raise InputError(f"batch is {batch}; it must be 1 or more")
    return lambda step: rng(seed, name, step).integers(0, count, batch)


def train_vqvae(
    model: VqVae,
    pictures: np.ndarray,
    steps: int = 600,
    batch: int = 64,
    lr: float = 2e-3,
    revive: float = 0.0,
    seed: int = 0,
    **settings: Any,
) -> Run:
    """Train a VQ-VAE: pictures in, the same pictures out, through codes.

    Between two steps the codebook takes the batch into its averages, with the encoder as it is
    then, and after that codes that too few vectors choose are put onto vectors of the batch.

    Args:
        model: what is trained, in place.
        pictures: floats (N, C, H, W), best from -1 to 1.
        steps: how many.
        batch: pictures a step.
        lr: AdamW's peak learning rate.
        revive: vectors a batch, averaged, below which a code counts as dead; 0 revives none.
        seed: of the batches and of the vectors that codes are put onto.
        settings: others of `train`, such as `ema` and `after_step`.

    Returns:
        What happened.

    Raises:
        InputError: pictures that `check_pictures` refuses or whose sides the model's patch does
            not divide; a number out of range.
    """
    check_pictures(pictures)
    model.check_sides(pictures.shape)
    if not revive >= 0:
        raise InputError(f"revive is {revive}; it must be 0 or more")
    drawn = batches_of(len(pictures), batch, seed, "vqvae")
    asked = settings.pop("after_step", None)

    def after(run: Run) -> Any:
        with no_grad():
            z = model.encode(Tensor(pictures[drawn(run.step - 1)])).data  # (B, T, D)
        found = model.codebook(Tensor(z))
        model.codebook.follow(z, found.ids)
        if revive:
            model.codebook.revive(z, revive, rng(seed, "revive", run.step))
        return asked(run) if asked is not None else None

    optimizer = AdamW(model.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0.0)
    how = {"optimizer": optimizer, "weigh": examples, "progress": False, "after_step": after}
    return train(
        model,
        lambda step: Tensor(pictures[drawn(step)]).data,
        steps,
        loss=lambda model, batch: model.loss(Tensor(batch)),
        **{**how, **settings},
    )
