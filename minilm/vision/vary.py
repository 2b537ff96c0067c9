"""Two vision vocabularies: an eye for the scene and an eye for print, side by side in each token.

Vary (Wei et al. 2023, arXiv 2312.06109). An eye that learnt from captions knows what captions say,
and captions do not spell out a page. So a second eye is trained to read, both are frozen, and each
token is what the one sees beside what the other sees. The number of tokens stays; the halves of the
language model's width are shared out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.data.images.resize import resize
from minilm.errors import InputError
from minilm.nn import Linear, Module
from minilm.tensor import Tensor


class TwoVocabularies(Module):
    """Two eyes as one: pictures (N, colours, H, H) to tokens (N, T, I + J).

    Args:
        first, second: modules from pictures to as many tokens each, (N, T, I) and (N, T, J).
        sides: pixels along each axis that each of them sees; the picture is made smaller for one
            that sees fewer. Vary's first eye sees 224, its second 1,024.

    Raises:
        InputError: sides that are not two numbers from 1 on.
    """

    def __init__(self, first: Module, second: Module, sides: tuple[int, int]) -> None:
        if len(sides) != 2 or min(sides) < 1:
            raise InputError(f"sides is {sides}; it must be two numbers of pixels, from 1 on")
        self.first, self.second, self.sides = first, second, tuple(sides)

    def forward(self, pictures: np.ndarray) -> Tensor:
        """Pictures (N, colours, H, H) as an array -> (N, T, I + J), the first eye's numbers first.

        Raises:
            InputError: the eyes see another number of tokens.
        """
        seen = [
            eye(pictures if pictures.shape[-1] == side else resize(pictures, side))
            for eye, side in zip((self.first, self.second), self.sides, strict=True)
        ]
        if seen[0].shape[:2] != seen[1].shape[:2]:
            raise InputError(
                f"the eyes see {tuple(seen[0].shape)} and {tuple(seen[1].shape)}; they must see "
                "as many tokens of as many pictures"
            )
        return F.concatenate(seen, axis=-1)


class Beside(Module):
    """A linear map for each vocabulary, the two results side by side: (N, T, I + J) -> (N, T, C).

    Args:
        widths: I and J.
        channels: C, of the language model, an even number; each half comes from one eye.
        dtype: of the parameters.

    Raises:
        InputError: an odd number of channels.
    """

    def __init__(self, widths: tuple[int, int], channels: int, dtype: Any = np.float32) -> None:
        if channels % 2:
            raise InputError(f"channels is {channels}; it must be even, for two halves")
        self.widths = tuple(widths)
        self.first = Linear(widths[0], channels // 2, dtype=dtype)
        self.second = Linear(widths[1], channels // 2, dtype=dtype)

    def forward(self, seen: Tensor) -> Tensor:
        """(N, T, I + J) -> (N, T, C).

        Raises:
            InputError: tokens of another width.
        """
        i, j = self.widths
        if seen.shape[-1] != i + j:
            raise InputError(f"tokens have {seen.shape[-1]} numbers; they must have {i} + {j}")
        halves = [self.first(seen[:, :, :i]), self.second(seen[:, :, i:])]
        return F.concatenate(halves, axis=-1)
