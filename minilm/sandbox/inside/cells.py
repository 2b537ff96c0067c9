"""Runs the cells of a notebook so that one broken line costs no more than that line.

Statements run one by one; an `await` may stand outside of functions, as in a notebook. A cell that
does not parse is read as IPython does (`magics`), then loses its broken parts, and keeps the
definitions that do parse. A stub never replaces a function that is written already, in whatever
order, and however often, the cells were copied.
"""

import ast
import inspect
import linecache
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from types import CodeType
from typing import Any

from .imports import Written
from .magics import notebook_names, plain_python
from .needs import needed
from .standin import Absent, WriteYourOwnError

# everything; definitions and what they rest on (`needs`); imports and definitions alone; nothing
FULL, NEEDED, LEAN, SKIP = "full", "needed", "lean", "skip"
DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_WRITES = re.compile(r"^%%(?:writefile|file)\s+(-a\s+)?(\S+)\s*$")
_START = re.compile(r"^(def |class |async def |@|import |from |[A-Za-z_]\w*\s*(:[^=]+)?=[^=])")
_LATER = (NameError, ImportError)  # what an import in a later cell may mend


def parse(source: str) -> tuple[list[ast.stmt], str | None]:
    """The statements of a cell, and what had to be left out of it in words (or None)."""
    try:
        return ast.parse(source).body, None
    except (SyntaxError, ValueError):
        pass
    text = plain_python(source)
    try:
        return ast.parse(text).body, None
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f" in line {line}" if line else ""
        return list(_salvage(text)), f"the cell is no valid Python{where}: {_short(error)}"


def _salvage(text: str) -> Iterator[ast.stmt]:
    """Statements of the parts that do parse; a part begins where a top-level statement may."""
    lines = text.replace("\0", "").split("\n")
    starts = [n for n, line in enumerate(lines) if _START.match(line)]
    starts = [n for n in starts if not (n and lines[n - 1].startswith("@"))]
    for begin, end in zip(starts, [*starts[1:], len(lines)]):
        # tail lines that belong to nothing (a broken statement below) must not spoil a definition
        for stop in range(end, begin, -1):
            if stop < end and stop - begin > 1 and lines[stop].startswith((" ", "\t")):
                break
            try:
                body = ast.parse("\n" * begin + "\n".join(lines[begin:stop])).body
            except (SyntaxError, ValueError):
                continue
            yield from body
            break


