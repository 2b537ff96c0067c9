"""Arrays of an emulated Python kernel, watched element by element."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .report import EmulatorError, Touch

if TYPE_CHECKING:
    from .device import Device

OWN = {__file__, os.path.join(os.path.dirname(__file__), "device.py")}


_name = lru_cache(None)(os.path.basename)


@lru_cache(None)
def _sites(code: Any) -> list[tuple]:
    """Where in the source each instruction comes from (an instruction's own offset may shift)."""
    return [(code.co_name, *position) for position in code.co_positions()]


def caller() -> Any:
    """The innermost frame outside the emulator: the line of the kernel."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename in OWN:
        frame = frame.f_back
    return frame


class Stop(Exception):
    """Carries an EmulatorError out of a thread's greenlet."""

    def __init__(self, error: EmulatorError, cause: BaseException | None = None) -> None:
        self.error, self.cause = error, cause


class Touched(NamedTuple):
    """Who touched an element last, and when."""

    block: int
    epoch: int
    warp_epoch: int
    thread: int
    line: int
    atomic: bool


def dtype_like(kind: Any) -> np.dtype:
    try:
        return np.dtype(kind)
    except TypeError:
        return np.dtype(str(kind))  # a Numba type prints as its NumPy name


class TracedArray:
    """An array whose elements are watched: bounds, races, unwritten shared memory, cost."""

    def __init__(self, array: np.ndarray, device: Device, argument: int, label: str) -> None:
        self.array, self.device, self.argument, self.label = array, device, argument, label
        self.shape, self.ndim, self.dtype, self.size = (
            array.shape,
            array.ndim,
            array.dtype,
            array.size,
        )
        self.strides = tuple(s // array.itemsize for s in array.strides) if array.size else ()
        self.writes: dict[int, Touched] = {}
        self.reads: dict[int, list[Touched]] = {}
        self.start = 0

    def __len__(self) -> int:
        return self.shape[0]

    def _offset(self, index: Any) -> int:
        key = index if isinstance(index, tuple) else (index,)
        offset = self.start
        for i, size, stride in zip(key, self.shape, self.strides):
            if not -size <= i < size:
                place = index if not isinstance(index, tuple) else tuple(int(v) for v in index)
                raise self.device.error(
                    f"out of bounds: index {place} of {self.label}, whose shape is {self.shape}"
                )
            offset += int(i + size if i < 0 else i) * stride
        return offset

    def _view(self, index: Any) -> TracedArray:
        """A row: the same memory, watched by the same books."""
        row = TracedArray(self.array[index], self.device, self.argument, self.label)
        row.writes, row.reads, row.start = self.writes, self.reads, self._offset(index)
        return row

    def _whole(self, index: Any) -> bool:
        return len(index) == self.ndim if isinstance(index, tuple) else self.ndim == 1

    def __getitem__(self, index: Any) -> Any:
        if not self._whole(index):
            return self._view(index)
        self._watch(self._offset(index), "read")
        return self.array[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        if not self._whole(index):
            raise self.device.error(f"{self.label} has {self.ndim} dimensions; write one element")
        self._watch(self._offset(index), "write")
        self.array[index] = value

    def _watch(self, offset: int, kind: str) -> None:
        device = self.device
        if device.costs is None:
            return
        frame = caller()
        line = frame.f_lineno
        me = device.current.number
        on_chip = self.argument < 0
        now = Touched(
            device.block_number,
            device.epoch,
            device.warp_epochs[me // 32],
            me,
            line,
            kind == "atomic",
        )
        last = self.writes.get(offset)
        verb = "reads" if kind == "read" else "writes"
        if last is None or last.block != now.block:
            if on_chip and kind == "read":
                raise device.error(
                    f"reads element {offset} of {self.label}, which nobody has written yet", line
                )
        if last is not None and not (now.atomic and last.atomic):
            self._order(last, now, offset, verb, "writes")
        readers = self.reads.get(offset, [])
        if kind == "read":
            readers = [r for r in readers if r.epoch == now.epoch and r.thread != me][-3:]
            others = [r for r in self.reads.get(offset, []) if r.block != now.block][:1]
            self.reads[offset] = [*others, *readers, now]
        else:
            for reader in readers:
                self._order(reader, now, offset, verb, "reads")
            self.writes[offset] = now
        item = self.array.itemsize
        place = f"{_name(frame.f_code.co_filename)}:{line}"
        site = _sites(frame.f_code)[frame.f_lasti // 2]
        device.costs.access(me, site, place, kind, self.argument, offset * item, item)
        element = offset * item if on_chip else offset
        device.costs.touch(Touch(device.block_number - 1, me, self.argument, kind, element, line))

    def _order(self, old: Touched, now: Touched, offset: int, verb: str, earlier: str) -> None:
        if old.block != now.block:
            if self.argument >= 0:
                raise self.device.error(
                    f"race: this thread {verb} element {offset} of {self.label}, which another "
                    f"block {earlier} at line {old.line}, and blocks have no order", now.line,
                )  # fmt: skip
        elif old.thread != now.thread and old.epoch == now.epoch:
            same_warp = old.thread // 32 == now.thread // 32
            if not same_warp or old.warp_epoch == now.warp_epoch:
                other = self.device.threads[old.thread].index
                raise self.device.error(
                    f"race: this thread {verb} element {offset} of {self.label}, which thread "
                    f"{tuple(other)} {earlier} at line {old.line} with no barrier between",
                    now.line,
                )  # fmt: skip
