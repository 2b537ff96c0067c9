"""Reading one submission: a notebook, or a script as jupytext writes it. No line of it is run."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from minilm.course.build import notebook as nb
from minilm.course.grade.entries import File
from minilm.course.grade.names import Person
from minilm.errors import InputError

SCRIPT = ".py"
_MARK = re.compile(r"^# ?%%(?=[ \t\[]|$)(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Submission:
    """One student's notebook; `trouble` says why there is none to run."""

    student: str
    path: Path
    set_name: str | None
    cells: tuple[str, ...] = ()
    trouble: str = ""
    notes: tuple[str, ...] = ()  # which draft was taken, that it came late
    people: tuple[Person, ...] = ()  # as a learning platform knows the student, or the group


def _set_in_name(stem: str, sets: Sequence[str]) -> str | None:
    return next((one for one in sets if one in stem), None)


def read_submission(student: str, file: File, sets: Sequence[str]) -> Submission:
    """Read one notebook or script; whatever is wrong with it becomes its `trouble`."""
    guess = _set_in_name(file.stem, sets)
    try:
        data = file.read()
        if file.suffix == SCRIPT:
            return Submission(student, file.path, guess, read_script(data))
        notebook = nb.parse(data, "it")
    except InputError as error:
        return Submission(student, file.path, guess, (), str(error))
    record = notebook["metadata"].get("minilm")
    named = record.get("name") if isinstance(record, dict) else None
    cells = tuple(nb.source_of(c) for c in notebook["cells"] if c["cell_type"] == "code")
    return Submission(student, file.path, named if named in sets else guess, cells)


def read_script(data: bytes) -> tuple[str, ...]:
    """The code cells of a script as jupytext writes it; without its marks it is one cell.

    Raises:
        InputError: it is not text.
    """
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError(f"it is not UTF-8 text (byte {error.start})") from None
    if "\0" in text:
        raise InputError("it holds NUL bytes")
    marks = list(_MARK.finditer(text))
    starts = [0, *(mark.end() for mark in marks)]
    ends = [*(mark.start() for mark in marks), len(text)]
    kinds = ["", *(mark[1] for mark in marks)]
    cells = [
        text[a:b].strip("\n")
        for a, b, kind in zip(starts, ends, kinds)
        if not re.search(r"\[(markdown|md|raw)\]", kind)
    ]
    return tuple(one for one in cells if one.strip())
