"""Instant checks: what a student sees, what is kept of it, and what never happens."""

import json
import linecache
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from course.grading import SET, make_course
from course.hostile import HONEST
from minilm.cli import main
from minilm.course.build import notebook
from minilm.course.checking import expect, progress
from minilm.course.checking.check import Report, make_report
from minilm.course.checking.expect import Wrong
from minilm.course.checking.questions import Question, load_set, run_test
from minilm.course.checking.student import LocalChannel, Student
from minilm.errors import InputError

SOFTMAX = "\n".join([HONEST["imports"], HONEST["softmax"]])


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_course(tmp_path / "course")
    monkeypatch.chdir(folder / "exercises")
    monkeypatch.delenv("MINILM_PROGRESS", raising=False)
    return folder


def notebook_of(source: str) -> dict:
    """A namespace after a cell has run."""
    linecache.cache["<cell 0>"] = (1, None, source.splitlines(keepends=True), "<cell 0>")
    exec(compile(source, "<cell 0>", "exec"), names := {"__name__": "__main__"})
    return names


def report(course: Path, source: str, question: str = "softmax") -> Report:
    one = load_set(course / "lessons" / SET / "tests.py")
    return make_report(one, one.question(question), notebook_of(source))


def test_a_pass(course: Path) -> None:
    made = report(course, SOFTMAX)
    assert made.passed and made.points == 4
    lines = repr(made).splitlines()
    assert lines[0] == "softmax: a stable softmax (4 points, about 3 lines)"
    assert lines[1] == "  pass  2/2  equals exp(x) / sum exp(x) over the last axis"
    assert lines[-2:] == [
        "4 of 4 points here, 4 of 13 in this set.",
        "1 of 5 questions of the course passed.",
    ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return x.T @ x", "has shape (3, 3), expected (2, 3)"),
        ("return x.astype(np.float64)", "is float64, expected float32"),
        ("return x.tolist()", "is a list, not a NumPy array"),
        ("x + 1", "is None: is a return missing?"),
        ("return object()", "an object of type object"),
        ("return x", "values differ"),
        ("return np.full_like(x, np.nan)", "6 of 6 values differ; nan"),
        ("return x / undefined", "NameError: name 'undefined' is not defined"),
        ("return x[5, 5]", "(in the line `return x[5, 5]`)"),
        ("raise NotImplementedError('your turn')", "not written yet"),
        ("return minilm.functional.softmax(x).data", "minilm's own `softmax`: write your own"),
        ("import sys; sys.exit()", "your code raised SystemExit"),
        ("return softmax(x)", "RecursionError"),
    ],
)
def test_what_is_wrong_in_words(course: Path, body: str, words: str) -> None:
    made = report(course, f"{HONEST['imports']}\ndef softmax(x):\n    {body}\n")
    assert words in repr(made)
    assert "Traceback" not in repr(made) and "assert" not in repr(made)
    assert not made.passed


def test_a_missing_function_is_named(course: Path) -> None:
    assert "no cell defines `softmax`" in repr(report(course, "x = 1"))


def test_the_hint_is_shown_once(course: Path) -> None:
    text = repr(report(course, "def softmax(x): return x"))
    assert text.count("hint: Divide by the sum over the last axis.") == 1


def test_html_escapes_and_says_the_same(course: Path) -> None:
    made = report(course, "def softmax(x): raise ValueError('<script>')")
    page = made._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert all(word in page for word in ("in softmax(", "0/2", "points here"))
    assert "hint: Divide" in report(course, "def softmax(x): return x")._repr_html_()


def test_arguments_are_copies_and_answers_are_plain(course: Path) -> None:
    names = notebook_of(
        "import numpy as np\nclass Lie(np.ndarray):\n    shape = 7\n"
        "def f(x):\n    x[:] = 0\n    return x.view(Lie)\n"
        "def g(n):\n    for i in range(n): yield i\n"
        "def h(f): return [f(i) for i in range(3)], lambda a: a + 1\n"
    )
    student = Student(LocalChannel(names))
    x = np.ones(3)
    answer = student.f(x)
    assert type(answer) is np.ndarray and answer.shape == (3,) and (x == 1).all()
    assert student.call_inplace("f", x)[1][0].tolist() == [0, 0, 0]
    assert list(student.g(3)) == [0, 1, 2]
    squares, add = student.h(lambda i: i * i)
    assert squares == [0, 1, 4] and add(2) == 3


def test_progress_survives_what_happens_to_files(course: Path) -> None:
    report(course, SOFTMAX)
    report(course, "def softmax(x): return x")
    path = progress.progress_path(course)
    assert path == course / ".minilm" / "progress.json"
    mine = progress.load(path)[SET]["softmax"]
    assert (mine["points"], mine["passed"], mine["tries"]) == (4, True, 2)
    for broken in ("", "{", "[1]", '{"sets": {"a": 7}}', "\0" * 100, "[" * 100_000):
        path.write_text(broken)
        assert progress.load(path)[SET]["softmax"]["points"] == 4, broken
        progress.record(path, SET, "merge", 1, 2)
        assert json.loads(path.read_text())["sets"][SET]["softmax"]["points"] == 4
    assert len(list(path.parent.glob("*.broken-*"))) == 6
    path.unlink()
    path.with_name("progress.json.copy").write_text("x")
    assert progress.load(path) == {}


