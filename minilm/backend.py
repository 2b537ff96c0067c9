"""Where arrays live, and what runs them: NumPy or CuPy, threads, seeded random streams.

Everything above this floor is written once, against the module that ``xp_of`` returns.
"""

import os
import sys
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np

from minilm.errors import InputError

Array = Any  # numpy.ndarray or cupy.ndarray

_threads = os.cpu_count() or 1
_pool: ThreadPoolExecutor | None = None
_blas_threads: int | None = None


def xp_of(array: Array) -> ModuleType:
    """The module (numpy or cupy) whose functions take this array."""
    if isinstance(array, np.ndarray):
        return np
    return sys.modules["cupy"] if type(array).__module__.startswith("cupy") else np


def cupy() -> ModuleType:
    """CuPy, ready to use.

    Raises:
        InputError: CuPy is not installed, or it is and finds no GPU: two different sentences.
    """
    try:
        import cupy as cp
    except ImportError:
        raise InputError(
            "device 'cuda' needs CuPy, which is not installed: "
            "pip install 'minilm[cuda12]' or 'minilm[cuda13]'"
        ) from None
    try:
        count = cp.cuda.runtime.getDeviceCount()
    except cp.cuda.runtime.CUDARuntimeError:
        count = 0
    if count == 0:
        raise InputError("device 'cuda' needs an NVIDIA GPU and its driver; CuPy finds neither")
    return cp


def array_module(device: str) -> ModuleType:
    """numpy for ``"cpu"``, cupy for ``"cuda"``.

    Raises:
        InputError: another device, or a GPU that is not there.
    """
    if device == "cpu":
        return np
    if device == "cuda":
        return cupy()
    raise InputError(f"device is {device!r}; allowed are 'cpu' and 'cuda'")


def to_numpy(array: Array) -> np.ndarray:
    """The array in host memory: itself, or a copy of a GPU array."""
    return array if isinstance(array, np.ndarray) else xp_of(array).asnumpy(array)


def rng(seed: int, *stream: str | int) -> np.random.Generator:
    """A random generator for one purpose: the same seed and stream give the same numbers.

    Args:
        seed: any non-negative integer.
        stream: names what the numbers are for (``"init", "layer", 3``); streams are independent.
    """
    if seed < 0:
        raise InputError(f"seed is {seed}; it must be 0 or more")
    words = [zlib.crc32(str(part).encode()) for part in stream]
    return np.random.default_rng([seed, *words])


def threads() -> int:
    """How many Python threads share the work of a training step; the machine's cores at first."""
    return _threads


def set_threads(count: int) -> None:
    """Choose how many Python threads share the work.

    Raises:
        InputError: fewer than one.
    """
    global _threads, _pool
    if count < 1:
        raise InputError(f"threads is {count}; it must be 1 or more")
    if count != _threads and _pool is not None:
        _pool.shutdown()
        _pool = None
    _threads = count


def blas_threads(count: int) -> None:
    """Set the threads inside one matrix product, for every BLAS in the process, once.

    The setting costs up to 2 ms, so it is kept: asking again for the same number is free.
    """
    global _blas_threads
    if count != _blas_threads:
        from threadpoolctl import threadpool_limits

        threadpool_limits(limits=count, user_api="blas")
        _blas_threads = count


def parallel(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """``[function(item) for item in items]``, on ``threads()`` threads, with 1-thread BLAS.

    The threads run side by side only while they are inside NumPy or a ``nogil`` kernel. Outer
    threads with small matrix products each beat one thread with large ones: nothing waits at a
    barrier inside BLAS, and the elementwise kernels run in parallel too.
    """
    global _pool
    items = list(items)
    blas_threads(1)
    if len(items) < 2 or _threads == 1:
        return [function(item) for item in items]
    if _pool is None:
        _pool = ThreadPoolExecutor(_threads, thread_name_prefix="minilm")
    return list(_pool.map(function, items))


def keep_freed_memory() -> None:
    """Let the allocator keep what a training step frees, so that the next step reuses it.

    glibc hands large blocks back to the kernel at once, and the next step pays a page fault for
    every 4 kB it touches. One arena, no trimming: a step then runs in memory that is already
    there. Elsewhere than on glibc this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl
        return
    m_trim_threshold, m_mmap_threshold, m_arena_max = -1, -3, -8
    mallopt(m_mmap_threshold, 1 << 30)
    mallopt(m_trim_threshold, 1 << 30)
    mallopt(m_arena_max, 1)