def is_stub(node: ast.stmt) -> bool:
    """Whether a definition is still the empty one that was handed out."""
    if isinstance(node, ast.ClassDef):
        inner = [n for n in node.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
        return bool(inner) and all(is_stub(n) for n in inner)
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    body = [n for n in node.body if not _is_docstring(n)]
    if len(body) > 1:
        return False
    if not body or isinstance(body[0], ast.Pass):
        return True
    if isinstance(body[0], ast.Expr):
        return isinstance(body[0].value, ast.Constant) and body[0].value.value is ...
    raised = body[0].exc if isinstance(body[0], ast.Raise) else None
    if isinstance(raised, ast.Call):
        raised = raised.func
    return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"


def _is_docstring(node: ast.stmt) -> bool:
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant and isinstance(node.value.value, str)


def is_lean(node: ast.stmt) -> bool:
    """Whether a statement only imports, defines or names a constant."""
    if isinstance(node, DEFINITIONS):
        return not any(map(_is_payoff, getattr(node, "decorator_list", ())))
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return False
    try:
        ast.literal_eval(node.value)
    except (ValueError, TypeError, MemoryError, RecursionError, SyntaxError):
        return isinstance(node.value, ast.Lambda)
    return True


def _is_payoff(decorator: ast.expr) -> bool:
    """Whether a decorator is `@payoff(...)`, which calls what it decorates at once."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return getattr(called, "attr", getattr(called, "id", "")) == "payoff"


class Notebook:
    """A namespace that is filled cell by cell."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
        self.names |= notebook_names(self.names)
        self.written: dict[str, Any] = {}  # functions and classes, the last real one of each name
        self.errors: list[tuple[int, str]] = []
        self.written_modules = Written()
        self._needed: set[tuple[int, int]] = set()
        self._again: list[tuple[int, CodeType, ast.stmt]] = []
        self._loop: Any = None  # where `await` waits; as in a notebook it outlives the cell

    def plan(self, cells: Sequence[tuple[int, str, str]], asked: Iterable[str]) -> None:
        """Find out what is to run in the mode NEEDED: of all cells, and before the first.

        Args:
            cells: number, source and mode of each.
            asked: the names that will be called.
        """
        if any(mode == NEEDED for _, _, mode in cells):
            with suppress(RecursionError, MemoryError):
                parsed = [(number, parse(text)[0]) for number, text, _ in cells]
                self._needed = needed(parsed, asked, is_lean)

    def run(self, number: int, source: str, mode: str, given: bool = False) -> None:
        """Run one cell; `given` cells came with the exercise, so their errors are not reported."""
        if mode == SKIP or self._writes_module(number, source):
            return
        file = f"<cell {number}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        try:
            statements, trouble = parse(source)
        except (RecursionError, MemoryError) as error:
            statements, trouble = [], f"the cell cannot be read: {_short(error)}"
        if trouble and not given:
            self.errors.append((number, trouble))
        for place, node in enumerate(statements):
            if mode == LEAN and not is_lean(node):
                continue
            if mode == NEEDED and not is_lean(node) and (number, place) not in self._needed:
                continue
            if given and not is_lean(node):
                continue
            if is_stub(node) and (given or node.name in self.written):
                continue
            try:
                code = compile(ast.Module([node], []), file, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                self._note(number, error)
                continue
            self._execute(number, code, node, again=True, given=given)

    def finish(self) -> None:
        """Run once more what failed for a name that a later cell has defined since."""
        waiting, self._again = self._again, []
        for number, code, node in waiting:
            self._execute(number, code, node, again=False, given=False)

    def _writes_module(self, number: int, source: str) -> bool:
        """Keep the module of a cell that begins with `%%writefile name.py`."""
        head, _, text = source.lstrip().partition("\n")
        found = _WRITES.match(head)
        if found is None:
            return False
        if not self.written_modules.write(number, found[2], text, bool(found[1])):
            self.errors.append((number, f"no file can be written here: {found[2][:80]}"))
        return True

    def find(self, name: str) -> Any:
        """The function or class of that name wherever it was written; KeyError if nowhere."""
        found = self.names.get(name)
        if callable(found) and not (isinstance(found, Absent) and name in self.written):
            return found
        return self.written[name] if name in self.written else self.names[name]

    def _execute(
        self, number: int, code: CodeType, node: ast.stmt, again: bool, given: bool
    ) -> None:
        try:
            waits = eval(code, self.names)
            if code.co_flags & inspect.CO_COROUTINE:  # an `await` outside of any function
                self._wait(waits)
        except WriteYourOwnError as error:
            self._keep_absent(node, error)
        except BaseException as error:
            if again and isinstance(error, _LATER):
                self._again.append((number, code, node))
            elif not given:
                self._note(number, error)
        else:
            self._keep_written(node)

    def _wait(self, waits: Any) -> None:
        from .waiting import Loop  # loads asyncio

        if self._loop is None:
            self._loop = Loop()
        self._loop.run_until_complete(waits)

    def _keep_absent(self, node: ast.stmt, error: WriteYourOwnError) -> None:
        """What a statement wanted of minilm stays absent, and no later line stumbles over it."""
        named = [n.id for n in ast.walk(node) if isinstance(n, ast.Name)
                 and isinstance(n.ctx, ast.Store)]  # fmt: skip
        for name in [*named, *filter(None, [getattr(node, "name", None)])]:
            self.names.setdefault(name, Absent(str(error)))

    def _keep_written(self, node: ast.stmt) -> None:
        if isinstance(node, DEFINITIONS[2:]):
            found = self.names.get(node.name)
            if found is not None and not is_stub(node):
                self.written[node.name] = found

    def _note(self, number: int, error: BaseException) -> None:
        if number < 0:  # of a cell that was handed out
            return
        if all(number != known for known, _ in self.errors):
            self.errors.append((number, describe(error)))


def _short(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException:  # a student's exception may lie even here
        text = ""
    return " ".join(text.split())[:200]


def is_cell(file: str) -> bool:
    """Whether code from this file was typed into a notebook."""
    return file.startswith(("<cell ", "<ipython-input")) or "ipykernel_" in file


def describe(error: BaseException) -> str:
    """An error in one line: its kind, what it says, and the student's line that raised it."""
    text = f"{type(error).__name__}: {_short(error)}".removesuffix(": ")
    trace, line = error.__traceback__, None
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if is_cell(file):
            line = linecache.getline(file, trace.tb_lineno).strip()
        trace = trace.tb_next
    return f"{text}  (in the line `{line[:120]}`)" if line else text
