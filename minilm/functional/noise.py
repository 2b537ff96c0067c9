"""Dropout (Srivastava et al. 2014)."""

import numpy as np

from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.functional.meeting import floats
from minilm.tensor import primitive


@primitive
def dropout(x: Array, p: float, rng: np.random.Generator, training: bool = True):
    """x with a share `p` of its elements set to 0 and the rest divided by 1 - p.

    Args:
        x: any shape.
        p: probability of dropping an element, 0 <= p <= 1; 1 drops all.
        rng: where the randomness comes from; the same generator state drops the same elements.
        training: False returns x.
    """
    if not 0 <= p <= 1:
        raise InputError(f"dropout p is {p}; it must be from 0 to 1")
    x = floats(x)
    if not training or p == 0:
        return x, lambda g: (g,)
    keep = (rng.random(x.shape, dtype=np.float32) >= p).astype(x.dtype)
    if p < 1:
        keep /= x.dtype.type(1 - p)
    keep = xp_of(x).asarray(keep)
    return x * keep, lambda g: (g * keep,)
