"""Conversations that every machine with Python already has: what the library's functions do.

    user: What does textwrap.dedent do?
    assistant: Remove any common leading whitespace from every line in `text`.

Like the corpora, they come from the docstrings of the standard library, read and not run.
"""

import ast
import functools
import warnings
from collections.abc import Iterator

from minilm.data.corpora import sources
from minilm.tokenizers.chat import Message

NAME = "python-questions"
_LONGEST, _SHORTEST = 100, 16  # characters of an answer


@functools.cache
def python_questions() -> tuple[tuple[Message, Message], ...]:
    """(question, answer) about each documented public function, always in the same order."""
    found: dict[str, str] = {}
    for path, text in sources().items():
        module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        if not any(part.startswith("_") for part in module.split(".")):
            for name, answer in _documented(text):
                found.setdefault(f"{module}.{name}", answer)
    return tuple(
        (
            {"role": "user", "content": f"What does {name} do?"},
            {"role": "assistant", "content": answer},
        )
        for name, answer in found.items()
    )


def _documented(text: str) -> Iterator[tuple[str, str]]:
    """(name, first sentence) of a module's public functions, and of its classes' methods."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old escapes in other people's source
        try:
            module = ast.parse(text)
        except (SyntaxError, ValueError):
            return
    inside = [(f"{c.name}.", c.body) for c in module.body if isinstance(c, ast.ClassDef)]
    for prefix, body in [("", module.body), *inside]:
        for node in body:
            if not isinstance(node, ast.FunctionDef) or f".{prefix}{node.name}".count("._"):
                continue
            first = (ast.get_docstring(node) or "").split("\n\n")[0].split("\n")[0].strip()
            if first.endswith(".") and _SHORTEST <= len(first) <= _LONGEST and first.isascii():
                yield f"{prefix}{node.name}", first
