"""One `minilm grade` from arguments to files."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from minilm.course.grade.assignment import read_assignment
from minilm.course.grade.folder import results_in
from minilm.course.grade.gradebook import check_column, write_gradebook
from minilm.course.grade.identity import cell
from minilm.course.grade.judges import Judges
from minilm.course.grade.pool import grade_each
from minilm.course.grade.report import write_report
from minilm.course.grade.results import Grade
from minilm.course.grade.roster import Roster, read_roster
from minilm.course.grade.submissions import Submission, apart, choose_set, find_submissions
from minilm.course.grade.table import Table
from minilm.course.places import Course
from minilm.errors import InputError
from minilm.interrupt import Interrupt
from minilm.sandbox.session import MOST_SLOTS
from minilm.sandbox.walls import Limits


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
        KeyboardInterrupt: it was stopped; every grade that was there by then is written.
    """
    jobs = _check(seconds, memory, jobs, hidden)
    course = course or Course.here()
    files = course.sets
    if not files:
        raise InputError(f"{course.root} holds no exercise set")
    with Interrupt() as interrupt:  # one Ctrl-C, and what is done by then is written
        people = read_roster(roster) if roster else None
        found = find_submissions(paths, list(files), choose_set(set_name, list(files)), student)
        for one in found.skipped:
            say(f"skipped {cell(str(one.path))}: {one.why}")
        interrupt.refuse_to_go_on()
        submissions = _named(found.submissions, set_name, list(files), people)
        used = sorted({submission.set_name for submission in submissions})
        if column and len(used) > 1:
            raise InputError(f"--column is {column!r}; it names one set, and these are {len(used)}")
        for style in formats if column else ():
            check_column(column, style)
        assignments = {name: read_assignment(files[name], hidden) for name in used}
        out = out or Path("grades", *(used if len(used) == 1 else ()))
        limits = Limits(memory=int(memory * 1e9), seconds=seconds)
        with results_in(out, submissions, assignments, limits) as results:
            grades, due = results.done(submissions, again)
            if grades:
                say(f"graded before and not changed: {len(grades)} (--again grades them anew)")
            wall, jobs = results.wall, max(1, min(jobs, len(due)))
            if due:
                interrupt.refuse_to_go_on()
                make = {"limits": limits, "jobs": jobs, "isolation": isolation, "unsafe": unsafe}
                with Judges(assignments, **make) as judges, _bar(len(due)) as bar:
                    wall = judges.wall
                    for grade in grade_each(judges, due, jobs, interrupt):
                        results.keep(grade, wall)
                        grades.append(grade)
                        bar.update()
            grades.sort(key=lambda grade: (grade.submission.student, grade.exercise.name))
            write_report(results.place, results.table, found.skipped, people)
            for style in formats:
                for name in used:
                    title = column or assignments[name].exercise.title
                    for line in write_gradebook(results, style, name, people, title):
                        say(line)
            _say_changes(results.table, say)
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


def _named(
    submissions: list[Submission], set_name: str | None, sets: Sequence[str], people: Roster | None
) -> list[Submission]:
    """The submissions with their sets and with names that are unlike each other, sorted."""
    submissions = _assigned(submissions, choose_set(set_name, sets), sets)
    if people is not None:
        submissions = [people.named(one) for one in submissions]
    return sorted(apart(submissions), key=lambda one: (one.student, one.set_name))


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


def _say_changes(table: Table, say: Callable[[str], None]) -> None:
    if table.kept is None:  # the first grading of this folder: everything is new
        return
    for change in table.changes:
        say(f"changed {change}")
    others = len(table.sheet.rows) - len(table.changes)
    say(f"rows that stay as they were: {others}; the earlier table is kept as {table.kept}")


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
