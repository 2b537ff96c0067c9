"""The `cuda` that an emulated Python kernel sees: thread indices, barriers, shuffles, arrays."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .costs import Costs
from .local import Local
from .report import EmulatorError
from .traced import OWN, Stop, TracedArray, caller, dtype_like

STATIC_SHARED = 48 << 10  # bytes of shared memory that a block may declare


class Index(NamedTuple):
    """A CUDA three-part index or size."""

    x: int
    y: int
    z: int


class _Shared:
    def __init__(self, device: Device) -> None:
        self._device = device

    def array(self, shape: Any, dtype: Any) -> TracedArray:
        """One array per block and per call in the source; shape 0 means the dynamic one."""
        device, frame = self._device, sys._getframe(1)
        kind = dtype_like(dtype)
        key = (frame.f_code, frame.f_lasti)
        if key not in device.block_arrays:
            size = shape if shape != 0 else (device.shared_bytes // kind.itemsize,)
            if shape != 0:
                device.static_bytes += int(np.prod(shape)) * kind.itemsize
                if device.static_bytes > STATIC_SHARED:
                    raise device.error(
                        f"declares {device.static_bytes} bytes of shared memory; a block has "
                        f"{STATIC_SHARED}"
                    )
            poison = np.nan if kind.kind == "f" else -1 if kind.kind == "i" else 0
            array = np.full(size, poison, kind)
            label = (
                "dynamic shared memory"
                if shape == 0
                else f"the shared array of line {frame.f_lineno}"
            )
            number = -1 - len(device.block_arrays)
            device.block_arrays[key] = TracedArray(array, device, number, label)
        return device.block_arrays[key]


class _Atomic:
    def __init__(self, device: Device) -> None:
        self._device = device

    def _update(self, array: TracedArray, index: Any, change: Callable[[Any], Any]) -> Any:
        if not array._is_whole(index):
            raise self._device.error(
                f"{array.label} has {array.ndim} dimensions; an atomic changes one element"
            )
        array._watch(array._offset(index), "atomic")
        old = array.array[index]
        array.array[index] = change(old)
        return old

    def add(self, array: TracedArray, index: Any, value: Any) -> Any:
        return self._update(array, index, lambda old: old + value)

    def sub(self, array: TracedArray, index: Any, value: Any) -> Any:
        return self._update(array, index, lambda old: old - value)

    def max(self, array: TracedArray, index: Any, value: Any) -> Any:
        return self._update(array, index, lambda old: max(old, value))

    def min(self, array: TracedArray, index: Any, value: Any) -> Any:
        return self._update(array, index, lambda old: min(old, value))

    def exch(self, array: TracedArray, index: Any, value: Any) -> Any:
        return self._update(array, index, lambda old: value)


class _Thread:
    """One CUDA thread: its greenlet, where it is and what it waits for."""

    __slots__ = ("number", "index", "greenlet", "wait", "value", "result", "started")

    def __init__(self, number: int, index: Index, body: Any) -> None:
        self.number, self.index, self.greenlet = number, index, body
        self.wait: tuple | None = None
        self.value = self.result = None
        self.started = False


class Device:
    """Stands in for the module `numba.cuda` inside one launch."""

    warpsize = 32

    def __init__(
        self,
        kernel: str,
        grid: Sequence[int],
        block: Sequence[int],
        order: int,
        costs: Costs | None,
        deadline: float,
        shared_bytes: int,
    ) -> None:
        self.kernel, self.costs, self.deadline, self.order = kernel, costs, deadline, order
        self.gridDim, self.blockDim = Index(*grid), Index(*block)
        self.shared, self.local, self.atomic = _Shared(self), Local(self), _Atomic(self)
        self.shared_bytes = shared_bytes
        self.block_arrays: dict[tuple, TracedArray] = {}
        self.static_bytes = 0
        self.threads: list[_Thread] = []
        self.current: _Thread
        self.blockIdx = Index(0, 0, 0)
        self.block_number = self.epoch = self.barriers = self.warp_barriers = 0
        self.warp_epochs: list[int] = []
        self.sites: dict[int, list[tuple]] = {}  # by the id of a code object
        self.ticks = 0

    # --- what a kernel reads ---------------------------------------------------------------
    @property
    def threadIdx(self) -> Index:
        return self.current.index

    @property
    def laneid(self) -> int:
        return self.current.number % 32

    def grid(self, dimensions: int) -> Any:
        """Absolute index of the thread in the grid."""
        t, b, d = self.current.index, self.blockIdx, self.blockDim
        places = tuple(b[i] * d[i] + t[i] for i in range(dimensions))
        return places[0] if dimensions == 1 else places

    def gridsize(self, dimensions: int) -> Any:
        """Threads in the whole grid."""
        sizes = tuple(self.gridDim[i] * self.blockDim[i] for i in range(dimensions))
        return sizes[0] if dimensions == 1 else sizes

    # --- meetings ---------------------------------------------------------------------------
    def _meet(self, what: str, name: str, mask: int = 0, value: Any = None) -> Any:
        line = sys._getframe(2).f_lineno
        self.current.wait, self.current.value = (what, name, line, mask), value
        return self.hub.switch()

    def _move(self, name: str, mask: int, value: Any, lane: int) -> Any:
        """A shuffle: one number from another lane."""
        line = sys._getframe(2).f_lineno
        self.current.wait = ("warp", name, line, mask)
        self.current.value = self.number(value, "a shuffle"), lane
        return self.hub.switch()

    def number(self, value: Any, what: str) -> Any:
        """The value, which must be one number."""
        if not isinstance(value, (int, float, np.number, np.bool_)):
            raise self.error(f"{what} got a {type(value).__name__}; it takes one number")
        return value

    def syncthreads(self) -> None:
        self._meet("block", "syncthreads")

    def syncthreads_count(self, predicate: Any) -> int:
        return self._meet("block", "count", value=bool(predicate))

    def syncthreads_and(self, predicate: Any) -> int:
        return self._meet("block", "and", value=bool(predicate))

    def syncthreads_or(self, predicate: Any) -> int:
        return self._meet("block", "or", value=bool(predicate))

    def syncwarp(self, mask: int = 0xFFFFFFFF) -> None:
        self._meet("warp", "syncwarp", mask)

    def shfl_sync(self, mask: int, value: Any, lane: int) -> Any:
        return self._move("shfl", mask, value, int(lane) % 32)

    def shfl_xor_sync(self, mask: int, value: Any, lanes: int) -> Any:
        return self._move("xor", mask, value, self.laneid ^ int(lanes))

    def shfl_down_sync(self, mask: int, value: Any, delta: int) -> Any:
        return self._move("down", mask, value, self.laneid + int(delta))

    def shfl_up_sync(self, mask: int, value: Any, delta: int) -> Any:
        return self._move("up", mask, value, self.laneid - int(delta))

    def ballot_sync(self, mask: int, predicate: Any) -> int:
        return self._meet("warp", "ballot", mask, bool(predicate))

    def any_sync(self, mask: int, predicate: Any) -> bool:
        return self._meet("warp", "ballot", mask, bool(predicate)) != 0

    def all_sync(self, mask: int, predicate: Any) -> bool:
        bits = self._meet("warp", "ballot", mask, bool(predicate))
        return bits & mask == mask & (2 ** min(32, len(self.threads)) - 1)

    def threadfence(self) -> None:
        """Orders nothing here: threads of the emulator see each other's writes at once."""

    @staticmethod
    def fma(a: Any, b: Any, c: Any) -> Any:
        return a * b + c

    @staticmethod
    def popc(value: int) -> int:
        return int(value).bit_count()

    @staticmethod
    def selp(choice: Any, a: Any, b: Any) -> Any:
        return a if choice else b

    # --- running ----------------------------------------------------------------------------
    def step(self) -> None:
        """Called at the head of every branch and loop body."""
        self.ticks += 1
        if self.ticks % 4096 == 0 and time.thread_time() > self.deadline:
            line = sys._getframe(1).f_lineno
            raise self.error("still running when the time limit was reached", line)
        if self.costs is not None:
            self.costs.step(self.current.number, sys._getframe(1).f_lineno)

    def error(self, message: str, line: int | None = None, thread: Any = None) -> Stop:
        """The error at the current thread, or at another."""
        if line is None:
            line = caller().f_lineno
        index = (thread or self.current).index
        return Stop(
            EmulatorError(
                message,
                kernel=self.kernel,
                block=tuple(self.blockIdx),
                thread=tuple(index),
                line=line,
            )
        )

    def launch(self, body: Callable[..., None], values: list[Any]) -> None:
        """Runs the grid, block after block."""
        import greenlet

        self.hub = greenlet.getcurrent()

        def guarded() -> None:
            try:
                with np.errstate(all="ignore"):  # each greenlet has a context of its own
                    body(*values)
            except Stop:
                raise
            except greenlet.GreenletExit:
                raise
            except Exception as problem:
                trace = problem.__traceback__
                line = None
                while trace is not None:
                    if trace.tb_frame.f_code.co_filename not in OWN:
                        line = trace.tb_lineno
                    trace = trace.tb_next
                stop = self.error(f"{type(problem).__name__}: {problem}", line)
                raise Stop(stop.error, problem) from None

        d = self.blockDim
        for z in range(self.gridDim.z):
            for y in range(self.gridDim.y):
                for x in range(self.gridDim.x):
                    self.blockIdx = Index(x, y, z)
                    self.block_number += 1
                    self.epoch += 1
                    self.block_arrays, self.static_bytes = {}, 0
                    self.threads = [
                        _Thread(
                            i,
                            Index(i % d.x, i // d.x % d.y, i // (d.x * d.y)),
                            greenlet.greenlet(guarded),
                        )
                        for i in range(d.x * d.y * d.z)
                    ]
                    self.warp_epochs = [0] * ((len(self.threads) + 31) // 32)
                    self._run_block()

    def _resume(self, thread: _Thread) -> None:
        self.current = thread
        thread.wait = None
        if thread.started:
            thread.greenlet.switch(thread.result)
        else:
            thread.started = True
            thread.greenlet.switch()

    def _run_block(self) -> None:
        reverse, ahead = self.order & 1, self.order & 2
        warps = [self.threads[i : i + 32] for i in range(0, len(self.threads), 32)]
        if reverse:
            warps = [list(reversed(w)) for w in reversed(warps)]
        while True:
            for warp in warps:
                while True:
                    for thread in warp:
                        if thread.wait is None and not thread.greenlet.dead:
                            self._resume(thread)
                    if not (ahead and self._release_warp(warp)):
                        break
            if any([self._release_warp(warp) for warp in warps]):
                continue
            live = [t for t in self.threads if not t.greenlet.dead]
            self.epoch += 1
            if self.costs is not None:
                for low in range(0, len(self.threads), 32):
                    self.costs.price(low, min(low + 32, len(self.threads)))
            if not live:
                return
            self._release_block(live)

    def _release_block(self, live: list[_Thread]) -> None:
        first = next((t for t in live if t.wait and t.wait[0] == "block"), live[0])
        for thread in live:
            if thread.wait != first.wait:
                raise self.error(
                    f"not all threads reach the same {first.wait[1]}: thread {tuple(thread.index)} "
                    f"waits at line {thread.wait[2]} ({thread.wait[1]})", first.wait[2], first,
                )  # fmt: skip
        if first.wait[0] == "warp":
            raise self.error("deadlock: waits for lanes that never come", first.wait[2], first)
        if len(live) != len(self.threads):
            gone = len(self.threads) - len(live)
            raise self.error(
                f"{first.wait[1]}() after {gone} threads of the block had left the kernel",
                first.wait[2], first,
            )  # fmt: skip
        votes = [bool(t.value) for t in live]
        result = {"count": sum(votes), "and": int(all(votes)), "or": int(any(votes))}
        name = first.wait[1]
        for thread in live:
            thread.result = result.get(name)
            thread.wait = None
        self.barriers += 1

    def _release_warp(self, warp: list[_Thread]) -> bool:
        """Lets the lanes that met at a warp operation go on; returns whether there were any."""
        waiting = {t.number % 32: t for t in warp if t.wait and t.wait[0] == "warp"}
        by_lane = {t.number % 32: t for t in warp}
        released = False
        for lane in sorted(waiting):
            thread = waiting[lane]
            if thread.wait is None:
                continue
            _, name, line, mask = thread.wait
            if not mask >> lane & 1:
                raise self.error("the mask leaves out the thread that calls it", line, thread)
            lanes = [j for j in range(32) if mask >> j & 1 and j in by_lane]
            gone = [j for j in lanes if by_lane[j].greenlet.dead]
            if gone:
                raise self.error(
                    f"waits for lane {gone[0]}, which has left the kernel", line, thread
                )
            if not all(j in waiting and waiting[j].wait for j in lanes):
                continue
            for j in lanes:
                if waiting[j].wait != thread.wait:
                    raise self.error(
                        f"the warp diverged: this thread is at {name} while thread "
                        f"{tuple(waiting[j].index)} is at line {waiting[j].wait[2]} "
                        f"({waiting[j].wait[1]})", line, thread,
                    )  # fmt: skip
            values = {j: waiting[j].value for j in lanes}
            for j in lanes:
                member = waiting[j]
                if name == "ballot":
                    member.result = sum(bool(v) << k for k, v in values.items())
                elif name == "syncwarp":
                    member.result = None
                else:
                    own, source = member.value
                    member.result = values[source][0] if source in values else own
                member.wait = None
            self.warp_barriers += 1
            if name == "syncwarp":
                self.warp_epochs[thread.number // 32] += 1
            if self.costs is not None:
                low = thread.number // 32 * 32
                self.costs.price(low, min(low + 32, len(self.threads)))
            released = True
        return released
