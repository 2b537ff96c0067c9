"""A notebook that must be started again runs its definitions and what they rest on, and no more."""

from pathlib import Path
from typing import Any

import pytest

from course.grading import grade_cells, points
from course.hostile import HONEST, WORTH, fresh
from course.test_judges import course, reports, state  # noqa: F401  (fixtures)
from minilm.sandbox.inside.cells import LEAN, NEEDED, Notebook

CRASH = "def softmax(x):\n    import os\n    os._exit(1)"
TABLES = {
    "an array made in a cell": ["ONES = np.ones(3)\nONES /= 3"],
    "a list that a loop fills": ["ONES = []", "for n in range(3):\n    ONES.append(n + 1)"],
    "a table that a function fills": ["ONES = [0]\ndef fill(t): t[0] = 1", "fill(ONES)"],
    "a number out of another": ["SIZE = len('abc')", "ONES = [SIZE - 2]"],
    "an item that is set": ["ONES = {}", "ONES[0] = len('a')"],
    "under a condition": ["if len('a') == 1:\n    ONES = [1]\nelse:\n    ONES = None"],
    "tried and caught": ["try:\n    import cupy as xp\nexcept ImportError:\n    ONES = [1]"],
    "unpacked": ["(ONES, rest), more = (sorted([1]), 2), 3"],
    "an object of a class": ["class Store:\n    def __getitem__(self, at): return 1",
                             "ONES = Store()"],
    "from a module of its own": ["%%writefile made.py\nONES = [n + 1 for n in range(3)]",
                                 "from made import ONES"],
}  # fmt: skip
USES = HONEST["merge"].replace("out = []", "out, one = [], ONES[0]\n    assert one", 1)


def started_again(cells: list[str], asked: tuple[str, ...] = ()) -> dict[str, Any]:
    """The names of a notebook whose cells run in the mode of a second start."""
    notebook = Notebook()
    texts = [(number, text, NEEDED) for number, text in enumerate(cells)]
    notebook.plan(texts, asked)
    for number, text, mode in texts:
        notebook.run(number, text, mode)
    notebook.finish()
    assert not notebook.errors
    return notebook.names


@pytest.mark.parametrize("cells", TABLES.values(), ids=TABLES)
def test_what_an_answer_rests_on_outlives_a_crash(state: dict[str, Any], cells: list[str]) -> None:  # noqa: F811
    demo = "demo = len('a demo')"
    asked = HONEST | {"softmax": CRASH, "merge": USES}
    said = reports(state, [HONEST["imports"], *cells, demo, *asked.values()])
    kinds = [[kind for kind, _ in one["outcomes"].values()] for one in said[:5]]
    assert kinds == [["gone"] * 3, ["pass"], ["pass"] * 2, ["pass"] * 2, ["pass"]]
    assert set(said[-1]["state"]["modes"]) == {NEEDED} and said[-1]["state"]["loads"] == 2
    assert not said[-1]["state"]["notes"]


def test_slow_cells_cost_no_table(course: Path, tmp_path: Path) -> None:  # noqa: F811
    cells = [HONEST["imports"], "ONES = np.ones(3)", fresh.SLOW.format(1.2), CRASH, USES]
    cells += [text for name, text in HONEST.items() if name not in ("softmax", "merge", "imports")]
    grade = grade_cells(course, tmp_path / "slow", {"one": cells})["one"]
    assert points(grade) == WORTH | {"softmax": 0}


def test_demos_and_trainings_do_not_run_again() -> None:
    names = started_again(
        [
            "import math\nfrom minilm.course import payoff",
            "TABLE = []\nfor n in range(3):\n    TABLE.append(math.sqrt(n))",
            "def look(n):\n    return TABLE[n] * SCALE",
            "SCALE = float('2')",
            "weights = [n for n in range(10)]",
            "for step in range(10):\n    weights[step] += 1\n    ran = True",
            "shown = look(2)\nprint(shown)",
            "@payoff('look')\ndef train():\n    global trained\n    trained = TABLE",
            "class Count:\n    made = 0",
            "Count.made = look(1)",
        ]
    )
    assert names["look"](1) == 2.0
    for name in ("weights", "step", "ran", "shown", "trained", "train"):
        assert name not in names, name


def test_settings_and_made_functions_run_again() -> None:
    names = started_again(
        [
            "import sys, functools",
            "sys.setswitchinterval(0.004)",
            "def power(x, n): return x**n",
            "square = functools.partial(power, n=2)",
            "if len('a'):\n    def cube(x): return x**3",
            "other = functools.partial(power, n=4)",
        ],
        asked=("square",),
    )
    import sys

    assert sys.getswitchinterval() == pytest.approx(0.004)
    sys.setswitchinterval(0.005)
    assert names["square"](3) == 9 and names["cube"](2) == 8
    assert "other" not in names


def test_what_can_be_read_no_deeper_is_left_out() -> None:
    deep = "x = " + "-" * 100_000 + "1"
    notebook = Notebook()
    texts = [(0, deep, NEEDED), (1, "def f(): return 1", NEEDED)]
    notebook.plan(texts, ())
    for number, text, mode in texts:
        notebook.run(number, text, mode)
    assert notebook.names["f"]() == 1


def test_a_notebook_that_is_reduced_to_definitions_runs_no_table() -> None:
    notebook = Notebook()
    texts = [(0, "ONES = list('abc')\ndef f(): return ONES", LEAN)]
    notebook.plan(texts, ())
    notebook.run(*texts[0])
    assert "ONES" not in notebook.names and "f" in notebook.names


def test_starts_are_counted_where_judges_are_taken_down(state: dict[str, Any]) -> None:  # noqa: F811
    """A judge that dies before its first report has told how often the notebook was started."""
    from minilm.course.grade import judge

    told: list[dict[str, Any]] = []
    request = {"set": "00_first_steps", "student": "ann", "cells": [CRASH], "state": {}}
    request["todo"] = [["public", 0, [0]]]
    judge.work(state, request, told.append)
    before = [one["state"] for one in told if "of" not in one]
    assert [(one["loads"], one["complete"]) for one in before] == [(1, False), (1, True)]
    assert before[1]["modes"] == [NEEDED]
