"""Notebooks as plain JSON: `import nbformat` costs two seconds, which a learner would wait for.

Cell ids are hashes of what a cell says, so a build gives the same bytes on every machine, and a
cell whose id does not fit its text has been edited since.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from minilm.errors import InputError
from minilm.files import write_text

Cell = dict[str, Any]
Notebook = dict[str, Any]

LARGEST = 64 << 20  # bytes; a notebook beyond this is not read
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
# what JupyterLab, VS Code and Colab add to a cell while it is looked at: it says nothing about it
NOISE = {"ExecuteTime", "collapsed", "execution", "id", "jp-MarkdownHeadingCollapsed"}
NOISE |= {"jupyter", "lines_to_next_cell", "outputId", "scrolled", "trusted", "vscode", "colab"}


def source_of(cell: Cell) -> str:
    """The text of a cell, whether it is stored as one string or as a list of lines."""
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def lines_of(text: str) -> list[str]:
    """A text as notebooks store it: a list of lines, each but the last with its newline."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def tags_of(cell: Cell) -> list[str]:
    """The tags of a cell."""
    return list(cell.get("metadata", {}).get("tags", []))


def kept_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """The metadata that an author wrote, without what editors leave behind."""
    return {key: value for key, value in metadata.items() if key not in NOISE}


def make_cell(kind: str, text: str, metadata: dict[str, Any] | None = None) -> Cell:
    """One cell without an id; `kind` is "code", "markdown" or "raw"."""
    cell: Cell = {
        "cell_type": kind,
        "metadata": kept_metadata(metadata or {}),
        "source": lines_of(text),
    }
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell


def cell_digest(cell: Cell) -> str:
    """A hash of a cell's kind and text."""
    said = f"{cell['cell_type']}\n{source_of(cell)}"
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def number_cells(cells: Iterable[Cell]) -> list[Cell]:
    """Give every cell its id: the hash of its text, and a counter where two cells are equal."""
    seen: Counter[str] = Counter()
    numbered = []
    for cell in cells:
        digest = cell_digest(cell)
        count = seen[digest]
        seen[digest] += 1
        numbered.append({**cell, "id": f"{digest}-{count}" if count else digest})
    return numbered


def make_notebook(cells: Iterable[Cell], metadata: dict[str, Any] | None = None) -> Notebook:
    """A notebook (format 4.5) of these cells, with ids."""
    return {
        "cells": number_cells(cells),
        "metadata": {
            "kernelspec": dict(KERNEL),
            "language_info": {"name": "python"},
            **(metadata or {}),
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def fingerprint(notebook: Notebook) -> str:
    """A hash of what the cells say and of their metadata, blind to outputs and ids."""
    said = [
        [cell["cell_type"], source_of(cell), kept_metadata(cell.get("metadata", {}))]
        for cell in notebook["cells"]
    ]
    text = json.dumps(said, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def dumps(notebook: Notebook) -> str:
    """The notebook as text; the same notebook gives the same bytes."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def parse(text: str | bytes, name: str = "the notebook") -> Notebook:
    """Read a notebook from its text and make sure of its shape, whoever wrote it.

    What is not a cell is dropped; a text that is not a notebook is refused.

    Raises:
        InputError: the text is not JSON, is cut off, is nested too deep, or holds no cells.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig", errors="replace")
    try:
        notebook = json.loads(text)
    except RecursionError:
        raise InputError(f"{name} is nested too deep to be a notebook") from None
    except ValueError as error:
        raise InputError(f"{name} is not a notebook: {_why(text, error)}") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise InputError(f"{name} is not a notebook of format 4: it has no list of cells")
    metadata = notebook.get("metadata")
    notebook["metadata"] = metadata if isinstance(metadata, dict) else {}
    notebook["cells"] = [cell for cell in notebook["cells"] if _is_cell(cell)]
    return notebook


def read(path: Path | str) -> Notebook:
    """Read a notebook file.

    Raises:
        InputError: there is no such file, it is too large, or it is not a notebook.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise InputError(
                f"{path} has {size / 1e6:.0f} MB; a notebook has at most {LARGEST / 1e6:.0f} MB"
            )
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def write(path: Path | str, notebook: Notebook) -> bool:
    """Write a notebook in one step; returns False if the file already says exactly this."""
    return write_text(path, dumps(notebook))


def _why(text: str, error: ValueError) -> str:
    if not text.strip():
        return "it is empty"
    if "\0" in text:
        return "it holds NUL bytes"
    if isinstance(error, json.JSONDecodeError):
        if error.pos >= len(text.rstrip()) - 1 or "Unterminated" in error.msg:
            return "the file is cut off"
        return f"{error.msg} in line {error.lineno}"
    return "it holds a number that cannot be read"


def _is_cell(cell: Any) -> bool:
    """Whether it has a kind and a text of strings; broken metadata is replaced on the way."""
    if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
        return False
    source = cell.get("source", "")
    if isinstance(source, list):
        if not all(isinstance(line, str) for line in source):
            return False
    elif not isinstance(source, str):
        return False
    metadata = cell.get("metadata")
    cell["metadata"] = metadata if isinstance(metadata, dict) else {}
    tags = cell["metadata"].get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        cell["metadata"]["tags"] = []
    return True
