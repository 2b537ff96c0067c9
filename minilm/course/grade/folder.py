"""The folder of results: whatever belongs to one submission is written when its grade is there.

grades.csv, earlier/        the table, and how it was before
feedback/NAME.html          for the student
gradescope/NAME.json        the same for Gradescope; results.json if only one was graded
records/NAME.json           what is kept, so that a run that was killed goes on where it stood
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from minilm.course.grade.assignment import Assignment
from minilm.course.grade.feedback import write_pages
from minilm.course.grade.records import Place, from_record, key_of, to_record
from minilm.course.grade.results import Grade
from minilm.course.grade.submissions import OWN_RESULTS, Submission
from minilm.course.grade.table import Table
from minilm.errors import InputError
from minilm.sandbox.walls import Limits

PARTS = ("feedback", "gradescope", OWN_RESULTS)


class Results:
    """What is in a folder of results, and what a run adds to it."""

    def __init__(
        self,
        folder: Path,
        submissions: Sequence[Submission],
        assignments: dict[str, Assignment],
        limits: Limits,
    ) -> None:
        self.folder, self.assignments = folder, assignments
        self.table = Table(folder)
        self.alone = len(submissions) == 1
        self.wall = "none needed"  # of the grades that were there before
        owners = [(one.student, one.set_name) for one in submissions]
        sets = self.table.sets().union(assignments)
        self.place = Place.of(folder, owners, several=len(sets) > 1)
        more = {name: _depends(one) for name, one in assignments.items()}
        allowed = f"{limits.seconds:g} {limits.memory}"
        self.keys = {
            owner: key_of(one, *more[one.set_name], allowed)
            for owner, one in zip(owners, submissions)
        }

    def done(
        self, submissions: Sequence[Submission], again: bool
    ) -> tuple[list[Grade], list[Submission]]:
        """The grades that are there already, and the submissions that are due.

        A row of a grade that is there stays as it is in the table, where somebody may have changed
        it by hand.
        """
        grades, due = [], []
        for one in submissions:
            record = None if again else self.place.read(one.student, one.set_name)
            same = record is not None and record["key"] == self.keys[one.student, one.set_name]
            grade = from_record(record, one, self.assignments[one.set_name]) if same else None
            if grade is None:
                due.append(one)
                continue
            grades.append(grade)
            self.wall = str(record.get("wall", self.wall))
            write_pages(self.place, grade, self.alone)
        self.table.put([grade for grade in grades if not self.table.has(grade)])
        return grades, due

    def keep(self, grade: Grade, wall: str) -> None:
        """Write all of one grade; the record last, since it says that the rest is there."""
        name = grade.exercise.name
        write_pages(self.place, grade, self.alone)
        self.table.put([grade])
        key = self.keys[grade.submission.student, name]
        self.place.write(grade, to_record(grade, key, wall, self.assignments[name].given))


@contextmanager
def results_in(
    folder: Path,
    submissions: Sequence[Submission],
    assignments: dict[str, Assignment],
    limits: Limits,
) -> Iterator[Results]:
    """A folder of results for one run at a time, made if missing.

    Raises:
        InputError: it cannot be written, or another run writes there: both are found out before
            the first submission.
    """
    try:
        for one in (folder, *(folder / part for part in PARTS)):
            one.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=one) as file:
                file.write(b"\0")
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise InputError(f"--out {folder} cannot be written: {error.strerror}{where}") from None
    with _alone_in(folder):
        yield Results(folder, submissions, assignments, limits)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder against other runs, where the system can; a killed run lets go of it."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"--out {folder} is in use by another minilm grade; wait for it, or give another "
                "folder"
            ) from None
        except OSError:
            pass  # some network drives know no locks
        yield
    finally:
        os.close(handle)


def _depends(assignment: Assignment) -> list[str | bytes]:
    """What a grade depends on beside the submission: tests, cells handed out, the secret."""
    own = assignment.own.read_bytes() if assignment.own else b""
    return [assignment.tests.read_bytes(), own, assignment.secret, *assignment.given]
