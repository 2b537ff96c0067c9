"""A DiT over spacetime patches: it draws a whole video at once (Brooks et al. 2024, Sora).

A video travels through the diffusion of this package as a picture with a channel for each colour of
each frame, (B, C T, H, W): schedules, batches and samplers need to know no more. Here it is cut
into blocks of frames and pixels, and every block looks at every other, those of later frames too:
unlike frame after frame, nothing drawn early is fixed while the rest is still open.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import functional as F
from minilm import nn
from minilm.diffusion.conditioning import Modulation, TimeEmbedding, modulate
from minilm.diffusion.dit import AdaBlock, as_tensor, step_flops
from minilm.errors import InputError
from minilm.tensor import Tensor
from minilm.vision.spacetime import spacetime_patchify, spacetime_unpatchify


@dataclass(frozen=True)
class VideoDiTConfig:
    """The shape of a DiT of videos.

    Attributes:
        frames: T of a video.
        side: pixels of a frame along each axis.
        colours: C of a frame.
        per: f, frames of a patch; divides `frames`.
        patch: p, pixels of a patch; divides the side.
        width, layers, heads: as in a transformer.
        slots: for each thing that a caption may say, how many ids it has; id 0 says nothing.
        beside: videos that are shown beside the noisy one, as a decoder shows what it decodes.

    Raises:
        InputError: a size below 1, or a patch that does not divide what it cuts.
    """

    frames: int = 8
    side: int = 12
    colours: int = 3
    per: int = 2
    patch: int = 4
    width: int = 64
    layers: int = 3
    heads: int = 4
    slots: tuple[int, ...] = (1,)
    beside: int = 0

    def __post_init__(self) -> None:
        for name in ("frames", "side", "colours", "per", "patch", "width", "layers", "heads"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.frames % self.per or self.side % self.patch:
            raise InputError(
                f"per is {self.per} and patch {self.patch}; they must divide frames, "
                f"{self.frames}, and side, {self.side}"
            )
        if not self.slots or min(self.slots) < 1 or self.beside < 0:
            raise InputError(
                f"slots are {self.slots} and beside {self.beside}; there must be a slot, each of 1 "
                "id or more, and beside must be 0 or more"
            )

    @property
    def channels(self) -> int:
        """Channels of a video as the samplers see it."""
        return self.colours * self.frames

    @property
    def tokens(self) -> int:
        """Spacetime patches of a video."""
        return self.frames // self.per * (self.side // self.patch) ** 2

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dataclasses.asdict(self)


class VideoDiT(nn.Module):
    """Predicts noise, video or v from a noisy video, a time and the words of a caption.

    Args:
        config: the shape.
        seed: of the first weights.
    """

    def __init__(self, config: VideoDiTConfig, seed: int = 0, dtype: Any = np.float32) -> None:
        nn.manual_seed(seed)
        self.config, c = config, config.width
        numbers = config.per * config.patch**2
        inputs = config.colours * (1 + config.beside) * numbers
        self.cut = nn.Linear(inputs, c, dtype=dtype)
        self.place = nn.Embedding(config.tokens, c, dtype=dtype)
        self.words = nn.Embedding(sum(config.slots), c, dtype=dtype)
        self.time = TimeEmbedding(c, dtype)
        self.blocks = nn.ModuleList(
            [AdaBlock(c, config.heads, dtype=dtype) for _ in range(config.layers)]
        )
        self.norm = nn.LayerNorm(c, affine=False)
        self.last = Modulation(c, 2, dtype)
        self.out = nn.Linear(c, config.colours * numbers, std=0.0, dtype=dtype)
        self.starts = np.cumsum([0, *config.slots[:-1]])  # of each slot's ids in the table

    def forward(self, x: Any, t: Any, given: Any) -> Tensor:
        """What the network was trained to predict, for each video.

        Args:
            x: (B, C T (1 + beside), H, W), colour by colour and frame by frame.
            t: (B,), 0 = video, 1 = noise.
            given: (B, L) ids of the L slots, 0 = not said.

        Returns:
            (B, C T, H, W).
        """
        config, x = self.config, as_tensor(x)
        b, side = x.shape[0], config.side
        video = x.reshape(b, -1, config.frames, side, side)  # -> (B, C (1 + beside), T, H, W)
        tokens = spacetime_patchify(video, config.per, config.patch)  # (B, N, ..)
        h = self.cut(tokens) + self.place.weight  # (B, N, width)
        said = self.words(np.asarray(given) + self.starts)  # (B, L) -> (B, L, width)
        condition = F.silu(self.time(t) + said.sum(axis=1))  # (B, width)
        for block in self.blocks:
            h = block(h, condition)
        h = self.out(modulate(self.norm(h), *self.last(condition)))  # (B, N, C f p p)
        shape = (config.frames, side, side)
        made = spacetime_unpatchify(h, config.per, config.patch, shape)  # (B, C, T, H, W)
        return made.reshape(b, config.channels, side, side)

    def unlabelled(self, given: np.ndarray) -> np.ndarray:
        """Captions that say nothing, as many."""
        return np.zeros_like(given)


def video_dit_flops(config: VideoDiTConfig, batch: int) -> float:
    """Operations of one training step, without attention's products."""
    with nn.shapes_only():
        model = VideoDiT(config)
    once = {"time": 1, "last": 1}
    once |= {f"blocks.{i}.modulation": 1 for i in range(config.layers)}
    return step_flops(model, {"": config.tokens, **once}, batch)


def as_channels(videos: np.ndarray) -> np.ndarray:
    """Videos as the samplers see them: (N, C, T, H, W) -> (N, C T, H, W).

    Raises:
        InputError: another number of axes.
    """
    if videos.ndim != 5:
        raise InputError(f"videos are {videos.shape}; they must be (N, C, T, H, W)")
    n, c, t, h, w = videos.shape
    return videos.reshape(n, c * t, h, w)


def as_videos(pictures: np.ndarray, frames: int) -> np.ndarray:
    """`as_channels` undone: (N, C T, H, W) -> (N, C, T, H, W).

    Raises:
        InputError: another number of axes, or channels that the frames do not divide.
    """
    if pictures.ndim != 4 or frames < 1 or pictures.shape[1] % frames:
        raise InputError(
            f"pictures are {pictures.shape} for {frames} frames; they must be (N, C T, H, W)"
        )
    n, c, h, w = pictures.shape
    return pictures.reshape(n, c // frames, frames, h, w)
