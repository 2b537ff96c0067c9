"""Vector quantisation: every vector becomes the nearest of K codes.

VQ-VAE, van den Oord et al. 2017 (arXiv 1711.00937): section 3.2 for the loss and the gradient,
appendix A.1 for the codebook that follows averages.
"""

from typing import Any, NamedTuple

import numpy as np

from minilm import functional as F
from minilm import nn
from minilm.backend import Array, to_numpy, xp_of
from minilm.errors import InputError
from minilm.nn.module import constant, draw
from minilm.tensor import Tensor

LEAST = 1e-6  # a code that fewer vectors than this choose stays where it is


class Quantized(NamedTuple):
    """What quantisation gives."""

    codes: Tensor  # (..., D), the chosen codes; their gradient goes straight to the vectors
    ids: Array  # (...) int64
    loss: Tensor  # (), to be added to the loss of what reads the codes


class Usage(NamedTuple):
    """How many codes are in use."""

    used: int
    perplexity: float  # e to the entropy, in nats, of how often each is chosen; 1 to K


def nearest_code(z: Array, codes: Array) -> Array:
    """The nearest code of each vector, the first of several: (..., D), (K, D) -> (...) int64.

    Raises:
        InputError: shapes that do not fit.
    """
    if codes.ndim != 2 or not len(codes) or z.ndim < 1 or z.shape[-1] != codes.shape[1]:
        raise InputError(f"z is {z.shape} and codes {codes.shape}; they must be (..., D), (K, D)")
    # |z - e|^2 without |z|^2, which is the same for every code
    return ((codes * codes).sum(1) - 2 * (z @ codes.T)).argmin(-1)


def quantize(z: Tensor, codes: Tensor, beta: float = 0.25) -> Quantized:
    """Replace each vector by its nearest code (arXiv 1711.00937, eq. 1-3).

    Going forward the value is the code e; going back, the gradient of the code passes straight to
    z. The loss is mean (sg[z] - e)^2 + beta mean (z - sg[e])^2, where sg stops the gradient: the
    first pulls codes to their vectors, the second vectors to their codes. Over n numbers, z gets
    grad_codes + 2 beta (z - e) / n.

    Args:
        z: (..., D).
        codes: (K, D); where they need no gradient, the first part of the loss is left out.
        beta: weight of the second part.

    Raises:
        InputError: shapes that do not fit; a beta that is negative or nan.
    """
    if not beta >= 0:
        raise InputError(f"beta is {beta}; it must be 0 or more")
    ids = nearest_code(z.data, codes.data)
    chosen = F.embedding(ids, codes)  # (..., D)
    loss = beta * F.mse(z, chosen.data)
    if codes.requires_grad:
        loss = loss + F.mse(chosen, z.data)
    return Quantized(F.straight_through(z, chosen.data), ids, loss)


def ema_step(counts: Array, sums: Array, z: Array, ids: Array, decay: float) -> tuple[Array, Array]:
    """Move the averages of a codebook towards one batch (arXiv 1711.00937, eq. 6-7).

    N <- decay N + (1 - decay) n and m <- decay m + (1 - decay) s, where n vectors of sum s chose a
    code. The code is m / N; while the choices stay the same, it goes to the mean of its vectors.

    Args:
        counts: N, (K,).
        sums: m, (K, D).
        z: (..., D).
        ids: (...) integers, which code each vector chose.
        decay: from 0 to 1.

    Returns:
        The new counts and sums.

    Raises:
        InputError: a decay out of range, or shapes that do not fit.
    """
    _check_decay(decay)
    if z.shape[:-1] != ids.shape or sums.shape != (len(counts), z.shape[-1]):
        raise InputError(
            f"z is {z.shape}, ids {ids.shape}, counts {counts.shape} and sums {sums.shape}; "
            "they must be (..., D), (...), (K,), (K, D)"
        )
    xp = xp_of(z)
    chose = (ids.reshape(-1, 1) == xp.arange(len(counts))).astype(sums.dtype)  # (N, K)
    total = chose.T @ z.reshape(-1, z.shape[-1]).astype(sums.dtype)  # (K, D)
    new = 1 - decay
    return decay * counts + new * chose.sum(0), decay * sums + new * total


