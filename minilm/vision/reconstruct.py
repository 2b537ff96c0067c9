"""The eye trained by filling in: some patches are covered, and their pixels are predicted.

SimMIM (Xie et al. 2022, arXiv 2111.09886): a learned vector stands in for each covered patch, and
one linear map paints it from what the eye makes of the rest. No text is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minilm import functional as F
from minilm.backend import rng
from minilm.data.images.checks import check_pictures
from minilm.errors import InputError
from minilm.nn import Linear, Module, Parameter
from minilm.nn.module import draw
from minilm.tensor import Tensor
from minilm.vision.patches import patchify
from minilm.vision.vit import ViT


class Painter(Module):
    """An eye, the vector of a covered patch, and the map that paints.

    Args:
        eye: the `ViT` to train.
        dtype: of the parameters.

    Parameters: `eye`, `cover` (C,), `paint`.
    """

    def __init__(self, eye: ViT, dtype: Any = np.float32) -> None:
        self.eye = eye
        self.cover = Parameter(draw((eye.channels,), 0.5, dtype))
        self.paint = Linear(eye.channels, eye.config.numbers, dtype=dtype)

    def forward(self, pictures: Any, covered: np.ndarray) -> Tensor:
        """Patches as painted: (N, colours, side, side), (N, T) bool -> (N, T, colours p p)."""
        config, covered = self.eye.config, np.asarray(covered)
        if covered.shape != (len(pictures), config.tokens) or covered.dtype != bool:
            raise InputError(
                f"covered is {covered.dtype} of shape {covered.shape}; it must be bool of shape "
                f"{(len(pictures), config.tokens)}"
            )
        hidden = covered.astype(self.cover.dtype)[:, :, None]  # (N, T, 1)
        seen = self.eye.patch(patchify(_tensor(pictures), config.patch))  # (N, T, C)
        x = seen * (1 - hidden) + self.cover * hidden + self.eye.places
        return self.paint(self.eye.encode(x))

    def loss(self, pictures: Any, covered: np.ndarray) -> Tensor:
        """Mean squared error of the covered patches' pixels."""
        painted = self(pictures, covered)
        wanted = patchify(_tensor(pictures), self.eye.config.patch)
        weight = covered.astype(np.float32)[:, :, None] / (covered.sum() * wanted.shape[-1])
        return F.sum((painted - wanted) ** 2 * weight.astype(painted.dtype))


def _tensor(pictures: Any) -> Tensor:
    return pictures if isinstance(pictures, Tensor) else Tensor(pictures)


def cover(count: int, tokens: int, share: float, random: np.random.Generator) -> np.ndarray:
    """Which patches are covered, the same number in each picture: bool (count, tokens).

    Raises:
        InputError: a share that covers none or all.
    """
    some = round(share * tokens)
    if not 1 <= some < tokens:
        raise InputError(
            f"share is {share}; of {tokens} patches it must cover from 1 to {tokens - 1}"
        )
    return random.random((count, tokens)).argsort(-1) < some


def covered_batches(
    pictures: np.ndarray, tokens: int, batch: int, share: float = 0.5, seed: int = 0
) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """A function from the number of a batch to (pictures, covered), as `train` takes it.

    Raises:
        InputError: as `cover`; pictures that cannot be trained on.
    """
    check_pictures(pictures)
    cover(1, tokens, share, rng(seed, "covered"))

    def batch_of(step: int) -> tuple[np.ndarray, np.ndarray]:
        random = rng(seed, "covered", step)
        chosen = random.integers(0, len(pictures), batch)
        return pictures[chosen], cover(batch, tokens, share, random)

    return batch_of
