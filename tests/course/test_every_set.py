"""Every exercise set through the grader: its solution gets full marks, its empty stubs get 0."""

import csv
from pathlib import Path

import pytest

from minilm.cli import main

ROOT = Path(__file__).parents[2]
SOLUTIONS = sorted(ROOT.glob("solutions/[0-9]*.ipynb"))
EXERCISES = sorted(ROOT.glob("exercises/[0-9]*.ipynb"))

pytestmark = [pytest.mark.grading, pytest.mark.timeout(300)]


def graded(notebook: Path, out: Path) -> tuple[float, float]:
    """Points and maximum that `minilm grade` writes for one submission, which needs no remark."""
    assert main(["grade", str(notebook), "--out", str(out)]) == 0
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["remarks"] == ""
    return float(row["points"]), float(row["max"])


@pytest.mark.parametrize("notebook", SOLUTIONS, ids=lambda path: path.stem)
def test_a_solution_gets_full_marks(notebook: Path, tmp_path: Path) -> None:
    points, most = graded(notebook, tmp_path)
    assert points == most > 0


@pytest.mark.parametrize("notebook", EXERCISES, ids=lambda path: path.stem)
def test_empty_stubs_get_nothing(notebook: Path, tmp_path: Path) -> None:
    points, most = graded(notebook, tmp_path)
    assert points == 0 < most


def test_every_set_has_both_sides() -> None:
    assert [path.stem for path in SOLUTIONS] == [path.stem for path in EXERCISES]
