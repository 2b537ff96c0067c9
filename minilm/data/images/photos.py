"""Images without a download: the digits and the two photographs that come with scikit-learn."""

from typing import NamedTuple

import numpy as np

from minilm.backend import rng
from minilm.errors import InputError, install


class DigitSplit(NamedTuple):
    """Handwritten digits to train on, and others to test with."""

    images: np.ndarray  # (N, 8, 8) float32, 0 (paper) to 1 (ink)
    labels: np.ndarray  # (N,) int64, 0 to 9
    held_images: np.ndarray  # (M, 8, 8)
    held_labels: np.ndarray  # (M,)


def digits() -> tuple[np.ndarray, np.ndarray]:
    """1797 handwritten digits.

    Returns:
        Images, float32 (1797, 8, 8), 0 (paper) to 1 (ink), and labels, int64 (1797,), 0 to 9.

    Raises:
        InputError: scikit-learn is not installed.
    """
    data = _datasets().load_digits()
    return (data.images / 16).astype(np.float32), data.target.astype(np.int64)


def split_digits(seed: int = 0, held: int = 500) -> DigitSplit:
    """The handwritten digits in an order that the seed draws; the first `held` are held out.

    Args:
        seed: of the order.
        held: how many are held out.

    Raises:
        InputError: a seed below 0; none or all of the digits held out; scikit-learn is not
            installed.
    """
    images, labels = digits()
    if not 0 < held < len(images):
        raise InputError(f"held is {held}; it must be from 1 to {len(images) - 1}")
    order = rng(seed, "split digits").permutation(len(images))
    out, kept = order[:held], order[held:]
    return DigitSplit(images[kept], labels[kept], images[out], labels[out])


def photographs() -> dict[str, np.ndarray]:
    """Two photographs, float32 (427, 640, 3), 0 to 1: "china" and "flower".

    Raises:
        InputError: scikit-learn is not installed.
    """
    names = ("china", "flower")
    images = [_datasets().load_sample_image(f"{name}.jpg") for name in names]
    return {name: image.astype(np.float32) / np.float32(255) for name, image in zip(names, images)}


def _datasets():  # noqa: ANN202, a module
    try:
        from sklearn import datasets
    except ImportError:
        raise InputError(
            f"images need scikit-learn, which is not installed: {install('course')}"
        ) from None
    return datasets
