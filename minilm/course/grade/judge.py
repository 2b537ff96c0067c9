"""The judge of one submission: a disposable process, see `sandbox.disposable`.

It starts the worker with the student's cells, calls its functions, decodes and compares what comes
back, and tells the grader for each test a kind and a sentence. Whatever an answer does to it, by
its size or by its content, ends with it: the grades are not here.
"""

import importlib
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from minilm.course.checking.questions import Outcome, Test, run_test
from minilm.course.checking.student import Student, StudentError
from minilm.course.grade.assignment import Assignment, load_tests
from minilm.course.grade.loading import Loader, NoWorkerError
from minilm.sandbox.session import SessionError
from minilm.sandbox.walls import Isolation, Limits

LONGEST = 600  # characters about one test


def prepare(setup: dict[str, Any]) -> dict[str, Any]:
    """Load the sets before the first submission, and what their tests compare with."""
    sets = {}
    for name, one in setup["sets"].items():
        own = Path(one["own"]) if one["own"] else None
        exercise, extra = load_tests(Path(one["tests"]), own)
        for library in exercise.libraries:
            with suppress(ImportError):
                importlib.import_module(library)
        sets[name] = Assignment(exercise, extra, tuple(one["given"]), one["secret"])
    return {**setup, "sets": sets}


def work(state: dict[str, Any], request: dict[str, Any], send: Callable[[Any], None]) -> None:
    """Judge one submission, or what is left of it: for each question due at a level, a report."""
    assignment, limits = state["sets"][request["set"]], Limits(**state["limits"])
    wall, kit = Isolation(state["wall"]), Path(state["kit"])

    def tell(now: dict[str, Any]) -> None:
        send({"state": now})

    loader = Loader(assignment, request["cells"], wall, kit, limits, request["state"], tell)
    judge = Judge(assignment, loader, request["student"])
    try:
        for level, number, due in request["todo"]:
            loader.listening = level == "public"
            report = judge.question(level, number, due)
            send({"of": [level, number], **report, "state": loader.state})
    except NoWorkerError as error:
        send({"stop": str(error)[:LONGEST]})
    finally:
        loader.stop()


class Judge:
    """Runs the tests of questions on one submission."""

    def __init__(self, assignment: Assignment, loader: Loader, student: str) -> None:
        self.assignment, self.loader, self.student = assignment, loader, student
        self.passed: dict[int, set[int]] = {}

    def question(self, level: str, number: int, due: list[int]) -> dict[str, Any]:
        """The cases of one question at one level: they share one clock and one fate.

        Args:
            level: "public" or "hidden".
            number: of the question.
            due: numbers of its tests. A hidden one is run only if its public cases passed.
        """
        question = self.assignment.exercise.questions[number]
        tests = [*question.tests, *self.assignment.extra.get(question.name, [])]
        if level == "hidden" and number in self.passed:
            due = [one for one in due if one in self.passed[number]]
        if not due:
            return {"outcomes": {}, "missing": []}
        failed, missing = self.loader.ready(), []
        outcomes: dict[int, list[str]] = {}
        if failed is None:
            self.loader.allow()
            if level == "public":
                missing = self._missing(question.asks)
        for one in due:
            outcome = failed
            if outcome is None:
                outcome, dead = self._run(tests[one], question.name, level)
                failed = outcome if dead else None
            outcomes[one] = [outcome.kind, outcome.text[:LONGEST]]
        if failed is None:
            self.loader.tidy()
        if level == "public":
            secret = range(len(question.tests), len(tests))
            self.passed[number] = {n for n in outcomes if outcomes[n][0] == "pass"} | set(secret)
        return {"outcomes": outcomes, "missing": missing}

    def _run(self, test: Test, question: str, level: str) -> tuple[Outcome, bool]:
        """One test: what became of it, and whether the worker died over it."""
        words = [self.assignment.exercise.name, question]
        if level == "hidden":
            words += [self.assignment.secret, self.student]
        try:
            with _own_time(self.loader.limits.seconds):
                return run_test(test, Student(self.loader.channel), level, *words), False
        except SessionError as error:
            self.loader.stop()
            return Outcome(error.kind, self.loader.words(error)), True

    def _missing(self, asks: tuple[str, ...]) -> list[str]:
        channel = self.loader.channel
        try:
            message = {"op": "missing", "names": list(asks), "of": ""}
            answer = channel.exchange(message, channel.pack(), plain=True)
        except (StudentError, SessionError):
            return []
        names = answer if isinstance(answer, list) else []
        return [name for name in asks if name in names]


@contextmanager
def _own_time(seconds: float) -> Iterator[None]:
    """Stop this process itself where an answer makes it work for too long.

    The session counts this time too, but only looks at its clock while it waits for the worker.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _too_long(number: int, frame: Any) -> None:
    raise SessionError("time", "it took too long")
