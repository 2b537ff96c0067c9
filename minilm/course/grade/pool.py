"""Several submissions at once, each grade handed over as soon as it is there."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue

from minilm.course.grade.grading import Assignment, Grade, Grader
from minilm.course.grade.submissions import Submission
from minilm.sandbox.choice import choose
from minilm.sandbox.kit import make_kit
from minilm.sandbox.walls import Limits


def grade_each(
    submissions: Sequence[Submission],
    assignments: dict[str, Assignment],
    *,
    limits: Limits,
    jobs: int,
    isolation: str = "auto",
    unsafe: bool = False,
) -> Iterator[tuple[Grade, str]]:
    """Grade every submission; yields each grade when it is done, and the wall that was used.

    Args:
        submissions: each with a `set_name` that `assignments` has.
        assignments: the tests of each set.
        limits: memory, and seconds for one question and for one cell.
        jobs: how many run at once.
        isolation: see `sandbox.choice.choose`.
        unsafe: accept no isolation where none works.

    Raises:
        InputError: there is no wall.
    """
    with tempfile.TemporaryDirectory(prefix="minilm-grade-") as scratch:
        os.chmod(scratch, 0o755)  # the user that a worker turns into reads its kit there
        kits = {
            name: make_kit(Path(scratch, f"kit-{number}"), assignment.exercise.poisoned)
            for number, (name, assignment) in enumerate(assignments.items())
        }
        wall = choose(next(iter(kits.values())), isolation, unsafe)
        slots: SimpleQueue[int] = SimpleQueue()
        for slot in range(jobs):
            slots.put(slot)

        def one(submission: Submission) -> Grade:
            slot = slots.get()
            try:
                name = submission.set_name
                return Grader(assignments[name], wall, kits[name], limits, slot).grade(submission)
            finally:
                slots.put(slot)

        pool = ThreadPoolExecutor(jobs)
        try:
            for future in as_completed([pool.submit(one, each) for each in submissions]):
                yield future.result(), wall.kind
        finally:
            pool.shutdown(cancel_futures=True)
