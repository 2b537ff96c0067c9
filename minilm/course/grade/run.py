"""One `minilm grade` from arguments to files."""

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from minilm.course.grade.assignment import Assignment, read_assignment
from minilm.course.grade.feedback import write_pages
from minilm.course.grade.gradebook import write_gradebook
from minilm.course.grade.identity import cell
from minilm.course.grade.judges import Judges
from minilm.course.grade.pool import grade_each
from minilm.course.grade.records import Place, from_record, key_of, to_record
from minilm.course.grade.report import write_report
from minilm.course.grade.results import Grade
from minilm.course.grade.roster import Roster, read_roster
from minilm.course.grade.submissions import (
    OWN_RESULTS,
    Submission,
    apart,
    choose_set,
    find_submissions,
)
from minilm.course.grade.table import Table
from minilm.course.places import Course
from minilm.errors import InputError
from minilm.sandbox.session import MOST_SLOTS
from minilm.sandbox.walls import Limits

PARTS = ("feedback", "gradescope", OWN_RESULTS)


def grade_paths(
    paths: Sequence[Path],
    *,
    course: Course | None = None,
    set_name: str | None = None,
    hidden: Path | None = None,
    out: Path | None = None,
    roster: Path | None = None,
    formats: Sequence[str] = (),
    column: str | None = None,
    student: str | None = None,
    again: bool = False,
    jobs: int | None = None,
    seconds: float = 10.0,
    memory: float = 2.0,
    unsafe: bool = False,
    isolation: str = "auto",
    say: Callable[[str], None] = lambda line: None,
) -> tuple[list[Grade], str, Path]:
    """Grade what lies at `paths` and write the results to `out`, each as soon as it is there.

    Args:
        paths: notebooks, scripts, archives, folders of them, or folders of folders.
        course: whose sets were handed out; default: found from here.
        set_name: the set that all submissions belong to; default: each says it itself.
        hidden: folder with the lecturer's own tests and secret.
        out: where the results go; default: grades/NN_slug, or grades/ for more than one set.
        roster: a table of the students.
        formats: learning platforms to write a table for: "canvas", "moodle", "gradescope".
        column: the name of the assignment in such a table; default: the set's title.
        student: who handed in all that lies at `paths`; default: each name says it.
        again: grade what was graded before and has not changed, too.
        jobs: submissions at once; default: one per processor.
        seconds: for the visible cases of a question, again for its hidden ones, and per cell.
        memory: address space of a submission in GB (1e9 bytes).
        unsafe: run even where nothing isolates.
        isolation: "auto", or the kind of wall to use.
        say: takes the lines about entries that are skipped and about what changed.

    Returns:
        The grades by student, the wall that was used, and the folder.

    Raises:
        InputError: an argument is out of range, nothing was found, `out` cannot be written, or
            there is no wall.
    """
    jobs = _check(seconds, memory, jobs, hidden)
    course = course or Course.here()
    files = course.sets
    if not files:
        raise InputError(f"{course.root} holds no exercise set")
    wanted = choose_set(set_name, list(files))
    people = read_roster(roster) if roster else None
    found = find_submissions(paths, list(files), wanted, student)
    for one in found.skipped:
        say(f"skipped {cell(str(one.path))}: {one.why}")
    submissions = _assigned(found.submissions, wanted, list(files))
    if people is not None:
        submissions = [people.named(one) for one in submissions]
    submissions = sorted(apart(submissions), key=lambda one: (one.student, one.set_name))
    used = sorted({submission.set_name for submission in submissions})
    if column and len(used) > 1:
        raise InputError(f"--column is {column!r}; it names one set, and these are {len(used)}")
    out = out or Path("grades", *(used if len(used) == 1 else ()))
    _refuse_unwritable(out)
    table = Table(out)
    owners = [(one.student, one.set_name) for one in submissions]
    place = Place.of(out, owners, several=len(table.sets().union(used)) > 1)
    assignments = {name: read_assignment(files[name], hidden) for name in used}
    depends = {name: _depends(assignment) for name, assignment in assignments.items()}
    keys = {
        owner: key_of(one, *depends[one.set_name], f"{seconds:g} {memory:g}")
        for owner, one in zip(owners, submissions)
    }
    grades, due, wall = _graded_before(submissions, assignments, keys, place, again)
    if grades:
        say(f"graded before and not changed: {len(grades)} (--again grades them anew)")
        table.put(grades)
    if due:
        jobs, limits = min(jobs, len(due)), Limits(memory=int(memory * 1e9), seconds=seconds)
        with (
            Judges(
                assignments, limits=limits, jobs=jobs, isolation=isolation, unsafe=unsafe
            ) as judges,
            _bar(len(due)) as bar,
        ):
            wall = judges.wall
            for grade in grade_each(judges, due, jobs):
                _keep(grade, keys, wall, assignments, place, table, len(submissions) == 1)
                grades.append(grade)
                bar.update()
    grades.sort(key=lambda grade: (grade.submission.student, grade.exercise.name))
    write_report(place, table, found.skipped, people)
    for name in used:
        rows = [row for row in table.sheet.rows if row["set"] == name]
        title = column or assignments[name].exercise.title
        for style in formats:
            for line in write_gradebook(out, style, rows, place.records(), people, title):
                say(line)
    _say_changes(table, say)
    if people is not None:
        _say_roster(people, submissions, say)
    return grades, wall, out


