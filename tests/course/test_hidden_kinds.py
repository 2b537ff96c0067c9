"""Of a hidden test that fails a student hears one of two things, whatever became of it."""

from minilm.course.checking.questions import COARSE, Outcome, Question
from minilm.course.grade import feedback
from minilm.course.grade.hidden import TOLD, told
from minilm.course.grade.results import TestResult as Result

question = Question("softmax")


@question.test(points=1, hint="Divide by the sum.")
def rows_sum_to_one(student, rng):
    "every row sums to one"


def lines_of(kind: str, **how: bool) -> tuple:
    result = Result(question.tests[0], Outcome("pass"), kind, **how)
    return tuple(feedback.test_lines(result, 1))


def test_two_kinds_reach_a_student() -> None:
    assert len(COARSE) == 15
    for how in ({}, {"secret": True}):
        pages = {lines_of(kind, **how) for kind in COARSE}
        assert len(pages) == len(TOLD) == 2


def test_an_answer_and_no_answer_are_told_apart() -> None:
    for kind in ("value", "type", "shape", "dtype", "cost"):
        assert told(kind) == TOLD["value"]
    for kind in ("error", "time", "gone", "memory", "missing"):
        assert told(kind) == TOLD["error"]


def test_passing_is_no_failure() -> None:
    assert lines_of("pass") == (("pass", "1/1  every row sums to one"),)
