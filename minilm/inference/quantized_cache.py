"""Keys and values in 8 bits: a quarter of the memory, and nearly the same text.

A few channels of the keys are large in every token, so keys are rounded channel by channel, over a
group of tokens; values have no such channels and are rounded token by token (KIVI, arXiv
2402.02750, section 3). A channel's range is known only once its group is full, so the newest keys
stay as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.inference.cache import check_new, dims_of

STEPS = 255


def quantize(x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Round to 256 levels between the least and the greatest along an axis.

    Args:
        x: (..., n, ...) floats.
        axis: along which numbers share their levels.

    Returns:
        codes uint8 in x's shape; step and low, x's shape with 1 at the axis, in x's type:
        x is about low + step * codes, at most step / 2 away.
    """
    low = x.min(axis=axis, keepdims=True)
    step = (x.max(axis=axis, keepdims=True) - low) / STEPS
    codes = np.rint((x - low) / np.where(step > 0, step, 1))
    return codes.astype(np.uint8), step.astype(x.dtype), low


def dequantize(codes: np.ndarray, step: np.ndarray, low: np.ndarray) -> np.ndarray:
    """low + step * codes, in step's type."""
    return codes * step + low


class QuantizedCache:
    """Room for `length` positions in 8 bits, filled from the left.

    Args:
        dims: a decoder's Config, or (layers, kv_heads, head_size).
        batch: B, number of sequences.
        length: how many positions fit.
        group: tokens whose keys share the levels of a channel.
        dtype: float32 or float64, the model's.

    Attributes:
        length: positions stored so far.
        capacity: positions that fit.
        nbytes: of all arrays, `quantized_bytes` by the formula.

    Raises:
        InputError: a size below 1, or the dims of an encoder-decoder.
    """

    memory = memory_valid = None

    def __init__(
        self, dims: Any, batch: int, length: int, group: int = 32, dtype: Any = np.float32
    ) -> None:
        layers, groups, size = dims_of(dims)
        if getattr(dims, "kind", "decoder") == "encoder-decoder":
            raise InputError("dims is an encoder-decoder's; this cache is for models of one stack")
        for name, value in (("batch", batch), ("length", length), ("group", group)):
            if value < 1:
                raise InputError(f"{name} is {value}; it must be 1 or more")
        self.length, self.capacity, self.batch, self.group = 0, length, batch, group
        shape = (layers, batch, groups)
        full = -(-length // group)
        self._keys = np.zeros((*shape, full, group, size), np.uint8)
        self._key_step, self._key_low = (np.zeros((*shape, full, 1, size), dtype) for _ in range(2))
        self._newest = np.zeros((*shape, group, size), dtype)  # keys of the group being filled
        self._values = np.zeros((*shape, length, size), np.uint8)
        self._value_step, self._value_low = (
            np.zeros((*shape, length, 1), dtype) for _ in range(2)
        )  # fmt: skip

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(a.nbytes for a in vars(self).values() if isinstance(a, np.ndarray))

    def append(self, layer: int, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Store new keys and values of one layer.

        Args:
            layer: which layer.
            k, v: (B, G, T, D), of the T positions that follow `length`.

        Returns:
            What is stored of all positions, (B, G, length + T, D) each, as floats.

        Raises:
            InputError: another shape or type than the cache was made for, or no room.
        """
        end, size = self._check_room(layer, k), self.group
        codes, step, low = quantize(v, axis=-1)
        into = slice(self.length, end)
        self._values[layer, :, :, into] = codes
        self._value_step[layer, :, :, into] = step
        self._value_low[layer, :, :, into] = low
        done = 0
        while done < k.shape[2]:
            number, first = divmod(self.length + done, size)
            some = min(size - first, k.shape[2] - done)
            newest = self._newest[layer]  # (B, G, group, D)
            newest[:, :, first : first + some] = k[:, :, done : done + some]
            done += some
            if first + some == size:
                parts = quantize(newest, axis=-2)
                for all_layers, part in zip((self._keys, self._key_step, self._key_low), parts):
                    all_layers[layer, :, :, number] = part
        return self._read_keys(layer, end), self._read_values(layer, end)

    def _read_keys(self, layer: int, end: int) -> np.ndarray:
        full, rest = divmod(end, self.group)
        whole = (a[layer, :, :, :full] for a in (self._keys, self._key_step, self._key_low))
        keys = dequantize(*whole)  # (B, G, full, group, D)
        keys = keys.reshape(*keys.shape[:2], -1, keys.shape[-1])  # -> (B, G, full * group, D)
        return np.concatenate([keys, self._newest[layer, :, :, :rest]], axis=2)

    def _read_values(self, layer: int, end: int) -> np.ndarray:
        parts = (self._values, self._value_step, self._value_low)
        return dequantize(*(a[layer, :, :, :end] for a in parts))

    def key_positions(self, time: int) -> np.ndarray:
        """The positions of the keys that `append` returns for `time` new ones, (S,) ints."""
        return np.arange(self.length + time)

    def advance(self, time: int) -> None:
        """Count `time` positions as stored, once every layer has appended them."""
        self.length += time

    def truncate(self, length: int) -> None:
        """Forget the positions from `length` on.

        Keys of a group that was full and is so no longer are what their codes say.

        Raises:
            InputError: a length beyond what is stored.
        """
        if not 0 <= length <= self.length:
            raise InputError(f"length is {length}; it must be from 0 to {self.length}")
        number, rest = divmod(length, self.group)
        if rest and number < self.length // self.group:
            parts = (self._keys, self._key_step, self._key_low)
            self._newest[...] = dequantize(*(a[:, :, :, number] for a in parts))
        self.length = length

    def reset(self) -> None:
        """Forget everything."""
        self.length = 0

    def _check_room(self, layer: int, k: np.ndarray) -> int:
        """Where the new keys end."""
        layers, batch, groups, _, size = self._newest.shape
        check_new(layer, k, (layers, batch, groups, size), self._newest.dtype)
        end = self.length + k.shape[2]
        if end > self.capacity:
            raise InputError(f"k ends at position {end}; the cache has room for {self.capacity}")
        return end


def quantized_bytes(dims: Any, batch: int, length: int, group: int = 32, number: int = 4) -> int:
    """Bytes of a `QuantizedCache`.

    Per layer, row and kv_head: a byte for each number of the keys (in whole groups) and values; two
    floats for each channel of a group of keys and for each token's values; and one group of keys as
    floats.

    Args:
        dims, batch, length, group: as for the cache.
        number: bytes of a float.
    """
    layers, groups, size = dims_of(dims)
    full = -(-length // group)
    keys = full * group * size + 2 * number * full * size + number * group * size
    values = length * size + 2 * number * length
    return layers * batch * groups * (keys + values)
