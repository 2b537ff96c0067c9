"""Source code as a listing: its colours, and the lines between which it may be cut."""

from __future__ import annotations

import ast
import functools
import re
from typing import Any

_FOR_TOOLS = re.compile(r"[ \t]*#[ ]*(?:noqa|type: ignore|fmt: |pragma: )[^\n]*")


@functools.cache
def _formatter() -> Any:
    from pygments.formatters import HtmlFormatter

    return HtmlFormatter(cssclass="highlight", style=_style(), wrapcode=True)


@functools.cache
def _style() -> Any:
    """Code colours with a contrast of at least 4.5 on their background."""
    from pygments.style import Style
    from pygments.token import Comment, Keyword, Name, Number, Operator, String, Token

    class Course(Style):
        background_color = "#F5F7FB"
        styles = {
            Token: "#1C2330",
            Comment: "#5B6678",
            Keyword: "bold #0A4B8F",
            Keyword.Constant: "#0A4B8F",
            Operator.Word: "bold #0A4B8F",
            Name.Function: "#00674A",
            Name.Class: "bold #00674A",
            Name.Decorator: "#8A3A8A",
            String: "#A33F00",
            String.Doc: "#5B6678",
            Number: "#8A3A8A",
        }

    return Course


def code(text: str, language: str = "python") -> str:
    """Source code to highlighted HTML, which says between which of its lines it may be cut."""
    from pygments import highlight
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    text = _FOR_TOOLS.sub("", text.rstrip())
    made = highlight(text, lexer, _formatter()).strip()
    first, second = (" ".join(map(str, lines)) for lines in cuts(text))
    return made.replace(
        '<div class="highlight">',
        f'<div class="highlight" data-cuts="{first}" data-methods="{second}">',
        1,
    )


def cuts(text: str) -> tuple[list[int], list[int]]:
    """The lines, counted from 0, at which a listing may go on elsewhere.

    Returns:
        Where a statement begins, and where a method begins: the second are for a class that is
        too long as a whole. No function is ever cut. What is no Python may be cut before a line at
        the left margin that follows an empty one.
    """
    lines = text.splitlines()
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):  # a magic, another language
        after_gap = [
            k
            for k in range(1, len(lines))
            if lines[k][:1].strip(" \t}") and not lines[k - 1].strip()
        ]
        return after_gap, []
    classes = [node for node in body if isinstance(node, ast.ClassDef)]
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    methods = [n for node in classes for n in node.body[1:] if isinstance(n, functions)]
    return [_begins(n, lines) for n in body[1:]], [_begins(n, lines) for n in methods]


def _begins(node: Any, lines: list[str]) -> int:
    """The first line of a statement, with its decorators and the comment that stands above it."""
    line = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) - 1
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
    return line


def code_css() -> str:
    """The style sheet of highlighted code (of cells and of fenced blocks alike)."""
    rules = _formatter().get_style_defs(".highlight")
    return "\n".join(rule for rule in rules.splitlines() if rule.startswith(".highlight"))
