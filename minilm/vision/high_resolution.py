"""A model that sees a small picture in its sequence and the large one through a narrow branch.

CogAgent (arXiv 2312.08914): the small picture, with the text, is the sequence; each layer looks at
the fine tokens of the large one by cross-attention (`narrow`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.nn import Module
from minilm.tensor import Tensor, no_grad
from minilm.vision.language import VisionLanguage
from minilm.vision.narrow import NarrowTransformer


class HighResolution(VisionLanguage):
    """`VisionLanguage` with a second eye, for the picture at full resolution.

    Args:
        language: a `NarrowTransformer`.
        eye: of the small picture, as for `VisionLanguage`.
        projector: as for `VisionLanguage`.
        fine_eye: from the large picture (B, colours, H, H) to fine tokens (B, M, S); it may be
            smaller than `eye`.
        expert: as for `VisionLanguage`; CogAgent has one.

    Every call takes the large picture first: `loss(large, *batch)`, `model(large, *parts)`.

    Raises:
        InputError: a language model that has no branch; as `VisionLanguage`.
    """

    def __init__(
        self,
        language: NarrowTransformer,
        eye: Module,
        projector: Module,
        fine_eye: Module,
        expert: bool = False,
    ) -> None:
        if not isinstance(language, NarrowTransformer):
            raise InputError(
                f"language is a {type(language).__name__}; it must be a NarrowTransformer"
            )
        super().__init__(language, eye, projector, expert)
        self.fine_eye = fine_eye

    def learn(self, what: str, eye: bool = False) -> HighResolution:
        """`VisionLanguage.learn`; the fine eye and the branches always learn."""
        super().learn(what, eye)
        self.fine_eye.requires_grad_()
        for block in self.language.blocks:
            block.branch.requires_grad_()
        return self

    @contextmanager
    def _looking_at(self, large: Any) -> Iterator[None]:
        fine = self.fine_eye(large)  # (B, colours, H, H) -> (B, M, S)
        with self.language.shown(fine):
            yield

    def loss(self, large: Any, *batch: Any) -> Tensor:
        """`VisionLanguage.loss` beside the large pictures (B, colours, H, H)."""
        with self._looking_at(large):
            return super().loss(*batch)

    def forward(self, large: Any, *parts: Any, cache: Any = None) -> Tensor:
        """Logits (B, T, V) beside the large pictures."""
        with self._looking_at(large):
            return super().forward(*parts, cache=cache)

    def next_logits(self, large: Any, *parts: Any) -> np.ndarray:
        """`VisionLanguage.next_logits` beside the large pictures: (B, V)."""
        with no_grad(), self._looking_at(large):
            return super().next_logits(*parts)

    def write(self, large: Any, *parts: Any, most: int, stop: int | None = None) -> np.ndarray:
        """`VisionLanguage.write` beside the large pictures: (B, most)."""
        with no_grad(), self._looking_at(large):
            return super().write(*parts, most=most, stop=stop)
