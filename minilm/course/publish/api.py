"""The package reference: public names, signatures and docstrings, read with `ast`.

Nothing is imported, so modules that need a GPU or MPI are in it too.
"""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minilm.course.publish.listing import code

Def = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Entry:
    """One public function, class or method."""

    name: str  # "Attention.forward" for a method
    signature: str
    doc: str
    source: str

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.doc.split("\n", 1)[0]


@dataclass
class Module:
    """One module of the package and its public names, in the order of the file."""

    name: str  # "minilm.nn.attention"
    doc: str
    entries: list[Entry]
    handed_on: dict[str, str] = field(default_factory=dict)  # name -> where it is defined

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.doc.split("\n", 1)[0]


def modules(package: Path) -> list[Module]:
    """Every public module of a package folder, sorted by name; empty ones are left out."""
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        if any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        name = ".".join(part for part in parts if part != "__init__")
        given = _handed_on(tree) if path.name == "__init__.py" else {}
        module = Module(name, ast.get_docstring(tree) or "", list(_entries(tree, text)), given)
        if module.doc or module.entries or given:
            found.append(module)
    return sorted(found, key=lambda module: module.name)


def _handed_on(tree: ast.Module) -> dict[str, str]:
    """The public names that a package imports so that they can be had from it."""
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__"
        for alias in node.names
        if not (alias.asname or alias.name).startswith("_")
    }


def _entries(tree: ast.Module, text: str) -> Iterator[Entry]:
    for node in tree.body:
        if isinstance(node, Def) and not node.name.startswith("_"):
            yield _entry(node, node.name, text)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield _entry(node, node.name, text)
            for child in node.body:
                if isinstance(child, Def) and not child.name.startswith("_"):
                    yield _entry(child, f"{node.name}.{child.name}", text)


def _entry(node: Any, name: str, text: str) -> Entry:
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    source = "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    indent = re.match(r" *", source)[0]  # type: ignore[index]
    source = re.sub(f"^{indent}", "", source, flags=re.MULTILINE)
    return Entry(name, _signature(node, name), ast.get_docstring(node) or "", source)


def _signature(node: Any, name: str) -> str:
    """The header as it would be typed, without self."""
    if isinstance(node, ast.ClassDef):
        init = next((n for n in node.body if isinstance(n, Def) and n.name == "__init__"), None)
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        if init is None:
            return f"class {name}({bases})" if bases else f"class {name}"
        return f"class {name}({_arguments(init)})"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    kinds = {ast.unparse(decorator) for decorator in node.decorator_list}
    if "property" in kinds:
        return f"{name}{returns.replace(' ->', ':')}"
    return f"{name}({_arguments(node)}){returns}"


def _arguments(node: Def) -> str:
    arguments = ast.unparse(node.args)
    return re.sub(r"^(self|cls)(, |$)", "", arguments)


def anchor(name: str) -> str:
    """The id of an entry on its page."""
    return name.replace(".", "-")


def as_html(module: Module, known: Sequence[Module] = ()) -> str:
    """A module's page: its docstring, then each public name with its source folded away.

    Args:
        known: all modules that have a page; a package lists its own among them, and links the
            names that it hands on.
    """
    parts = [f"<h1><code>{module.name}</code></h1>", doc_html(module.doc)]
    parts += _package(module, {one.name: one for one in known})
    for entry in module.entries:
        level = 3 if "." in entry.name else 2
        parts.append(
            f'<section class="entry level{level}" id="{anchor(entry.name)}">'
            f"<h{level}><code>{html.escape(entry.name.split('.')[-1])}</code></h{level}>"
            f'<div class="signature">{code(entry.signature)}</div>{doc_html(entry.doc)}'
            f"<details><summary>source</summary>{code(entry.source)}</details></section>"
        )
    return "\n".join(parts)


def _package(module: Module, known: dict[str, Module]) -> Iterator[str]:
    """What a package holds: the names to import from it, and its modules."""
    if module.handed_on:
        links = ((name, _address(where, known)) for name, where in module.handed_on.items())
        yield "<h2>Names</h2>" + _links((name, where, "") for name, where in sorted(links))
    below = [one for name, one in known.items() if name.rpartition(".")[0] == module.name]
    if below:
        rows = ((one.name, f"{one.name}.html", one.summary) for one in below)
        yield "<h2>Modules</h2>" + _links(rows)


def _address(where: str, known: dict[str, Module]) -> str:
    """The page and mark of a name, followed through the packages that hand it on; or ""."""
    for _ in range(4):
        if where in known:
            return f"{where}.html"
        home, _, name = where.rpartition(".")
        module = known.get(home)
        if module is None:
            return ""
        if any(entry.name == name for entry in module.entries):
            return f"{home}.html#{anchor(name)}"
        where = module.handed_on.get(name, "")
    return ""


def _links(rows: Iterable[tuple[str, str, str]]) -> str:
    """A list of names with what each is, linked where there is a page."""
    made = ""
    for name, address, said in rows:
        shown = f"<code>{html.escape(name)}</code>"
        shown = f'<a href="{address}">{shown}</a>' if address else shown
        made += f"<li>{shown}{f' {html.escape(said)}' if said else ''}</li>"
    return f'<ul class="names">{made}</ul>'


# an indented line, an item of a list, a row of two columns
_LAID_OUT = re.compile(r"^(?: |[-*] |\d+\. |\S+ {2,}\S)", re.MULTILINE)


def doc_html(doc: str) -> str:
    """A docstring as text: paragraphs flow, what is laid out keeps its lines, `names` are code."""
    blocks = []
    for block in re.split(r"\n\s*\n", doc.strip()):
        text = re.sub(r"`+([^`]+)`+", r"<code>\1</code>", html.escape(block, quote=False))
        kept = _LAID_OUT.search(block) is not None
        blocks.append(f'<p class="lines">{text}</p>' if kept else f"<p>{text}</p>")
    return f'<div class="doc">{"".join(blocks)}</div>' if doc.strip() else ""
