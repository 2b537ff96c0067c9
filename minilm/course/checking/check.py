"""`check("rope")` and `payoff("rope")`: what a student presses in an exercise notebook.

`check` runs the public tests of a question on the functions of the notebook and says in one line
per test how it went, with the hint where it failed. It never shows the inside of a test.
"""

import html
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from minilm.course.checking import progress
from minilm.course.checking.limit import Clock, TimeIsUp
from minilm.course.checking.look import Call, fitting_hint
from minilm.course.checking.questions import (
    ExerciseSet,
    Outcome,
    Question,
    Test,
    run_cases,
)
from minilm.course.checking.student import LocalChannel, Student
from minilm.course.checking.which import count_passed, find_set
from minilm.course.places import Course
from minilm.errors import InputError
from minilm.sandbox.inside.cells import is_cell

SECONDS = 10.0  # what the tests of one question may take together, as in the grader
ABSENT = ("missing", "todo", "poison")  # nothing was tried yet


@dataclass(frozen=True)
class Finding:
    """What became of one test, and the call after which it failed."""

    outcome: Outcome
    call: Call | None = None

    @property
    def passed(self) -> bool:
        """Whether the test passed."""
        return self.outcome.passed


@dataclass
class Report:
    """How one question went; prints as text, and as a small table in a notebook."""

    question: Question
    results: list[tuple[Test, Finding]]
    footer: list[str] = field(default_factory=list)
    names: Mapping[str, Any] = field(default_factory=dict)

    @property
    def points(self) -> float:
        """Points of the tests that passed."""
        return sum(test.points for test, found in self.results if found.passed)

    @property
    def passed(self) -> bool:
        """Whether every test passed."""
        return all(found.passed for _, found in self.results)

    def lines(self) -> list[tuple[str, str]]:
        """(kind, text) of every line: "title", "pass", "fail", "why", "call", "hint", "end"."""
        out = [("title", _title(self.question))]
        told: set[str] = set()
        for test, found in self.results:
            if found.passed:
                out.append(("pass", f"{test.points:g}/{test.points:g}  {test.title}"))
                continue
            out.append(("fail", f"0/{test.points:g}  {test.title}"))
            new = [line for line in self._about(test, found) if line[1] not in told]
            told |= {text for _, text in new}
            out += new
        return out + [("end", line) for line in self.footer]

    def _about(self, test: Test, found: Finding) -> list[tuple[str, str]]:
        """What to say about a test that failed: what is wrong, on which input, what may help."""
        outcome, call = found.outcome, found.call
        said = [("why", outcome.text)]
        if outcome.kind in ABSENT:
            return said
        if call is not None:
            said.append(("call", str(call)))
        clue = outcome.clue or outcome.text
        if outcome.kind == "value":
            clue = outcome.clue
        function = self.names.get(call.name) if call else None
        hints = fitting_hint(outcome.kind, clue, test.hint, call, function)
        return said + [("hint", hint) for hint in hints if hint]

    def __repr__(self) -> str:
        marks = {
            "pass": "  pass  ",
            "fail": "  FAIL  ",
            "why": "        ",
            "call": "        in ",
            "hint": "        hint: ",
        }
        return "\n".join(marks.get(kind, "") + text for kind, text in self.lines())

    def _repr_html_(self) -> str:
        # symbols and words carry the verdict, colour only repeats it
        style = {
            "title": ("", "font-weight:600"),
            "pass": ("✓ ", "color:#0a7d55"),
            "fail": ("✗ ", "color:#b3261e"),
            "why": ("", "padding-left:2em"),
            "call": ("in ", "padding-left:2em;font-family:monospace"),
            "hint": ("hint: ", "padding-left:2em;font-style:italic"),
            "end": ("", "opacity:.75"),
        }
        rows = [
            f'<div style="{style[kind][1]}">{style[kind][0]}{html.escape(text)}</div>'
            for kind, text in self.lines()
        ]
        return '<div style="line-height:1.5">' + "".join(rows) + "</div>"


