"""The grader: strangers' notebooks in, points out, and nothing they do changes that.

Each submission runs in its own sandboxed worker (`sandbox`, `session`), which has the student's
cells and nothing else. The tests run here: they call the student's functions through the worker and
compare plain values. So the worst a submission can do is to spoil its own answers, and a hang or a
crash costs the question during which it happened.
"""

from pathlib import Path
from typing import Any

from minilm.course.checking.questions import Outcome, Question, Test, run_test
from minilm.course.checking.student import RemoteChannel, Student, StudentError
from minilm.course.grade.assignment import Assignment, given_cells, read_secret
from minilm.course.grade.results import Grade, QuestionResult, TestResult
from minilm.course.grade.submissions import Submission
from minilm.sandbox.inside.cells import FULL, LEAN, SKIP
from minilm.sandbox.session import Session, SessionError
from minilm.sandbox.walls import Isolation, Limits

__all__ = [
    "Assignment", "Grade", "Grader", "QuestionResult", "TestResult", "given_cells", "read_secret",
]  # fmt: skip

MOST_LOADS = 6  # starts of one notebook that end in a hang or a crash before it is given up
MOST_CELLS = 2000
WORDS = {
    "time": "it took longer than {seconds:g} s and was stopped",
    "gone": "the program ended by itself",
    "size": "the answer is too large",
    "broken": "its answer cannot be read",
}


