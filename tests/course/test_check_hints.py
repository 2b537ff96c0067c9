"""Hints that fit the mistake: what the answer did comes before a hint about the formula."""

from pathlib import Path

import numpy as np
import pytest

from course.grading import SET, make_course
from minilm.course.checking import expect
from minilm.course.checking.check import Report, make_report
from minilm.course.checking.expect import Wrong
from minilm.course.checking.look import Call, shown
from minilm.course.checking.questions import Question, load_set

FORMULA = "Divide by the sum over the last axis."
ROWS = "e = np.exp(x - x.max(-1, keepdims=True)); y = e / e.sum(-1, keepdims=True)"


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_course(tmp_path / "course")
    monkeypatch.chdir(folder / "exercises")
    monkeypatch.setenv("MINILM_PROGRESS", str(tmp_path / "progress.json"))
    return folder


def report(course: Path, source: str, question: str = "softmax") -> Report:
    exec("import numpy as np\n" + source, names := {"__name__": "__main__"})
    one = load_set(course / "lessons" / SET / "tests.py")
    return make_report(one, one.question(question), names)


def hints(made: Report) -> list[str]:
    return [text for kind, text in made.lines() if kind == "hint"]


@pytest.mark.parametrize(
    ("source", "first"),
    [
        (f"def softmax(x):\n    {ROWS}; return y.tolist()", "np.array(...)"),
        (f"def softmax(x):\n    {ROWS}; return y.astype(np.float64)", "np.float64 numbers"),
        (f"def softmax(x, axis):\n    {ROWS}; return y", "yours is softmax(x, axis)"),
        (f"def softmax():\n    {ROWS}; return y", "called with 1 argument by position; yours"),
        ("def softmax(x):\n    x -= 1; return x", "changes what it is given (argument 1)"),
        ("def softmax(x):\n    return undefined", None),
        ("def softmax(x):\n    return", None),
    ],
)
def test_a_mistake_of_form_gets_no_hint_about_the_formula(
    course: Path, source: str, first: str | None
) -> None:
    said = hints(report(course, source))
    assert FORMULA not in said
    assert (said and first in said[0]) if first else not said


@pytest.mark.parametrize(
    "body",
    [
        "return x",
        "return x.sum(-1)",  # a shape
        "e = np.exp(x); return e / e.sum(-1)",  # rows that do not broadcast
    ],
)
def test_wrong_values_and_shapes_get_the_formula(course: Path, body: str) -> None:
    assert FORMULA in hints(report(course, f"def softmax(x):\n    {body}"))


def test_the_input_is_shown(course: Path) -> None:
    lines = report(course, "def softmax(x): return x").lines()
    (first, *_) = [text for kind, text in lines if kind == "call"]
    assert first.startswith("softmax([[") and first.endswith("float32)")
    assert not [kind for kind, _ in report(course, "pass").lines() if kind == "call"]


def test_of_the_cases_that_fail_the_smallest_is_shown(course: Path) -> None:
    one = load_set(course / "lessons" / SET / "tests.py")
    question = Question("double")

    @question.test(cases=[{"size": size} for size in (9, 40, 2, 1, 5)])
    def doubles(student, rng, size):
        "doubles every number"
        x = np.arange(size)
        expect.same(student.double(x), 2 * x)

    one.questions.append(question)
    made = make_report(one, question, {"double": lambda x: x})  # right for [0]
    assert [text for kind, text in made.lines() if kind == "call"] == ["double([0, 1] int64)"]


@pytest.mark.parametrize(
    ("change", "clue"),
    [
        (lambda y: 2 * y, "every value is 2 times what it should be"),
        (lambda y: -y, "every value is -1 times what it should be"),
        (lambda y: y / np.log(2), "every value is 1.443 times"),
        (lambda y: y + 3, "every value is off by 3"),
        (lambda y: y.T, "it is the transpose"),
        (lambda y: y[::-1, ::-1], "the values are right and stand in other places"),
        (lambda y: y * np.nan, "nan or inf"),
        (lambda y: y**2, ""),
    ],
)
def test_how_the_numbers_are_off(change, clue: str) -> None:
    want = np.array([[1.0, 2.0, 5.0], [7.0, 11.0, -3.0], [0.5, 4.0, 8.0]])
    with pytest.raises(Wrong) as error:
        expect.close(change(want), want)
    assert error.value.clue.startswith(clue) and bool(error.value.clue) == bool(clue)


def test_equal_numbers_give_no_clue() -> None:
    """Of a constant every factor and every shift is the same, so neither says anything."""
    with pytest.raises(Wrong) as error:
        expect.close(np.zeros((2, 3)), np.ones((2, 3)))
    assert error.value.clue == ""


def test_what_a_call_changed() -> None:
    x, ids = np.zeros(3), [1, [2, 3]]
    call = Call("f", (x, ids), {"rate": 0.1}, [np.zeros(3), [1, [2, 3]], 0.1])
    assert call.changed() == []
    call.got[1][1].append(4)
    call.got[0][0] = np.nan
    assert call.changed() == ["1", "2"]
    assert str(call) == "f([0., 0., 0.] float64, [1, [2, 3]], rate=0.1)"
    assert shown(np.zeros((40, 2), np.float32)) == "<float32 of shape (40, 2)>"
    assert shown(list(range(100))) == "<list of 100>"


@pytest.mark.parametrize(
    ("asked", "meant"), [("softmx", "softmax"), ("layernorm", "layer_norm"), ("zzz", None)]
)
def test_a_misspelt_question_is_guessed(course: Path, capsys, asked: str, meant: str) -> None:
    exec(f'from minilm.course import check\ncheck("{asked}")', {"__name__": "__main__"})
    said = capsys.readouterr().out
    assert (f"did you mean '{meant}'?" in said) if meant else "did you mean" not in said
    one = load_set(course / "lessons" / SET / "tests.py")
    with pytest.raises(ValueError, match="the questions of"):
        one.question(asked)
