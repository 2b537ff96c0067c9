"""How much power pictures have in every wave, and how far two sets of them differ."""

import numpy as np

from minilm.analysis.pictures import check_finite
from minilm.errors import InputError

Array = np.ndarray


def power(pictures: Array) -> Array:
    """Mean power of every wave: |DFT|^2 / (H W), averaged over all but the last two axes.

    The mean over the waves is the mean square of a pixel (Parseval).

    Args:
        pictures: (..., H, W).

    Returns:
        float64 (H, W), in the order of `numpy.fft.fft2`.

    Raises:
        InputError: fewer than two axes, no number, or one that is not finite.
    """
    pictures = np.asarray(pictures, dtype=np.float64)
    if pictures.ndim < 2 or not pictures.size:
        raise InputError(f"pictures are {pictures.shape}; they must be (..., H, W), and not empty")
    check_finite("pictures", pictures)
    waves = np.abs(np.fft.fft2(pictures)) ** 2 / (pictures.shape[-2] * pictures.shape[-1])
    return waves.mean(tuple(range(pictures.ndim - 2)))


def rings(pictures: Array) -> Array:
    """Mean power for each number of waves to the picture, in all directions: (min(H, W) // 2 + 1,).

    Entry k averages the waves of length |k| rounded to k; corners beyond the last are left out.

    Raises:
        InputError: as `power`.
    """
    waves = power(pictures)
    down, right = (np.fft.fftfreq(size) * size for size in waves.shape)
    length = np.rint(np.hypot(down[:, None], right)).astype(int).ravel()
    count = np.bincount(length)
    mean = np.bincount(length, waves.ravel()) / np.maximum(count, 1)
    return mean[: min(waves.shape) // 2 + 1]


def spectrum_error(a: Array, b: Array) -> float:
    """Root mean square of ln(power of a / power of b) over all waves, the mean's included.

    0 for equal spectra; |ln c| where every wave of one has c times the power.

    Raises:
        InputError: pictures of different height or width; a wave that one set does not have at
            all, such as of constant pictures; what `power` refuses.
    """
    first, second = power(a), power(b)
    if first.shape != second.shape:
        raise InputError(f"pictures are {first.shape} and {second.shape}; they must be alike")
    for name, waves in (("first", first), ("second", second)):
        if not waves.all():
            raise InputError(
                f"the {name} pictures have no power in {int((waves == 0).sum())} waves; "
                "each must have some, for its logarithm"
            )
    return float(np.sqrt(np.mean(np.log(first / second) ** 2)))
