"""What the launchers of the CUDA tier have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from minilm.backend import Array, xp_of
from minilm.kernels.cuda_tools.launch import C_TYPES


def or_reference(reference: ModuleType) -> Callable[[Callable], Callable]:
    """Sends calls whose first array has no CUDA type (float64, integers) to the reference."""

    def decorate(function: Callable) -> Callable:
        fallback = getattr(reference, function.__name__)

        @functools.wraps(function)
        def choose(*args: Any, **options: Any) -> Any:
            known = str(args[0].dtype) in C_TYPES and args[0].size
            return (function if known else fallback)(*args, **options)

        return choose

    return decorate


def address(array: Array) -> int:
    """The address of a GPU array; 0 for a host array, which the emulator aligns itself."""
    return 0 if isinstance(array, np.ndarray) else getattr(array.data, "ptr", 0)


def dense(array: Array, like: Array | None = None) -> Array:
    """The array without gaps, at an address that 16-byte loads accept, in the type of `like`."""
    if like is not None and array.dtype != like.dtype:
        array = array.astype(like.dtype)
    if not array.flags.c_contiguous or address(array) % 16:
        array = array.copy(order="C")
    return array


def floats(array: Array) -> Array:
    """The array as dense float32."""
    return dense(array.astype(np.float32, copy=False))


def integers(array: Array) -> Array:
    """The array as dense int32, which is what kernels index with."""
    return dense(array.astype(np.int32, copy=False))


def rows_of(array: Array) -> tuple[int, int]:
    """(number of rows, length of a row) of the last axis."""
    n = array.shape[-1]
    return array.size // n, n


def row_threads(n: int, itemsize: int) -> int:
    """Threads of a block that owns a row of n elements: 16 bytes each, whole warps."""
    return min(1024, max(1, -(-n * itemsize // 512)) * 32)


def blocks(count: int, threads: int) -> int:
    """How many blocks of `threads` cover `count`."""
    return -(-count // threads)


def empty(like: Array, shape: tuple[int, ...], dtype: Any = None) -> Array:
    """A new array on the device of `like`, and of its type unless another is given."""
    return xp_of(like).empty(shape, like.dtype if dtype is None else dtype)
