"""The fast way to decode: a whole token per call of compiled code."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import backend, kernels
from minilm.backend import Array
from minilm.errors import InputError
from minilm.inference.cache import ContiguousCache
from minilm.inference.sampling import refuse_nan
from minilm.inference.supported import check_weights, read
from minilm.models.transformer import Transformer

_AT_ONCE = 200_000_000  # bytes of weights read per call of the kernel: some milliseconds
_MOST_AT_ONCE = 32


class Decoder:
    """A decoder and its cache, one token per row at a time: on the CPU in float32, or on a GPU.

    The weights are the model's own memory, so changes by an optimizer or an assignment in place
    take effect. int8 weights are made once, here, and so is the `dense` form of a map that is
    adapted or stored in fewer bits.

    Args:
        model: a Transformer to which `unsupported` raises no objection.
        cache: holds the prompts' keys and values, as `model(ids, cache=cache)` left them; each
            step adds to it. It has the layers, kv_heads, head_size, dtype and device of the model.
        begin: (B,) whole numbers, where each row's text starts in the cache, after its padding;
            None means 0.
        weights: "float32", or "int8": each row of a matrix is rounded to 255 steps. The vectors
            that it multiplies are rounded too, to 16 bits, which changes far less.

    Raises:
        InputError: a model that this cannot run, other weights, or a cache or begin that does not
            fit.
    """

    def __init__(
        self,
        model: Any,
        cache: ContiguousCache,
        begin: np.ndarray | None = None,
        weights: str = "float32",
    ) -> None:
        reason = check_weights(model, weights)
        if reason:
            raise InputError(f"{reason}; the fast decoder cannot run this model")
        _check_cache(model, cache)
        self.cache = cache
        begin = np.zeros(cache.batch, int) if begin is None else begin
        self.begin = _check_whole("begin", begin, cache)
        self._latest = int(self.begin.max())
        if self.begin.min() < 0:
            raise InputError(f"begin holds {int(self.begin.min())}; it must be 0 or more")
        self.length = min(cache.capacity, model.config.context)
        self.weights = read(model, self.length, weights)
        xp = backend.xp_of(model.tokens.weight.data)
        self.logits = xp.empty((cache.batch, model.config.vocab_size), np.float32)
        self.at_once = max(1, min(_MOST_AT_ONCE, _AT_ONCE // self.weights.nbytes))

    def step(self, ids: Any) -> Array:
        """Feed one token per row.

        Args:
            ids: (B,) whole numbers.

        Returns:
            (B, V) float32 logits after them, on the model's device; the next step overwrites them.

        Raises:
            InputError: ids of another shape, outside the vocabulary or not whole; a full cache, or
                one that ends before a row's `begin`.
        """
        self._feed(ids, 1)
        return self.logits

    def greedy(self, ids: Any, count: int) -> np.ndarray:
        """Feed one token per row, then the likeliest after it, and so on.

        Args:
            ids: (B,) whole numbers.
            count: how many tokens to feed, at least 1.

        Returns:
            (count, B) int64, the likeliest token after each one fed.

        Raises:
            InputError: as in `step`; a count below 1, or a model that gives NaN.
        """
        if not isinstance(count, (int, np.integer)) or count < 1:
            raise InputError(f"count is {count!r}; it must be a whole number of 1 or more")
        new = self._feed(ids, count)
        refuse_nan(self.logits)  # once for all: a NaN stays in the weights or in the cache
        return new

    def _feed(self, ids: Any, count: int) -> np.ndarray:
        """Feed ids, then the likeliest tokens, `count` in all; (count, B), the likeliest ones."""
        ids = _check_whole("ids", ids, self.cache)
        if ids.min() < 0 or ids.max() >= self.logits.shape[1]:
            raise InputError(
                f"ids holds {ids.min() if ids.min() < 0 else ids.max()}; the model knows 0 to "
                f"{self.logits.shape[1] - 1}"
            )
        place = self.cache.length
        if self._latest > place:  # checked here because a cache can be truncated
            raise InputError(f"begin is {self._latest}; it must be at most {place}, what is cached")
        if place + count > self.length:
            raise InputError(f"tokens needed are {place + count}; there is room for {self.length}")
        new = kernels.decode_step(
            self.logits,
            self.weights,
            self.cache._keys,
            self.cache._values,
            ids,
            self.begin,
            place,
            count,
            backend.threads(),
        )
        self.cache.advance(count)
        return new


def _check_cache(model: Transformer, cache: Any) -> None:
    """Refuse a cache that compiled code would read or write past its end."""
    if not isinstance(cache, ContiguousCache):
        kind = type(cache).__name__
        raise InputError(f"cache is a {kind}; it must be a ContiguousCache or a RollingCache")
    config, weight, keys = model.config, model.tokens.weight.data, cache._keys
    layers, _, groups, slots, size = keys.shape
    if (layers, groups, size) != (config.layers, config.G, config.D):
        raise InputError(
            f"the cache was made for layers, kv_heads, head_size {(layers, groups, size)}; "
            f"the model has {(config.layers, config.G, config.D)}"
        )
    if type(keys) is not type(weight) or keys.dtype != weight.dtype:
        here, there = (
            f"{array.dtype} on the {'CPU' if isinstance(array, np.ndarray) else 'GPU'}"
            for array in (keys, weight)
        )
        raise InputError(f"the cache holds {here}; the model is {there}")
    if slots < min(cache.capacity, config.context):  # a rolling one
        window, gpu = config.window, not isinstance(keys, np.ndarray)
        if window is None or slots < window or (gpu and slots > window):
            raise InputError(
                f"the cache keeps the last {slots} tokens; the model's window is {window}"
                f"{', and on a GPU the two must be equal' if gpu else ''}"
            )


def _check_whole(name: str, given: Any, cache: ContiguousCache) -> np.ndarray:
    """One whole number per row of the cache, (B,) int64 in memory of its own.

    Raises:
        InputError: another shape or dtype.
    """
    try:
        array = np.asarray(given)
    except (TypeError, ValueError):  # ragged, or on a GPU
        array = np.empty((), object)
    if array.shape != (cache.batch,) or array.dtype.kind not in "iu":
        raise InputError(
            f"{name} is {array.dtype} of shape {array.shape}; it must be whole numbers of shape "
            f"{(cache.batch,)}"
        )
    return np.array(array, np.int64)  # a copy, so that nothing changes it after this check
