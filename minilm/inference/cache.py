"""Key/value caches: what attention needs of earlier positions, kept so as not to compute it again.

A model calls `append` in every layer with the new keys and values, which returns those of all
positions, and calls `advance` once at the end of a forward pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import backend
from minilm.backend import Array
from minilm.errors import InputError


class ContiguousCache:
    """Room for `length` positions, filled from the left.

    Args:
        dims: a Config, or (layers, kv_heads, head_size).
        batch: B, number of sequences.
        length: how many positions fit.
        dtype: float32 or float64, the model's.
        device: "cpu" or "cuda".

    Attributes:
        length: positions stored so far.
        capacity: positions that fit.
        memory: keys and values of an encoder-decoder's source, one pair per layer, or None.
        nbytes: 2 * layers * B * G * length * D * bytes per number.

    Raises:
        InputError: a size below 1.
    """

    def __init__(
        self, dims: Any, batch: int, length: int, dtype: Any = np.float32, device: str = "cpu"
    ) -> None:
        layers, groups, size = dims_of(dims)
        for name, value in (("batch", batch), ("length", length)):
            if value < 1:
                raise InputError(f"{name} is {value}; it must be 1 or more")
        self.capacity, self.batch = length, batch
        self.length = 0
        xp = backend.array_module(device)
        shape = (layers, batch, groups, self._slots(length), size)
        self._keys, self._values = xp.zeros(shape, dtype), xp.zeros(shape, dtype)
        self.memory: list[tuple[Array, Array]] | None = None
        self.memory_valid: np.ndarray | None = None

    def _slots(self, length: int) -> int:
        return length

    @property
    def nbytes(self) -> int:
        """Bytes that the keys and values take, without those of the source."""
        return self._keys.nbytes + self._values.nbytes

    def append(self, layer: int, k: Array, v: Array) -> tuple[Array, Array]:
        """Store new keys and values of one layer.

        Args:
            layer: which layer.
            k, v: (B, G, T, D), of the T positions that follow `length`.

        Returns:
            Views (B, G, length + T, D) of both, in order of position.

        Raises:
            InputError: another shape or type than the cache was made for, or no room.
        """
        end = self._check_room(layer, k)
        self._keys[layer, :, :, self.length : end] = k
        self._values[layer, :, :, self.length : end] = v
        return self._keys[layer, :, :, :end], self._values[layer, :, :, :end]

    def key_positions(self, time: int) -> np.ndarray:
        """The positions of the keys that `append` returns for `time` new ones, (S,) ints."""
        return np.arange(self.length + time)

    def advance(self, time: int) -> None:
        """Count `time` positions as stored, once every layer has appended them."""
        self.length += time

    def truncate(self, length: int) -> None:
        """Forget the positions from `length` on, as speculative decoding does.

        Raises:
            InputError: a length beyond what is stored.
        """
        if not 0 <= length <= self.length:
            raise InputError(f"length is {length}; it must be from 0 to {self.length}")
        self.length = length

    def reset(self) -> None:
        """Forget everything, the source included."""
        self.length, self.memory, self.memory_valid = 0, None, None

    def reorder(self, rows: Any) -> None:
        """Let sequence i continue what was sequence rows[i], as beam search does.

        Args:
            rows: (N,) numbers of sequences; N may be more or less than B, and is B from then on, so
                that many texts can continue a prompt that was read once.

        Raises:
            InputError: no rows, or one that is no sequence's number.
        """
        rows = np.asarray(rows)
        whole = rows.ndim == 1 and rows.size and rows.dtype.kind in "iu"
        if not whole or rows.min() < 0 or rows.max() >= self.batch:
            raise InputError(
                f"rows is {rows.tolist()}; it must be a list of numbers from 0 to {self.batch - 1}"
            )
        self.batch = len(rows)
        self._keys, self._values = self._keys[:, rows], self._values[:, rows]
        if self.memory is not None:
            self.memory = [(k[rows], v[rows]) for k, v in self.memory]
        if self.memory_valid is not None:
            self.memory_valid = self.memory_valid[rows]

    def remember(self, memory: list[tuple[Array, Array]], valid: np.ndarray | None = None) -> None:
        """Keep a source's keys and values, (B, G, M, D) per layer, and its padding mask (B, M).

        Raises:
            InputError: the cache holds target tokens already.
        """
        if self.length:
            raise InputError(
                f"ids are given and the cache holds {self.length} target tokens; ids must be None, "
                "or the cache reset first"
            )
        self.memory, self.memory_valid = memory, valid

    def _check_room(self, layer: int, k: Array) -> int:
        """Where the new keys end.

        Raises:
            InputError: another shape or type than the cache was made for, or no room.
        """
        layers, batch, groups, _, size = self._keys.shape
        check_new(layer, k, (layers, batch, groups, size), self._keys.dtype)
        end = self.length + k.shape[2]
        if end > self.capacity:
            raise InputError(f"k ends at position {end}; the cache has room for {self.capacity}")
        return end


class RollingCache(ContiguousCache):
    """The last W positions of a sliding-window model: position i is in slot i mod W.

    The memory does not grow with the text (Mistral 7B, arXiv 2310.06825, section 2).

    Args:
        dims: a Config with a window, or (layers, kv_heads, head_size).
        batch: B.
        window: W; None takes the config's.
        length: longest text; None leaves the limit to the model.
        dtype: float32 or float64, the model's.
        device: "cpu" or "cuda".

    Raises:
        InputError: no window, one shorter than the model's, or layers that have none.
    """

    def __init__(
        self,
        dims: Any,
        batch: int,
        window: int | None = None,
        length: int | None = None,
        dtype: Any = np.float32,
        device: str = "cpu",
    ) -> None:
        own = getattr(dims, "window", None)
        window = own if window is None else window
        if window is None or window < 1:
            raise InputError(f"window is {window}; it must be 1 or more, the model's window")
        if own is not None and window < own:
            raise InputError(f"window is {window}; it must be at least the model's, {own}")
        if not isinstance(dims, tuple) and own is None:
            raise InputError("config has no window; a rolling cache needs a model with one")
        every = getattr(dims, "global_every", None)
        if every is not None:
            raise InputError(
                f"global_every is {every}: some layers see all, and a rolling cache forgets"
            )
        self.window = window
        super().__init__(dims, batch, window, dtype, device)
        self.capacity = 2**62 if length is None else length

    def append(self, layer: int, k: Array, v: Array) -> tuple[Array, Array]:
        """Store new keys and values of one layer.

        Args:
            layer: which layer.
            k, v: (B, G, T, D), of the T positions that follow `length`.

        Returns:
            (B, G, S, D) each, the keys at `key_positions(T)`. For T = 1 these are the slots
            themselves, in their own order. For more, they are the keys that the first new query
            still sees and the new ones, in order of position; the latter overwrite some of the
            former.

        Raises:
            InputError: another shape or type than the cache was made for, or no room.
        """
        self._check_room(layer, k)
        time, w = k.shape[2], self.window
        keys, values = self._keys[layer], self._values[layer]  # (B, G, W, D) each
        if time > 1:
            before = np.arange(max(0, self.length - w + 1), self.length) % w
            xp = backend.xp_of(k)
            seen = (
                xp.concatenate([keys[:, :, before], k], axis=2),
                xp.concatenate([values[:, :, before], v], axis=2),
            )
        kept = np.arange(max(0, time - w), time)
        slots = (self.length + kept) % w
        keys[:, :, slots], values[:, :, slots] = k[:, :, kept], v[:, :, kept]
        if time > 1:
            return seen
        filled = min(self.length + 1, w)
        return keys[:, :, :filled], values[:, :, :filled]

    def key_positions(self, time: int) -> np.ndarray:
        """The positions of the keys that `append` returns for `time` new ones, (S,) ints."""
        if time > 1:
            return np.arange(max(0, self.length - self.window + 1), self.length + time)
        slots = np.arange(min(self.length + 1, self.window))
        return self.length - (self.length - slots) % self.window

    def truncate(self, length: int) -> None:
        """Forget the positions from `length` on, which is impossible once slots are overwritten.

        Raises:
            InputError: positions that the window needs are gone.
        """
        if self.length > self.window and length != self.length:
            raise InputError(
                f"length is {length}; it must be {self.length}, because this rolling cache has "
                "overwritten earlier positions"
            )
        super().truncate(length)


def check_new(layer: int, k: Array, made: tuple[int, int, int, int], dtype: Any) -> None:
    """Refuse keys that a cache was not made for.

    Args:
        layer: whose keys they are.
        k: (B, G, T, D).
        made: layers, B, G and D of the cache.
        dtype: what it holds.

    Raises:
        InputError: another layer, shape or type.
    """
    if not 0 <= layer < made[0]:
        raise InputError(f"layer is {layer}; it must be from 0 to {made[0] - 1}")
    given = (k.shape[0], k.shape[1], k.shape[3])
    if given != made[1:]:
        raise InputError(
            f"k has batch, kv_heads, head_size {given}; the cache was made for {made[1:]}"
        )
    if k.dtype != dtype:
        raise InputError(f"k is {k.dtype}; the cache holds {dtype}")


def dims_of(dims: Any) -> tuple[int, int, int]:
    """(layers, kv_heads, head_size) of a Config or as given.

    Raises:
        InputError: a tuple of another form.
    """
    if isinstance(dims, tuple):
        if len(dims) != 3 or min(dims) < 1:
            raise InputError(f"dims is {dims}; it must be (layers, kv_heads, head_size)")
        return dims
    layers = dims.T_layers if dims.kind == "encoder-decoder" else dims.layers
    return layers, dims.G, dims.D
