"""Which type a model computes in, and the loss scale that float16 needs.

16-bit numbers halve the memory traffic and run on tensor cores. bfloat16 has float32's range and 8
bits of precision, float16 has 11 bits and ends at 65504. With either, optimizers keep a second,
float32 copy of each weight, the master, to which steps are added: a step is often smaller than half
a unit in the last place of a 16-bit weight, and would be lost (mixed precision training, arXiv
1710.03740, section 3.1).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm.errors import InputError

HALVES = ("bfloat16", "float16")
NAMES = ("float32", *HALVES, "float64")


def is_half(array: Any) -> bool:
    """Whether an array, Tensor or dtype holds 16-bit floating-point numbers."""
    kind = getattr(array, "dtype", array)  # names are slow to make, and this runs at every step
    return getattr(kind, "itemsize", 2) == 2 and str(kind) in HALVES


@dataclass(frozen=True)
class Precision:
    """The type that a model computes in.

    Attributes:
        name: the type of weights, activations and gradients; sums are float32 or wider.
    """

    name: str

    @property
    def half(self) -> bool:
        """Whether it is a 16-bit type, so that optimizers keep float32 masters."""
        return self.name in HALVES

    @property
    def dtype(self) -> np.dtype:
        """The type of arrays.

        Raises:
            InputError: bfloat16, where the package that adds it to NumPy and CuPy is missing.
        """
        if self.name != "bfloat16":
            return np.dtype(self.name)
        try:
            import ml_dtypes
        except ImportError:
            raise InputError(
                "dtype 'bfloat16' needs ml_dtypes, which is not installed: pip install ml_dtypes"
            ) from None
        return np.dtype(ml_dtypes.bfloat16)

    def loss_scale(self) -> "LossScale":
        """A new loss scale: dynamic for float16, 1 for the types that have float32's range."""
        return LossScale() if self.name == "float16" else LossScale(1.0, patience=None)


def precision(name: str, gpu: bool = True) -> Precision:
    """The precision called `name`.

    Args:
        name: "float32", "bfloat16", "float16" or "float64".
        gpu: whether a GPU computes. A CPU has no fast 16-bit arithmetic, and NumPy none at all for
            bfloat16, so the 16-bit types are refused there rather than emulated.

    Raises:
        InputError: an unknown name, or 16 bits on a CPU.
    """
    if name not in NAMES:
        raise InputError(f"dtype is {name!r}; allowed are {', '.join(NAMES)}")
    if name in HALVES and not gpu:
        raise InputError(f"dtype {name!r} needs device 'cuda'; on the CPU use float32 or float64")
    return Precision(name)


class LossScale:
    """A power of two that the loss is multiplied by, so that float16 gradients do not vanish.

    Gradients below 6e-8 are 0 in float16. Scaled ones are not, and the optimizer divides by the
    scale in float32. The largest scale that fits is found by trial (arXiv 1710.03740, section
    3.2): it doubles after `patience` good steps in a row; where a gradient overflows, the step is
    skipped and the scale halves.

    Args:
        value: the scale at the start.
        patience: good steps before it doubles; None keeps it constant.
        least, most: where halving and doubling end.

    Raises:
        InputError: a value that is not a power of two from `least` to `most`, or a patience below
            1.
    """

    def __init__(
        self,
        value: float = 2.0**16,
        patience: int | None = 2000,
        least: float = 1.0,
        most: float = 2.0**24,
    ) -> None:
        if not (least <= value <= most and math.frexp(value)[0] == 0.5):
            raise InputError(
                f"loss scale is {value}; it must be a power of two from {least} to {most}"
            )
        if patience is not None and patience < 1:
            raise InputError(f"patience is {patience}; it must be 1 or more")
        self.value, self.patience, self.least, self.most = float(value), patience, least, most
        self.good = 0  # steps in a row since the last change

    def update(self, finite: bool) -> bool:
        """Record whether all gradients of a step were finite.

        Returns:
            Whether the run can go on. It cannot where gradients were not finite and the scale is
            not to blame, because it is constant or already at its least.
        """
        if self.patience is None:
            return finite
        if not finite:
            lower = max(self.least, self.value / 2)
            possible = lower < self.value
            self.value, self.good = lower, 0
            return possible
        self.good += 1
        if self.good == self.patience:
            self.value, self.good = min(self.most, self.value * 2), 0
        return True

    def state(self) -> dict[str, float]:
        """What a resumed run needs, ready for JSON."""
        return {"value": self.value, "good": self.good}

    def restore(self, state: dict[str, float]) -> None:
        """Continue from what `state` returned."""
        self.value, self.good = float(state["value"]), int(state["good"])
