"""Local memory of an emulated thread: arrays whose numbers go in and out one by one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .traced import dtype_like

LOCAL = 512 << 10  # bytes of local memory that a thread has


class LocalArray:
    """An array of one thread. Numbers go in and out one by one; `v[:] = 0` fills it."""

    def __init__(self, array: np.ndarray, device: Any) -> None:
        self._array, self._device = array, device
        self.shape, self.ndim, self.size = array.shape, array.ndim, array.size
        self.dtype = array.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def _checked(self, index: Any) -> tuple:
        key = index if isinstance(index, tuple) else (index,)
        whole = all(type(i) is int or isinstance(i, np.integer) for i in key)
        inside = whole and len(key) <= self.ndim
        if not inside or not all(-n <= i < n for i, n in zip(key, self.shape)):
            raise self._device.error(
                f"index {index!r} of a local array of shape {self.shape}; it must be whole numbers "
                "within the shape"
            )
        return key

    def __getitem__(self, index: Any) -> Any:
        found = self._array[self._checked(index)]
        return LocalArray(found, self._device) if isinstance(found, np.ndarray) else found

    def __setitem__(self, index: Any, value: Any) -> None:
        fill = isinstance(index, slice) and index == slice(None)
        key = () if fill else self._checked(index)
        if not fill and len(key) != self.ndim:
            raise self._device.error(
                f"a row of a local array of shape {self.shape} is written at {index!r}; it must be "
                "written one element at a time"
            )
        self._array[key] = self._device.number(value, "a local array")


class Local:
    """Stands in for `cuda.local`."""

    def __init__(self, device: Any) -> None:
        self._device = device

    def array(self, shape: Any, dtype: Any) -> LocalArray:
        kind = dtype_like(dtype)
        size = math.prod(shape if isinstance(shape, tuple) else (shape,)) * kind.itemsize
        if size > LOCAL:
            raise self._device.error(f"declares {size} bytes of local memory; a thread has {LOCAL}")
        return LocalArray(np.full(shape, np.nan if kind.kind == "f" else 0, kind), self._device)
