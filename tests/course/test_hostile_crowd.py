"""Fifty fresh hostile submissions among fifty honest ones, behind the best wall of this machine."""

import time
from pathlib import Path

import pytest

from course.grading import points
from course.hostile import WORTH, fresh
from course.test_hostile import Run

pytestmark = [pytest.mark.grading, pytest.mark.slow, pytest.mark.timeout(900)]


def processes() -> set[str]:
    """The command lines of this machine that belong to a worker or a judge."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if entry.name.isdigit() and ("start.py" in line or "sandbox import keeper" in line):
            found.add(f"{entry.name} {line[:200]}")
    return found


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Run:
    before = processes()
    run = Run(tmp_path_factory.mktemp("crowd"), fresh.CASES, "auto", honest=50, jobs=2)
    for _ in range(50):
        run.left = processes() - before
        if not run.left:
            break
        time.sleep(0.1)
    return run


def test_there_are_fifty() -> None:
    assert len(fresh.CASES) >= 50
    assert len({case.name for case in fresh.CASES}) == len(fresh.CASES)


@pytest.mark.parametrize("case", fresh.CASES, ids=lambda case: case.name)
def test_gets_what_it_earned(crowd: Run, case: fresh.Case) -> None:
    crowd.assert_earned(case)


def test_the_honest_get_exactly_what_is_theirs(crowd: Run) -> None:
    honest = [points(grade) for name, grade in crowd.grades.items() if name.startswith("honest")]
    assert honest == [WORTH] * 50
    assert not any(g.notes for name, g in crowd.grades.items() if name.startswith("honest"))


def test_nothing_leaks_and_nothing_is_left_running(crowd: Run) -> None:
    crowd.assert_nothing_leaked()
    assert crowd.left == set()
