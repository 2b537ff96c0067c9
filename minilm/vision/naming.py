"""Training an eye patch by patch: for every token, name what is in its part of the picture.

An eye that learns from captions is told once a picture; here it is told at every place. A language
model behind it then needs to learn where to look, and not what is there. Vary's second eye learns
to read before it serves a large model, too, there by writing out pages (arXiv 2312.06109).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.nn import Linear, Module
from minilm.tensor import Tensor, no_grad


class PatchNaming(Module):
    """An eye and linear maps that name, for each of its tokens, one class of each kind.

    Args:
        eye: from pictures to tokens (N, T, width).
        width: of the tokens.
        classes: how many there are of each kind, such as colours and digits.
        dtype: of the maps.

    Raises:
        InputError: no kind, or one of fewer than two classes.
    """

    def __init__(
        self, eye: Module, width: int, classes: Sequence[int], dtype: Any = np.float32
    ) -> None:
        if not classes or min(classes) < 2:
            raise InputError(f"classes is {tuple(classes)}; each kind must have 2 or more")
        self.eye, self.classes = eye, tuple(classes)
        self.names = Linear(width, sum(classes), dtype=dtype)

    def forward(self, pictures: Any) -> list[Tensor]:
        """Logits of each kind: [(N, T, classes), ...]."""
        logits, ends = self.names(self.eye(pictures)), np.cumsum((0, *self.classes))
        return [logits[:, :, a:b] for a, b in zip(ends, ends[1:])]

    def loss(self, pictures: Any, labels: np.ndarray) -> Tensor:
        """Mean cross-entropy in nats, summed over the kinds; labels are (N, T, kinds) ints.

        Raises:
            InputError: labels of another shape.
        """
        logits = self(pictures)
        wanted = (*logits[0].shape[:2], len(self.classes))
        if labels.shape != wanted:
            raise InputError(f"labels are {labels.shape}; they must be {wanted}")
        total = F.cross_entropy(logits[0], labels[:, :, 0])
        for kind in range(1, len(logits)):
            total = total + F.cross_entropy(logits[kind], labels[:, :, kind])
        return total

    def right(self, pictures: Any, labels: np.ndarray) -> list[float]:
        """Share of tokens that are named right, for each kind."""
        with no_grad():
            said = [logits.numpy().argmax(-1) for logits in self(pictures)]
        return [float((names == labels[:, :, kind]).mean()) for kind, names in enumerate(said)]
