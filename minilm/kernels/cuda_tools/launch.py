"""Launches the CUDA C++ kernels: on a GPU through CuPy and NVRTC, on NumPy arrays in the emulator.

A kernel is named by its file below `minilm/kernels` without the extension (`"softmax/cuda"`) and by
its function. What a kernel is specialised for (element type, head size) is a preprocessor name, so
each file is compiled once per combination; CuPy keeps the result on disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from minilm.backend import Array
from minilm.emulator.source import KernelSource, dtype_of, read
from minilm.errors import InputError

TOOLS = Path(__file__).parent  # headers that several kernels include
HERE = TOOLS.parent
C_TYPES = {"float32": "float", "bfloat16": "__nv_bfloat16", "float16": "__half"}
STATIC_SHARED = 48 * 1024  # more than this per block has to be requested

_emulation: dict[str, Any] = {"schedules": ("lockstep",), "trace": False}


@contextmanager
def emulation(**options: Any):
    """Options of the emulator (`schedules`, `trace`, ...) for launches inside the block.

    `reports` is a list to which each launch adds its report.
    """
    global _emulation
    before = _emulation
    _emulation = before | options
    try:
        yield
    finally:
        _emulation = before


def c_type(array: Array, name: str) -> str:
    """The C type of an array's elements.

    Raises:
        InputError: the CUDA kernels have no version for this type.
    """
    found = C_TYPES.get(str(array.dtype))
    if found is None:
        raise InputError(
            f"{name} is {array.dtype}; the CUDA kernels take float32, bfloat16 and float16"
        )
    return found


@lru_cache(None)
def source(file: str) -> KernelSource:
    """The CUDA C++ file `file` (such as `"softmax/cuda"`), with its kernels' parameters."""
    return read(HERE / f"{file}.cu")


@lru_cache(None)
def _headers(folder: str) -> str:
    """A digest of the headers: CuPy's cache compares the text of a source, not what it includes."""
    digest = hashlib.sha256()
    for path in sorted([*TOOLS.glob("*.cuh"), *(HERE / folder).glob("*.cuh")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def options(file: str, defines: dict[str, Any]) -> tuple[str, ...]:
    """The options of NVRTC: where the headers are and what the kernel is specialised for."""
    names = tuple(f"-D{name}={value}" for name, value in sorted(defines.items()))
    folder = Path(file).parent
    headers = f"-DHEADERS=0x{_headers(str(folder))}"
    return ("--std=c++17", f"-I{TOOLS}", f"-I{HERE / folder}", headers, *names)


@lru_cache(None)
def _module(file: str, defines: tuple[tuple[str, Any], ...], device: int) -> Any:
    import cupy

    text = source(file).text
    return cupy.RawModule(code=text, options=options(file, dict(defines)), backend="nvrtc")


@lru_cache(None)
def _function(
    file: str, kernel: str, defines: tuple[tuple[str, Any], ...], device: int, shared: int
) -> Any:
    function = _module(file, defines, device).get_function(kernel)
    if shared > STATIC_SHARED:
        function.max_dynamic_shared_size_bytes = shared
    return function


def on_device(value: Any) -> bool:
    """Whether a value is an array on a real GPU, not one for the emulator."""
    return type(value).__module__.startswith("cupy") and not hasattr(value, "emulated_array")


def launch(
    file: str,
    kernel: str,
    grid: Sequence[int],
    block: Sequence[int],
    *arguments: Any,
    shared: int = 0,
    **defines: Any,
) -> None:
    """Runs one kernel; arrays are written in place.

    Args:
        file: path below `minilm/kernels` without `.cu`.
        kernel: name of the function.
        grid, block: sizes, 1 to 3 numbers.
        arguments: contiguous arrays, numbers, None for a null pointer, lists of arrays for tables
            of pointers.
        shared: bytes of dynamic shared memory.
        defines: preprocessor names and values.
    """
    members = [m for a in arguments for m in (a if isinstance(a, list | tuple) else [a])]
    if any(on_device(m) for m in members):
        _launch_on_device(file, kernel, tuple(grid), tuple(block), arguments, shared, defines)
        return
    from minilm.emulator import emulate

    chosen = dict(_emulation)
    reports = chosen.pop("reports", None)
    report = emulate(
        (HERE / f"{file}.cu", kernel), grid, block, *arguments, shared=shared, defines=defines,
        **chosen,
    )  # fmt: skip
    if reports is not None:
        reports.append(report)


def _launch_on_device(
    file: str,
    kernel: str,
    grid: tuple[int, ...],
    block: tuple[int, ...],
    arguments: Sequence[Any],
    shared: int,
    defines: dict[str, Any],
) -> None:
    import cupy

    if 0 in grid:
        return
    key = tuple(sorted(defines.items()))
    function = _function(file, kernel, key, cupy.cuda.Device().id, shared)
    converted = []
    for parameter, value in zip(source(file).kernels[kernel], arguments, strict=True):
        if value is None:
            converted.append(np.uint64(0))
        elif isinstance(value, list | tuple):
            converted.append(cupy.asarray([m.data.ptr for m in value], dtype=np.uint64))
        elif isinstance(value, cupy.ndarray):
            converted.append(value)
        else:
            name = source(file).resolve(parameter.type, defines) or "int32"
            converted.append(dtype_of(name).type(value))
    function(grid, block, tuple(converted), shared_mem=shared)
