"""Notebooks from their sources: what an author writes lies in lessons/NN/.

    lesson.py    -> lessons/NN.ipynb      outputs of unchanged cells stay
    questions.py -> solutions/NN.ipynb    without the solution marks
                 -> exercises/NN.ipynb    what students get: each region is a stub

A region goes from a line `### BEGIN SOLUTION` to a line `### END SOLUTION`. In a function it
becomes `raise NotImplementedError("your turn")`; at the left margin it becomes a comment. A cell
tagged `solution` is left out of the exercise altogether.

Each notebook remembers in its metadata what it was built from. So a build can tell which side
changed: an edited source is built, a lesson edited in JupyterLab goes back into its source, and
where both changed it asks. Answers typed into an exercise are never overwritten.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from minilm.course.build import notebook as nb
from minilm.course.build.percent import parse_percent, read_percent, write_percent
from minilm.course.places import Course, LessonFolder
from minilm.errors import InputError

STUB = 'raise NotImplementedError("your turn")'
TODO = "# your turn"
_MARK = re.compile(r"^([ \t]*)### (BEGIN|END) SOLUTION[ \t]*$")

Side = Literal["source", "notebook"]


@dataclass(frozen=True)
class Change:
    """One file and what a build did to it, or in a check what is wrong with it.

    `kind` is "same", "written", "synced" (a source rewritten from its notebook), "kept" (a
    notebook with somebody's work in it), "stale" or "conflict".
    """

    path: Path
    kind: str
    note: str = ""


def strip_solution(text: str, name: str = "the source") -> str:
    """A cell's text with every solution region replaced by a stub.

    Raises:
        InputError: a BEGIN without END, an END without BEGIN, or one region inside another.
    """
    return "\n".join(_regions(text, name, stub=True))


def drop_marks(text: str, name: str = "the source") -> str:
    """A cell's text without the solution marks."""
    return "\n".join(_regions(text, name, stub=False))


def _regions(text: str, name: str, stub: bool) -> list[str]:
    kept: list[str] = []
    begun: str | None = None
    for line in text.split("\n"):
        mark = _MARK.match(line)
        if mark is None:
            if begun is None or not stub:
                kept.append(line)
        elif mark[2] == "BEGIN":
            if begun is not None:
                raise InputError(f"{name} has a ### BEGIN SOLUTION inside another")
            begun = mark[1]
            if stub:
                kept.append(begun + (STUB if begun else TODO))
        else:
            if begun is None:
                raise InputError(f"{name} has an ### END SOLUTION without its BEGIN")
            begun = None
    if begun is not None:
        raise InputError(f"{name} has a ### BEGIN SOLUTION that never ends")
    return kept


def lesson(path: Path, name: str, old: nb.Notebook | None = None) -> nb.Notebook:
    """The notebook of a lesson, with the outputs that `old` holds for cells that are the same."""
    cells, metadata = read_percent(path)
    return _finish(cells, metadata, "lesson", name, old)


def solution(path: Path, name: str, old: nb.Notebook | None = None) -> nb.Notebook:
    """The solved notebook of an exercise set."""
    cells, metadata = read_percent(path)
    cells = [_rewrite(cell, drop_marks(nb.source_of(cell), str(path))) for cell in cells]
    return _finish(cells, metadata, "solution", name, old)


def exercise(path: Path, name: str) -> nb.Notebook:
    """The notebook that students get."""
    cells, metadata = read_percent(path)
    cells = [
        _rewrite(cell, strip_solution(nb.source_of(cell), str(path)))
        for cell in cells
        if "solution" not in nb.tags_of(cell)
    ]
    return _finish(cells, metadata, "exercise", name, None)


def build(
    course: Course,
    names: Sequence[str] = (),
    *,
    check: bool = False,
    prefer: Side | None = None,
    force: bool = False,
) -> list[Change]:
    """Bring every notebook of a course and its source into step.

    Args:
        course: where to build.
        names: lessons and sets to build, by number ("3", "03") or name; empty means all.
        check: change nothing, only say what is out of step.
        prefer: the side that wins where a lesson and its notebook both changed.
        force: overwrite exercises and solutions even where somebody typed into them.

    Returns:
        One change per notebook.

    Raises:
        InputError: a name fits nothing, or a source cannot be read.
    """
    chosen = course.named(names)
    changes = [_sync_lesson(one, check, prefer) for one in chosen if one.source.is_file()]
    for one in chosen:
        if one.questions.is_file():
            made = solution(one.questions, one.slug, _read(one.solution))
            changes.append(_place(one.solution, made, check, force))
            made = exercise(one.questions, one.slug)
            changes.append(_place(one.exercise, made, check, force))
    return changes if names else changes + _orphans(course)


def _rewrite(cell: nb.Cell, text: str) -> nb.Cell:
    return nb.make_cell(cell["cell_type"], text, cell["metadata"])


def _read(path: Path) -> nb.Notebook | None:
    return nb.read(path) if path.exists() else None


def _finish(
    cells: list[nb.Cell], metadata: dict[str, Any], kind: str, name: str, old: nb.Notebook | None
) -> nb.Notebook:
    """A notebook with ids, the record of what it was built from, and what `old` still offers."""
    made = nb.make_notebook(cells, metadata)
    record = {"kind": kind, "name": name, "built": nb.fingerprint(made)}
    for cell in made["cells"]:
        if "hide-input" in nb.tags_of(cell):  # JupyterLab folds the code; the tag alone does not
            cell["metadata"] = {**cell["metadata"], "jupyter": {"source_hidden": True}}
    if old is not None:
        said = {nb.cell_digest(cell) + _count(cell): cell for cell in old["cells"]}
        for cell in made["cells"]:
            before = said.get(nb.cell_digest(cell) + _count(cell))
            if before is not None and cell["cell_type"] == "code":
                cell["outputs"] = before.get("outputs", [])
                cell["execution_count"] = before.get("execution_count")
        # what a run stored beside the outputs: widget states, the machine, seconds
        made["metadata"] = {**old["metadata"], **made["metadata"]}
        earlier = old["metadata"].get("minilm")
        record = {**(earlier if isinstance(earlier, dict) else {}), **record}
    made["metadata"]["minilm"] = record
    return made


def _count(cell: nb.Cell) -> str:
    """The counter in the id of a repeated cell; ids from elsewhere have none."""
    found = re.fullmatch(r"[0-9a-f]{12}(-\d+)?", str(cell.get("id", "")))
    return (found and found[1]) or ""


def _built(notebook: nb.Notebook) -> str | None:
    record = notebook["metadata"].get("minilm")
    return record.get("built") if isinstance(record, dict) else None


def _sync_lesson(one: LessonFolder, check: bool, prefer: Side | None) -> Change:
    path, target = one.source, one.notebook
    old = _read(target)
    made = lesson(path, one.slug, old)
    if old is None:
        return _write(target, made, check)
    now, then, source = nb.fingerprint(old), _built(old), nb.fingerprint(made)
    edited, changed = now not in (then, source), source != then
    if not edited or prefer == "source":
        return _write(target, made, check)
    if changed and prefer is None:
        return Change(
            target,
            "conflict",
            f"{one.slug}/{path.name} and {target.name} both changed since the last build; choose "
            "one with --from-source or --from-notebook",
        )
    if check:
        return Change(path, "stale", f"{target.name} was edited; minilm build takes the edit over")
    text = write_percent(old, path.read_text(encoding="utf-8"))
    if nb.fingerprint({"cells": parse_percent(text)[0]}) != now:
        note = "it cannot be written as py:percent text; is a quote in one of its cells left open?"
        return Change(target, "conflict", note)
    nb.write_text(path, text)
    nb.write(target, lesson(path, one.slug, old))
    return Change(path, "synced", f"taken from {target.name}")


def _place(target: Path, made: nb.Notebook, check: bool, force: bool) -> Change:
    """Write a notebook that has no way back into its source, unless somebody's work is in it."""
    old = _read(target)
    ours = old is None or nb.fingerprint(old) in (_built(old), nb.fingerprint(made))
    if not ours and not force:
        note = "it was edited since it was built; move it away, or use --force to overwrite it"
        return Change(target, "stale" if check else "kept", note)
    return _write(target, made, check)


def _write(target: Path, made: nb.Notebook, check: bool) -> Change:
    if check:
        same = target.exists() and target.read_bytes() == nb.dumps(made).encode()
        missing = "" if target.exists() else "it is missing; "
        note = missing + "minilm build writes it"
        return Change(target, "same" if same else "stale", "" if same else note)
    return Change(target, "written" if nb.write(target, made) else "same")


def _orphans(course: Course) -> list[Change]:
    """Built notebooks whose source is gone."""
    found = []
    for folder, source in (
        ("lessons", "lesson.py"),
        ("solutions", "questions.py"),
        ("exercises", "questions.py"),
    ):
        for path in sorted((course.root / folder).glob("*.ipynb")):
            kept = course.root / "lessons" / path.stem / source
            if not kept.is_file() and _built(nb.read(path)) is not None:
                note = f"its source lessons/{path.stem}/{source} is gone; delete it"
                found.append(Change(path, "stale", note))
    return found
