"""An eye whose patches overlap: what is cut apart by the edge of one patch is whole in the next.

A digit on the border of two patches is half a digit to each. A window of twice the patch, moved by
a patch, shows every token its surroundings too, for the same number of tokens; a few convolutions
at the entrance of a ViT serve the same end (Xiao et al. 2021, arXiv 2106.14881).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.nn import Conv2d
from minilm.tensor import Tensor
from minilm.vision.vit import EyeConfig, ViT


class OverlappingViT(ViT):
    """A `ViT` that reads each patch through a window of twice its side.

    Args:
        config: of the eye; an even patch.
        dtype: of the parameters.

    Raises:
        InputError: an odd patch, which has no middle.
    """

    def __init__(self, config: EyeConfig | None = None, dtype: Any = np.float32) -> None:
        super().__init__(config, dtype)
        p = self.config.patch
        if p % 2:
            raise InputError(f"patch is {p}; it must be even for windows that overlap")
        ins, outs = self.config.colours, self.config.channels
        self.patch = Conv2d(ins, outs, 2 * p, p, p // 2, dtype=dtype)

    def embed(self, pictures: Any) -> Tensor:
        """Windows before they see each other: (N, colours, side, side) -> (N, T, C)."""
        pictures = pictures if isinstance(pictures, Tensor) else Tensor(pictures)
        wanted = (self.config.colours, self.config.side, self.config.side)
        if pictures.ndim != 4 or tuple(pictures.shape[1:]) != wanted:
            raise InputError(
                f"pictures are {tuple(pictures.shape)}; this eye reads (N, {wanted[0]}, "
                f"{wanted[1]}, {wanted[2]})"
            )
        grid = self.patch(pictures)  # (N, C, G, G)
        rows = grid.reshape(grid.shape[0], grid.shape[1], self.config.tokens)
        return rows.transpose(1, 2) + self.places  # (N, T, C)