def _check(seconds: float, memory: float, jobs: int | None, hidden: Path | None) -> int:
    if not 0.1 <= seconds <= 3600:
        raise InputError(f"--seconds is {seconds:g}; it must be between 0.1 and 3600")
    if not 0.5 <= memory <= 1024:
        raise InputError(f"--memory is {memory:g}; it must be between 0.5 and 1024 GB")
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    jobs = jobs if jobs is not None else processors or os.cpu_count() or 1
    if not 1 <= jobs <= MOST_SLOTS:
        raise InputError(f"--jobs is {jobs}; it must be between 1 and {MOST_SLOTS}")
    if hidden is not None and not hidden.is_dir():
        raise InputError(f"--hidden {hidden} is not a folder")
    return jobs


def _assigned(
    submissions: list[Submission], wanted: str | None, sets: Sequence[str]
) -> list[Submission]:
    """Every submission with a set: the one asked for, its own, or what most others have."""
    if wanted is not None:
        return [replace(submission, set_name=wanted) for submission in submissions]
    named = Counter(s.set_name for s in submissions if s.set_name is not None)
    if named:
        default = min(named, key=lambda name: (-named[name], name))
    elif len(sets) == 1:
        default = sets[0]
    else:
        raise InputError(
            f"no submission says which set it belongs to; add --set with one of {', '.join(sets)}"
        )
    return [replace(s, set_name=s.set_name or default) for s in submissions]


def _refuse_unwritable(out: Path) -> None:
    """Find out before the first submission that results can be written.

    Raises:
        InputError: they cannot.
    """
    try:
        for folder in (out, *(out / part for part in PARTS)):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"\0")
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise InputError(f"--out {out} cannot be written: {error.strerror}{where}") from None


def _depends(assignment: Assignment) -> list[str | bytes]:
    """What a grade depends on beside the submission: tests, cells handed out, the secret."""
    own = assignment.own.read_bytes() if assignment.own else b""
    return [assignment.tests.read_bytes(), own, assignment.secret, *assignment.given]


def _graded_before(
    submissions: Sequence[Submission],
    assignments: dict[str, Assignment],
    keys: dict[tuple[str, str], str],
    place: Place,
    again: bool,
) -> tuple[list[Grade], list[Submission], str]:
    """The grades that are there already, the submissions that are due, and the wall of before."""
    grades, due, wall = [], [], "none needed"
    for one in submissions:
        record = None if again else place.read(one.student, one.set_name)
        if record is not None and record["key"] == keys[one.student, one.set_name]:
            grade = from_record(record, one, assignments[one.set_name])
            if grade is not None:
                grades.append(grade)
                wall = str(record.get("wall", wall))
                continue
        due.append(one)
    return grades, due, wall


def _keep(
    grade: Grade,
    keys: dict[tuple[str, str], str],
    wall: str,
    assignments: dict[str, Assignment],
    place: Place,
    table: Table,
    alone: bool,
) -> None:
    """Write all that belongs to one grade; the record last, which says that the rest is there."""
    name = grade.exercise.name
    write_pages(place, grade, alone)
    table.put([grade])
    key = keys[grade.submission.student, name]
    place.write(grade, to_record(grade, key, wall, assignments[name].given))


def _say_changes(table: Table, say: Callable[[str], None]) -> None:
    if table.kept is None:  # the first grading of this folder: everything is new
        return
    for change in table.changes:
        say(f"changed {change}")
    others = len(table.sheet.rows) - len(table.changes)
    say(f"{others} other rows stay as they were; the table of before is {table.kept}")


def _say_roster(people: Roster, submissions: Sequence[Submission], say: Callable) -> None:
    strangers = [one.student for one in submissions if not people.knows(one)]
    if strangers:
        say(f"not on the roster: {', '.join(map(cell, strangers))}")
    missing = people.without(submissions)
    if missing:
        say(
            f"nothing from {len(missing)} on the roster: {', '.join(cell(p.name) for p in missing)}"
        )


def _bar(total: int):
    from tqdm import tqdm

    return tqdm(total=total, unit="submission", disable=None, leave=False)
