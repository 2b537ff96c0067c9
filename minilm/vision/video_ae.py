"""Autoencoders of videos: every frame for itself, or several together and never looking ahead.

Both are one network. A convolution cuts each frame into patches, residual blocks of causal
convolutions let neighbours in space and time see each other, and `fold` frames become one. With a
window of one frame and a fold of 1 it is an autoencoder of pictures that is shown one frame after
the other. What is coded at a time depends on nothing that comes later, so a video can be coded as
it comes in.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import functional as F
from minilm import nn
from minilm.backend import to_numpy
from minilm.errors import InputError
from minilm.tensor import Tensor, no_grad

ROWS = 128  # videos that pass through at once


@dataclass(frozen=True)
class VideoAEConfig:
    """The shape of an autoencoder of videos.

    Attributes:
        taps: frames that a convolution sees, its own and those before; 1 sees its own only.
        fold: frames that share one latent.
        latent: numbers of a latent at each patch.
        hidden: channels between.
        depth: residual blocks on each side.
        patch: pixels of a patch along each axis.
        colours: channels of a frame.

    Raises:
        InputError: a size below 1 or a negative depth.
    """

    taps: int = 3
    fold: int = 4
    latent: int = 8
    hidden: int = 32
    depth: int = 2
    patch: int = 4
    colours: int = 3

    def __post_init__(self) -> None:
        for name in ("taps", "fold", "latent", "hidden", "patch", "colours"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.depth < 0:
            raise InputError(f"depth is {self.depth}; it must be 0 or more")

    def numbers(self, frames: int, side: int) -> int:
        """Numbers that are kept of a video."""
        return frames // self.fold * (side // self.patch) ** 2 * self.latent

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dataclasses.asdict(self)


class CausalResidual(nn.Module):
    """x + conv(silu(conv(silu(x)))), (B, C, T, H, W) as it was; the second conv starts at 0."""

    def __init__(self, channels: int, taps: int, dtype: Any = np.float32) -> None:
        std = (2 / (9 * taps * channels)) ** 0.5
        self.one = nn.CausalConv3d(channels, channels, taps, std=std, dtype=dtype)
        self.two = nn.CausalConv3d(channels, channels, taps, std=0.0, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.two(F.silu(self.one(F.silu(x))))


class VideoAE(nn.Module):
    """Videos (B, I, T, H, W) -> latents (B, D, T / fold, H / p, W / p) -> videos.

    Args:
        config: the shape.
        seed: of the first weights.
    """

    def __init__(self, config: VideoAEConfig, seed: int = 0, dtype: Any = np.float32) -> None:
        nn.manual_seed(seed)
        self.config, h, fold = config, config.hidden, config.fold
        taps, depth = config.taps, range(config.depth)
        cut = {"stride": config.patch, "padding": 0, "dtype": dtype}
        self.cut = nn.CausalConv3d(config.colours, h, 1, config.patch, **cut)
        self.see = nn.Sequential(*(CausalResidual(h, taps, dtype) for _ in depth))
        self.narrow = nn.CausalConv3d(h, config.latent, fold, 1, step=fold, dtype=dtype)
        self.widen = nn.CausalConv3d(config.latent, h * fold, 1, 1, dtype=dtype)
        self.draw = nn.Sequential(*(CausalResidual(h, taps, dtype) for _ in depth))
        self.join = nn.ConvTranspose2d(
            h, config.colours, config.patch, config.patch, padding=0, dtype=dtype
        )

    def encode(self, videos: Tensor) -> Tensor:
        """(B, I, T, H, W) -> (B, D, T / fold, H / p, W / p).

        Raises:
            InputError: another number of axes or colours; frames that `fold` does not divide, sides
                that the patch does not.
        """
        config, shape = self.config, videos.shape
        if len(shape) != 5 or shape[1] != config.colours:
            raise InputError(f"videos are {shape}; they must be (B, {config.colours}, T, H, W)")
        if shape[2] % config.fold or shape[3] % config.patch or shape[4] % config.patch:
            raise InputError(
                f"videos are {shape[2]} frames of {shape[3]} by {shape[4]}; fold {config.fold} "
                f"must divide the frames and patch {config.patch} both sides"
            )
        return self.narrow(self.see(self.cut(videos)))

    def decode(self, latents: Tensor) -> Tensor:
        """(B, D, S, h, w) -> (B, I, S fold, p h, p w).

        Raises:
            InputError: another number of axes or of latent numbers.
        """
        config, h = self.config, self.config.hidden
        if len(latents.shape) != 5 or latents.shape[1] != config.latent:
            raise InputError(
                f"latents are {latents.shape}; they must be (B, {config.latent}, S, h, w)"
            )
        b, _, s, down, right = latents.shape
        x = self.widen(latents).reshape(b, h, config.fold, s, down, right)
        x = x.permute(0, 1, 3, 2, 4, 5)  # (B, C, fold, S, h, w) -> (B, C, S, fold, h, w)
        x = self.draw(x.reshape(b, h, s * config.fold, down, right))  # (B, C, T, h, w)
        x = x.transpose(1, 2).reshape(-1, h, down, right)  # -> (B T, C, h, w)
        x = self.join(x)  # (B T, I, H, W)
        return x.reshape(b, s * config.fold, *x.shape[1:]).transpose(1, 2)

    def forward(self, videos: Tensor) -> Tensor:
        """Reconstructions (B, I, T, H, W).

        Raises:
            InputError: what `encode` refuses.
        """
        return self.decode(self.encode(videos))

    def loss(self, videos: np.ndarray) -> Tensor:
        """Mean squared error of the reconstructions."""
        return F.mse(self.forward(Tensor(videos)), videos)

    def rebuilt(self, videos: np.ndarray) -> np.ndarray:
        """Videos coded and decoded, without a tape: (N, I, T, H, W)."""
        with no_grad():
            parts = (videos[i : i + ROWS] for i in range(0, len(videos), ROWS))
            return np.concatenate([to_numpy(self.forward(Tensor(part)).data) for part in parts])


def frame_ae(latent: int = 2, hidden: int = 56, depth: int = 2) -> VideoAEConfig:
    """Every frame for itself; as wide as takes the operations of `causal_ae`'s 32 channels."""
    return VideoAEConfig(1, 1, latent, hidden, depth)


def causal_ae(latent: int = 8, hidden: int = 32, depth: int = 2) -> VideoAEConfig:
    """Four frames in one latent, convolutions that see three frames."""
    return VideoAEConfig(3, 4, latent, hidden, depth)
