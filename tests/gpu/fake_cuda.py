"""`cupy.cuda` and cuBLAS without a GPU: devices, streams, events, and products at addresses.

Work on a stream other than the main one is put off until somebody waits for it, which is the latest
that a GPU may take; ``streams_run("at once")`` is the earliest. What is right under both has waited
wherever it must. cuBLAS's two calls are done as its manual says: matrices stored by columns, found
by their address, leading dimension and step.
"""

import ctypes
import types
from contextlib import contextmanager

import ml_dtypes
import numpy as np

TYPES = {0: np.dtype(np.float32), 2: np.dtype(np.float16), 14: np.dtype(ml_dtypes.bfloat16)}
_late = True


@contextmanager
def streams_run(when):
    """Inside, work on side streams happens "at once" or "late"."""
    global _late
    before, _late = _late, when == "late"
    try:
        yield
    finally:
        _late = before


class Stream:
    """Work in order. Waiting for an event does what was queued before the event on its stream."""

    main = None

    def __init__(self, non_blocking=False, is_main=False):
        assert non_blocking or is_main, "a blocking stream waits for the main stream: no overlap"
        self.queue, self.is_main, self.waited_for = [], is_main, []

    def do(self, work):
        if self.is_main or not _late:
            work()
        else:
            self.queue.append(work)

    def synchronize(self):
        self.run(len(self.queue))

    def run(self, count):
        done, self.queue = self.queue[:count], self.queue[count:]
        for work in done:
            work()

    def wait_event(self, event):
        self.waited_for.append(event)
        self.do(event.synchronize)


Stream.main = Stream(is_main=True)


class Event:
    """A place in a stream's queue."""

    clock = 0

    def __init__(self, block=False, disable_timing=False):
        self.stream = self.marker = self.time = None

    def record(self, stream=None):
        self.stream = stream or Stream.main
        Event.clock += 1
        self.time = Event.clock
        self.marker = lambda: None
        self.stream.do(self.marker)

    def synchronize(self):
        if self.stream is not None and self.marker in self.stream.queue:
            self.stream.run(self.stream.queue.index(self.marker) + 1)


class Pool:
    """A memory pool that only remembers its limit."""

    limit = 0

    def set_limit(self, size=None):
        self.limit = size

    def used_bytes(self):
        return 0

    def total_bytes(self):
        return 0

    def free_all_blocks(self):
        pass


def make(devices=1):
    """`cupy.cuda`."""
    module = types.ModuleType("cupy.cuda")
    module.used = None

    class Device:
        def __init__(self, number=0):
            self.id = number

        def use(self):
            module.used = self.id

    module.runtime = types.SimpleNamespace(
        getDeviceCount=lambda: devices,
        CUDARuntimeError=RuntimeError,
        deviceSynchronize=lambda: None,
    )
    module.get_elapsed_time = lambda start, end: float(end.time - start.time)
    module.Device, module.Stream, module.Event = Device, Stream, Event
    module.get_current_stream = lambda: Stream.main
    module.get_cublas_handle = lambda: 1
    return module


def _stored(address, dtype, shape, strides):
    size = sum((n - 1) * s for n, s in zip(shape, strides)) + dtype.itemsize
    memory = (ctypes.c_char * size).from_address(address)
    return np.ndarray(shape, dtype, memory, 0, strides)


def _operand(address, kind, turned, rows, columns, lead, step, count):
    """The matrices op(X), (count, rows, columns), as float32."""
    held = (columns, rows) if turned else (rows, columns)
    assert lead >= held[0], f"leading dimension {lead} is below the {held[0]} rows"
    dtype = TYPES[kind]
    item = dtype.itemsize
    found = _stored(address, dtype, (count, *held), (step * item, item, lead * item))
    return (found.swapaxes(1, 2) if turned else found).astype(np.float32)


def cublas():
    """`cupy_backends.cuda.libs.cublas`: the two calls, counted in `calls`."""
    module = types.ModuleType("cublas")
    module.calls = []

    def batched(
        handle, turn_a, turn_b, m, n, k, alpha, a, type_a, lda, step_a, b, type_b, ldb, step_b,
        beta, c, type_c, ldc, step_c, count, compute, algorithm,
    ):  # fmt: skip
        assert handle == 1 and compute == 68 and algorithm == -1 and min(m, n, k, count) > 0
        assert {turn_a, turn_b} <= {0, 1} and type_a == type_b and type_c in (type_a, 0)
        assert ldc >= m
        one, factor = (ctypes.c_float.from_address(x).value for x in (alpha, beta))
        left = _operand(a, type_a, turn_a, m, k, lda, step_a, count)
        right = _operand(b, type_b, turn_b, k, n, ldb, step_b, count)
        dtype = TYPES[type_c]
        item = dtype.itemsize
        out = _stored(c, dtype, (count, m, n), (step_c * item, item, ldc * item))
        before = factor * out.astype(np.float32) if factor else np.float32(0)
        out[...] = (one * (left @ right) + before).astype(dtype)
        module.calls.append((str(TYPES[type_a]), str(dtype), count, m, n, k))

    def single(
        handle, turn_a, turn_b, m, n, k, alpha, a, type_a, lda, b, type_b, ldb, beta,
        c, type_c, ldc, compute, algorithm,
    ):  # fmt: skip
        batched(
            handle, turn_a, turn_b, m, n, k, alpha, a, type_a, lda, 0, b, type_b, ldb, 0, beta,
            c, type_c, ldc, 0, 1, compute, algorithm,
        )  # fmt: skip

    module.gemmEx, module.gemmStridedBatchedEx = single, batched
    return module