def test_progress_of_two_notebooks_at_once(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    line = (
        "import sys; from pathlib import Path; from minilm.course.checking import progress\n"
        "for n in range(15): progress.record(Path(sys.argv[1]), 's', sys.argv[2] + str(n), 1, 1)"
    )
    started = [subprocess.Popen([sys.executable, "-c", line, str(path), who]) for who in "ab"]
    assert [process.wait() for process in started] == [0, 0]
    assert len(progress.load(path)["s"]) == 30


def test_a_lock_left_behind_does_not_stop_anybody(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    (tmp_path / "progress.json.lock").touch()
    assert progress.record(path, "s", "q", 1, 1)["passed"]


def test_check_finds_its_set(course: Path, capsys: pytest.CaptureFixture) -> None:
    names = notebook_of(SOFTMAX)
    exec('check("softmax")', names)
    assert "  pass  2/2" in capsys.readouterr().out
    exec('check("softmx")', names)
    assert "the questions of the course are: softmax, layer_norm" in capsys.readouterr().out
    exec('check("softmax", set="07")', names)
    assert "set is '07'" in capsys.readouterr().out
    other = course / "lessons" / "01_more" / "tests.py"
    other.parent.mkdir()
    other.write_text((course / "lessons" / SET / "tests.py").read_text())
    exec('check("softmax")', names)
    assert "several sets ask for 'softmax'" in capsys.readouterr().out
    exec(f'EXERCISE = "{SET}"\ncheck()', names)
    assert capsys.readouterr().out.count("points here") == 5


def test_payoff_runs_after_the_pass(course: Path, capsys: pytest.CaptureFixture) -> None:
    cell = '@payoff("softmax")\ndef result():\n    return 7'
    names = notebook_of(SOFTMAX)
    exec(cell, names)
    assert names["result"] == 7
    names["softmax"] = lambda x: x
    exec(cell, names)
    assert names["result"] is None
    assert 'First make check("softmax") pass' in capsys.readouterr().out


def test_importing_check_stays_light() -> None:
    line = (
        "import sys, numpy; from minilm.course import check\n"
        "heavy = {'nbformat', 'numba', 'matplotlib', 'IPython', 'scipy', 'jupytext', 'torch'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", line]).returncode == 0


def test_expectations() -> None:
    expect.close(np.float32(1), 1.0)
    expect.close([1.0, np.nan][1], np.nan)
    expect.same({"a": [1, (2, 3)]}, {"a": [1, (2, 3)]})
    for call in (
        lambda: expect.close(np.nan, 1.0),
        lambda: expect.close(1.0, np.nan),
        lambda: expect.close(np.inf, 1.0),
        lambda: expect.close(np.inf, -np.inf),
        lambda: expect.close(5.0, np.inf),
        lambda: expect.close(np.array(["1"]), np.array([1])),
        lambda: expect.close(np.ones((1, 3)), np.ones(3)),
        lambda: expect.same(True, 1),
        lambda: expect.same(1, True),
        lambda: expect.same(1.5, 1),
        lambda: expect.same([1, 2], [1, 2, 3]),
        lambda: expect.same({"a": 1}, {"b": 1}),
        lambda: expect.less(np.nan, 1.0),
        lambda: expect.true(np.array([True, False]), "no"),
    ):
        with pytest.raises(Wrong):
            call()


def test_a_test_that_breaks_on_an_answer_is_no_traceback() -> None:
    question = Question("f")

    @question.test()
    def odd(student: Student, rng: np.random.Generator) -> None:
        "divides"
        assert 1 / student.f() == 1

    for body, kind in (("0", "type"), ("'a'", "type"), ("1", "pass"), ("2", "value")):
        student = Student(LocalChannel(notebook_of(f"f = lambda: {body}")))
        assert run_test(question.tests[0], student, "public", "s").kind == kind


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 / 0", "cannot be used: ZeroDivisionError"),
        ("x = 1", "no Question with a test"),
        (
            "from minilm.course.checking.questions import Question\na = Question('a b')",
            "name is 'a b'",
        ),
    ],
)
def test_sets_that_cannot_be_used(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "00_x.py"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        load_set(path)


def test_progress_and_a_gpt_of_ones_own(course: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["progress"]) == 0
    assert "0 of 1 parts of minilm now run on your code." in capsys.readouterr().out
    assert main(["progress", "--train"]) == 2
    path = course / "exercises" / f"{SET}.ipynb"
    cells = [notebook.make_cell("code", HONEST[name]) for name in ("imports", "softmax")]
    notebook.write(path, notebook.make_notebook(cells))
    report(course, SOFTMAX)
    assert main(["progress", "--show", "softmax"]) == 0
    assert "return z / z.sum" in capsys.readouterr().out
    capsys.readouterr()
    assert main(["progress", "--train", "--steps", "3"]) == 0
    said = capsys.readouterr().out
    assert "1 of 1 parts of minilm now run on your code: softmax" in said
    assert "trained 3 steps" in said and "not needed" not in said
    notebook.write(path, notebook.make_notebook([notebook.make_cell("code", "x = 1")]))
    assert main(["progress", "--train"]) == 2
    said = capsys.readouterr()
    assert "left out: softmax" in said.out and "no part of minilm" in said.err
