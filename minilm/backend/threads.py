"""Threads of the CPU: how many share a step, and what the C library does with freed memory."""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from minilm.backend.machine import cores
from minilm.errors import InputError


class _Worker(threading.local):
    """Whether this thread is one of the pool's."""

    busy = False


_worker = _Worker()
_threads = cores()
_pool: ThreadPoolExecutor | None = None
_blas_threads: int | None = None


def threads() -> int:
    """How many Python threads share a training step; at first, as many as there are cores."""
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
    """Set how many threads one matrix product uses, in every BLAS of the process.

    Setting it costs up to 2 ms, so the number is remembered: asking again for it is free.
    """
    global _blas_threads
    if count != _blas_threads:
        from threadpoolctl import threadpool_limits

        threadpool_limits(limits=count, user_api="blas")
        _blas_threads = count


def parallel(function: Callable[[Any], Any], items: Iterable[Any], blas: bool = True) -> list[Any]:
    """`[function(item) for item in items]`, on `threads()` threads, with 1-thread BLAS.

    The threads run side by side only while they are inside NumPy or a `nogil` kernel. Several
    outer threads with small matrix products beat one thread with large ones: nothing waits at a
    barrier inside BLAS, and the elementwise kernels run in parallel too. Called from one of those
    threads, it works alone, because all the others are busy.

    Args:
        function: what to do with each item.
        items: what to do it with.
        blas: whether the function calls BLAS; for one that does not, BLAS keeps its threads.
    """
    global _pool
    items = list(items)
    if blas:
        blas_threads(1)
    if len(items) < 2 or _threads == 1 or _worker.busy:
        return [function(item) for item in items]
    if _pool is None:
        _pool = ThreadPoolExecutor(_threads, "minilm", initializer=_begin)
    return list(_pool.map(function, items))


def _begin() -> None:
    _worker.busy = True


def _after_fork() -> None:
    """A forked child has the pool's queue and none of its threads."""
    global _pool
    _pool, _worker.busy = None, False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def keep_freed_memory() -> None:
    """Let the allocator keep what a training step frees, so that the next step reuses it.

    glibc hands large blocks back to the kernel at once, and the next step pays a page fault for
    every 4 kB it touches. With a single arena that is never trimmed, a step runs in memory that is
    already mapped. Without glibc this does nothing.
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
