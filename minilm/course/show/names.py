"""Which names a notebook's cell needs and makes, read from its text.

A function that the cell names brings the names of its own text with it, if the notebook wrote it.
"""

import ast
from collections.abc import Iterable, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

READ_ONLY = ("claim", "print", "display")  # calls that change nothing they are given
_FIXED = (str, bytes, int, float, complex, bool, type(None), range)  # no cell can change these


class _Reader(ast.NodeVisitor):
    """Collects names in the order in which a cell runs; what it made before it does not need."""

    def __init__(self) -> None:
        self.needed: set[str] = set()
        self.made: set[str] = set()
        self.changed: set[str] = set()  # in place, as far as the text shows it
        self._inside: dict[str, set[str]] = {}  # what the text of a function made here needs

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.made.add(node.id)
            return
        if node.id not in self.made:
            self.needed.add(node.id)
        self.needed |= self._inside.get(node.id, set()) - self.made

    def visit_Subscript(self, node: ast.Subscript | ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.changed |= _roots([node])
        self.generic_visit(node)

    visit_Attribute = visit_Subscript

    def visit_Expr(self, node: ast.Expr) -> None:
        call = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(call, ast.Call):  # for what it does, as nothing keeps what it returns
            given = [*call.args, *(one.value for one in call.keywords)]
            plain = isinstance(call.func, ast.Name) and call.func.id in READ_ONLY
            self.changed |= set() if plain else _roots([call.func, *given])
        self.generic_visit(node)

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
        self.changed |= _roots([node.target])
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


def _roots(nodes: list[ast.expr]) -> set[str]:
    """The names that expressions such as `a.b[c].d` begin with."""
    found = set()
    for node in nodes:
        while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred, ast.Call)):
            node = node.func if isinstance(node, ast.Call) else node.value
        if isinstance(node, ast.Name):
            found.add(node.id)
    return found


def _inside(node: ast.AST) -> set[str]:
    """The names that a scope takes from around it."""
    reader = _Reader()
    for field in ("generators", "args", "body", "elt", "key", "value"):
        part = getattr(node, field, None)
        reader._in_order(*([] if part is None else [part]))
    return reader.needed.union(*reader._inside.values()) - reader.made


def names_of(text: str, space: dict[str, Any]) -> tuple[set[str], set[str], set[str]]:
    """What a cell needs of the cells before it, what it makes, and what it is seen to change.

    Args:
        text: of the cell, in Python; what cannot be read names nothing, as it cannot run either.
        space: the notebook's names.
    """
    reader = _Reader()
    try:
        reader.visit(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError):
        return set(), set(), set()
    needed, new = set(), reader.needed
    while new:
        needed |= new
        inner = {name for one in new if one in space for name in _inner(space[one])}
        new = (inner & space.keys()) - needed
    return needed, reader.made, reader.changed


def may_change(names: Iterable[str], made: set[str], space: dict[str, Any]) -> set[str]:
    """Of these names those that stand for a value that a cell may change, or did make."""
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
