"""The grader: strangers' notebooks in, points out, and nothing they do changes that.

Each submission has a judge of its own (`judge`), a disposable process that runs the tests, and the
judge starts a sandboxed worker, which has the student's cells and nothing else. What comes back is,
for each test, a kind out of a list and a sentence; a judge that an answer has taken down costs the
question at hand, and another one goes on with the rest.
"""

from typing import Any

from minilm.course.checking.questions import COARSE, Outcome, Question
from minilm.course.grade.assignment import Assignment
from minilm.course.grade.judge import LONGEST
from minilm.course.grade.loading import MOST_NOTES, WORDS
from minilm.course.grade.results import Grade, QuestionResult, TestResult
from minilm.course.grade.submissions import Submission
from minilm.errors import InputError
from minilm.sandbox.disposable import Allowance, Ended, Nursery
from minilm.sandbox.walls import PATIENCE, Limits

MOST_CELLS = 2000
LARGEST_CELL = 1_000_000  # characters
LARGEST_NOTEBOOK = 8_000_000  # characters of all cells
MOST_JUDGES = 4  # that one submission may take down
ROOM = 1 << 30  # bytes of address space for a judge, beside what a worker may have
PLACED = ("pass", *COARSE)


class Grading:
    """One submission on its way to a grade."""

    def __init__(
        self, nursery: Nursery, assignment: Assignment, submission: Submission, limits: Limits
    ) -> None:
        self.nursery, self.assignment, self.limits = nursery, assignment, limits
        self.submission = submission
        self.results = [self._empty(question) for question in assignment.exercise.questions]
        self.notes: list[str] = []
        self.state: dict[str, Any] = {}
        # all public cases before the first hidden one: what a submission says in words can then
        # not hold what it saw of a hidden test
        self.todo = [
            (level, number) for level in ("public", "hidden") for number in range(len(self.results))
        ]

    def grade(self) -> Grade:
        """Have every question judged.

        Raises:
            InputError: the process that keeps the judges is gone, or no worker starts any more.
        """
        trouble = self._trouble()
        if trouble:
            for result in self.results:
                for test in result.tests:
                    test.public = Outcome("gone", "the notebook cannot be run")
            self.notes = [trouble]
            self.todo = []
        cells = [self._cell(number, text) for number, text in enumerate(self.submission.cells)]
        spent = 0.0
        for _ in range(MOST_JUDGES):
            if not self.todo:
                break
            ended = self._judge(cells, spent)
            spent += ended.cpu
            if ended.how == "lost":
                raise InputError(
                    "the process that keeps the judges was ended from outside; grade again"
                )
            if self.todo:
                self._fail(*self.todo.pop(0), "time" if ended.how == "time" else "size")
        for level, number in self.todo:
            self._fail(level, number, "gone")
        return Grade(self.submission, self.assignment.exercise, self.results, self.notes)

    def _trouble(self) -> str:
        """Why there is nothing to run, or nothing."""
        cells = self.submission.cells
        if self.submission.trouble:
            return self.submission.trouble
        if len(cells) > MOST_CELLS:
            return f"it has {len(cells)} cells; at most {MOST_CELLS} are run"
        size = sum(len(text) for text in cells if len(text) <= LARGEST_CELL)
        if size > LARGEST_NOTEBOOK:
            most = LARGEST_NOTEBOOK / 1e6
            return f"its cells have {size / 1e6:.1f} million characters; at most {most:g} are run"
        return ""

    def _cell(self, number: int, text: str) -> str:
        if len(text) <= LARGEST_CELL:
            return text
        size, most = len(text) / 1e6, LARGEST_CELL / 1e6
        self.notes.append(
            f"code cell {number + 1} has {size:.1f} million characters; at most {most:g} are run"
        )
        return ""

    def _empty(self, question: Question) -> QuestionResult:
        tests = [TestResult(test, Outcome("gone")) for test in question.tests]
        extra = self.assignment.extra.get(question.name, [])
        tests += [TestResult(test, Outcome("pass"), secret=True) for test in extra]
        return QuestionResult(question, tests)

    def _due(self, level: str, number: int) -> list[int]:
        """The tests of a question at a level. A hidden one may still fail in public before."""
        public = [number for _, number in self.todo if _ == "public"]
        tests = enumerate(self.results[number].tests)
        if level == "public":
            return [one for one, test in tests if not test.secret]
        return [one for one, test in tests if test.public.passed or number in public]

    def _judge(self, cells: list[str], spent: float) -> Ended:
        """Have one judge do what there is to do; returns how it ended."""
        budget = self.limits.budget
        request = {
            "set": self.assignment.exercise.name,
            "student": self.submission.student,
            "cells": cells,
            "todo": [[level, number, self._due(level, number)] for level, number in self.todo],
            "state": {**self.state, "spent": spent, "notes": self.notes},
        }
        allowance = Allowance(self.limits.memory + ROOM, budget + 10, PATIENCE * budget + 60)
        for message in self.nursery.work(request, allowance):
            if isinstance(message, Ended):
                return message
            self._take(message)
        return Ended("lost", 0.0)

    def _take(self, message: dict[str, Any]) -> None:
        """Note a report, or how far the notebook is; only kinds and sentences are taken from it.

        Raises:
            InputError: the judge could not start a worker.
        """
        if "stop" in message:
            raise InputError(
                f"the sandbox does not start any more: {str(message['stop'])[:LONGEST]}"
            )
        self.state = message["state"]
        self.notes = [str(note)[:LONGEST] for note in self.state["notes"][:MOST_NOTES]]
        level, number = self.todo[0]
        if message.get("of") != [level, number]:
            return
        result = self.results[number]
        for one in self._due(level, number):
            kind, text = message["outcomes"].get(str(one), ("broken", ""))
            kind = kind if kind in PLACED else "broken"
            if level == "public":
                result.tests[one].public = Outcome(kind, str(text)[:LONGEST])
            else:
                result.tests[one].hidden = kind
        if level == "public":
            missing = message["missing"]
            result.missing = [name for name in result.question.asks if name in missing]
        self.todo.pop(0)

    def _fail(self, level: str, number: int, kind: str) -> None:
        """What the judge did not live to judge."""
        text = WORDS[kind].format(seconds=self.limits.seconds)
        for test in self.results[number].tests:
            if level == "public" and not test.secret:
                test.public = Outcome(kind, text)
            elif level == "hidden" and test.public.passed:
                test.hidden = kind
