"""What every part that learns from pictures refuses."""

import numpy as np

from minilm.errors import InputError


def check_pictures(pictures: np.ndarray) -> None:
    """Refuse pictures that cannot be trained on.

    Raises:
        InputError: no picture; numbers that are not floats, or not finite.
    """
    if pictures.ndim != 4 or not pictures.size or pictures.dtype.kind != "f":
        raise InputError(
            f"pictures are {pictures.dtype} of shape {pictures.shape}; they must be floats of "
            "shape (N, C, H, W), with at least one picture"
        )
    if not np.isfinite(pictures).all():
        raise InputError("pictures hold nan or inf; every number must be finite")
