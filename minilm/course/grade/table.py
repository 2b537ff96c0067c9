"""`grades.csv`: one row for each (student, set), into which every grading is merged.

A late submission replaces its own row and no other. What somebody changed by hand in other rows, or
added as columns, stays. Before the first change the file as it was is kept beside the new one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from minilm.course.grade.identity import cell, scrub
from minilm.course.grade.results import Grade
from minilm.course.grade.sheets import Sheet, read_sheet
from minilm.errors import InputError
from minilm.files import write_atomically, write_text

NAME, EARLIER = "grades.csv", "earlier"
FIRST, LAST = ("student", "set", "points", "max"), "remarks"

Row = dict[str, str]


@dataclass(frozen=True)
class Change:
    """One row before and after; `before` is None where there was none."""

    before: Row | None
    after: Row

    def __str__(self) -> str:
        new, old = self.after, self.before
        name = f"{new['student']} ({new['set']})"
        if old is None:
            return f"{name}: new, {new['points']} of {new['max']}"
        parts = [
            f"{column} {old.get(column) or 'empty'} -> {text or 'empty'}"
            for column, text in new.items()
            if column not in (*FIRST, LAST) and (old.get(column) or "") != text
        ]
        if not parts and old.get("points") == new["points"]:
            return f"{name}: {new['points']} as before, with other remarks"
        said = f" ({', '.join(parts)})" if parts else ""
        return f"{name}: {old.get('points') or 'empty'} -> {new['points']}{said}"


class Table:
    """The grades of a folder, on the disk after every row."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.sheet = Sheet([*FIRST, LAST])
        self.changes: list[Change] = []
        self.kept: Path | None = None  # where the file lies as it was
        self.old = b""
        if self.path.exists():
            self.sheet = read_sheet(self.path, "--out")
            if not {"student", "set"} <= set(self.sheet.columns):
                raise InputError(
                    f"--out {folder} holds a {NAME} without the columns student and set; move it "
                    "away, or give another folder"
                )
            self.sheet.columns += [c for c in FIRST + (LAST,) if c not in self.sheet.columns]
            self.old = self.path.read_bytes()
            self.written = datetime.fromtimestamp(self.path.stat().st_mtime)

    def sets(self) -> set[str]:
        """The sets that have rows."""
        return {row["set"] for row in self.sheet.rows}

    def has(self, grade: Grade) -> bool:
        """Whether there is a row for this student and set."""
        key = (cell(grade.submission.student), cell(grade.exercise.name))
        return any((row["student"], row["set"]) == key for row in self.sheet.rows)

    def put(self, grades: Sequence[Grade]) -> None:
        """Merge rows into the table and write it.

        Raises:
            InputError: it cannot be written.
        """
        if not grades:
            return
        several = len(self.sets() | {grade.exercise.name for grade in grades}) > 1
        if several:
            self._name_sets()
        rows = {(row["student"], row["set"]): row for row in self.sheet.rows}
        for grade in grades:
            new = self._row(grade, several)
            key = (new["student"], new["set"])
            before = rows.get(key)
            if before is None:
                self.changes.append(Change(None, new))
            elif any(before.get(column, "") != text for column, text in new.items()):
                self.changes.append(Change(dict(before), new))
            rows[key] = {**(before or {}), **new}
        self.sheet.rows = [rows[key] for key in sorted(rows)]
        self._write()

    def _row(self, grade: Grade, several: bool) -> Row:
        points = {
            f"{grade.exercise.name}/{q.question.name}" if several else q.question.name: q.points
            for q in grade.questions
        }
        at = self.sheet.columns.index(LAST)
        self.sheet.columns[at:at] = [c for c in points if c not in self.sheet.columns]
        notes = [*grade.submission.notes, *map(scrub, grade.notes)]
        remarks = "; ".join(notes[:2]) + (" ..." if len(notes) > 2 else "")
        row = {
            "student": grade.submission.student,
            "set": grade.exercise.name,
            "points": f"{grade.points:g}",
            "max": f"{grade.most:g}",
            **{column: f"{value:g}" for column, value in points.items()},
            LAST: remarks,
        }
        return {column: cell(text) for column, text in row.items()}

    def _name_sets(self) -> None:
        """Columns of questions carry the name of their set once a second set is there."""
        columns, sets = self.sheet.columns, self.sets()
        if len(sets) != 1:
            return
        (only,) = sets
        inner = columns[columns.index("max") + 1 : columns.index(LAST)]
        new = {name: f"{only}/{name}" for name in inner if "/" not in name}
        self.sheet.columns = [new.get(name, name) for name in columns]
        self.sheet.rows = [{new.get(k, k): v for k, v in row.items()} for row in self.sheet.rows]

    def _write(self) -> None:
        text = self.sheet.text()
        if self.old and self.kept is None and text.encode("utf-8", "surrogatepass") != self.old:
            stamp = f"{self.written:%Y-%m-%d_%H%M%S}"
            number, self.kept = 1, self.path.parent / EARLIER / f"grades_{stamp}.csv"
            while self.kept.exists() and self.kept.read_bytes() != self.old:
                number += 1
                self.kept = self.path.parent / EARLIER / f"grades_{stamp}_{number}.csv"
            self.kept.parent.mkdir(exist_ok=True)
            write_atomically(self.kept, self.old)
        write_text(self.path, text)
