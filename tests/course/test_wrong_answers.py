"""Planted answers to every exercise set: each earns what it should, public and hidden.

A file, `lessons/NN_slug/wrong.py`, holds WRONG: (question, points, code) for answers that people do
give; `right.py` beside it holds RIGHT: (question, code) for every question, answers as right as the
solution and of another shape. The full grader's way of running code is tested elsewhere; this is
about the questions.
"""

import runpy
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from minilm.course.build.notebook import source_of
from minilm.course.build.percent import read_percent
from minilm.course.build.sources import drop_marks
from minilm.course.checking.questions import ExerciseSet, Question, load_set, run_test
from minilm.course.checking.student import LocalChannel, Student
from minilm.course.places import Course
from minilm.sandbox.inside.cells import FULL, Notebook

SETS = Course.here(Path(__file__)).sets
PLANTED = [
    (name, number, *planted)
    for name, place in SETS.items()
    for number, planted in enumerate(runpy.run_path(str(place.wrong))["WRONG"])
]

OTHERS = [
    (name, *other)
    for name, place in SETS.items()
    for other in runpy.run_path(str(place.right))["RIGHT"]
]


def exercise_set(name: str) -> ExerciseSet:
    return load_set(SETS[name].tests)


def namespace(texts: list[str]) -> dict:
    """What these cells define, run as the grader runs them: a kernel's source must be at hand."""
    notebook = Notebook()
    for number, text in enumerate(texts):
        notebook.run(number, text, FULL)
    assert not notebook.errors
    return notebook.names


def solution_cells(name: str) -> list[str]:
    """The cells of a set's solution: what it is given, and what it asks for."""
    cells, _ = read_percent(SETS[name].questions)
    texts = [source_of(cell) for cell in cells if cell["cell_type"] == "code"]
    kept = [t for t in texts if t.startswith(("import ", "from ")) or "### BEGIN SOLUTION" in t]
    return [drop_marks(text) for text in kept]


def points(one: ExerciseSet, question: Question, names: dict) -> float:
    """What the answers in a namespace earn: a test counts if all its cases pass."""
    earned = 0.0
    for test in question.tests:
        runs = [("public",), ("hidden", "a secret"), ("hidden", "another secret")]
        outcomes = (
            run_test(test, Student(LocalChannel(names)), level, one.name, question.name, *words)
            for level, *words in runs
        )
        earned += test.points * all(outcome.passed for outcome in outcomes)
    return earned


@pytest.mark.parametrize(
    ("name", "number", "question", "expected", "code"),
    PLANTED,
    ids=[f"{name}-{question}-{number}" for name, number, question, *_ in PLANTED],
)
def test_a_wrong_answer_earns_its_part(
    name: str, number: int, question: str, expected: float, code: str
) -> None:
    one = exercise_set(name)
    names = namespace([code])
    with np.errstate(all="ignore"):
        assert points(one, one.question(question), names) == expected
    assert expected < one.question(question).points


@pytest.mark.parametrize("name", SETS)
def test_every_question_has_three(name: str) -> None:
    count = Counter(question for where, _, question, *_ in PLANTED if where == name)
    assert set(count) == {question.name for question in exercise_set(name).questions}
    assert min(count.values()) >= 3


@pytest.mark.parametrize("name", SETS)
def test_the_solution_earns_everything(name: str) -> None:
    one = exercise_set(name)
    names = namespace(solution_cells(name))
    assert {q.name: points(one, q, names) for q in one.questions} == {
        q.name: q.points for q in one.questions
    }


@pytest.mark.parametrize(
    ("name", "question", "code"), OTHERS, ids=[f"{name}-{question}" for name, question, _ in OTHERS]
)
def test_an_answer_of_another_shape_earns_everything(name: str, question: str, code: str) -> None:
    one = exercise_set(name)
    asked = one.question(question)
    assert points(one, asked, namespace([code])) == asked.points


@pytest.mark.parametrize("name", SETS)
def test_every_question_has_another_answer(name: str) -> None:
    known = {question for where, question, _ in OTHERS if where == name}
    assert known == {question.name for question in exercise_set(name).questions}
