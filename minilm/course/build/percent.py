"""py:percent text to cells and back: the form in which lessons and exercise sets are written.

Jupytext reads and writes the format. A notebook edited in JupyterLab goes back cell by cell: cells
that did not change keep the text their author typed, so the difference is the edit and no more.
"""

import re
from pathlib import Path
from typing import Any

from minilm.course.build.notebook import (
    Cell,
    Notebook,
    fingerprint,
    kept_metadata,
    make_cell,
    source_of,
)
from minilm.errors import InputError

HEADER = """\
# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
"""
_CELL = re.compile(r"^# %%", re.MULTILINE)


def read_percent(path: Path) -> tuple[list[Cell], dict[str, Any]]:
    """The cells of a py:percent file, and what its header says: title, talk, speaker.

    Raises:
        InputError: the file cannot be read, or its header or a cell's metadata is malformed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start})") from None
    return parse_percent(text, str(path))


def parse_percent(text: str, name: str = "the source") -> tuple[list[Cell], dict[str, Any]]:
    """Like `read_percent`, from text."""
    import jupytext

    try:
        notebook = jupytext.reads(text, fmt="py:percent")
    except Exception as error:  # yaml, json and jupytext each have their own
        raise InputError(f"{name} is not py:percent text: {str(error).splitlines()[0]}") from None
    cells = []
    for cell in notebook.cells:
        metadata = kept_metadata(dict(cell.metadata))
        if "incorrectly_encoded_metadata" in metadata:
            raise InputError(
                f"{name} has a cell whose metadata cannot be read: "
                f"{metadata['incorrectly_encoded_metadata']!r}; "
                'write it as key="value" or key=["list"]'
            )
        cells.append(make_cell(cell.cell_type, cell.source, metadata))
    said = {key: notebook.metadata.get(key) for key in ("title", "talk", "speaker")}
    return cells, {key: str(value) for key, value in said.items() if value}


def write_percent(notebook: Notebook, old: str | None = None) -> str:
    """The py:percent text of a notebook; `old` is the text it came from, whose style is kept."""
    cells = [make_cell(c["cell_type"], source_of(c), c["metadata"]) for c in notebook["cells"]]
    if old is None:
        return HEADER + "\n" + "\n\n".join(_chunk(cell) for cell in cells) + "\n"
    starts = [match.start() for match in _CELL.finditer(old)]
    if not starts:
        return old.rstrip("\n") + "\n\n" + "\n\n".join(_chunk(cell) for cell in cells) + "\n"
    chunks = [old[a:b] for a, b in zip(starts, [*starts[1:], len(old)])]
    kept = {}
    for chunk in chunks:
        parsed, _ = parse_percent(chunk)
        if len(parsed) == 1:  # a "# %%" inside a string makes a chunk that is no cell
            kept.setdefault(fingerprint({"cells": parsed}), chunk.rstrip("\n"))
    texts = [kept.get(fingerprint({"cells": [cell]})) or _chunk(cell) for cell in cells]
    return old[: starts[0]] + "\n\n".join(texts) + "\n"


def _chunk(cell: Cell) -> str:
    """One cell as jupytext writes it, without the header."""
    import jupytext
    from jupytext.config import JupytextConfiguration
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

    make = {"code": new_code_cell, "markdown": new_markdown_cell, "raw": new_raw_cell}
    only = new_notebook(
        cells=[make[cell["cell_type"]](source_of(cell), metadata=cell["metadata"])],
        metadata={"jupytext": {"notebook_metadata_filter": "-all", "cell_metadata_filter": "all"}},
    )
    text = jupytext.writes(only, fmt="py:percent", config=JupytextConfiguration())
    return text[_CELL.search(text).start() :].rstrip("\n")
