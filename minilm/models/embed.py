"""From token ids to the residual stream: embeddings, positions, segments, and RoPE's tables.

ids may be on the GPU; positions and token_types are small and come as host arrays or lists.
"""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import numpy as np

from minilm import functional as F
from minilm.backend import Array, is_half, xp_of
from minilm.errors import InputError
from minilm.functional.meeting import is_float
from minilm.models.config import Config
from minilm.models.turning import turning
from minilm.nn import Module
from minilm.nn.positions import sinusoidal
from minilm.tensor import Tensor


def embed(
    model: Module, given: Any, start: int, positions: Any = None, token_types: Any = None
) -> tuple[Tensor, tuple[Array, Array] | None, tuple[Array, Array] | None]:
    """What enters the first block, and what RoPE turns queries and keys by.

    Args:
        model: a `LanguageModel`, whose tables are read.
        given: ids (B, T), or a Tensor (B, T, C) that takes the place of their embeddings.
        start: the place of the first token in the sequence.
        positions: in place of start, start + 1, ...; see `Transformer.forward`.
        token_types: (B, T) segment ids, or None for zeros.

    Returns:
        x (B, T, C), and (cos, sin), each (T, D/2) or (B, 1, T, D/2), or None; once more for the
        layers with a window, which may have a base of their own.

    Raises:
        InputError: positions or token_types of another shape or out of range.
    """
    config, xp = model.config, xp_of(given.data if isinstance(given, Tensor) else given)
    batch, time = given.shape[:2]
    x = given if isinstance(given, Tensor) else model.tokens(given)
    if config.embedding_scale != 1.0:
        x = F.mul(x, x.dtype.type(config.embedding_scale))
    rope = near = None
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
            rope = near = _turning(config, where, kind, positions is None, xp)
            if config.rope.local_theta is not None:
                near = _turning(config, where, kind, positions is None, xp, near=True)
    if token_types is not None and not config.token_types:
        raise InputError("token_types is given; config.token_types is 0, so there are none")
    if config.token_types:
        types = _segments(config, token_types, batch, time)
        x = F.add(x, model.segments(xp.asarray(types)))
    if config.embedding_norm:
        x = model.embedding_norm(x)
    return model.drop(x), rope, near


def _turning(
    config: Config, where: np.ndarray, dtype: Any, contiguous: bool, xp: Any, near: bool = False
) -> tuple[Array, Array]:
    cos, sin = turning(config, where, dtype, near, contiguous)
    return xp.asarray(cos), xp.asarray(sin)


def _segments(config: Config, token_types: Any, batch: int, time: int) -> np.ndarray:
    if token_types is None:
        return np.zeros((batch, time), np.int64)
    types = np.asarray(token_types)
    if types.shape != (batch, time) or types.dtype.kind not in "iu":
        raise InputError(
            f"token_types is {types.dtype} of shape {types.shape}; it must be whole numbers of "
            f"shape {(batch, time)}"
        )
    return _refuse_outside("token_types", types, config.token_types)


def _positions(config: Config, positions: Any, batch: int, time: int, start: int) -> np.ndarray:
    """(T,) or (B, T): those given, checked, or start, start + 1, ..."""
    if positions is None:
        return np.arange(start, start + time)
    array = np.asarray(positions)
    if array.dtype.kind not in "iu" or array.shape not in ((time,), (batch, time)):
        raise InputError(
            f"positions is {array.dtype} of shape {array.shape}; it must be whole numbers of "
            f"shape {(time,)} or {(batch, time)}"
        )
    return _refuse_outside("positions", array, config.context)


def _places2d(
    config: Config, positions: Any, batch: int, time: int, start: int
) -> tuple[np.ndarray, np.ndarray]:
    """GLM's two numbers a token: place in the text from 1 on, and place in the span (0: none)."""
    if positions is None:
        return np.arange(start + 1, start + time + 1), np.zeros(time, np.int64)
    array = np.asarray(positions)
    if array.shape not in ((2, time), (2, batch, time)) or array.dtype.kind not in "iu":
        raise InputError(
            f"positions is {array.dtype} of shape {array.shape}; a GLM's must be whole numbers "
            f"of shape {(2, time)} or {(2, batch, time)}"
        )
    array = _refuse_outside("positions", array, config.context + 1)
    return array[0], array[1]


def _refuse_outside(name: str, array: Array, limit: int) -> Array:
    """The array, if all of it is from 0 to limit - 1."""
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= limit:
        worst = low if low < 0 else high
        raise InputError(f"{name} holds {worst}; it must be from 0 to {limit - 1}")
    return array


# The function that makes a table is part of its key: `minilm.use` may put another in its place.


@functools.lru_cache(maxsize=16)
def _kept(maker: Any, length: int, channels: int, dtype: Any) -> np.ndarray:
    return maker(length, channels, dtype)


def check_ids(model: Module, ids: Any, name: str) -> Array:
    """Token ids as an array (B, T) on the model's device.

    Raises:
        InputError: they are not whole numbers of that shape, inside the vocabulary.
    """
    if ids is None:
        raise InputError(f"{name} is missing; it must be whole numbers of shape (batch, time)")
    ids = ids.data if isinstance(ids, Tensor) else ids
    with contextlib.suppress(ValueError):  # ragged lists are told below what shape to have
        ids = xp_of(model.tokens.weight.data).asarray(ids)
    if not hasattr(ids, "dtype"):
        raise InputError(f"{name} is ragged; it must be whole numbers of shape (batch, time)")
    if ids.ndim != 2 or ids.size == 0 or ids.dtype.kind not in "iu":
        raise InputError(
            f"{name} is {ids.dtype} of shape {ids.shape}; it must be whole numbers of shape "
            "(batch, time), both at least 1"
        )
    return _refuse_outside(name, ids, model.config.vocab_size)


def read_input(model: Module, ids: Any, embeddings: Any) -> Array | Tensor:
    """Ids as an array (B, T), or embeddings as a Tensor (B, T, C), on the model's device.

    Raises:
        InputError: both or neither; embeddings that are not floats of that shape; as `check_ids`.
    """
    if embeddings is None:
        return check_ids(model, ids, "ids")
    if ids is not None:
        raise InputError("ids and embeddings are given; a model takes one of them")
    weight, width = model.tokens.weight.data, model.config.channels
    if not isinstance(embeddings, Tensor):
        embeddings = Tensor(xp_of(weight).asarray(embeddings))
    shape = embeddings.shape
    if len(shape) != 3 or shape[2] != width or 0 in shape or not is_float(embeddings.data):
        raise InputError(
            f"embeddings is {embeddings.dtype} of shape {shape}; it must be floats of shape "
            f"(batch, time, {width}), all at least 1"
        )
    return F.astype(embeddings, weight.dtype) if embeddings.dtype != weight.dtype else embeddings


def check_targets(model: Module, targets: Any, shape: tuple[int, ...]) -> Array:
    """Targets as an array of this shape on the model's device.

    Raises:
        InputError: another shape, or no whole numbers.
    """
    targets = targets.data if isinstance(targets, Tensor) else targets
    with contextlib.suppress(ValueError):
        targets = xp_of(model.tokens.weight.data).asarray(targets)
    given = getattr(targets, "shape", "ragged")
    if given != shape or targets.dtype.kind not in "iu":
        kind = f"{targets.dtype} of shape {given}" if given != "ragged" else given
        raise InputError(f"targets is {kind}; it must be whole numbers of shape {shape}")
    return targets
