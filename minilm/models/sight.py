"""What the tokens of one forward may see: from a config, lengths and caches to a `Sight`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from minilm import backend
from minilm.backend import xp_of
from minilm.errors import InputError
from minilm.models.config import Config
from minilm.nn import Embedding, Sight
from minilm.nn.positions import alibi_bias, relative_bucket
from minilm.tensor import Tensor


def self_sight(
    config: Config,
    x: Tensor,
    queries: np.ndarray,
    keys: np.ndarray,
    causal: bool,
    two_way: bool,
    prefix: Any = None,
    mask: Any = None,
    valid: Any = None,
    documents: Any = None,
    relative: Embedding | None = None,
    rope: tuple[Any, Any] | None = None,
    near: tuple[Any, Any] | None = None,
) -> Sight:
    """The Sight of a stack's self-attention.

    Args:
        x: (B, T, C), for its batch, dtype and device.
        queries, keys: places in the sequence, (T,) and (S,) ints.
        causal: queries see no later key, except keys in the prefix.
        two_way: T5's buckets tell later keys from earlier ones.
        prefix: length that everyone sees, an int or (B,), or None.
        mask: (T, S) or (B, 1, T, S) bool in place of causal, window and prefix, or None.
        valid: (B, S) bool, False for padding, or None.
        documents: (B, T) ints where S = T; tokens see those of their own number only; or None.
        relative: T5's table of biases per bucket, or None.
        rope: (cos, sin) at the queries' places.
        near: the same for layers with a window; None: rope.
    """
    bias = _bias(config, x, queries, keys, two_way, relative)
    given = (queries, keys, causal, prefix, mask, valid, documents)
    sight = dataclasses.replace(_seen(x, config.window, *given), bias=bias, rope=near or rope)
    if config.global_every is None:
        return sight
    far = dataclasses.replace(_seen(x, None, *given), bias=bias, rope=rope)
    return dataclasses.replace(sight, far=far)


def _seen(
    x: Tensor,
    window: int | None,
    queries: np.ndarray,
    keys: np.ndarray,
    causal: bool,
    prefix: Any,
    mask: Any,
    valid: Any,
    documents: Any,
) -> Sight:
    """Who may look at whom; the arguments are those of `self_sight`."""
    xp = xp_of(x.data)
    narrow = window if causal and len(keys) > (window or len(keys)) else None
    in_order = bool(len(keys) == 1 or (np.diff(keys) == 1).all()) and keys[-1] == queries[-1]
    if mask is not None:
        return Sight(xp.asarray(_narrowed(mask, valid, documents)))
    plain = valid is None and prefix is None and documents is None
    if plain and (in_order or not causal):
        return Sight(None, causal and (len(queries) > 1 or narrow is not None), narrow)
    if plain and len(queries) == 1 and narrow is None:
        return Sight()  # a ring of the last keys: all to be seen
    i, j = queries[:, None], keys[None, :]  # (T,) -> (T, 1); (S,) -> (1, S)
    mask = (j <= i) if causal else np.ones((len(queries), len(keys)), bool)
    if window is not None and causal:
        mask = mask & (j > i - window)
    if prefix is not None:
        ahead = np.asarray(prefix)
        ahead = ahead.reshape(-1, 1, 1, 1) if ahead.ndim else ahead  # (B,) -> (B, 1, 1, 1)
        mask = mask | (j < ahead)  # (T, S) or (B, 1, T, S)
    return Sight(xp.asarray(_narrowed(mask, valid, documents)))


def _narrowed(mask: np.ndarray, valid: Any, documents: Any) -> np.ndarray:
    """The mask (T, S) or (B, 1, T, S) without padding, valid (B, S), and other documents (B, T)."""
    if valid is not None:
        mask = mask & np.asarray(valid)[:, None, None, :]  # (B, S) -> (B, 1, 1, S)
    if documents is not None:
        # (B, T, 1) == (B, 1, T) -> (B, 1, T, T)
        mask = mask & (documents[:, :, None] == documents[:, None, :])[:, None]
    return mask


def _bias(
    config: Config,
    x: Tensor,
    queries: np.ndarray,
    keys: np.ndarray,
    two_way: bool,
    relative: Embedding | None,
) -> Any:
    """What is added to the scores for distance: (H, T, S), or None."""
    if config.positions == "alibi":
        return xp_of(x.data).asarray(alibi_bias(queries, keys, config.heads, x.dtype))
    if relative is None:
        return None
    sizes = (config.relative.buckets, config.relative.distance)
    bucket = relative_bucket(queries, keys, two_way, *sizes)  # (T,), (S,) -> (T, S)
    return relative(xp_of(x.data).asarray(bucket)).permute(2, 0, 1)  # (T, S, H) -> (H, T, S)


def cross_sight(x: Tensor, valid: Any = None) -> Sight:
    """The Sight of cross-attention: every source token that is not padding. valid is (B, M)."""
    if valid is None:
        return Sight()
    mask = np.asarray(valid)[:, None, None, :]  # (B, M) -> (B, 1, 1, M)
    return Sight(mask=xp_of(x.data).asarray(mask))


def check_prefix(prefix: Any, batch: int, time: int, start: int) -> Any:
    """The prefix as an int or an int array (B,).

    Raises:
        InputError: it does not fit the first chunk of the sequence.
    """
    if start:
        raise InputError(
            f"prefix is given after {start} cached tokens; it must come with the first ones"
        )
    array = np.asarray(prefix)
    if array.dtype.kind not in "iu" or array.shape not in ((), (batch,)):
        raise InputError(f"prefix is {prefix!r}; it must be a whole number or {batch} of them")
    if (array < 0).any() or (array > time).any():
        raise InputError(f"prefix is {prefix}; it must be from 0 to {time}, the length of ids")
    return array


def check_documents(documents: Any, batch: int, time: int, start: int) -> np.ndarray | None:
    """The number of each token's document, an int array (B, T), or None.

    Raises:
        InputError: another shape or kind, or tokens that are cached already.
    """
    if documents is None:
        return None
    if start:
        raise InputError(
            f"documents is given after {start} cached tokens; a cache holds one document a row"
        )
    on_host = isinstance(documents, list | tuple)
    array = np.asarray(documents) if on_host else backend.to_numpy(documents)
    if array.dtype.kind not in "iu" or array.shape != (batch, time):
        raise InputError(
            f"documents is {array.dtype} of shape {array.shape}; it must be whole numbers of shape "
            f"{(batch, time)}"
        )
    return array


def check_mask(mask: Any, batch: int, time: int) -> np.ndarray:
    """The mask as a bool array (T, T) or (B, 1, T, T).

    Raises:
        InputError: another shape or dtype; a row that may look at nothing.
    """
    array = np.asarray(mask)
    if array.dtype != bool or array.shape not in ((time, time), (batch, time, time)):
        raise InputError(
            f"mask is {array.dtype} of shape {array.shape}; it must be bool of shape "
            f"{(time, time)} or {(batch, time, time)}"
        )
    if not array.any(-1).all():
        raise InputError("mask has a row without True; every token must see at least one")
    return array if array.ndim == 2 else array[:, None]  # (B, T, T) -> (B, 1, T, T)


def check_valid(valid: Any, batch: int, length: int, name: str = "valid") -> np.ndarray | None:
    """The padding mask as a bool array (B, length), or None.

    Raises:
        InputError: another shape or dtype.
    """
    if valid is None:
        return None
    array = np.asarray(valid)
    if array.shape != (batch, length) or array.dtype != bool:
        raise InputError(
            f"{name} is {array.dtype} of shape {array.shape}; it must be bool of shape "
            f"{(batch, length)}"
        )
    return array
