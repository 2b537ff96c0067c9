"""Runs CUDA kernels on the CPU, watches what they do, and says where they go wrong.

CUDA C++ (`.cu`) is compiled as C++ with one fiber per CUDA thread; Numba CUDA kernels run as the
Python functions that they are, with one greenlet per thread. Covered are barriers, races inside a
block and between blocks, bounds, unwritten shared memory, cp.async, mma.sync, ldmatrix and warp
operations; not covered are speed, wgmma and TMA.

    report = emulate(("softmax.cu", "softmax"), rows, 128, x, y, n)   # or (source text, name)
    report = emulate(a_numba_kernel, (4, 4), (8, 8), a, b, c)
    print(report)            # barriers, divergence, sectors moved and needed, bank conflicts
    report.hot_lines         # the source lines that cost more than they need
    report.touches           # with record=True: which thread touched which element, and how
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .report import EmulatorError, HotLine, Report, Touch

__all__ = ["EmulatorError", "HotLine", "Report", "SCHEDULES", "Touch", "emulate"]

SCHEDULES = (
    "lockstep",
    "first warp ahead",
    "last warp ahead",
    "first warp ahead, early copies",
    "last warp ahead, early copies",
)


def _three(value: int | Sequence[int], name: str) -> tuple[int, int, int]:
    sizes = (value,) if isinstance(value, int) else tuple(int(v) for v in value)
    if not 1 <= len(sizes) <= 3 or any(v < 0 for v in sizes):
        raise EmulatorError(f"{name} is {value!r}; it must be 1 to 3 numbers of 0 or more")
    return (*sizes, 1, 1)[:3]  # type: ignore[return-value]


def emulate(
    kernel: Callable[..., None] | tuple[str | Path, str],
    grid: int | Sequence[int],
    block: int | Sequence[int],
    *arguments: Any,
    shared: int = 0,
    defines: dict[str, object] | None = None,
    schedules: Sequence[str] = SCHEDULES,
    trace: bool = True,
    record: bool = False,
    timeout: int = 60,
) -> Report:
    """Launches a CUDA kernel on the CPU; arrays among the arguments are changed in place.

    Args:
        kernel: a Numba CUDA kernel (decorated or plain Python function that uses `cuda.`), or a
            pair (path of a `.cu` file or CUDA C++ text, kernel name).
        grid, block: sizes as CUDA takes them, 1 to 3 numbers.
        arguments: NumPy arrays (C-contiguous, of the parameter's type), numbers, lists of arrays
            for `T **` parameters, None for a null pointer.
        shared: bytes of dynamic shared memory.
        defines: preprocessor names, such as `{"HEAD": 64}`; CUDA C++ only.
        schedules: orders in which warps and asynchronous copies are run; their results must agree.
        trace: watch every access of the first schedule, for exact errors and for the counts.
        record: keep every access of the first schedule in `report.touches`.
        timeout: seconds after which a launch is stopped; of processor time for Python kernels.

    Returns:
        Counts of barriers, divergence, sectors moved and bank conflicts.

    Raises:
        EmulatorError: the kernel is wrong, or cannot be run; it names kernel, block, thread and
            line.
    """
    sizes = _three(grid, "grid"), _three(block, "block")
    count = sizes[1][0] * sizes[1][1] * sizes[1][2]
    if not 1 <= count <= 1024:
        raise EmulatorError(f"block is {block!r}, {count} threads; it must have 1 to 1024")
    unknown = [name for name in schedules if name not in SCHEDULES]
    if unknown or not schedules:
        named = f"names {unknown[0]!r}" if unknown else "is empty"
        raise EmulatorError(f"schedules {named}; allowed are {', '.join(SCHEDULES)}")
    if isinstance(kernel, tuple):
        from .launch import run
        from .source import read

        return run(
            read(kernel[0]), kernel[1], *sizes, arguments, shared, defines, schedules, trace,
            record, timeout,
        )  # fmt: skip
    from .python import run_python

    return run_python(kernel, *sizes, arguments, schedules, trace, record, timeout, shared)
