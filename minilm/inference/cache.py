"""Key/value caches: what attention needs of the positions before, kept so that it is not redone.

A model calls `append` in every layer with the new keys and values, gets those of all positions
back, and calls `advance` once at the end of a forward.
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
        dtype: float32 or float64, as the model's.
        device: "cpu" or "cuda".

    Attributes:
        length: positions stored so far; capacity: how many fit.
        memory: keys and values of an encoder-decoder's source, one pair per layer, or None.
        nbytes: 2 * layers * B * G * length * D * bytes per number.

    Raises:
        InputError: a batch or length below 1, or dims that are neither.
    """

    def __init__(
        self, dims: Any, batch: int, length: int, dtype: Any = np.float32, device: str = "cpu"
    ) -> None:
        layers, groups, size = _dims(dims)
        for name, value in (("batch", batch), ("length", length)):
            if value < 1:
                raise InputError(f"{name} is {value}; it must be at least 1")
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
        """Bytes that the keys and values take (the source's not counted)."""
        return self._keys.nbytes + self._values.nbytes

    def append(self, layer: int, k: Array, v: Array) -> tuple[Array, Array]:
        """Store new keys and values of one layer.

        Args:
            k, v: (B, G, T, D), of the T positions that follow `length`.

        Returns:
            views (B, G, length + T, D), in order of position.

        Raises:
            InputError: another layer, shape or dtype than the cache was made for, or no room.
        """
        end = self._check_room(layer, k)
        self._keys[layer, :, :, self.length : end] = k
        self._values[layer, :, :, self.length : end] = v
        return self._keys[layer, :, :, :end], self._values[layer, :, :, :end]

    def key_positions(self, time: int) -> np.ndarray:
        """The position of each key that `append` of `time` new ones returns, (S,) ints."""
        return np.arange(self.length + time)

    def advance(self, time: int) -> None:
        """Count `time` positions as stored, once every layer has appended them."""
        self.length += time

    def truncate(self, length: int) -> None:
        """Forget the positions from `length` on, as speculative decoding does.

        Raises:
            InputError: more than are stored, or below 0.
        """
        if not 0 <= length <= self.length:
            raise InputError(f"length is {length}; it must be from 0 to {self.length}")
        self.length = length

    def reset(self) -> None:
        """Forget everything, the source included."""
        self.length, self.memory, self.memory_valid = 0, None, None

    def reorder(self, rows: Any) -> None:
        """Let sequence i go on from what was sequence rows[i], as beam search does.

        Raises:
            InputError: rows that are not one of the batch's each.
        """
        rows = np.asarray(rows)
        if rows.shape != (self.batch,) or rows.min() < 0 or rows.max() >= self.batch:
            raise InputError(
                f"rows is {rows.tolist()}; it must be {self.batch} numbers, from 0 to "
                f"{self.batch - 1}"
            )
        self._keys, self._values = self._keys[:, rows], self._values[:, rows]
        if self.memory is not None:
            self.memory = [(k[rows], v[rows]) for k, v in self.memory]
        if self.memory_valid is not None:
            self.memory_valid = self.memory_valid[rows]

    def remember(self, memory: list[tuple[Array, Array]], valid: np.ndarray | None = None) -> None:
        """Keep a source's keys and values, (B, G, M, D) a layer, and its padding mask (B, M).

        Raises:
            InputError: the cache holds target tokens of an earlier source.
        """
        if self.length:
            raise InputError(
                f"ids is given and the cache holds {self.length} target tokens; reset it first"
            )
        self.memory, self.memory_valid = memory, valid

    def _check_room(self, layer: int, k: Array) -> int:
        """Where the new keys end.

        Raises:
            InputError: another shape than the cache was made for, or no room.
        """
        layers, batch, groups, _, size = self._keys.shape
        if not 0 <= layer < layers:
            raise InputError(f"layer is {layer}; it must be from 0 to {layers - 1}")
        if (k.shape[0], k.shape[1], k.shape[3]) != (batch, groups, size):
            raise InputError(
                f"batch, kv_heads, head_size are {(k.shape[0], k.shape[1], k.shape[3])}; the cache "
                f"was made for {(batch, groups, size)}"
            )
        if k.dtype != self._keys.dtype:
            raise InputError(f"keys are {k.dtype}; the cache holds {self._keys.dtype}")
        end = self.length + k.shape[2]
        if end > self.capacity:
            raise InputError(f"{end} positions are needed; the cache holds {self.capacity}")
        return end


class RollingCache(ContiguousCache):
    """The last W positions of a sliding-window model: position i lies in slot i mod W.

    The memory does not grow with the text (Mistral 7B, arXiv 2310.06825, section 2).

    Args:
        dims: a Config with a window, or (layers, kv_heads, head_size).
        batch: B.
        window: W; None: the config's.
        length: longest text; None: no limit but the model's.

    Raises:
        InputError: a window below the model's, or a model without one.
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
            raise InputError(f"window is {window}; it must be at least 1, the model's own or more")
        if own is not None and window < own:
            raise InputError(f"window is {window}; it must be at least the model's, {own}")
        if not isinstance(dims, tuple) and own is None:
            raise InputError("config.window is None; a rolling cache needs a model with a window")
        self.window = window
        super().__init__(dims, batch, window, dtype, device)
        self.capacity = 2**62 if length is None else length

    def append(self, layer: int, k: Array, v: Array) -> tuple[Array, Array]:
        """Store new keys and values of one layer.

        Args:
            k, v: (B, G, T, D), of the T positions that follow `length`.

        Returns:
            (B, G, S, D) each, the keys at `key_positions(T)`. For T = 1 the slots themselves,
            in their own order. For more, the keys that the first new query still sees and the
            new ones, in order of position: some of the former are overwritten by the latter.
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
        """The position of each key that `append` of `time` new ones returns, (S,) ints."""
        if time > 1:
            return np.arange(max(0, self.length - self.window + 1), self.length + time)
        slots = np.arange(min(self.length + 1, self.window))
        return self.length - (self.length - slots) % self.window

    def truncate(self, length: int) -> None:
        """Going back is impossible once slots were overwritten.

        Raises:
            InputError: positions that the window needs are gone.
        """
        if self.length > self.window and length != self.length:
            raise InputError(
                f"length is {length}; it must be {self.length}, for a rolling cache that has gone "
                "round cannot go back"
            )
        super().truncate(length)


def _dims(dims: Any) -> tuple[int, int, int]:
    """(layers, kv_heads, head_size) of a Config or as given."""
    if isinstance(dims, tuple):
        if len(dims) != 3 or min(dims) < 1:
            raise InputError(f"dims is {dims}; it must be (layers, kv_heads, head_size)")
        return dims
    layers = dims.T_layers if dims.kind == "encoder-decoder" else dims.layers
    return layers, dims.G, dims.D
