"""Noise that survives a change of resolution, and the blur that relay diffusion starts from.

Averaging s x s pixels leaves 1 / s^2 of the variance of independent noise, so the same noise hides
less of a larger picture. Block noise is alike within s pixels and keeps its strength (Teng et al.
2023, Relay Diffusion, arXiv 2309.03350, section 3).
"""

import numpy as np

from minilm.errors import InputError

Array = np.ndarray


def _check_side(shape: tuple[int, ...], side: int) -> None:
    if side < 1:
        raise InputError(f"side is {side}; it must be at least 1")
    if len(shape) < 2:
        raise InputError(f"shape is {shape}; it must end in height and width")


def _check_divides(shape: tuple[int, ...], side: int) -> None:
    _check_side(shape, side)
    if shape[-2] % side or shape[-1] % side:
        raise InputError(f"side is {side}; it must divide height and width, {shape[-2:]}")


def pool(x: Array, side: int) -> Array:
    """Means of side x side pixels: (..., H, W) -> (..., H / side, W / side).

    Raises:
        InputError: `side` does not divide height and width.
    """
    _check_divides(x.shape, side)
    *lead, height, width = x.shape
    tiles = x.reshape(*lead, height // side, side, width // side, side)  # (..., h, s, w, s)
    return tiles.mean((-3, -1))


def block_noise(shape: tuple[int, ...], side: int, rng: np.random.Generator) -> Array:
    """Noise of variance 1 whose covariance falls in a line to 0 over `side` pixels.

    The sum of side^2 circular shifts of independent noise, over side; two pixels (dx, dy) apart
    have covariance (1 - |dx| / s)(1 - |dy| / s).

    Args:
        shape: (..., H, W).
        side: s; 1 gives independent noise.
        rng: where the noise comes from.

    Returns:
        float64 of `shape`.

    Raises:
        InputError: `side` is below 1 or larger than height or width.
    """
    _check_side(shape, side)
    if side > min(shape[-2:]):
        raise InputError(f"side is {side}; it must be at most height and width, {shape[-2:]}")
    x = rng.standard_normal(shape)
    for axis in (-2, -1):  # a sum of shifts along one axis after the other
        x = sum(np.roll(x, by, axis) for by in range(side))
    return x / side


def dct_matrix(size: int) -> Array:
    """The orthonormal discrete cosine transform: (size, size), row k is the wave k (type II)."""
    if size < 1:
        raise InputError(f"size is {size}; it must be at least 1")
    k, i = np.arange(size)[:, None], np.arange(size)
    waves = np.sqrt(2 / size) * np.cos(np.pi * (2 * i + 1) * k / (2 * size))
    waves[0] /= np.sqrt(2)
    return waves


def blur_patches(images: Array, sigma: float, side: int, least: float = 0.001) -> Array:
    """Blur within patches of side x side, as heat spreads in them for a time sigma^2 / 2.

    In the cosine transform of a patch the wave (k, l) is multiplied by
    exp(-(w_k^2 + w_l^2) sigma^2 / 2), with w_k = pi k / side, or by `least` where that is more; the
    mean of a patch stays. At a large sigma only the means are left: the small picture grown again
    (arXiv 2309.03350, eq. 9; blurring diffusion, Hoogeboom and Salimans, arXiv 2209.05557).

    Args:
        images: (..., H, W).
        sigma: in pixels; 0 changes nothing.
        side: of a patch.
        least: smallest factor of a wave.

    Returns:
        An array of the shape and dtype of `images`.

    Raises:
        InputError: `sigma` is negative or nan, or `side` does not divide height and width.
    """
    if not sigma >= 0:
        raise InputError(f"sigma is {sigma}; it must be at least 0")
    _check_divides(images.shape, side)
    if sigma == 0:
        return images.copy()
    *lead, height, width = images.shape
    wave = np.pi * np.arange(side) / side
    damped = np.exp(-(wave[:, None] ** 2 + wave**2) * sigma**2 / 2)
    damped = np.maximum(damped, least)
    transform = dct_matrix(side)
    tiles = images.reshape(*lead, height // side, side, width // side, side)  # (..., h, s, w, s)
    tiles = np.moveaxis(tiles, -3, -2)  # (..., h, s, w, s) -> (..., h, w, s, s)
    waves = transform @ tiles @ transform.T * damped  # (..., h, w, s, s)
    back = np.moveaxis(transform.T @ waves @ transform, -2, -3)  # -> (..., h, s, w, s)
    return back.reshape(images.shape).astype(images.dtype)
