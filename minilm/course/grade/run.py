"""One `minilm grade` from arguments to files."""

import os
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from minilm.course.grade.assignment import read_assignment
from minilm.course.grade.feedback import write_all
from minilm.course.grade.judges import Judges
from minilm.course.grade.results import Grade
from minilm.course.grade.submissions import Submission, choose_set, find_submissions
from minilm.course.places import Course
from minilm.errors import InputError
from minilm.sandbox.session import MOST_SLOTS
from minilm.sandbox.walls import Limits


def grade_paths(
    paths: Sequence[Path],
    *,
    course: Course | None = None,
    set_name: str | None = None,
    hidden: Path | None = None,
    out: Path = Path("grades"),
    jobs: int | None = None,
    seconds: float = 10.0,
    memory: float = 2.0,
    unsafe: bool = False,
    isolation: str = "auto",
) -> tuple[list[Grade], str, Path]:
    """Grade what lies at `paths` and write the results to `out`.

    Args:
        paths: notebooks, folders of notebooks, or folders of folders (one per student).
        course: whose sets were handed out; default: found from here.
        set_name: the set that all submissions belong to; default: each says it itself.
        hidden: folder with the lecturer's own tests and secret.
        out: where grades.csv, feedback/ and gradescope/ go.
        jobs: submissions at once; default: one per processor.
        seconds: for the visible cases of a question, again for its hidden ones, and per cell.
        memory: address space of a submission in GB (1e9 bytes).
        unsafe: run even where nothing isolates.
        isolation: "auto", or the kind of wall to use.

    Returns:
        The grades by student, the wall that was used, and the folder.

    Raises:
        InputError: an argument is out of range, nothing was found, or there is no wall.
    """
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
    course = course or Course.here()
    files = course.sets
    if not files:
        raise InputError(f"{course.root} holds no exercise set")
    wanted = choose_set(set_name, list(files))
    submissions = _assigned(find_submissions(paths, list(files)), wanted, list(files))
    used = sorted({submission.set_name for submission in submissions})
    assignments = {name: read_assignment(files[name], hidden) for name in used}
    bar = _Bar(len(submissions))
    jobs = min(jobs, len(submissions))

    def one(submission: Submission) -> Grade:
        grade = judges.grade(submission)
        bar.update()
        return grade

    limits = Limits(memory=int(memory * 1e9), seconds=seconds)
    with Judges(
        assignments, limits=limits, jobs=jobs, isolation=isolation, unsafe=unsafe
    ) as judges:
        with ThreadPoolExecutor(jobs) as pool:
            grades = list(pool.map(one, submissions))
    bar.close()
    write_all(out, grades)
    return grades, judges.wall, out


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


class _Bar:
    """A tqdm bar that several threads may move."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self.bar = tqdm(total=total, unit="submission", disable=None, leave=False)
        self.lock = threading.Lock()

    def update(self) -> None:
        with self.lock:
            self.bar.update()

    def close(self) -> None:
        self.bar.close()
