"""Kernels out of a student's notebook: their text, and a launch of such a text in the emulator.

`gather` runs where the student's code lives and is believed nothing. `launch` runs in a worker of
its own that never saw the notebook, on a text that the course's `kernel_rules` let through, so
its counts are the emulator's and nobody else's.
"""

import ast
import inspect
import linecache
import math
import textwrap
import types
from typing import Any

import numpy as np

from . import cells

MOST_FUNCTIONS = 20


def gather(found: Any) -> dict[str, Any]:
    """A kernel's source, that of the functions it calls, and what its other names stand for.

    Raises:
        NotImplementedError: it is still the stub that was handed out.
        TypeError: it is no function with a source.
    """
    functions: dict[str, list] = {}
    names: dict[str, list] = {}
    waiting = [found]
    while waiting and len(functions) < MOST_FUNCTIONS:
        function = getattr(waiting[0], "py_func", waiting[0])
        del waiting[0]
        if not isinstance(function, types.FunctionType):
            kind = type(function).__name__
            raise TypeError(f"a kernel is a function under @cuda.jit, this is a {kind}")
        if function.__name__ in functions:
            continue
        text, node = _source(function)
        functions[function.__name__] = [text, function.__code__.co_firstlineno]
        for name, value in _reached(function, node).items():
            names[name] = _described(value)
            if names[name][0] == "function":
                waiting.append(value)
    first = getattr(found, "py_func", found)
    return {"kernel": first.__name__, "functions": functions, "names": names}


def _source(function: types.FunctionType) -> tuple[str, ast.stmt]:
    try:
        text = textwrap.dedent(inspect.getsource(function))
        (node,) = ast.parse(text).body
    except (OSError, SyntaxError, ValueError):
        raise TypeError(f"the source of {function.__name__} cannot be found") from None
    if cells.is_stub(node):
        raise NotImplementedError
    return text, node


def _reached(function: types.FunctionType, node: ast.stmt) -> dict[str, Any]:
    """The globals and closed-over values that the statements of a function name."""
    code, named = function.__code__, set()
    for statement in getattr(node, "body", ()):
        named |= {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
    named -= set(code.co_varnames)
    found = {name: value for name, value in function.__globals__.items() if name in named}
    for name, cell in zip(code.co_freevars, function.__closure__ or ()):
        found[name] = cell.cell_contents
    return found


def _described(value: Any) -> list:
    """What a name stands for, in plain parts: [kind, content]."""
    if isinstance(value, (bool, int, float)):
        return ["number", value]
    if isinstance(value, np.generic):
        return ["number", value.item()]
    if isinstance(value, tuple) and all(isinstance(v, (bool, int, float)) for v in value):
        return ["number", value]
    if isinstance(value, types.ModuleType):
        return ["module", value.__name__]
    if isinstance(getattr(value, "py_func", value), types.FunctionType):
        return ["function", getattr(value, "py_func", value).__name__]
    if isinstance(value, type) and issubclass(value, np.generic):
        return ["type", value.__name__]
    if getattr(math, getattr(value, "__name__", ""), None) is value:
        return ["math", value.__name__]
    return ["type", str(value)[:40]]  # Numba's types print as NumPy's names


def launch(program: dict[str, Any], grid: list, block: list, arguments: list, how: dict) -> dict:
    """Run a kernel in the emulator.

    Returns:
        {"arrays": all array arguments afterwards, "counts": {...}, "hot": [[line, problem, n]]},
        or {"error": what the emulator said, "line": its line or None}.
    """
    from minilm.emulator import EmulatorError, emulate

    kernel = build(program)
    try:
        report = emulate(kernel, grid, block, *arguments, **how)
    except EmulatorError as error:
        return {"error": str(error), "line": error.line}
    numbers = {k: v for k, v in vars(report).items() if type(v) in (int, float)}
    hot = [[int(h.place.rsplit(":", 1)[1]), h.problem, h.excess] for h in report.hot_lines[:5]]
    arrays = [value for value in arguments if isinstance(value, np.ndarray)]
    return {"arrays": arrays, "counts": numbers, "hot": hot}


def build(program: dict[str, Any]) -> types.FunctionType:
    """The kernel as a function, in a namespace that holds what its text names and no more."""
    space: dict[str, Any] = {"__name__": "kernels", "__builtins__": _builtins()}
    made = {}
    for name, (text, line) in program["functions"].items():
        tree = ast.parse(text)
        tree.body[0].decorator_list = []
        tree.body[0].returns = None
        for argument in tree.body[0].args.args:
            argument.annotation = None
        ast.increment_lineno(tree, line - 1)
        file = f"<{name}>"
        padded = "\n" * (line - 1) + text
        linecache.cache[file] = (len(padded), None, padded.splitlines(keepends=True), file)
        exec(compile(tree, file, "exec"), space)
        made[name] = space.pop(name)
        made[name].py_func = made[name]  # so that the emulator watches it, whatever it calls
    for name, (kind, content) in program["names"].items():
        space[name] = _value(kind, content, made)
    for name, function in made.items():
        space.setdefault(name, function)
    return made[program["kernel"]]


def _value(kind: str, content: Any, made: dict[str, Any]) -> Any:
    if kind == "function":
        return made[content]
    if kind == "module":  # Numba itself is not needed: its types have NumPy's names
        real = {"math": math, "numpy": np, "numba": np}
        return real.get(content) or types.ModuleType("numba.cuda")  # the emulator takes its place
    if kind == "math":
        return getattr(math, content)
    return getattr(np, content) if kind == "type" else content


def _builtins() -> dict[str, Any]:
    kept = (range, min, max, abs, len, int, float, bool, round, divmod)
    return {one.__name__: one for one in kept}
