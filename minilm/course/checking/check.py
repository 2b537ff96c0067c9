"""`check("rope")` and `payoff("rope")`: what a student presses in an exercise notebook.

`check` runs the public tests of a question on the functions of the notebook and says in one line
per test how it went, with the hint where it failed. It never shows the inside of a test.
"""

import html
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minilm.course.checking import progress
from minilm.course.checking.questions import (
    ExerciseSet,
    Outcome,
    Question,
    Test,
    load_set,
    run_test,
)
from minilm.course.checking.student import LocalChannel, Student
from minilm.course.places import Course
from minilm.errors import InputError


@dataclass
class Report:
    """How one question went; prints as text, and as a small table in a notebook."""

    question: Question
    results: list[tuple[Test, Outcome]]
    footer: list[str] = field(default_factory=list)

    @property
    def points(self) -> float:
        """Points of the tests that passed."""
        return sum(test.points for test, outcome in self.results if outcome.passed)

    @property
    def passed(self) -> bool:
        """Whether every test passed."""
        return all(outcome.passed for _, outcome in self.results)

    def lines(self) -> list[tuple[str, str]]:
        """(kind, text) of every line: "title", "pass", "fail", "why", "hint", "end"."""
        out = [("title", _title(self.question))]
        told: set[str] = set()
        for test, outcome in self.results:
            if outcome.passed:
                out.append(("pass", f"{test.points:g}/{test.points:g}  {test.title}"))
                continue
            out.append(("fail", f"0/{test.points:g}  {test.title}"))
            if outcome.text not in told:
                out.append(("why", outcome.text))
            if test.hint and test.hint not in told and outcome.kind not in ("missing", "todo"):
                out.append(("hint", test.hint))
            told |= {outcome.text, test.hint}
        return out + [("end", line) for line in self.footer]

    def __repr__(self) -> str:
        marks = {
            "pass": "  pass  ",
            "fail": "  FAIL  ",
            "why": "        ",
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
        one = _find_set(question, set, names)
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
            one = _find_set(question, set, names)
            asked = one.question(question)
        except InputError as error:
            _say(str(error))
            return None
        if not all(outcome.passed for _, outcome in run_tests(one, asked, names)):
            _say(f'First make check("{question}") pass; then this cell runs minilm on your code.')
            return None
        return function()

    return run


def run_tests(
    one: ExerciseSet, question: Question, names: Mapping[str, Any]
) -> list[tuple[Test, Outcome]]:
    """The public tests of a question on a namespace."""
    results = []
    for test in question.tests:
        student = Student(LocalChannel(names))
        results.append((test, run_test(test, student, "public", one.name, question.name)))
    return results


def make_report(one: ExerciseSet, question: Question, names: Mapping[str, Any]) -> Report:
    """Test a question, note the result in the progress file, and say how the course stands."""
    report = Report(question, run_tests(one, question, names))
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
        passed, total = _counted(course, done)
        report.footer.append(f"{passed} of {total} questions of the course passed.")
    return report


def _counted(course: Course, done: dict[str, Any]) -> tuple[int, int]:
    """Questions passed and asked in the whole course, without loading every set."""
    passed = total = 0
    for name, one in course.sets.items():
        asked = _asked(one.tests)
        mine = done.get(name, {})
        total += len(asked)
        passed += sum(bool(mine.get(name, {}).get("passed")) for name in asked)
    return passed, total


def _asked(path: Path) -> list[str]:
    """The names of the questions in a file, read without running it."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return re.findall(r"""^\w+\s*=\s*Question\(\s*["'](\w+)["']""", text, re.MULTILINE)


def _find_set(question: str | None, name: str | None, names: Mapping[str, Any]) -> ExerciseSet:
    """The set that a notebook belongs to: as told, by the notebook's file, or by the question."""
    course = Course.find()
    if course is None or not course.sets:
        raise InputError(
            f"no exercise set was found at or above {Path.cwd()}; "
            "open the notebook inside a clone of the course"
        )
    paths = {name: one.tests for name, one in course.sets.items()}
    name = name or names.get("EXERCISE")
    if name is None:
        opened = os.environ.get("JPY_SESSION_NAME") or names.get("__vsc_ipynb_file__") or ""
        stem = Path(str(opened)).stem
        name = next((known for known in paths if stem.startswith(known)), None)
    if name is not None and name not in paths:
        raise InputError(f"set is {name!r}; the sets here are: {', '.join(paths) or 'none'}")
    if name is not None:
        return load_set(paths[name])
    if question is None:
        raise InputError('which set? Say check(set="NN_slug"), or name a question')
    holders = [name for name, path in paths.items() if question in _asked(path)]
    if len(holders) == 1:
        return load_set(paths[holders[0]])
    if holders:
        sets = ", ".join(holders)
        raise InputError(f"several sets ask for {question!r} ({sets}); add set=... to the check")
    known = ", ".join(name for path in paths.values() for name in _asked(path))
    raise InputError(f"question is {question!r}; the questions of the course are: {known}")


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
