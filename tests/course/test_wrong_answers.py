"""Planted wrong answers to every exercise set: each earns what it should, public and hidden.

A file here, `wrong/NN_slug.py`, holds WRONG: (question, points, code) for answers that people do
give. The full grader's way of running code is tested elsewhere; this is about the questions.
"""

import runpy
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from minilm.course.build import drop_marks
from minilm.course.inside.cells import FULL, Notebook
from minilm.course.notebook import source_of
from minilm.course.percent import read_percent
from minilm.course.questions import ExerciseSet, Question, load_set, run_test
from minilm.course.student import LocalChannel, Student

ROOT = Path(__file__).parents[2]
FILES = sorted((Path(__file__).parent / "wrong").glob("[0-9]*.py"))
PLANTED = [
    (path.stem, number, *planted)
    for path in FILES
    for number, planted in enumerate(runpy.run_path(str(path))["WRONG"])
]


def exercise_set(name: str) -> ExerciseSet:
    return load_set(ROOT / "tests" / "exercises" / f"{name}.py")


def namespace(texts: list[str]) -> dict:
    """What these cells define, run as the grader runs them: a kernel's source must be at hand."""
    notebook = Notebook()
    for number, text in enumerate(texts):
        notebook.run(number, text, FULL)
    assert not notebook.errors
    return notebook.names


def points(one: ExerciseSet, question: Question, names: dict) -> float:
    """What the answers in a namespace earn: a test counts if all its cases pass."""
    earned = 0.0
    for test in question.tests:
        runs = [("public",), ("hidden", "a secret"), ("hidden", "another secret")]
        outcomes = [
            run_test(test, Student(LocalChannel(names)), level, one.name, question.name, *words)
            for level, *words in runs
        ]
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


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_question_has_three(path: Path) -> None:
    count = Counter(question for name, _, question, *_ in PLANTED if name == path.stem)
    assert count == {question.name: 3 for question in exercise_set(path.stem).questions}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_solution_earns_everything(path: Path) -> None:
    one = exercise_set(path.stem)
    cells, _ = read_percent(ROOT / "solutions" / path.name)
    texts = [source_of(cell) for cell in cells if cell["cell_type"] == "code"]
    kept = [t for t in texts if t.startswith(("import ", "from ")) or "### BEGIN SOLUTION" in t]
    names = namespace([drop_marks(text) for text in kept])
    assert {q.name: points(one, q, names) for q in one.questions} == {
        q.name: q.points for q in one.questions
    }
