"""Arrays of an emulated Python kernel, watched element by element."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .report import EmulatorError, Touch

if TYPE_CHECKING:
    from .device import Device

OWN = {os.path.join(os.path.dirname(__file__), f"{name}.py") for name in ("device", "local")}
OWN.add(__file__)


def _sites(code: Any) -> list[tuple]:
    """Where in the source each instruction comes from, as an instruction's own offset may shift."""
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
        self.reads: dict[int, list[Touched]] = {}  # the latest ones, all between two barriers
        self.foreign: dict[int, Touched] = {}  # one read by an earlier block
        self.start = 0

    def __len__(self) -> int:
        return self.shape[0]

    def _offset(self, index: Any) -> int:
        key = index if isinstance(index, tuple) else (index,)
        offset = self.start
        for i, size, stride in zip(key, self.shape, self.strides):
            if type(i) is not int and not isinstance(i, np.integer):
                raise self.device.error(
                    f"index of {self.label} is a {type(i).__name__}; it must be a whole number"
                )
            if i < 0:
                i += size
            if not 0 <= i < size:
                place = index if not isinstance(index, tuple) else tuple(int(v) for v in index)
                raise self.device.error(
                    f"out of bounds: index {place} of {self.label}, whose shape is {self.shape}"
                )
            offset += i * stride
        return int(offset)

    def _view(self, index: Any) -> TracedArray:
        """A row: the same memory, with the same records of its accesses."""
        row = TracedArray(self.array[index], self.device, self.argument, self.label)
        row.writes, row.reads, row.foreign = self.writes, self.reads, self.foreign
        row.start = self._offset(index)
        return row

    def _is_whole(self, index: Any) -> bool:
        return len(index) == self.ndim if isinstance(index, tuple) else self.ndim == 1

    def __getitem__(self, index: Any) -> Any:
        if not self._is_whole(index):
            return self._view(index)
        offset = self._offset(index)
        if self.device.costs is not None:
            self._watch(offset, "read")
        return self.array[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        if not self._is_whole(index):
            raise self.device.error(
                f"{self.label} has {self.ndim} dimensions; it must be written one element at a time"
            )
        offset = self._offset(index)
        if self.device.costs is not None:
            self._watch(offset, "write")
        self.array[index] = value

    def _watch(self, offset: int, kind: str) -> None:
        device = self.device
        costs = device.costs
        if costs is None:
            return
        frame = sys._getframe(2)
        code = frame.f_code
        while code.co_filename in OWN:
            frame = frame.f_back
            code = frame.f_code
        sites = device.sites.get(id(code))  # the launch keeps its code alive
        if sites is None:
            sites = device.sites[id(code)] = _sites(code)
        site = sites[frame.f_lasti // 2]
        me, block, epoch, line = device.current.number, device.block_number, device.epoch, site[1]
        on_chip = self.argument < 0
        now = Touched(block, epoch, device.warp_epochs[me // 32], me, line, kind == "atomic")
        last = self.writes.get(offset)
        if last is None or last.block != block:
            if on_chip and kind == "read":
                raise device.error(
                    f"reads element {offset} of {self.label}, which no thread has written yet", line
                )
        if last is not None and (last.epoch == epoch or last.block != block):
            if not (now.atomic and last.atomic):
                self._refuse_race(
                    last, now, offset, "reads" if kind == "read" else "writes", "writes"
                )
        readers = self.reads.get(offset)
        if kind == "read":
            self._note_read(readers, now, offset)
        else:
            if readers is not None:
                for reader in (*readers, *filter(None, [self.foreign.get(offset)])):
                    self._refuse_race(reader, now, offset, "writes", "reads")
            self.writes[offset] = now
        item = self.array.itemsize
        costs.access(me, site, code.co_filename, kind, self.argument, offset * item, item)
        if costs.record:
            element = offset * item if on_chip else offset
            costs.touches.append(Touch(block - 1, me, self.argument, kind, element, line))

    def _note_read(self, readers: list[Touched] | None, now: Touched, offset: int) -> None:
        """Remembers who read an element since the last barrier, and one of an earlier block."""
        if readers is None:
            self.reads[offset] = [now]
            return
        last = readers[-1]
        if last.epoch != now.epoch:
            if last.block != now.block:
                self.foreign[offset] = last
            self.reads[offset] = [now]
        elif last.thread != now.thread:
            self.reads[offset] = [*(r for r in readers[-3:] if r.thread != now.thread), now]
        elif last.warp_epoch != now.warp_epoch:
            readers[-1] = now

    def _refuse_race(
        self, old: Touched, now: Touched, offset: int, verb: str, earlier: str
    ) -> None:
        if old.block != now.block:
            if self.argument >= 0:
                raise self.device.error(
                    f"race: this thread {verb} element {offset} of {self.label}, which another "
                    f"block {earlier} at line {old.line}, and blocks run in no order", now.line,
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
