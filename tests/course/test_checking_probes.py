"""What a probe sees of an answer that gives the right numbers and breaks something else."""

from collections.abc import Callable

import numpy as np
import pytest

from minilm.course.checking.expect import close
from minilm.course.checking.probes import answers_twice, keeps_dtype, leaves_arguments
from minilm.course.checking.questions import Outcome, Question, run_test
from minilm.course.checking.student import LocalChannel, Student


def asked(add: Callable, **how: object) -> Question:
    """A question for the square and its pullback, with one probe."""
    question = Question("square")

    @question.test()
    def value(student, rng):
        x = rng.standard_normal(3, dtype=np.float32)
        close(student.square(x)[0], x * x)

    @question.test()
    def gradient(student, rng):
        x, g = rng.standard_normal((2, 3), dtype=np.float32)
        close(student.square(x)[1](g), 2 * x * g)

    add(question, **how)
    return question


def probed(square: Callable, add: Callable, **how: object) -> Outcome:
    channel = LocalChannel({"square": square})
    return run_test(asked(add, **how).tests[-1], Student(channel), "public", "a set", "square")


def square(x):
    return x * x, lambda g: 2 * x * g


def in_place(x):
    kept = x.copy()
    x *= x
    return x, lambda g: 2 * kept * g


def wide(x):
    return x * x * np.ones(1), lambda g: 2 * x * g


def wide_pullback(x):
    return x * x, lambda g: 2 * x * g * np.ones(1)


def narrow(x):
    return (x * x).astype(np.float32), lambda g: 2 * x * g


def once(x):
    slope = 2 * x

    def pullback(g):
        slope[...] *= g
        return slope

    return x * x, pullback


def eats_g(x):
    def pullback(g):
        g *= 2 * x
        return g

    return x * x, pullback


@pytest.mark.parametrize("add", [leaves_arguments, keeps_dtype, answers_twice])
def test_a_right_answer_passes(add: Callable) -> None:
    assert probed(square, add).passed


@pytest.mark.parametrize(
    ("answer", "add", "kind", "said"),
    [
        (in_place, leaves_arguments, "value", "your function changed its argument 1"),
        (eats_g, leaves_arguments, "value", "your function changed its argument 1"),
        (wide, keeps_dtype, "dtype", "float32 arguments give float64, expected float32"),
        (wide_pullback, keeps_dtype, "dtype", "float32 arguments give float64, expected float32"),
        (narrow, keeps_dtype, "dtype", "float64 arguments give float32, expected float64"),
        (once, answers_twice, "value", "asked twice, it gives another answer the second time"),
    ],
)
def test_what_is_broken_is_said(answer: Callable, add: Callable, kind: str, said: str) -> None:
    assert probed(answer, add) == Outcome(kind, said)


@pytest.mark.parametrize("answer", [in_place, wide, once])
def test_each_probe_sees_its_own_only(answer: Callable) -> None:
    failed = [add for add in (leaves_arguments, keeps_dtype, answers_twice)
              if not probed(answer, add).passed]  # fmt: skip
    assert len(failed) == 1


def test_an_argument_may_be_asked_to_change() -> None:
    assert probed(in_place, leaves_arguments, changes=[0]).passed


def test_what_does_nothing_passes_no_probe() -> None:
    for add in (leaves_arguments, keeps_dtype, answers_twice):
        assert not probed(lambda x: (x, lambda g: g), add).passed


def test_other_tests_may_be_needed() -> None:
    half = lambda x: (x * x, lambda g: x * g)  # noqa: E731
    assert probed(half, answers_twice).passed
    assert probed(half, answers_twice, again=["value"]).passed
    assert not probed(half, answers_twice, needs=["gradient"]).passed


def test_an_error_in_the_other_dtype_is_the_probes() -> None:
    def only_narrow(x):
        if x.dtype != np.float32:
            raise ValueError("too wide")
        return square(x)

    found = probed(only_narrow, keeps_dtype)
    assert found.kind == "error" and "with float64 arguments" in found.text
