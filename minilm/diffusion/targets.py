"""What a network predicts: four names for one prediction, and the way between them.

Given x = alpha x0 + sigma e, each of these says where the image is:

    "noise"     e                       (Ho et al. 2020, arXiv 2006.11239)
    "image"     x0
    "v"         alpha e - sigma x0      (Salimans and Ho 2022, arXiv 2202.00512, appendix D)
    "flow"      e - x0                  (rectified flow; Liu et al. 2022, arXiv 2209.03003)

`v` needs alpha^2 + sigma^2 = 1. With alpha = 1 - t and sigma = t, "flow" is the path's velocity.
"""

from typing import Any

import numpy as np

from minilm.errors import InputError

TARGETS = ("noise", "image", "v", "flow")


def check_target(kind: str) -> None:
    """Refuse a name that is none of `TARGETS`."""
    if kind not in TARGETS:
        raise InputError(f"target is {kind!r}; it must be one of {', '.join(TARGETS)}")


def mix(image: Any, noise: Any, alpha: Any, sigma: Any) -> Any:
    """alpha image + sigma noise: a picture on its way to noise; shapes broadcast."""
    return alpha * image + sigma * noise


def target(kind: str, image: Any, noise: Any, alpha: Any, sigma: Any) -> Any:
    """What a network that predicts `kind` should answer to `mix(image, noise, alpha, sigma)`.

    Raises:
        InputError: `kind` is none of `TARGETS`.
    """
    check_target(kind)
    if kind == "noise":
        return noise
    if kind == "image":
        return image
    return alpha * noise - sigma * image if kind == "v" else noise - image


def convert(value: Any, x: Any, alpha: Any, sigma: Any, given: str, wanted: str) -> Any:
    """One prediction as another.

    Args:
        value: a prediction of kind `given`, of the shape of `x`.
        x: the noisy picture it was made for.
        alpha, sigma: of `x`; numbers, or arrays that broadcast to it.
        given, wanted: names from `TARGETS`.

    Returns:
        The prediction of kind `wanted`, of the shape of `x`.

    Raises:
        InputError: a kind is unknown, or cannot be had at this noise: the image from the noise
            where nothing of it is left (alpha 0), the noise from the image where there is none.
    """
    check_target(given)
    check_target(wanted)
    if given == wanted:
        return value
    if given == "noise":
        _check_above_zero(alpha, "alpha", "the image cannot be told from the noise there")
        image, noise = (x - sigma * value) / alpha, value
    elif given == "image":
        _check_above_zero(sigma, "sigma", "there is no noise to be found there")
        image, noise = value, (x - alpha * value) / sigma
    elif given == "v":
        image, noise = alpha * x - sigma * value, sigma * x + alpha * value
    else:
        total = alpha + sigma
        image, noise = (x - sigma * value) / total, (x + alpha * value) / total
    return target(wanted, image, noise, alpha, sigma)


def _check_above_zero(amount: Any, name: str, why: str) -> None:
    if not (np.asarray(amount) > 0).all():
        raise InputError(f"{name} is 0 at some step; {why}")


def snr_weight(ratio: Any, kind: str, most: float = 5.0) -> Any:
    """The weight of a step's squared error, min(SNR, most) of the image's error.

    Without it a network that predicts noise weighs the image's error by the signal to noise, which
    is huge at the first steps (Hang et al. 2023, arXiv 2303.09556, eq. 8). The weight is for the
    squared error of `kind`, in which the image's error counts `kind`'s own factor.

    Args:
        ratio: signal to noise of the steps, above 0.
        kind: what is predicted: "noise", "image" or "v".
        most: gamma.

    Raises:
        InputError: `kind` is another, or a ratio is not above 0.
    """
    ratio = np.asarray(ratio, np.float64)
    if not (ratio > 0).all():
        raise InputError("a ratio is nan or not above 0; signal to noise must be above 0")
    own = {"noise": ratio, "image": np.ones_like(ratio), "v": ratio + 1}
    if kind not in own:
        raise InputError(f"target is {kind!r}; it must be one of {', '.join(own)}")
    return np.minimum(ratio, most) / own[kind]
