"""Judges of submissions: `with Judges(...) as judges: grade = judges.grade(submission)`."""

from dataclasses import asdict
from typing import Any

from minilm.course.grade.assignment import Assignment
from minilm.course.grade.grading import Grading
from minilm.course.grade.results import Grade
from minilm.course.grade.submissions import Submission
from minilm.sandbox.choice import choose
from minilm.sandbox.disposable import Nursery
from minilm.sandbox.kit import make_kit
from minilm.sandbox.scratch import Scratch
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
        self._scratch = Scratch()
        try:
            kit = make_kit(self._scratch.path / "kit")
            self.wall = choose(kit, isolation, unsafe).kind
            sets = {name: _plain(one) for name, one in assignments.items()}
            setup = {"kit": str(kit), "wall": self.wall, "limits": asdict(limits), "sets": sets}
            self._nursery = Nursery("minilm.course.grade.judge", setup, jobs)
        except BaseException:
            self._scratch.close()
            raise

    def __enter__(self) -> "Judges":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End what was made ready."""
        self._nursery.close()
        self._scratch.close()

    def grade(self, submission: Submission) -> Grade:
        """Grade one submission, whose `set_name` is among the assignments; from any thread."""
        assignment = self.assignments[submission.set_name]
        return Grading(self._nursery, assignment, submission, self.limits).grade()


def _plain(one: Assignment) -> dict[str, Any]:
    """What a judge needs to know of a set."""
    own = str(one.own.resolve()) if one.own else None
    tests = str(one.tests.resolve())
    return {"tests": tests, "own": own, "given": list(one.given), "secret": one.secret}
