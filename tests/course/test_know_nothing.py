"""No answer that knows nothing earns a point, and none passes the check of a whole question."""

from collections.abc import Iterator

import numpy as np
import pytest

from course import know_nothing
from course.test_wrong_answers import SETS, exercise_set, namespace, solution_cells
from minilm.course.build.percent import read_percent
from minilm.course.checking.questions import ExerciseSet, Question, run_test
from minilm.course.checking.student import LocalChannel, Student

SECRETS = ("one secret", "another", "a third")
QUESTIONS = [(name, question.name) for name in SETS for question in exercise_set(name).questions]


def text_of(name: str, question: Question) -> str:
    """The text of a question: the prose that stands before its first function."""
    text = ""
    for cell in read_percent(SETS[name].questions)[0]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            text = source
        elif f"def {question.asks[0]}(" in source:
            return text
    raise AssertionError(f"no cell asks for {question.asks[0]}")


def candidates(name: str, one: ExerciseSet, question: Question) -> Iterator[tuple[str, dict]]:
    cells = solution_cells(name)
    if "@cuda.jit" in "".join(cells):
        source = next(cell for cell in cells if f"def {question.name}(" in cell)
        for what, code in know_nothing.kernels(question, source):
            yield what, namespace([code])
    else:
        solution = namespace(cells)
        yield from know_nothing.answers(one, question, solution, text_of(name, question))


@pytest.mark.grading
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "asked"), QUESTIONS)
def test_knowing_nothing_earns_nothing(name: str, asked: str) -> None:
    one = exercise_set(name)
    question = one.question(asked)
    earned, tried = [], 0
    with np.errstate(all="ignore"):
        for what, names in candidates(name, one, question):
            tried += 1
            passed = []
            for test in question.tests:
                student = Student(LocalChannel(names))
                words = (one.name, question.name)
                if not run_test(test, student, "public", *words).passed:
                    continue
                passed.append(test)
                hidden = (run_test(test, student, "hidden", *words, s) for s in SECRETS)
                if all(outcome.passed for outcome in hidden):
                    earned.append(f"{what}: {test.name}")
            if len(passed) == len(question.tests) and "public calls" not in what:
                earned.append(f"{what}: the whole check")
    assert tried >= 7
    assert earned == []