def check(question: str | None = None, *, set: str | None = None) -> None:
    """Test an answer, or with no name every answer of this notebook's set.

    Args:
        question: as in `check("rope")`.
        set: name of the exercise set, needed only where two sets ask the same.

    Raises:
        InputError: there is no such question, or no course around this notebook.
    """
    names = sys._getframe(1).f_globals
    try:
        one = find_set(question, set, names)
        asked = one.questions if question is None else [one.question(question)]
        for single in asked:
            _show(make_report(one, single, names))
    except InputError as error:
        _say(str(error))


def payoff(question: str, *, set: str | None = None) -> Callable[[Callable[[], Any]], Any]:
    """Decorate the cell that runs the model on the student's code; it runs once the check passes.

    The decorated function is called at once, without arguments, and its result takes its name.
    """
    names = sys._getframe(1).f_globals

    def run(function: Callable[[], Any]) -> Any:
        try:
            one = find_set(question, set, names)
            asked = one.question(question)
        except InputError as error:
            _say(str(error))
            return None
        if not all(found.passed for _, found in run_tests(one, asked, names)):
            _say(f'First make check("{question}") pass; then this cell runs minilm on your code.')
            return None
        return function()

    return run


def run_tests(
    one: ExerciseSet, question: Question, names: Mapping[str, Any]
) -> list[tuple[Test, Finding]]:
    """The public tests of a question on a namespace; all of them share one clock."""

    def is_theirs(frame: FrameType) -> bool:
        return frame.f_globals is names or is_cell(frame.f_code.co_filename)

    clock = Clock(SECONDS, is_theirs)
    results = []
    for test in question.tests:
        try:
            found = clock.run(lambda test=test: _find(test, one, question, names))
        except TimeIsUp:
            found = Finding(Outcome("time", clock.said()))
        results.append((test, found))
    return results


def _find(test: Test, one: ExerciseSet, question: Question, names: Mapping[str, Any]) -> Finding:
    """One test: a pass, or of the cases that fail the one with the smallest input."""
    channel = LocalChannel(names)
    failed: list[Finding] = []
    for outcome in run_cases(test, Student(channel), "public", one.name, question.name):
        if not outcome.passed:
            failed.append(Finding(outcome, channel.calls[-1] if channel.calls else None))
        channel.calls.clear()
        if failed and outcome.kind in ABSENT:
            break
    return min(failed, key=lambda f: f.call.size if f.call else 0, default=Finding(Outcome("pass")))


def make_report(one: ExerciseSet, question: Question, names: Mapping[str, Any]) -> Report:
    """Test a question, note the result in the progress file, and say how the course stands."""
    report = Report(question, run_tests(one, question, names), names=names)
    course = Course.find()
    path = progress.progress_path(course.root if course else None)
    source = _source(question, names) if report.passed else ""
    try:
        progress.record(path, one.name, question.name, report.points, question.points, source)
        done = progress.load(path)
    except (OSError, InputError) as error:
        report.footer.append(f"(progress could not be kept: {error})")
        done = {}
    mine = done.get(one.name, {})
    earned = sum(mine.get(q.name, {}).get("points", 0) for q in one.questions)
    report.footer.append(
        f"{report.points:g} of {question.points:g} points here, "
        f"{earned:g} of {one.points:g} in this set."
    )
    if course is not None:
        passed, total = count_passed(course, done)
        report.footer.append(f"{passed} of {total} questions of the course passed.")
    return report


def _source(question: Question, names: Mapping[str, Any]) -> str:
    """The source of what was asked for, where Python still knows it."""
    parts = []
    for name in question.asks:
        try:
            found = names[name]
            parts.append(inspect.getsource(getattr(found, "py_func", found)))
        except (OSError, TypeError, KeyError):
            continue
    return "\n\n".join(parts)


def _title(question: Question) -> str:
    about = f", about {question.lines} lines" if question.lines else ""
    name = (
        question.name if question.title == question.name else f"{question.name}: {question.title}"
    )
    return f"{name} ({question.points:g} points{about})"


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    here = shell.get_ipython() if shell is not None else None
    return getattr(here, "kernel", None) is not None


def _show(report: Report) -> None:
    if _in_notebook():
        from IPython.display import display

        display(report)
    else:
        print(report)


def _say(sentence: str) -> None:
    print(sentence)
