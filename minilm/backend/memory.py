"""A GPU's memory: how much may be taken, pinned host memory, batches copied ahead of their use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from minilm.backend.arrays import Array, cupy
from minilm.errors import InputError


def memory_limit(nbytes: int | None) -> None:
    """Limit CuPy's memory pool on the current GPU to this many bytes; None lifts the limit.

    Raises:
        InputError: fewer than one byte, or no GPU.
    """
    if nbytes is not None and nbytes < 1:
        raise InputError(f"memory_limit is {nbytes}; it must be at least 1 byte, or None for all")
    cupy().get_default_memory_pool().set_limit(size=nbytes or 0)


def memory_in_use() -> tuple[int, int]:
    """Bytes of the current GPU that arrays occupy, and bytes that the pool holds in all."""
    pool = cupy().get_default_memory_pool()
    return pool.used_bytes(), pool.total_bytes()


def pinned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An uninitialised host array that the GPU's copy engine reads while the host goes on.

    Its pages stay where they are. A copy from other memory goes through a buffer of the driver,
    and the host waits for it.
    """
    cupy()
    import cupyx

    return cupyx.empty_pinned(shape, dtype)


class _Slot:
    """One batch on its way: pinned arrays, their copies on the GPU, and two events."""

    def __init__(self, cp: ModuleType, arrays: Sequence[np.ndarray]) -> None:
        self.host = [pinned(a.shape, a.dtype) for a in arrays]
        self.device = [cp.empty(a.shape, a.dtype) for a in arrays]
        self.copied = cp.cuda.Event(disable_timing=True)
        self.used = cp.cuda.Event(disable_timing=True)

    def fits(self, arrays: Sequence[np.ndarray]) -> bool:
        """Whether these arrays have the shapes and types that the slot was made for."""
        mine = [(a.shape, a.dtype) for a in self.host]
        return mine == [(a.shape, a.dtype) for a in arrays]


class Prefetch:
    """Batches of host arrays as GPU arrays: while one is worked on, the next is copied.

    Copies run on a stream of their own, from pinned memory. Two slots take turns: a copy into a
    slot waits for the work on the batch that was there before, and the work on a batch waits for
    its copy. A batch may be used until the next is asked for, by work on the stream that is current
    when it is given out.

    Args:
        source: yields tuples of arrays; one more batch is taken from it than was used.
        ahead: False copies a batch only when it is asked for, and takes none in advance.
    """

    def __init__(self, source: Iterator[Sequence[np.ndarray]], ahead: bool = True) -> None:
        self._cp = cupy()
        self._source, self._ahead = source, ahead
        self._stream = self._cp.cuda.Stream(non_blocking=True)
        self._slots: list[_Slot | None] = [None, None]
        self._turn = 0  # the slot of the batch that was given out last
        self._waiting: _Slot | None = None

    def __iter__(self) -> Prefetch:
        return self

    def __next__(self) -> list[Array]:
        if self._waiting is None:
            self._start()
        slot, self._waiting = self._waiting, None
        self._cp.cuda.get_current_stream().wait_event(slot.copied)
        if self._ahead:
            with contextlib.suppress(StopIteration):  # the next call says that there is no more
                self._start()
        return slot.device

    def _start(self) -> None:
        """Fill the next slot and start its copy."""
        arrays = [np.asarray(a) for a in next(self._source)]
        self._turn ^= 1
        slot = self._slots[self._turn]
        if slot is None or not slot.fits(arrays):
            slot = self._slots[self._turn] = _Slot(self._cp, arrays)
        else:
            slot.copied.synchronize()  # the host may write here once the last copy has read it
        # All that was queued so far may still use the slot's memory, the last batch in it first.
        slot.used.record(self._cp.cuda.get_current_stream())
        self._stream.wait_event(slot.used)
        for source, host, device in zip(arrays, slot.host, slot.device):
            host[...] = source
            device.set(host, stream=self._stream)
        slot.copied.record(self._stream)
        self._waiting = slot