def _check_decay(decay: float) -> None:
    if not 0 <= decay <= 1:
        raise InputError(f"decay is {decay}; it must be from 0 to 1")


def usage(ids: Array, size: int) -> Usage:
    """How many of `size` codes are chosen, and how evenly.

    Raises:
        InputError: no ids, ids that are not integers, or one outside 0 .. size - 1.
    """
    ids = to_numpy(ids).ravel()
    if not ids.size or ids.dtype.kind not in "iu":
        raise InputError(f"ids are {ids.size} of {ids.dtype}; they must be integers, at least one")
    if ids.min() < 0 or ids.max() >= size:
        raise InputError(f"ids are {ids.min()} to {ids.max()}; they must be from 0 to {size - 1}")
    share = np.bincount(ids) / ids.size
    share = share[share > 0]
    return Usage(len(share), float(np.exp(-(share * np.log(share)).sum())))


class Codebook(nn.Module):
    """K codes that learn by gradient, or follow the averages of the vectors that choose them.

    `forward` quantises and changes nothing. Between two training steps, call `follow` with the
    vectors of the batch and then, against codes that nobody chooses, `revive`.

    Args:
        size: K.
        width: D.
        beta: weight of the loss that pulls vectors to codes.
        decay: of the averages.
        by_gradient: whether the codes are parameters; `follow` then counts only.
        std: standard deviation of the first codes.
        dtype: of the codes.

    Raises:
        InputError: a size or width below 1; a beta that is negative; a decay out of range.
    """

    def __init__(
        self,
        size: int,
        width: int,
        beta: float = 0.25,
        decay: float = 0.99,
        by_gradient: bool = False,
        std: float = 1.0,
        dtype: Any = np.float32,
    ) -> None:
        for name, value in (("size", size), ("width", width)):
            if value < 1:
                raise InputError(f"{name} is {value}; it must be 1 or more")
        if not beta >= 0:
            raise InputError(f"beta is {beta}; it must be 0 or more")
        _check_decay(decay)
        self.beta, self.decay, self.by_gradient = beta, decay, by_gradient
        codes = draw((size, width), std, dtype)
        self.codes = (nn.Parameter if by_gradient else nn.Buffer)(codes)  # (K, D)
        self.counts = nn.Buffer(constant((size,), 1.0, dtype))  # vectors per batch

    def forward(self, z: Tensor) -> Quantized:  # (..., D)
        return quantize(z, self.codes, self.beta)

    def follow(self, z: Array, ids: Array) -> None:
        """Take a batch into the averages: its vectors (..., D) and the codes that they chose (...).

        Raises:
            InputError: shapes that do not fit.
        """
        codes, before = self.codes.data, self.counts.data
        # The sums are what the codes stand for, so they need no place of their own.
        counts, sums = ema_step(before, before[:, None] * codes, z, ids, self.decay)
        before[...] = counts
        if not self.by_gradient:
            alive = counts > LEAST
            codes[alive] = sums[alive] / counts[alive, None]
            self.codes.touch()

    def revive(self, z: Array, least: float, rng: np.random.Generator) -> int:
        """Put codes that too few vectors choose onto random vectors of a batch.

        Args:
            z: (..., D).
            least: vectors per batch, averaged, below which a code counts as dead.
            rng: chooses the vectors.

        Returns:
            how many codes were dead.

        Raises:
            InputError: z of another width, or without a vector.
        """
        width = self.codes.shape[1]
        if z.shape[-1:] != (width,) or not z.size:
            raise InputError(f"z is {z.shape}; it must be (..., {width}) with at least one vector")
        rows = z.reshape(-1, width)  # (..., D) -> (N, D)
        dead = np.flatnonzero(to_numpy(self.counts.data) < least)
        chosen = rows[rng.integers(0, len(rows), len(dead))]
        self.codes.data[dead] = chosen
        self.counts.data[dead] = 1
        self.codes.touch()
        return len(dead)
