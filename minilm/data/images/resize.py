"""Pictures at other sizes by area: every new pixel is the mean of what it covers.

Half the side is average pooling, twice the side repeats pixels, and all between is exact too: the
mean of the picture never changes. The operation is a product with one matrix for each axis.
"""

from functools import lru_cache

import numpy as np

from minilm.errors import InputError


@lru_cache(maxsize=256)
def area_weights(
    length: int, size: int, start: float = 0.0, stop: float | None = None
) -> np.ndarray:
    """The matrix (size, length) that averages pixels start to stop into `size` equal shares.

    Args:
        length: pixels along the axis.
        size: pixels wanted.
        start, stop: edges of the part that is seen, in pixels; None: all of it.

    Raises:
        InputError: a size or length below 1; edges that are not in order or outside the axis.
    """
    stop = float(length) if stop is None else float(stop)
    for name, value in (("length", length), ("size", size)):
        if value < 1:
            raise InputError(f"{name} is {value}; it must be 1 or more")
    if not 0 <= start < stop <= length:
        raise InputError(
            f"start is {start:g} and stop {stop:g}; they must be in order, from 0 to {length}"
        )
    edges = start + (stop - start) * np.arange(size + 1) / size  # (size + 1,)
    low, high = edges[:-1, None], edges[1:, None]
    pixel = np.arange(length)
    covered = np.minimum(high, pixel + 1) - np.maximum(low, pixel)  # (size, length)
    weights = np.maximum(covered, 0) / (high - low)
    weights.setflags(write=False)
    return weights


def resize(pictures: np.ndarray, side: int) -> np.ndarray:
    """Pictures (..., H, W) at side by side pixels, of the same dtype.

    Raises:
        InputError: fewer than two axes, numbers that are not floats, a side below 1.
    """
    return resize_part(pictures, (0, 0, *np.shape(pictures)[-2:]), side)


def resize_part(
    pictures: np.ndarray, box: tuple[float, float, float, float], side: int
) -> np.ndarray:
    """A part of pictures (..., H, W) at side by side pixels; box is (top, left, bottom, right).

    Raises:
        InputError: as `resize`; a box that is empty or reaches outside.
    """
    pictures = np.asarray(pictures)
    if pictures.ndim < 2 or pictures.dtype.kind != "f":
        raise InputError(
            f"pictures are {pictures.dtype} of shape {pictures.shape}; they must be floats of "
            "shape (..., H, W)"
        )
    top, left, bottom, right = (float(edge) for edge in box)
    down = area_weights(pictures.shape[-2], side, top, bottom).astype(pictures.dtype)
    along = area_weights(pictures.shape[-1], side, left, right).astype(pictures.dtype)
    return down @ pictures @ along.T  # (side, H) (..., H, W) (W, side)
