"""The package reference: public names, signatures and docstrings, read with `ast`.

Nothing is imported, so modules that need a GPU or MPI are in it too.
"""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
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
        module = Module(name, ast.get_docstring(tree) or "", list(_entries(tree, text)))
        if module.doc or module.entries:
            found.append(module)
    return sorted(found, key=lambda module: module.name)


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


def as_html(module: Module) -> str:
    """A module's page: its docstring, then each public name with its source folded away."""
    parts = [f"<h1><code>{module.name}</code></h1>", doc_html(module.doc)]
    for entry in module.entries:
        level = 3 if "." in entry.name else 2
        parts.append(
            f'<section class="entry level{level}" id="{anchor(entry.name)}">'
            f"<h{level}><code>{html.escape(entry.name.split('.')[-1])}</code></h{level}>"
            f'<div class="signature">{code(entry.signature)}</div>{doc_html(entry.doc)}'
            f"<details><summary>source</summary>{code(entry.source)}</details></section>"
        )
    return "\n".join(parts)


def doc_html(doc: str) -> str:
    """A docstring as text: paragraphs flow, indented parts keep their lines, `names` are code."""
    blocks = []
    for block in re.split(r"\n\s*\n", doc.strip()):
        text = re.sub(r"`+([^`]+)`+", r"<code>\1</code>", html.escape(block, quote=False))
        kept = "\n " in block or block.startswith(" ")
        blocks.append(f'<p class="lines">{text}</p>' if kept else f"<p>{text}</p>")
    return f'<div class="doc">{"".join(blocks)}</div>' if doc.strip() else ""
