"""CLIP: an eye and a reader of texts that learn together which picture goes with which text.

Radford et al. 2021, arXiv 2103.00020. A batch has B pictures and their B texts. Every picture is
compared with every text, and the right partner has to win, in both directions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.models.config import Config
from minilm.models.transformer import Transformer
from minilm.nn import Linear, Module, Parameter
from minilm.tensor import Tensor, no_grad
from minilm.vision.vit import ViT

COLDEST = 100.0  # CLIP lets the inverse temperature grow no further


def normalised(x: Tensor, eps: float = 1e-12) -> Tensor:
    """Rows of length 1: (..., C) -> (..., C)."""
    return x / F.sqrt(F.sum(x * x, axis=-1, keepdims=True) + eps)


def info_nce(pictures: Tensor, texts: Tensor, scale: Any = 1 / 0.07, smoothing: float = 0.0) -> Any:
    """The symmetric contrastive loss of B pairs, a mean in nats; ln B where all logits are equal.

    Row i of the pictures belongs to row i of the texts. The logits are cosines times `scale`, and
    the loss is the mean of two cross-entropies: of pictures over texts, and of texts over pictures.

    Args:
        pictures, texts: (B, C), of any length.
        scale: the inverse of the temperature, a number or a Tensor.
        smoothing: share of each target that is spread over all B (BLIP-2: 0.1).

    Raises:
        InputError: shapes that differ or are not (B, C).
    """
    if pictures.ndim != 2 or tuple(pictures.shape) != tuple(texts.shape):
        raise InputError(
            f"pictures are {tuple(pictures.shape)} and texts {tuple(texts.shape)}; both must be "
            "(B, C)"
        )
    logits = F.matmul(normalised(pictures), normalised(texts).transpose(0, 1)) * scale  # (B, B)
    right = np.arange(len(logits.data))
    one = F.cross_entropy(logits, right, label_smoothing=smoothing)
    other = F.cross_entropy(logits.transpose(0, 1), right, label_smoothing=smoothing)
    return (one + other) * 0.5


class Clip(Module):
    """An eye and a reader, each with a map to a common space, and a temperature that is learned.

    Args:
        eye: the `ViT`; a picture is the mean of its patches.
        words: ids of the texts, 0 is padding.
        longest: tokens of a text.
        layers, heads: of the reader, an encoder of the eye's width; a text is the mean of its
            words that are no padding.
        width: of the common space.
        seed: of the reader's first weights.

    Parameters: `eye`, `reader`, `picture_map`, `text_map`, `log_scale`, which starts at ln(1/0.07).
    """

    def __init__(
        self,
        eye: ViT,
        words: int,
        longest: int,
        layers: int = 2,
        heads: int = 4,
        width: int = 64,
        seed: int = 0,
    ) -> None:
        self.eye = eye
        self.reader = Transformer(
            Config(
                vocab_size=words, context=longest, layers=layers, heads=heads,
                channels=eye.channels, kind="encoder", head="none", activation="gelu_tanh",
                init_std=0.5 / math.sqrt(eye.channels),
            ),
            seed=seed,
        )  # fmt: skip
        self.picture_map = Linear(eye.channels, width, bias=False)
        self.text_map = Linear(eye.channels, width, bias=False)
        self.log_scale = Parameter(np.full(1, math.log(1 / 0.07), np.float32))

    def of_pictures(self, pictures: Any) -> Tensor:
        """(N, colours, side, side) -> (N, width), of length 1."""
        return normalised(self.picture_map(self.eye.pooled(pictures)))

    def of_texts(self, ids: np.ndarray) -> Tensor:
        """(N, longest) ids, 0 for padding -> (N, width), of length 1."""
        ids = np.asarray(ids)
        real = ids != 0  # (N, T)
        hidden = self.reader.hidden(ids, valid=real)  # (N, T, C)
        share = (real / np.maximum(real.sum(1, keepdims=True), 1)).astype(np.float32)
        return normalised(self.text_map(F.sum(hidden * share[:, :, None], axis=1)))

    @property
    def scale(self) -> Tensor:
        """The inverse temperature, at most 100."""
        return F.minimum(F.exp(self.log_scale), np.float32(COLDEST))

    def loss(self, pictures: Any, ids: np.ndarray) -> Tensor:
        """`info_nce` of a batch, in nats."""
        return info_nce(self.of_pictures(pictures), self.of_texts(ids), self.scale)

    def logits(self, pictures: Any, ids: np.ndarray) -> np.ndarray:
        """Every picture with every text, without gradients: (N, M)."""
        with no_grad():
            seen, read = self.of_pictures(pictures), self.of_texts(ids)
            return (F.matmul(seen, read.transpose(0, 1)) * self.scale).numpy()


def clip_loss(model: Clip, batch: tuple) -> Tensor:
    """The loss that `train` takes: of (pictures, ids). Pairs know of each other: never split it."""
    return model.loss(*batch)
