"""SAFFU's attention: weights that a feed-forward layer makes of comparisons of given vectors.

A block of vectors x_1 .. x_k is compared with its last one, the pivot: c_j = x_j . x_k. The weights
are softmax(W c), with W (K, K) for blocks of up to K. Standard attention instead learns which
comparisons to make (Williams & Zhao 2023, arXiv 2311.07510).

The vectors of tokens do not depend on where they stand, so neither do comparisons: a table of all
pairs, (V, V), replaces k products of length d by k look-ups.
"""

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.tensor import Tensor


def compare_table(vectors: Any) -> np.ndarray:
    """Every vector's product with every other.

    Args:
        vectors: (V, d).

    Returns:
        (V, V), symmetric.

    Raises:
        InputError: another shape.
    """
    vectors = np.asarray(vectors)
    if vectors.ndim != 2:
        raise InputError(f"vectors are {vectors.shape}; they must be (V, d)")
    return vectors @ vectors.T


def attention_weights(compared: Any, w: Any, filled: np.ndarray | None = None) -> Tensor:
    """softmax(W c), over the slots that are filled.

    Args:
        compared: c, (..., K); 0 in empty slots.
        w: W, (K, K), (out, in).
        filled: (..., K) bool; None: all. An empty slot gets weight 0.

    Returns:
        (..., K), summing to 1.
    """
    scores = F.linear(compared, w)
    if filled is not None:
        scores = F.where(filled, scores, np.float32(-np.inf))
    return F.softmax(scores)


def saffu_attend(block: Any, w: Any) -> Tensor:
    """The weights of a block, compared with its last vector.

    A block of k < K vectors uses the last k rows and columns of W: slots count back from the pivot.

    Args:
        block: (..., k, d), k from 1 to K.
        w: (K, K).

    Returns:
        (..., k), summing to 1.

    Raises:
        InputError: a block of another shape, empty, or longer than W.
    """
    block = block if isinstance(block, Tensor) else np.asarray(block)
    if block.ndim < 2:
        raise InputError(f"block is {block.shape}; it must be (..., k, d)")
    w = _part(block.shape[-2], w)
    return attention_weights((block * block[..., -1:, :]).sum(axis=-1), w)


def attend_cached(ids: np.ndarray, table: np.ndarray, w: Any) -> Tensor:
    """As `saffu_attend` of the vectors of these tokens, with comparisons looked up.

    Args:
        ids: (..., k), the pivot last.
        table: (V, V), from `compare_table`.
        w: (K, K).

    Returns:
        (..., k), summing to 1.

    Raises:
        InputError: as `saffu_attend`; an id outside the table.
    """
    ids = np.asarray(ids)
    if not ids.ndim:
        raise InputError("ids are one number; they must be (..., k)")
    w = _part(ids.shape[-1], w)
    return attention_weights(look_up(ids, ids[..., -1:], table), w)


def look_up(ids: np.ndarray, pivots: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Comparisons out of a table: ids (..., k) with pivots (..., 1) -> (..., k).

    Raises:
        InputError: ids that are not integers, or outside the table.
    """
    if ids.dtype.kind not in "iu":
        raise InputError(f"ids are {ids.dtype}; they must be integers")
    if ids.size and not 0 <= ids.min() <= ids.max() < len(table):
        odd = ids.min() if ids.min() < 0 else ids.max()
        raise InputError(f"ids holds {odd}; the table has ids 0 to {len(table) - 1}")
    return table[ids, pivots]


def _part(k: int, w: Any) -> Any:
    """The lower right (k, k) of W.

    Raises:
        InputError: W is not square; a block that is empty or longer than it.
    """
    w = w if isinstance(w, Tensor) else np.asarray(w)
    if w.ndim != 2 or w.shape[0] != w.shape[1]:
        raise InputError(f"w is {w.shape}; it must be (K, K)")
    if not 1 <= k <= len(w):
        raise InputError(f"the block has {k} vectors; with w {w.shape} it may have 1 to {len(w)}")
    return w[len(w) - k :, len(w) - k :]
