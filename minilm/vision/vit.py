"""The eye: a Vision Transformer, which reads a picture as patches that all see each other.

ViT (Dosovitskiy et al. 2021, arXiv 2010.11929): each patch is one token, a linear map of its
pixels plus a learned vector for its place; then the blocks of a language model without its mask.
`clip` and `reconstruct` are two ways to train it; `language` shows a language model what it sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.models.block import Stack
from minilm.models.config import Config
from minilm.nn import Linear, Module, Parameter, Sight
from minilm.nn.module import draw
from minilm.tensor import Tensor, no_grad
from minilm.vision.patches import patchify


@dataclass(frozen=True)
class EyeConfig:
    """The shape of a `ViT`.

    Attributes:
        side: pixels of a picture along each axis.
        patch: p, pixels of a patch along each axis; divides `side`.
        layers: L, blocks.
        channels: C, width.
        heads: H, of attention.
        colours: channels of a picture.

    Raises:
        InputError: a size below 1; a patch that does not divide the side.
    """

    side: int = 20
    patch: int = 5
    layers: int = 2
    channels: int = 64
    heads: int = 4
    colours: int = 3

    def __post_init__(self) -> None:
        for name in ("side", "patch", "layers", "channels", "heads", "colours"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.side % self.patch:
            raise InputError(f"patch is {self.patch}; it must divide side, which is {self.side}")

    @property
    def grid(self) -> int:
        """Patches along each axis: 224 pixels in patches of 14 are 16."""
        return self.side // self.patch

    @property
    def tokens(self) -> int:
        """T, patches of a picture: 224 pixels in patches of 14 are 256, 490 pixels 1,225."""
        return self.grid**2

    @property
    def numbers(self) -> int:
        """Numbers of a patch."""
        return self.colours * self.patch**2

    def blocks(self) -> Config:
        """What the stack is built of: the blocks of an encoder."""
        return Config(
            vocab_size=1, context=self.tokens, layers=self.layers, heads=self.heads,
            channels=self.channels, kind="encoder", head="none", positions="none",
            activation="gelu_tanh",
        )  # fmt: skip


class ViT(Module):
    """Pictures to one vector for each patch.

    Args:
        config: its shape.
        dtype: of the parameters.

    First weights come from the stream of `nn.manual_seed`.

    Parameters: `patch` (a linear map), `places` (T, C), `stack`.
    """

    def __init__(self, config: EyeConfig | None = None, dtype: Any = np.float32) -> None:
        self.config = config = EyeConfig() if config is None else config
        self.patch = Linear(config.numbers, config.channels, dtype=dtype)
        self.places = Parameter(draw((config.tokens, config.channels), 0.5, dtype))
        self.stack = Stack(config.blocks(), dtype=dtype)

    @property
    def channels(self) -> int:
        """C, the width of what comes out."""
        return self.config.channels

    def forward(self, pictures: Any, skip: int = 0) -> Tensor:
        """(N, colours, side, side) -> (N, T, C), patches in reading order.

        Args:
            pictures: floats, best of mean 0 and deviation 1 or within 0 to 1.
            skip: last blocks to leave out, and the last norm with them. LLaVA skips one of CLIP's:
                the last block serves the contrastive loss more than what is in the patches.

        Raises:
            InputError: pictures of another shape; a skip that leaves no block.
        """
        return self.encode(self.embed(pictures), skip)

    def embed(self, pictures: Any) -> Tensor:
        """Patches before they see each other: (N, colours, side, side) -> (N, T, C)."""
        pictures = pictures if isinstance(pictures, Tensor) else Tensor(pictures)
        config = self.config
        wanted = (config.colours, config.side, config.side)
        if pictures.ndim != 4 or tuple(pictures.shape[1:]) != wanted:
            raise InputError(
                f"pictures are {tuple(pictures.shape)}; this eye reads (N, {config.colours}, "
                f"{config.side}, {config.side})"
            )
        return self.patch(patchify(pictures, config.patch)) + self.places  # (N, T, C)

    def encode(self, x: Tensor, skip: int = 0) -> Tensor:
        """The blocks: (N, T, C) -> (N, T, C); `skip` as in `forward`."""
        blocks = self.stack.blocks
        if not 0 <= skip < len(blocks):
            raise InputError(f"skip is {skip}; it must be from 0 to {len(blocks) - 1}")
        if not skip:
            return self.stack(x, Sight())
        for i in range(len(blocks) - skip):
            x = blocks[i](x, Sight())
        return x

    def pooled(self, pictures: Any) -> Tensor:
        """One vector for each picture, the mean of its patches: -> (N, C)."""
        return F.mean(self(pictures), axis=1)


def seen(eye: ViT, pictures: np.ndarray, skip: int = 0, batch: int = 256) -> np.ndarray:
    """What a frozen eye sees, batch by batch, without gradients: (N, T, C)."""
    with no_grad():
        parts = [eye(pictures[i : i + batch], skip).numpy() for i in range(0, len(pictures), batch)]
    return np.concatenate(parts)
