"""Source as it is, and controls that stand still where nothing can move."""

import ast
import functools
import inspect
import sys

import pytest

from minilm.course import interact, source
from minilm.course.show import display
from minilm.course.show.display import control_of, drawn_controls, source_text
from minilm.errors import InputError


def example(x: int) -> int:
    """Adds one.

    Even to negative numbers.
    """

    def inner() -> int:
        """Inside."""
        return x

    return inner() + 1


class Documented:
    """Only a docstring here,

    over several lines."""


def test_full_source_is_the_file_to_the_letter() -> None:
    code, place = source_text(example, "full")
    assert code == inspect.getsource(example).rstrip()
    assert place == "tests/course/test_display.py"


@pytest.mark.parametrize("docstring", ["first", "none", "full"])
@pytest.mark.parametrize("thing", [example, Documented, display.interact, display])
def test_shortened_source_is_the_same_program(thing, docstring: str) -> None:
    def bare(code: str) -> str:
        tree = ast.parse(code)
        for node in ast.walk(tree):
            if (
                getattr(node, "body", None) and ast.get_docstring(node, False)
                if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)
                else False
            ):
                node.body = node.body[1:]
        return ast.dump(tree)

    code, _ = source_text(thing, docstring)
    assert bare(code) == bare(inspect.getsource(thing))


def test_first_keeps_one_line_and_none_keeps_none() -> None:
    first, none = (source_text(example, kind)[0] for kind in ("first", "none"))
    assert '"""Adds one."""' in first and "negative" not in first
    assert '"""' not in none and none.startswith("def example")


def test_decorated_functions_show_what_they_wrap() -> None:
    wrapped = functools.lru_cache(example)
    assert source_text(wrapped, "full")[0] == source_text(example, "full")[0]


@pytest.mark.parametrize("thing", [len, 3, "text"])
def test_what_has_no_source_is_refused(thing) -> None:
    with pytest.raises(InputError, match="no Python source"):
        source(thing)


def test_source_prints_outside_a_notebook(capsys) -> None:
    source(example, Documented)
    out = capsys.readouterr().out
    assert out.startswith("def example") and "class Documented" in out


@pytest.mark.parametrize(
    ("given", "kind", "start"),
    [
        ((10, 400), "slider", 205),
        ((0, 10, 2), "slider", 4),
        ((0.0, 1.0), "slider", 0.5),
        ((1, 9, 1, 3), "slider", 3),
        (["a", "b"], "choice", "a"),
        (True, "tick", True),
        ("words", "text", "words"),
    ],
)
def test_controls_start_where_they_should(given, kind: str, start) -> None:
    spec = control_of("x", given)
    assert (spec["kind"], spec["value"]) == (kind, start)
    if kind == "slider":  # the start is a point the slider can stand on
        assert (spec["value"] - spec["low"]) / spec["step"] == pytest.approx(
            round((spec["value"] - spec["low"]) / spec["step"])
        )


@pytest.mark.parametrize("given", [(4, 1), (1,), (1, 2, 3, 4, 5), [], None, 3, (1, 9, 1, 30)])
def test_other_controls_are_refused(given) -> None:
    with pytest.raises(InputError, match="^width "):
        interact(lambda width: None, width=given)


def test_a_control_nobody_takes_is_refused() -> None:
    with pytest.raises(InputError, match="hight is no argument"):
        interact(lambda height: None, hight=(1, 2))


def test_outside_a_notebook_the_function_runs_once() -> None:
    seen = []
    interact(lambda a, b: seen.append((a, b)), a=(0, 10), b=["x", "y"])
    assert seen == [(5, "x")]


def test_the_still_drawing_says_what_could_move() -> None:
    specs = {
        "answer_length": control_of("a", (0, 200, 1, 50)),
        "mode": control_of("m", ["<a>", "b"]),
    }
    html = drawn_controls(specs)
    assert "answer length = 50" in html and "left:25.0%" in html
    assert "&lt;a&gt;" in html and "<a>" not in html


def test_the_stored_control_is_a_drawing_with_its_picture(specimen) -> None:
    cell = next(c for c in specimen.lesson.cells if c["source"].startswith("interact("))
    control, picture = cell["outputs"]
    assert "text/html" in control["data"] and "minilm" in control["metadata"]
    assert not any("widget" in kind for kind in control["data"])
    assert "image/png" in picture["data"]
    assert picture["metadata"]["image/png"]["alt"].startswith("Reading again stays far above")


def test_without_ipywidgets_there_are_no_live_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert display._widgets({"a": control_of("a", (1, 3))}, continuous=True) == {}
