"""From token ids to the residual stream: embeddings, positions, segments, and RoPE's tables.

ids may be on the GPU; positions and token_types are small and come as host arrays or lists.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from minilm import functional as F
from minilm.backend import Array, is_half, xp_of
from minilm.errors import InputError
from minilm.models.config import Config
from minilm.nn.positions import rope_frequencies, rope_table, sinusoidal
from minilm.tensor import Tensor

if TYPE_CHECKING:
    from minilm.models.transformer import Transformer

Rope = tuple[Any, Any] | None


def embed(
    model: Transformer, ids: Array, start: int, positions: Any = None, token_types: Any = None
) -> tuple[Tensor, Rope]:
    """ids (B, T) -> (x (B, T, C), RoPE's (cos, sin) or None).

    Args:
        start: the place of the first token in the sequence.
        positions: in place of start, start + 1, ...; see `Transformer.forward`.
        token_types: (B, T) segment ids, or None for zeros.
    """
    config, xp = model.config, xp_of(ids)
    batch, time = ids.shape
    x = model.tokens(ids)
    if config.embedding_scale != 1.0:
        x = F.mul(x, x.dtype.type(config.embedding_scale))
    rope = None
    if config.positions == "2d":
        place, within = _places2d(config, positions, batch, time, start)
        x = F.add(x, model.positions(xp.asarray(place)))
        x = F.add(x, model.blocks2d(xp.asarray(within)))
    else:
        where = _positions(config, positions, batch, time, start)
        if config.positions == "learned":
            x = F.add(x, model.positions(xp.asarray(where)))
        elif config.positions == "sinusoidal":
            x = F.add(
                x, xp.asarray(_kept(sinusoidal, config.context, config.channels, x.dtype)[where])
            )
        elif config.positions == "rope":
            kind = np.float32 if is_half(x) else x.dtype  # angles of 16 bits would be too coarse
            cos, sin = _rope(config, where, kind, contiguous=positions is None)
            rope = xp.asarray(cos), xp.asarray(sin)
    if token_types is not None and not config.token_types:
        raise InputError("token_types was given, but config.token_types is 0.")
    if config.token_types:
        types = _segments(config, token_types, batch, time)
        x = F.add(x, model.segments(xp.asarray(types)))
    if config.embedding_norm:
        x = model.embedding_norm(x)
    return model.drop(x), rope


def _segments(config: Config, token_types: Any, batch: int, time: int) -> np.ndarray:
    if token_types is None:
        return np.zeros((batch, time), np.int64)
    types = np.asarray(token_types)
    if types.shape != (batch, time) or types.dtype.kind not in "iu":
        raise InputError(
            f"token_types must be whole numbers of shape {(batch, time)}, not {types.dtype} "
            f"of shape {types.shape}."
        )
    if types.min() < 0 or types.max() >= config.token_types:
        raise InputError(f"token_types must be from 0 to {config.token_types - 1}.")
    return types


def _positions(config: Config, positions: Any, batch: int, time: int, start: int) -> np.ndarray:
    """(T,) or (B, T): those given, checked, or start, start + 1, ..."""
    if positions is None:
        return np.arange(start, start + time)
    array = np.asarray(positions)
    if array.dtype.kind not in "iu" or array.shape not in ((time,), (batch, time)):
        raise InputError(
            f"positions must be whole numbers of shape {(time,)} or {(batch, time)}, not "
            f"{array.dtype} of shape {array.shape}."
        )
    return _within(array, config.context)


def _places2d(
    config: Config, positions: Any, batch: int, time: int, start: int
) -> tuple[np.ndarray, np.ndarray]:
    """GLM's two numbers a token: place in the text from 1 on, and place in the span (0: none)."""
    if positions is None:
        return np.arange(start + 1, start + time + 1), np.zeros(time, np.int64)
    array = np.asarray(positions)
    if array.shape not in ((2, time), (2, batch, time)) or array.dtype.kind not in "iu":
        raise InputError(
            f"positions of a GLM must be whole numbers of shape {(2, time)} or "
            f"{(2, batch, time)}, not {array.dtype} of shape {array.shape}."
        )
    array = _within(array, config.context + 1)
    return array[0], array[1]


def _within(array: np.ndarray, limit: int) -> np.ndarray:
    if array.min() < 0 or array.max() >= limit:
        worst = array.min() if array.min() < 0 else array.max()
        raise InputError(f"positions must be from 0 to {limit - 1}; one is {worst}.")
    return array


def _rope(
    config: Config, where: np.ndarray, dtype: Any, contiguous: bool
) -> tuple[np.ndarray, np.ndarray]:
    if not contiguous:
        return rope_table(where, config.D, config.rope_theta, config.rope_scaling, dtype)
    first, past = int(where[0]), int(where[-1]) + 1
    length = min(config.context, max(256, 1 << (past - 1).bit_length()))
    scaling = tuple(sorted((config.rope_scaling or {}).items()))
    makers = (rope_table, rope_frequencies)
    cos, sin = _kept_rope(makers, length, config.D, config.rope_theta, scaling, dtype)
    return cos[first:past], sin[first:past]


# The functions that make a table are part of its key: `minilm.use` may put others in their place.


@functools.lru_cache(maxsize=16)
def _kept_rope(
    makers: tuple, length: int, size: int, theta: float, scaling: tuple, dtype: Any
) -> tuple[np.ndarray, np.ndarray]:
    return makers[0](length, size, theta, dict(scaling) or None, dtype)


@functools.lru_cache(maxsize=16)
def _kept(maker: Any, length: int, channels: int, dtype: Any) -> np.ndarray:
    return maker(length, channels, dtype)


def check_ids(model: Transformer, ids: Any, name: str) -> Array:
    """Token ids as an array (B, T) on the model's device.

    Raises: InputError unless they are whole numbers of that shape, inside the vocabulary.
    """
    if ids is None:
        raise InputError(f"{name} is missing.")
    ids = ids.data if isinstance(ids, Tensor) else ids
    with contextlib.suppress(ValueError):  # ragged lists are told below what shape to have
        ids = xp_of(model.tokens.weight.data).asarray(ids)
    if not hasattr(ids, "dtype"):
        raise InputError(f"{name} must be whole numbers of shape (batch, time), not ragged.")
    if ids.ndim != 2 or ids.size == 0 or ids.dtype.kind not in "iu":
        raise InputError(
            f"{name} must be whole numbers of shape (batch, time), both at least 1, not "
            f"{ids.dtype} of shape {ids.shape}."
        )
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= model.config.vocab_size:
        raise InputError(
            f"{name} must be from 0 to {model.config.vocab_size - 1}; one is "
            f"{low if low < 0 else high}."
        )
    return ids


def check_targets(model: Transformer, targets: Any, shape: tuple[int, ...]) -> Array:
    """Targets as an array of this shape on the model's device."""
    targets = targets.data if isinstance(targets, Tensor) else targets
    with contextlib.suppress(ValueError):
        targets = xp_of(model.tokens.weight.data).asarray(targets)
    given = getattr(targets, "shape", "ragged")
    if given != shape or targets.dtype.kind not in "iu":
        raise InputError(f"targets must be whole numbers of shape {shape}, not {given}.")
    return targets
