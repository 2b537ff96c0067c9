"""Which names a notebook's cell needs and makes, read from its text.

A function that the cell names brings the names of its own text with it, if the notebook wrote it.
"""

import ast
from collections.abc import Iterable, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

_FIXED = (str, bytes, int, float, complex, bool, type(None), range)  # no cell can change these


class _Reader(ast.NodeVisitor):
    """Collects names in the order in which a cell runs; what it made before it does not need."""

    def __init__(self) -> None:
        self.needed: set[str] = set()
        self.made: set[str] = set()
        self._inside: dict[str, set[str]] = {}  # what the text of a function made here needs

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.made.add(node.id)
            return
        if node.id not in self.made:
            self.needed.add(node.id)
        self.needed |= self._inside.get(node.id, set()) - self.made

    def _in_order(self, *fields: Any) -> None:
        for node in fields:
            for one in node if isinstance(node, list) else [node]:
                if one is not None:
                    self.visit(one)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._in_order(node.value, node.targets)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id not in self.made:
            self.needed.add(node.target.id)
        self._in_order(node.value, node.target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._in_order(node.value, node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._in_order(node.value, node.target)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._in_order(node.iter, node.target, node.body, node.orelse)

    visit_AsyncFor = visit_For

    def _within(self, node: ast.AST) -> None:
        """A scope of its own, whose names are not the notebook's."""
        self.needed |= _inside(node) - self.made

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_Lambda = _within

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self._in_order(node.iter, node.target, node.ifs)

    def visit_arg(self, node: ast.arg) -> None:
        self.made.add(node.arg)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._in_order(node.decorator_list, node.args.defaults, node.args.kw_defaults)
        self.made.add(node.name)
        self._inside[node.name] = _inside(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._in_order(node.decorator_list, node.bases, node.keywords)
        self.made.add(node.name)
        self._inside[node.name] = _inside(node)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.made |= {one.asname or one.name.partition(".")[0] for one in node.names}

    visit_ImportFrom = visit_Import


def _inside(node: ast.AST) -> set[str]:
    """The names that a scope takes from around it."""
    reader = _Reader()
    for field in ("generators", "args", "body", "elt", "key", "value"):
        part = getattr(node, field, None)
        reader._in_order(*([] if part is None else [part]))
    return reader.needed.union(*reader._inside.values()) - reader.made


def names_of(text: str, space: dict[str, Any]) -> tuple[set[str], set[str]]:
    """What a cell needs of the cells before it, and what it makes.

    Args:
        text: of the cell, in Python; what cannot be read names nothing, as it cannot run either.
        space: the notebook's names.
    """
    reader = _Reader()
    try:
        reader.visit(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError):
        return set(), set()
    needed, new = set(), reader.needed
    while new:
        needed |= new
        inner = {name for one in new if one in space for name in _inner(space[one])}
        new = (inner & space.keys()) - needed
    return needed, reader.made


def may_change(names: Iterable[str], made: set[str], space: dict[str, Any]) -> set[str]:
    """Of the names of a cell those whose value it may have changed or made; code has none."""
    kinds = (ModuleType, FunctionType, BuiltinFunctionType, type)
    return {
        name
        for name in names
        if name in space
        and not isinstance(space[name], kinds)
        and (name in made or not isinstance(space[name], _FIXED))
    }


def _inner(value: Any) -> Iterator[str]:
    """The names that a function, a class or an object of the notebook's own uses."""
    kind = value if isinstance(value, type) else type(value)
    parts = vars(kind).values() if kind.__module__ == "__main__" else ()
    codes: list[Any] = [p.__code__ for p in (value, *parts) if isinstance(p, FunctionType)]
    while codes:
        code = codes.pop()
        yield from code.co_names
        codes += [one for one in code.co_consts if isinstance(one, CodeType)]
