"""RoPE's tables for a model: where its tokens stand, by what base, how much of a head turns."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from minilm.models.config import Config
from minilm.nn.positions import rope_frequencies, rope_table

Tables = tuple[np.ndarray, np.ndarray]


def turning(
    config: Config, where: np.ndarray, dtype: Any, near: bool = False, contiguous: bool = False
) -> Tables:
    """cos and sin at these places, as attention takes them.

    Args:
        config: one with positions "rope".
        where: (T,) or (B, T) places in the text.
        dtype: of the tables.
        near: for layers with a window, where `Rope.local_theta` gives these a base of their own.
        contiguous: `where` counts up by ones from its first number; the tables are then kept.

    Returns:
        two arrays (T, D/2) or (B, 1, T, D/2). Pairs beyond `Rope.fraction` have the angle 0.
    """
    rope = config.rope
    own = near and rope.local_theta is not None
    theta, scaling = (rope.local_theta, None) if own else (rope.theta, rope.scaling)
    turned = rope.turned(config.D)
    if not contiguous:
        return widened(rope_table(where, turned, theta, scaling, dtype), config.D)
    first, past = int(where[0]), int(where[-1]) + 1
    length = min(config.context, max(256, 1 << (past - 1).bit_length()))
    known = tuple(sorted((scaling or {}).items()))
    makers = (rope_table, rope_frequencies)
    cos, sin = _kept(makers, length, turned, config.D, theta, known, dtype)
    return cos[first:past], sin[first:past]


def widened(tables: Tables, size: int) -> Tables:
    """Tables of the first pairs of a head (..., n) as those of all D/2: the others stand still."""
    cos, sin = tables
    still = (*cos.shape[:-1], size // 2 - cos.shape[-1])
    if not still[-1]:
        return cos, sin
    return (
        np.concatenate([cos, np.ones(still, cos.dtype)], axis=-1),
        np.concatenate([sin, np.zeros(still, sin.dtype)], axis=-1),
    )


# The functions that make a table are part of its key: `minilm.use` may put others in their place.


@functools.lru_cache(maxsize=16)
def _kept(
    makers: tuple, length: int, turned: int, size: int, theta: float, scaling: tuple, dtype: Any
) -> Tables:
    return widened(makers[0](length, turned, theta, dict(scaling) or None, dtype), size)
