"""Images without a download: the digits and the two photographs that come with scikit-learn."""

import numpy as np

from minilm.errors import InputError, install


def digits() -> tuple[np.ndarray, np.ndarray]:
    """1797 handwritten digits.

    Returns:
        Images, float32 (1797, 8, 8), 0 (paper) to 1 (ink), and labels, int64 (1797,), 0 to 9.

    Raises:
        InputError: scikit-learn is not installed.
    """
    data = _datasets().load_digits()
    return (data.images / 16).astype(np.float32), data.target.astype(np.int64)


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
