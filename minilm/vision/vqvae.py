"""A VQ-VAE: pictures to codes of a learned codebook and back (van den Oord et al. 2017).

A convolution cuts the picture into patches, residual blocks let neighbours see each other, and each
patch becomes the nearest code. The way back mirrors it. `minilm.train.vq` trains it.
"""

from typing import Any

import numpy as np

from minilm import functional as F
from minilm import nn
from minilm.backend import Array, to_numpy
from minilm.errors import InputError
from minilm.tensor import Tensor, no_grad
from minilm.vision.vq import Codebook, nearest_code

ROWS = 512  # pictures that pass through at once


class Residual(nn.Module):
    """x + conv(silu(conv(silu(x)))), (B, C, H, W) -> (B, C, H, W); the second conv starts at 0."""

    def __init__(self, channels: int, dtype: Any = np.float32) -> None:
        self.one = nn.Conv2d(channels, channels, 3, std=(2 / (9 * channels)) ** 0.5, dtype=dtype)
        self.two = nn.Conv2d(channels, channels, 3, std=0.0, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.two(F.silu(self.one(F.silu(x))))


class VqVae(nn.Module):
    """Pictures (B, I, H, W) -> T = (H / p)(W / p) codes in reading order -> pictures.

    Args:
        patch: p, pixels of a patch along each axis.
        codes: K, codes of the codebook.
        colours: I, channels of a picture.
        width: D, numbers of a code.
        hidden: channels between picture and codes.
        depth: residual blocks on each side.
        beta: weight of the loss that pulls vectors to codes.
        decay: of the codebook's averages.
        by_gradient: whether the codes learn by gradient; they follow averages otherwise.
        std: standard deviation of the first codes.
        dtype: of all numbers.

    Raises:
        InputError: a size below 1; what `Codebook` refuses.
    """

    def __init__(
        self,
        patch: int,
        codes: int = 64,
        colours: int = 1,
        width: int = 8,
        hidden: int = 32,
        depth: int = 1,
        beta: float = 0.25,
        decay: float = 0.97,
        by_gradient: bool = False,
        std: float = 1.0,
        dtype: Any = np.float32,
    ) -> None:
        for name, size in {"patch": patch, "colours": colours, "hidden": hidden}.items():
            if size < 1:
                raise InputError(f"{name} is {size}; it must be 1 or more")
        if depth < 0:
            raise InputError(f"depth is {depth}; it must be 0 or more")
        self.patch, self.colours = patch, colours
        self.cut = nn.Conv2d(colours, hidden, patch, stride=patch, padding=0, dtype=dtype)
        self.see = nn.Sequential(*(Residual(hidden, dtype) for _ in range(depth)))
        self.narrow = nn.Conv2d(hidden, width, 1, dtype=dtype)
        self.codebook = Codebook(codes, width, beta, decay, by_gradient, std, dtype)
        self.widen = nn.Conv2d(width, hidden, 1, dtype=dtype)
        self.draw = nn.Sequential(*(Residual(hidden, dtype) for _ in range(depth)))
        self.join = nn.ConvTranspose2d(hidden, colours, patch, patch, padding=0, dtype=dtype)

    def check_sides(self, shape: tuple[int, ...]) -> None:
        """Refuse pictures of another shape than (B, I, H, W) whose sides the patch divides.

        Raises:
            InputError: it says what the shape is and what it must be.
        """
        if len(shape) != 4 or shape[1] != self.colours:
            raise InputError(f"pictures are {shape}; they must be (B, {self.colours}, H, W)")
        if shape[2] % self.patch or shape[3] % self.patch:
            raise InputError(
                f"pictures are {shape[2]} by {shape[3]}; patch {self.patch} must divide both"
            )

    def encode(self, pictures: Tensor) -> Tensor:
        """Vectors before quantisation: (B, I, H, W) -> (B, T, D).

        Raises:
            InputError: what `check_sides` refuses.
        """
        self.check_sides(pictures.shape)
        z = self.narrow(self.see(self.cut(pictures)))  # (B, D, H / p, W / p)
        batch, width, down, right = z.shape
        return z.reshape(batch, width, down * right).transpose(1, 2)  # -> (B, T, D)

    def decode(self, codes: Tensor, down: int, right: int) -> Tensor:
        """Pictures of codes: (B, T, D), T = down x right patches -> (B, I, p down, p right).

        Raises:
            InputError: another number of codes.
        """
        batch, count, width = codes.shape
        if count != down * right:
            raise InputError(f"there are {count} codes; {down} by {right} patches need as many")
        z = codes.transpose(1, 2).reshape(batch, width, down, right)  # (B, T, D) -> (B, D, h, w)
        return self.join(self.draw(self.widen(z)))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstructions (B, I, H, W), and the codebook's loss.

        Raises:
            InputError: what `check_sides` refuses.
        """
        found = self.codebook(self.encode(pictures))
        down, right = (side // self.patch for side in pictures.shape[2:])
        return self.decode(found.codes, down, right), found.loss

    def loss(self, pictures: Tensor) -> Tensor:
        """Mean square of what is lost, and the codebook's loss (arXiv 1711.00937, eq. 3)."""
        made, pull = self.forward(pictures)
        return F.mse(made, pictures.data) + pull

    def tokens(self, pictures: Array) -> np.ndarray:
        """Pictures as ids of codes: (N, I, H, W) -> int64 (N, T).

        Raises:
            InputError: what `check_sides` refuses.
        """
        with no_grad():
            parts = (Tensor(pictures[i : i + ROWS]) for i in range(0, len(pictures), ROWS))
            codes = self.codebook.codes.data
            found = [to_numpy(nearest_code(self.encode(part).data, codes)) for part in parts]
        return np.concatenate(found)

    def pictures(self, tokens: Array, down: int, right: int) -> np.ndarray:
        """Ids as pictures: (N, T) -> (N, I, p down, p right).

        Raises:
            InputError: ids that the codebook does not have, or another number of them.
        """
        codes = self.codebook.codes.data
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < len(codes):
            raise InputError(
                f"tokens are {tokens.min()} to {tokens.max()}; they must be from 0 to "
                f"{len(codes) - 1}"
            )
        with no_grad():
            parts = (Tensor(codes[tokens[i : i + ROWS]]) for i in range(0, len(tokens), ROWS))
            made = [to_numpy(self.decode(part, down, right).data) for part in parts]
        return np.concatenate(made)
