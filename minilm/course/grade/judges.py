"""Judges of submissions: `with Judges(...) as judges: grade = judges.grade(submission)`."""

import os
import tempfile
from pathlib import Path
from queue import SimpleQueue

from minilm.course.grade.assignment import Assignment
from minilm.course.grade.grading import Grader
from minilm.course.grade.results import Grade
from minilm.course.grade.submissions import Submission
from minilm.sandbox.choice import choose
from minilm.sandbox.kit import make_kit
from minilm.sandbox.walls import Limits


class Judges:
    """What is made ready once for all submissions of a run.

    Args:
        assignments: the set of each submission, by name.
        limits: memory, and seconds for one question and for one cell.
        jobs: how many submissions are graded at once, each from a thread of its own.
        isolation: see `sandbox.choice.choose`.
        unsafe: accept no isolation where none works.

    Attributes:
        wall: the kind of wall around every submission.

    Raises:
        InputError: there is no wall.
    """

    def __init__(
        self,
        assignments: dict[str, Assignment],
        *,
        limits: Limits,
        jobs: int,
        isolation: str = "auto",
        unsafe: bool = False,
    ) -> None:
        self.assignments, self.limits = assignments, limits
        self._scratch = tempfile.TemporaryDirectory(prefix="minilm-grade-")
        try:
            os.chmod(self._scratch.name, 0o755)  # the user that a worker turns into reads it
            self._kits = {
                name: make_kit(Path(self._scratch.name, str(number)), one.exercise.poisoned)
                for number, (name, one) in enumerate(assignments.items())
            }
            self._isolation = choose(next(iter(self._kits.values())), isolation, unsafe)
        except BaseException:
            self._scratch.cleanup()
            raise
        self.wall = self._isolation.kind
        self._slots: SimpleQueue[int] = SimpleQueue()
        for slot in range(jobs):
            self._slots.put(slot)

    def __enter__(self) -> "Judges":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End what was made ready."""
        self._scratch.cleanup()

    def grade(self, submission: Submission) -> Grade:
        """Grade one submission, whose `set_name` is among the assignments; from any thread."""
        slot = self._slots.get()
        try:
            name = submission.set_name
            grader = Grader(
                self.assignments[name], self._isolation, self._kits[name], self.limits, slot
            )
            return grader.grade(submission)
        finally:
            self._slots.put(slot)
