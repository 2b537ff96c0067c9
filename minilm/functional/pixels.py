"""Pixels that become channels, and channels that become pixels."""

import numpy as np

from minilm.backend import Array
from minilm.errors import InputError
from minilm.tensor import primitive


@primitive
def pixel_shuffle(x: Array, scale: int):
    """Channels become pixels: (..., C s s, H, W) -> (..., C, H s, W s) (arXiv 1609.05158, eq. 4).

    Channel c s s + i s + j of a pixel is what stands at (i, j) in its square of s by s.

    Raises:
        InputError: fewer than three axes; channels that are not a multiple of s s; s below 1.
    """
    _check_scale("pixel_shuffle", x, scale)
    if x.shape[-3] % scale**2:
        raise InputError(
            f"pixel_shuffle: x is {x.shape}; scale {scale} needs a multiple of {scale**2} channels"
        )
    return _to_pixels(x, scale), lambda g: (_to_channels(g, scale),)


@primitive
def pixel_unshuffle(x: Array, scale: int):
    """Pixels become channels, `pixel_shuffle` undone: (..., C, H s, W s) -> (..., C s s, H, W).

    Raises:
        InputError: fewer than three axes; rows or columns that are not a multiple of s; s below 1.
    """
    _check_scale("pixel_unshuffle", x, scale)
    if x.shape[-2] % scale or x.shape[-1] % scale:
        raise InputError(
            f"pixel_unshuffle: x is {x.shape}; scale {scale} must divide its rows and columns"
        )
    return _to_channels(x, scale), lambda g: (_to_pixels(g, scale),)


def _check_scale(name: str, x: Array, scale: int) -> None:
    if not isinstance(scale, (int, np.integer)) or scale < 1:
        raise InputError(f"{name}: scale is {scale!r}; it must be a whole number of 1 or more")
    if x.ndim < 3:
        raise InputError(f"{name}: x is {x.shape}; it must be (..., C, H, W)")


def _to_pixels(x: Array, s: int) -> Array:
    *lead, c, h, w = x.shape
    apart = x.reshape(*lead, c // s**2, s, s, h, w)  # (.., C s s, H, W) -> (.., C, s, s, H, W)
    n = len(lead)
    turned = apart.transpose(*range(n), n, n + 3, n + 1, n + 4, n + 2)  # -> (.., C, H, s, W, s)
    return turned.reshape(*lead, c // s**2, h * s, w * s)  # -> (.., C, H s, W s)


def _to_channels(x: Array, s: int) -> Array:
    *lead, c, h, w = x.shape
    apart = x.reshape(*lead, c, h // s, s, w // s, s)  # (.., C, H s, W s) -> (.., C, H, s, W, s)
    n = len(lead)
    turned = apart.transpose(*range(n), n, n + 2, n + 4, n + 1, n + 3)  # -> (.., C, s, s, H, W)
    return turned.reshape(*lead, c * s**2, h // s, w // s)  # -> (.., C s s, H, W)
