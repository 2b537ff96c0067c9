"""Runs Numba CUDA kernels as Python, one greenlet per CUDA thread, watching every access.

Numba's own simulator runs one operating-system thread per CUDA thread; switching greenlets costs a
fraction of that, and nothing has to be enabled before Numba is imported.
"""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
import time
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .costs import Costs
from .device import Device
from .launch import SCHEDULES, _same
from .report import EmulatorError, Report
from .traced import Stop, TracedArray


class _Steps(ast.NodeTransformer):
    """Puts `__step__()` at the head of every branch and loop body."""

    def _mark(self, body: list[ast.stmt]) -> list[ast.stmt]:
        if not body:
            return body
        call = ast.Expr(ast.Call(ast.Name("__step__", ast.Load()), [], []))
        return [ast.copy_location(call, body[0]), *body]

    def _visit(self, node: Any) -> Any:
        self.generic_visit(node)
        node.body = self._mark(node.body)
        node.orelse = self._mark(node.orelse)
        return node

    visit_If = visit_For = visit_While = _visit


def _python_function(kernel: Any) -> Any:
    """The Python function behind a Numba dispatcher, or the function itself."""
    return getattr(kernel, "py_func", kernel)


def _is_numba_cuda(value: Any) -> bool:
    return isinstance(value, types.ModuleType) and value.__name__.split(".")[:2] in (
        ["numba", "cuda"],
        ["numba_cuda", "numba"],
    )


def _adapt(kernel: Any, device: Device, done: dict[int, Any]) -> Callable[..., Any]:
    """The function recompiled with steps, its `cuda` bound to the simulated device."""
    function = _python_function(kernel)
    if id(function) in done:
        return done[id(function)]
    if not isinstance(function, types.FunctionType):
        raise EmulatorError(f"kernel is {kernel!r}; it must be a Python function or (path, name)")
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise EmulatorError(
            f"{function.__name__} has no source that can be read; define it in a file or a notebook"
        ) from None
    tree = ast.parse(source)
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef):
        raise EmulatorError(f"{function.__name__} is not written with def; it must be")
    definition.decorator_list = []
    definition.returns = None
    for argument in definition.args.args:
        argument.annotation = None
    ast.fix_missing_locations(_Steps().visit(tree))
    # inspect starts the source at the decorator; co_firstlineno agrees with it
    ast.increment_lineno(tree, function.__code__.co_firstlineno - 1)
    names: dict[str, Any] = dict(function.__globals__)
    if function.__closure__:
        cells = zip(function.__code__.co_freevars, function.__closure__)
        names |= {name: cell.cell_contents for name, cell in cells}
    scope: dict[str, Any] = {**names, "__step__": device.step}
    exec(compile(tree, function.__code__.co_filename, "exec"), scope)
    adapted = scope[function.__name__]
    done[id(function)] = adapted
    scope.setdefault("cuda", device)
    for name in function.__code__.co_names + function.__code__.co_freevars:
        value = names.get(name)
        if _is_numba_cuda(value):
            scope[name] = device
        elif hasattr(value, "py_func") or (
            isinstance(value, types.FunctionType) and "cuda" in value.__code__.co_names
        ):
            scope[name] = _adapt(value, device, done)
    return adapted


def _arguments(values: Sequence[Any], names: Sequence[str], device: Device) -> list[Any]:
    found: list[Any] = []
    for index, (name, value) in enumerate(zip(names, values)):
        if isinstance(value, np.ndarray):
            label = f"argument {index} ({name})"
            found.append(TracedArray(value.copy(), device, index, label))
        elif np.isscalar(value) or value is None:
            found.append(value)
        else:
            raise EmulatorError(
                f"argument {index} ({name}) is of type {type(value).__name__}; it must be an array "
                "or a number"
            )
    return found


def run_python(
    kernel: Any,
    grid: tuple[int, int, int],
    block: tuple[int, int, int],
    arguments: Sequence[Any],
    schedules: Sequence[str],
    trace: bool = True,
    record: bool = False,
    timeout: int = 60,
    shared: int = 0,
) -> Report:
    """Runs a Numba CUDA kernel under each schedule; see `minilm.emulator.emulate`.

    Raises:
        EmulatorError: the kernel is wrong, or cannot be run.
    """
    try:
        import greenlet  # noqa: F401
    except ImportError:
        raise EmulatorError(
            "kernels written in Python need the package greenlet, which is not installed: "
            "pip install greenlet"
        ) from None
    function = _python_function(kernel)
    name = getattr(function, "__name__", "kernel")
    if isinstance(function, types.FunctionType):
        names = list(inspect.signature(function).parameters)
        if len(names) != len(arguments):
            raise EmulatorError(
                f"{name} got {len(arguments)} arguments; it takes {len(names)} ({', '.join(names)})"
            )
    report = Report(name, grid, block, schedules=tuple(schedules))
    # There are no asynchronous copies here, so schedules that differ only in them are the same.
    orders = list(dict.fromkeys(SCHEDULES[s] & 3 for s in schedules))
    deadline = time.thread_time() + timeout  # a busy machine is not the kernel's fault
    results: list[TracedArray] = []
    for number, order in enumerate(orders):
        costs = Costs(record) if trace and number == 0 else None
        device = Device(name, grid, block, order, costs, deadline, shared)
        adapted = _adapt(kernel, device, {})
        values = _arguments(arguments, names, device)
        try:
            device.launch(adapted, values)
        except Stop as stop:
            raise stop.error from stop.cause
        arrays = [v for v in values if isinstance(v, TracedArray)]
        if number == 0:
            results = arrays
            if costs is not None:
                costs.fill(report)
            report.barriers, report.warp_barriers = device.barriers, device.warp_barriers
            continue
        for before, after in zip(results, arrays):
            if not _same(before.array, after.array):
                raise EmulatorError(
                    f"race: {before.label} comes out differently when the threads run in another "
                    "order",
                    kernel=name,
                )
    targets = [v for v in arguments if isinstance(v, np.ndarray)]
    for target, result in zip(targets, results):
        if target.flags.writeable:
            target[...] = result.array
    if not math.isfinite(report.lane_efficiency):
        report.lane_efficiency = 1.0
    return report
