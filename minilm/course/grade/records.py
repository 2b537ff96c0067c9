"""What is kept of every graded submission, so that a run that was killed goes on where it stood.

`records/NAME.json` holds one student's results and a key made of all that they depend on: the
cells, the tests, the secret and the limits. A submission whose key is there is not graded again.
The class report is made of these files, so it covers everybody, whenever they handed in.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minilm import __version__
from minilm.course.checking.questions import Outcome
from minilm.course.grade.assignment import Assignment
from minilm.course.grade.identity import file_name, scrub
from minilm.course.grade.results import Grade, QuestionResult, TestResult
from minilm.course.grade.similar import fingerprints
from minilm.course.grade.submissions import OWN_RESULTS, Submission
from minilm.files import write_text

LARGEST = 16 << 20
Record = dict[str, Any]


def key_of(submission: Submission, *depends: str | bytes) -> str:
    """A hash of everything that a grade depends on."""
    parts = [__version__, submission.student, submission.trouble, *submission.notes]
    parts += [str(len(submission.cells)), *submission.cells, *depends]
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def to_record(grade: Grade, key: str, wall: str, given: Sequence[str]) -> Record:
    """What is kept of a grade."""
    return {
        "student": grade.submission.student,
        "set": grade.exercise.name,
        "key": key,
        "wall": wall,
        "points": grade.points,
        "max": grade.most,
        "notes": [scrub(note) for note in grade.notes],
        "people": [asdict(person) for person in grade.submission.people],
        "questions": [_question(result) for result in grade.questions],
        "fingerprints": sorted(fingerprints(grade.submission.cells, given)),
    }


def _question(result: QuestionResult) -> Record:
    tests, secret = [], 0
    for test in result.tests:
        secret += test.secret
        kept = {
            "name": test.test.name,
            "title": f"hidden test {secret}" if test.secret else test.test.title,
            "points": test.points,
            "max": test.test.points,
            "kind": test.public.kind,
            "text": scrub(test.public.text),
            "hidden": test.hidden,
        }
        tests.append(kept)
    return {"name": result.question.name, "missing": result.missing, "tests": tests}


def from_record(record: Record, submission: Submission, assignment: Assignment) -> Grade | None:
    """The grade that was kept, or None where the record is not of these tests."""
    results = []
    try:
        for question, kept in zip(assignment.exercise.questions, record["questions"], strict=True):
            extra = assignment.extra.get(question.name, [])
            tests = [(test, False) for test in question.tests] + [(test, True) for test in extra]
            found = [
                TestResult(test, Outcome(one["kind"], one["text"]), one["hidden"], secret)
                for (test, secret), one in zip(tests, kept["tests"], strict=True)
                if one["name"] == test.name
            ]
            if len(found) < len(tests):
                return None
            results.append(QuestionResult(question, found, list(kept["missing"])))
        return Grade(submission, assignment.exercise, results, list(record["notes"]))
    except (KeyError, TypeError, ValueError):
        return None


@dataclass(frozen=True)
class Place:
    """A folder of results, and the name of the files of each (student, set) in it."""

    folder: Path
    names: dict[tuple[str, str], str]

    @classmethod
    def of(cls, folder: Path, owners: Sequence[tuple[str, str]], several: bool) -> "Place":
        """Names for these (student, set); those that a folder has already are kept.

        Args:
            folder: of the results.
            owners: (student, set) of each submission.
            several: whether the folder holds more than one set, so that names must say which.
        """
        names = {(r["student"], r["set"]): path.stem for path, r in _all(folder)}
        taken = {name.casefold() for name in names.values()}
        for student, set_name in owners:
            if (student, set_name) in names:
                continue
            name = file_name(student) + (f".{set_name}" if several else "")
            if name.casefold() in taken:
                name = file_name(f"{student} {set_name}")
            taken.add(name.casefold())
            names[student, set_name] = name
        return cls(folder, names)

    def path(self, grade: Grade, part: str, suffix: str) -> Path:
        """A file of one student, such as `feedback/ann.html`."""
        name = self.names[grade.submission.student, grade.exercise.name]
        return self.folder / part / f"{name}{suffix}"

    def read(self, student: str, set_name: str) -> Record | None:
        """What is kept of a student's set, if anything."""
        return _read(self.folder / OWN_RESULTS / f"{self.names[student, set_name]}.json")

    def write(self, grade: Grade, record: Record) -> None:
        """Keep a record."""
        write_text(self.path(grade, OWN_RESULTS, ".json"), json.dumps(record, indent=1) + "\n")

    def records(self) -> list[Record]:
        """All that is kept, by student and set."""
        return sorted((r for _, r in _all(self.folder)), key=lambda r: (r["student"], r["set"]))


def _all(folder: Path) -> list[tuple[Path, Record]]:
    found = [(path, _read(path)) for path in sorted((folder / OWN_RESULTS).glob("*.json"))]
    return [(path, record) for path, record in found if record is not None]


def _read(path: Path) -> Record | None:
    """A record, or None where there is none that can be read: it is then made anew."""
    with suppress(OSError, ValueError, RecursionError):
        if path.stat().st_size <= LARGEST:
            record = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(record, dict) and {"student", "set", "key", "questions"} <= record.keys():
                return record
    return None
