"""What the definitions of a notebook rest on: a second start runs that beside them, and no more.

A table that a function reads, what has filled it, and settings of a library are made again. Demos,
trainings and figures are not: nothing that will be called reads what they made.
"""

import ast
import dis
from collections.abc import Callable, Iterable, Sequence
from types import CodeType
from typing import NamedTuple

_PLAIN = (ast.Assign, ast.AnnAssign)  # change nothing but the names that they bind
_DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


class _Statement(NamedTuple):
    place: tuple[int, int]  # its cell, and where it stands there
    node: ast.stmt
    lean: bool  # runs in any case
    reads: set[str]
    binds: set[str]


def needed(
    cells: Iterable[tuple[int, Sequence[ast.stmt]]],
    asked: Iterable[str],
    is_lean: Callable[[ast.stmt], bool],
) -> set[tuple[int, int]]:
    """The statements to run beside the lean ones, each as (cell, place in it).

    Args:
        cells: their numbers and statements.
        asked: the names that will be called.
        is_lean: whether a statement runs in any case.
    """
    every = []
    for number, statements in cells:
        for place, node in enumerate(statements):
            try:
                code = compile(ast.Module([node], []), "<cell>", "exec")
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue  # it will not run at all
            every.append(_Statement((number, place), node, is_lean(node), *_names(code)))
    imported = {name for one in every if isinstance(one.node, _DEFINES[3:]) for name in one.binds}
    # tables, which a statement may fill; functions and modules are not changed by being used
    data = {name for one in every if not isinstance(one.node, _DEFINES) for name in one.binds}
    data -= imported
    wanted = {*asked}.union(*(one.reads for one in every if one.lean))
    chosen: set[tuple[int, int]] = set()
    waiting = [one for one in every if not one.lean]
    while True:
        more = [
            one
            for one in waiting
            if one.binds & wanted
            or _may_change(one.node)
            and one.reads & data & wanted
            or _is_setting(one, imported)
            or _holds_definition(one.node)
        ]
        if not more:
            return chosen
        chosen |= {one.place for one in more}
        wanted = wanted.union(*(one.reads for one in more))
        waiting = [one for one in waiting if one.place not in chosen]


def _names(code: CodeType) -> tuple[set[str], set[str]]:
    """The global names that code reads, its inner functions' included, and those that it binds."""
    reads, binds = set(), set()
    for one in dis.get_instructions(code):
        verb, _, what = one.opname.partition("_")
        if verb == "LOAD" and ("NAME" in what or "GLOBAL" in what):
            reads.add(one.argval)
        elif one.opname in ("STORE_NAME", "STORE_GLOBAL"):
            binds.add(one.argval)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            reads |= _names(inner)[0]
    return reads, binds


def _may_change(node: ast.stmt) -> bool:
    """Whether a statement may change what it reads: table[0] = 1, table.sort(), fill(table)."""
    if isinstance(node, _DEFINES):
        return False  # one that is called at once, as under @payoff
    if not isinstance(node, _PLAIN):
        return True
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(isinstance(n, (ast.Subscript, ast.Attribute)) for t in targets for n in ast.walk(t))


def _is_setting(one: _Statement, imported: set[str]) -> bool:
    """Whether it sets up a library: np.seterr(all="ignore"), sys.setrecursionlimit(10_000)."""
    call = one.node.value if isinstance(one.node, ast.Expr) else None
    return isinstance(call, ast.Call) and bool(one.reads) and one.reads <= imported


def _holds_definition(node: ast.stmt) -> bool:
    """Whether a function or class is defined under a condition: in `if`, `try` or `with`."""
    if not isinstance(node, (ast.If, ast.Try, ast.With)):
        return False
    return any(isinstance(one, _DEFINES) for inner in ast.iter_child_nodes(node)
               for one in [inner, *ast.iter_child_nodes(inner)])  # fmt: skip
