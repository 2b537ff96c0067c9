"""Change one fact in a weight matrix and leave the others alone.

A linear map is a memory: it answers a key k with the value W k. Meng et al. 2022 (ROME, arXiv
2202.05262) write one new answer with a change of rank one.
"""

import numpy as np

from minilm.errors import InputError
from minilm.nn import Linear


def rome_edit(w: np.ndarray, c: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The matrix nearest to w, weighted by how common keys are, that maps `key` to `value`.

    W' = W + (value - W key) d^T / (d . key) with d = C^-1 key: a key that is orthogonal to d keeps
    its answer.

    Args:
        w: (O, I).
        c: (I, I), E[k k^T] over the keys that the matrix sees; positive definite.
        key, value: (I,), (O,).

    Returns:
        (O, I), a new array of w's dtype.

    Raises:
        InputError: shapes that do not fit together.
    """
    if w.ndim != 2 or (c.shape, key.shape, value.shape) != (
        (w.shape[1],) * 2,
        w.shape[1:],
        w.shape[:1],
    ):
        raise InputError(
            f"w, c, key and value have the shapes {w.shape}, {c.shape}, {key.shape}, "
            f"{value.shape}; they must be (O, I), (I, I), (I,) and (O,)"
        )
    direction = np.linalg.solve(c, key)
    change = (value - w @ key) / (direction @ key)
    return (w + np.outer(change, direction)).astype(w.dtype)


def rewrite(layer: Linear, keys: np.ndarray, key: np.ndarray, value: np.ndarray) -> None:
    """Make a linear layer without bias answer `key` with `value`, in place.

    Args:
        layer: I -> O.
        keys: (N, I), keys that the layer is used with; N well above I makes C well-behaved.
        key, value: (I,), (O,).

    Raises:
        InputError: a layer with a bias, or shapes that do not fit together.
    """
    if layer.bias is not None:
        raise InputError("layer has a bias; rewrite takes a layer without one")
    c = keys.T @ keys / len(keys)
    c += np.eye(len(c), dtype=c.dtype) * (1e-4 * np.trace(c) / len(c))  # never singular
    layer.weight.data = rome_edit(layer.weight.data, c, key, value)
