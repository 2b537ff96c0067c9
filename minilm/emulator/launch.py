"""Runs a CUDA C++ kernel in a child process, under several schedules, and reads what it did."""

from __future__ import annotations

import re
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .build import build, lines_of
from .report import EmulatorError, HotLine, Report, Touch
from .source import KernelSource, dtype_of

# Bits: 1 the last thread goes first, 2 one warp runs ahead to the next block barrier, 4 copies that
# are asynchronous land at once (instead of at the wait).
SCHEDULES = {
    "lockstep": 0,
    "first warp ahead": 2,
    "last warp ahead": 3,
    "first warp ahead, early copies": 6,
    "last warp ahead, early copies": 7,
}
DIVERGENCE = 3


def _array(value: Any) -> np.ndarray | None:
    """The array itself, behind a Tensor's `.data` or a stand-in's; None for anything else."""
    if isinstance(value, np.ndarray):
        return value
    inner = getattr(value, "emulated_array", None)
    return inner if isinstance(inner, np.ndarray) else None


def _span(array: np.ndarray) -> np.ndarray:
    """The elements between an array's first and last, gaps included, as one flat view."""
    if array.flags.c_contiguous or not array.size:
        return array.reshape(-1)
    steps = sum((n - 1) * step for n, step in zip(array.shape, array.strides))
    return np.lib.stride_tricks.as_strided(array, (steps // array.itemsize + 1,), (array.itemsize,))


def _unspan(flat: np.ndarray, array: np.ndarray, label: str, kernel: str) -> np.ndarray:
    """The array's own elements from its span after a run, which must not have changed the gaps."""
    if array.flags.c_contiguous or not array.size:
        return flat.reshape(array.shape)
    view = np.lib.stride_tricks.as_strided(flat, array.shape, array.strides)
    gaps = np.ones(flat.shape, bool)
    np.lib.stride_tricks.as_strided(
        gaps, array.shape, [step // array.itemsize for step in array.strides]
    )[...] = False
    size = array.itemsize
    changed = (flat.view(np.uint8) != _span(array).view(np.uint8)).reshape(-1, size).any(axis=1)
    if (changed & gaps).any():
        raise EmulatorError(f"{label} was written to between its rows", kernel=kernel)
    return view


class Job:
    """The arguments of one launch, checked against the kernel's parameters."""

    def __init__(
        self, source: KernelSource, kernel: str, arguments: Sequence[Any], defines: dict
    ) -> None:
        if kernel not in source.kernels:
            known = ", ".join(source.kernels) or "none"
            raise EmulatorError(f"{source.path} has no kernel {kernel!r}; its kernels: {known}")
        parameters = source.kernels[kernel]
        if len(parameters) != len(arguments):
            raise EmulatorError(
                f"{kernel} got {len(arguments)} arguments; it takes {len(parameters)} "
                f"({', '.join(p.name for p in parameters)})"
            )
        self.kernel, self.names = kernel, [p.name for p in parameters]
        self.slots: list[tuple[str, int, int, int]] = []
        self.data: list[bytes] = []
        self.arrays: list[tuple[int, np.ndarray]] = []  # argument index, array
        self.known: dict[tuple, int] = {}  # arrays seen so far and their number in the child
        self.tables = 0
        for index, (parameter, value) in enumerate(zip(parameters, arguments)):
            wanted = source.resolve(parameter.type, defines)
            label = f"argument {index} ({parameter.name}) of {kernel}"
            if parameter.pointers == 0:
                if not np.isscalar(value) and getattr(value, "ndim", None) != 0:
                    kind = type(value).__name__
                    raise EmulatorError(f"{label} is of type {kind}; it must be a number")
                raw = np.asarray(value).astype(dtype_of(wanted or "int32")).tobytes()
                self._add("s", raw, len(raw))
            elif parameter.pointers == 1 or value is None:
                self._add_array("a", index, label, value, wanted)
            else:
                if not isinstance(value, list | tuple):
                    kind = type(value).__name__
                    raise EmulatorError(f"{label} is of type {kind}; it must be a list of arrays")
                self.slots.append(("l", 0, 8, len(value)))
                self.tables += 1
                for member in value:
                    self._add_array("m", index, label, member, wanted)

    def _add(self, kind: str, raw: bytes, item: int) -> None:
        self.slots.append((kind, len(raw), item, 0))
        self.data.append(raw)

    def _add_array(self, kind: str, index: int, label: str, value: Any, wanted: str | None) -> None:
        if value is None:  # a null pointer
            self._add("s", bytes(8), 8)
            return
        array = _array(value)
        if array is None:
            kind = type(value).__name__
            raise EmulatorError(f"{label} is of type {kind}; it must be an array")
        if any(step < 0 for step in array.strides):
            raise EmulatorError(
                f"{label} has the strides {array.strides}; they must not be negative"
            )
        if wanted is not None and array.dtype != dtype_of(wanted):
            raise EmulatorError(f"{label} is {array.dtype}; it must be {wanted}")
        identity = (array.ctypes.data, array.shape, array.strides)
        if identity in self.known and array.size:  # the same array again, in the same memory
            self.slots.append(("r", 0, 1, self.known[identity]))
            return
        self.known[identity] = len(self.arrays) + self.tables
        self._add(kind, _span(array).tobytes(), array.itemsize)
        self.arrays.append((index, array))

    def write(self, path: Path, head: str) -> None:
        table = "".join(f"{k} {n} {i} {e}\n" for k, n, i, e in self.slots)
        with path.open("wb") as file:
            file.write(f"{head}{len(self.slots)}\n{table}data\n".encode())
            for raw in self.data:
                file.write(raw)


def _fail(kernel: str, job: Job, exe: Path, raw: bytes, source: KernelSource) -> EmulatorError:
    fields = raw.decode(errors="replace").split("\n", 7)
    block, thread = (tuple(int(v) for v in fields[i].split()) for i in (2, 3))
    if fields[1] == "0":
        block = thread = None
    line = int(fields[4]) or None
    pc, other = int(fields[5], 16), int(fields[6], 16)
    found = lines_of(exe, [pc, other])
    path, call = source.path, ""
    frames = [f for f in found.get(pc, []) if f[1]]
    if frames:
        path, line = frames[0]
        outer = [f for f in frames[1:] if f[0] == source.path]
        if path != source.path and outer:
            call = f" (called at {outer[-1][0]}:{outer[-1][1]})"
    earlier = [f for f in found.get(other, []) if f[1]]
    message = fields[7].strip()
    message = message.replace("{line}", f"{earlier[0][0]}:{earlier[0][1]}" if earlier else "?")
    message = re.sub(
        r"\{argument (\d+)\}", lambda m: f"argument {m[1]} ({job.names[int(m[1])]})", message
    )
    return EmulatorError(
        message + call, kernel=kernel, block=block, thread=thread, path=path, line=line
    )


def _run_once(
    exe: Path,
    job: Job,
    kernel: str,
    source: KernelSource,
    launch: tuple[tuple[int, ...], tuple[int, ...], int],
    schedule: int,
    trace: bool,
    record: bool,
    timeout: int,
) -> bytes:
    grid, block, shared = launch
    head = f"{kernel}\n{' '.join(map(str, (*grid, *block)))}\n{shared} {schedule}\n"
    head += f"{int(trace)} {int(record)} {timeout}\n"
    with tempfile.TemporaryDirectory(prefix="minilm-") as folder:
        path, result = Path(folder) / "job", Path(folder) / "result"
        job.write(path, head)
        done = subprocess.run([str(exe), str(path), str(result)], capture_output=True)
        raw = result.read_bytes() if result.exists() else b""
    if raw.startswith(b"error"):
        raise _fail(kernel, job, exe, raw, source)
    if done.returncode or not raw.startswith(b"ok"):
        raise EmulatorError(f"the kernel crashed (status {done.returncode})", kernel=kernel)
    return raw


def _parse(raw: bytes, job: Job) -> tuple[list[list[int]], list[list[int]], list, list[np.ndarray]]:
    """Totals, cost sites, records and the arrays after the launch."""
    position = 0

    def line() -> str:
        nonlocal position
        end = raw.index(b"\n", position)
        text = raw[position:end].decode()
        position = end + 1
        return text

    line()
    totals = [int(v) for v in line().split()]
    sites = []
    for _ in range(int(line())):
        pc, kind, *numbers = line().split()
        sites.append([int(pc, 16), int(kind), *map(int, numbers)])
    count = int(line())
    layout = struct.Struct("<IIiIIIQ")
    records = list(layout.iter_unpack(raw[position : position + count * layout.size]))
    position += count * layout.size
    arrays = []
    for index, array in job.arrays:
        size = _span(array).nbytes
        flat = np.frombuffer(raw, np.uint8, size, position).view(array.dtype)
        label = f"argument {index} ({job.names[index]})"
        arrays.append(_unspan(flat, array, label, job.kernel))
        position += size
    return [totals], sites, records, arrays


def _summary(report: Report, exe: Path, totals: list[int], sites: list, source: str) -> None:
    report.barriers, report.warp_barriers, _, report.uncoalesced = totals
    lines = lines_of(exe, [s[0] for s in sites])
    excess: dict[tuple[str, str], int] = {}
    ran = lanes = 0
    for pc, kind, requests, cost, ideal in sites:
        frames = [f for f in lines.get(pc, []) if f[1]]
        place = f"{frames[0][0]}:{frames[0][1]}" if frames else source
        if kind == DIVERGENCE:
            report.divergence += cost
            ran += requests
            lanes += ideal
            continue
        if kind == 2:
            report.shared_requests += requests
            report.bank_conflicts += cost - ideal
            what = "bank conflicts"
        else:
            what = "sectors more than needed"
            report.sectors += cost
            report.ideal_sectors += ideal
            if kind == 0:
                report.global_reads += requests
            else:
                report.global_writes += requests
        if cost > ideal:
            excess[place, what] = excess.get((place, what), 0) + cost - ideal
    size = min(32, report.block[0] * report.block[1] * report.block[2])
    report.lane_efficiency = lanes / (ran * size) if ran else 1.0
    ordered = sorted(excess.items(), key=lambda item: -item[1])
    report.hot_lines = [HotLine(place, what, n) for (place, what), n in ordered]


def _touches(records: list, exe: Path, job: Job) -> list[Touch]:
    lines = lines_of(exe, [r[5] for r in records])
    items = {index: array.itemsize for index, array in job.arrays}
    names = ("read", "write", "atomic", "copy")
    found = []
    for block, thread, argument, kind, _, pc, offset in records:
        frames = lines.get(pc, [])
        element = offset // items[argument] if argument >= 0 else offset
        line = frames[0][1] if frames else 0
        found.append(Touch(block, thread, argument, names[kind], element, line))
    return found


def _same(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether both are equal, up to what reordered float additions (atomics) may change."""
    if first.tobytes() == second.tobytes():
        return True
    if first.dtype.kind in "iub":
        return False
    a, b = first.astype(np.float64), second.astype(np.float64)
    half = first.dtype.itemsize == 2
    scale = np.nanmax(np.abs(a), initial=0.0)
    return bool(np.allclose(a, b, rtol=0, atol=(1e-2 if half else 1e-4) * scale, equal_nan=True))


def run(
    source: KernelSource,
    kernel: str,
    grid: tuple[int, int, int],
    block: tuple[int, int, int],
    arguments: Sequence[Any],
    shared: int = 0,
    defines: dict[str, object] | None = None,
    schedules: Sequence[str] = tuple(SCHEDULES),
    trace: bool = True,
    record: bool = False,
    timeout: int = 60,
) -> Report:
    """Runs `kernel` under each schedule from the same arguments, as `emulate` describes.

    The first schedule is watched access by access (`trace`), the others run unwatched. All results
    must agree. The arrays are changed in place, as on a GPU.

    Raises:
        EmulatorError: the kernel is wrong, or cannot be run.
    """
    if not grid[0] * grid[1] * grid[2]:
        return Report(kernel, grid, block, schedules=tuple(schedules))
    job = Job(source, kernel, arguments, defines or {})
    exe = build(source, defines or {})
    report = Report(kernel, grid, block, schedules=tuple(schedules))
    results: list[np.ndarray] = []
    for number, name in enumerate(schedules):
        first = number == 0
        try:
            raw = _run_once(
                exe, job, kernel, source, (grid, block, shared), SCHEDULES[name],
                trace and first, record and first, timeout,
            )  # fmt: skip
        except EmulatorError as error:
            error.args = (f"{error.args[0]} [schedule: {name}]",)
            raise
        totals, sites, records, arrays = _parse(raw, job)
        if first:
            results = arrays
            _summary(report, exe, totals[0], sites, source.path)
            report.touches = _touches(records, exe, job) if record else []
            continue
        for (index, _), before, after in zip(job.arrays, results, arrays):
            if not _same(before, after):
                raise EmulatorError(
                    f"race: argument {index} ({job.names[index]}) comes out differently under "
                    f"schedule {name!r} than under {schedules[0]!r}",
                    kernel=kernel,
                )
    for (_, array), result in zip(job.arrays, results):
        if array.flags.writeable:
            array[...] = result
    return report