class Grader:
    """Grades submissions of one set, one after another, in one slot."""

    def __init__(
        self, assignment: Assignment, wall: Isolation, kit: Path, limits: Limits, slot: int
    ) -> None:
        self.assignment, self.wall, self.kit = assignment, wall, kit
        self.limits, self.slot = limits, slot
        self.channel: RemoteChannel | None = None
        self.modes: list[str] = []
        self.loads = 0
        self.notes: list[str] = []
        self.listening = True  # until the first hidden case: nothing said later is passed on

    def grade(self, submission: Submission) -> Grade:
        """Run every question of the set against one submission.

        All public cases come before the first hidden one: what a submission says in words can then
        not hold what it saw of a hidden test.
        """
        exercise = self.assignment.exercise
        results = [self._empty_result(question) for question in exercise.questions]
        self.modes = [FULL] * len(submission.cells)
        trouble = submission.trouble
        if len(submission.cells) > MOST_CELLS:
            trouble = f"it has {len(submission.cells)} cells; at most {MOST_CELLS} are run."
        if trouble:
            for result in results:
                for test in result.tests:
                    test.public = Outcome("gone", "the notebook cannot be run")
            return Grade(submission, exercise, results, [trouble])
        try:
            for level in ("public", "hidden"):
                for result in results:
                    self._question(result, submission, level)
                self.listening = False
        finally:
            self._stop()
        return Grade(submission, exercise, results, self.notes)

    def _empty_result(self, question: Question) -> QuestionResult:
        tests = [TestResult(test, Outcome("gone")) for test in question.tests]
        extra = self.assignment.extra.get(question.name, [])
        tests += [TestResult(test, Outcome("pass"), secret=True) for test in extra]
        return QuestionResult(question, tests)

    def _question(self, result: QuestionResult, submission: Submission, level: str) -> None:
        """The cases of one question at one level share one clock and one fate."""
        due = [t for t in result.tests if (not t.secret if level == "public" else t.public.passed)]
        if not due:
            return
        failed = self._ready(submission)
        if failed is None:
            self.channel.session.allow(self.limits.seconds)
            if level == "public":
                result.missing = self._missing(result.question)
        for test in due:
            outcome = failed
            if outcome is None:
                outcome, dead = self._run(test.test, result.question, submission, level)
                failed = outcome if dead else None
            if level == "public":
                test.public = outcome
            else:
                test.hidden = outcome.kind
        if failed is None:
            self._tidy()

    def _run(
        self, test: Test, question: Question, submission: Submission, level: str
    ) -> tuple[Outcome, bool]:
        """One test: what became of it, and whether the worker died over it."""
        words = [self.assignment.exercise.name, question.name]
        if level == "hidden":
            words += [self.assignment.secret, submission.student]
        try:
            return run_test(test, Student(self.channel), level, *words), False
        except SessionError as error:
            self._stop()
            return Outcome(error.kind, self._words(error)), True

    def _words(self, error: SessionError) -> str:
        return WORDS[error.kind].format(seconds=self.limits.seconds)

    def _missing(self, question: Question) -> list[str]:
        try:
            message = {"op": "missing", "names": list(question.asks), "of": ""}
            answer = self.channel.exchange(message, self.channel.pack())
        except (StudentError, SessionError):
            return []
        names = answer if isinstance(answer, list) else []
        return [name for name in question.asks if name in names]

    def _tidy(self) -> None:
        """Let go of what the question made; a hang in that spoils nothing that comes later."""
        try:
            threads = self.channel.forget()
        except (SessionError, StudentError):
            self._stop()
            return
        if threads != 1:  # whoever is left running would slow down the next question
            self._stop()

    def _stop(self) -> None:
        if self.channel is not None:
            self.channel.session.close()
            self.channel = None

    def _ready(self, submission: Submission) -> Outcome | None:
        """Have a worker with all cells run; returns what stands in the way, or None.

        A cell that hangs or kills the worker is run again without all but its definitions, then
        left out. After two such cells every cell is reduced to its definitions.
        """
        if self.channel is not None and self.channel.session.alive:
            return None
        self._stop()
        while self.loads < MOST_LOADS:
            session = Session(self.wall, self.kit, self.limits, self.slot)
            try:
                session.start()
                self._note_errors(self._load(session, submission))
                self.channel = RemoteChannel(session)
                return None
            except SessionError as error:
                session.close()
                self.loads += 1
                self._blame(error)
        return Outcome("gone", "the notebook cannot be run: its cells hang or end the program")

    def _load(self, session: Session, submission: Submission) -> Any:
        """Have the worker run the cells; returns the errors it reports.

        Raises:
            SessionError: it died or hung; `cell` says in which cell.
        """
        given = [[number, text] for number, text in enumerate(self.assignment.given)]
        cells = [
            [number, text, mode]
            for number, (text, mode) in enumerate(zip(submission.cells, self.modes))
        ]
        session.allow(self.limits.seconds)
        at = None
        try:
            session.send({"given": given, "cells": cells})
            for _ in range(len(cells) + 2):
                message, _ = session.receive()
                if isinstance(message, dict) and "ready" in message:
                    return message["ready"]
                at = message.get("at") if isinstance(message, dict) else None
                if type(at) is not int or not -1 <= at < len(cells):
                    at = None
                    break
                session.allow(self.limits.seconds)
            raise SessionError("broken", "no report of a cell")
        except SessionError as error:
            error.cell = at
            raise

    def _blame(self, error: SessionError) -> None:
        """Reduce the cell that a worker died in, or all of them if that cannot be known."""
        if error.cell is None or error.cell < 0:
            self.modes = [LEAN if mode == FULL else SKIP for mode in self.modes]
            self._note(f"while the cells ran, {self._words(error)}; only definitions were run")
            return
        self.modes[error.cell] = LEAN if self.modes[error.cell] == FULL else SKIP
        self._note(
            f"code cell {error.cell + 1}: {self._words(error)}; only its definitions were run"
        )
        if self.loads >= 2:
            self.modes = [LEAN if mode == FULL else mode for mode in self.modes]

    def _note_errors(self, errors: Any) -> None:
        if not isinstance(errors, list):
            return
        for entry in errors[:50]:
            if (
                isinstance(entry, list)
                and len(entry) == 2
                and type(entry[0]) is int
                and isinstance(entry[1], str)
            ):
                self._note(f"code cell {entry[0] + 1}: {entry[1][:300]}")

    def _note(self, text: str) -> None:
        if self.listening and text not in self.notes and len(self.notes) < 50:
            self.notes.append(text)
