"""Eighty odd submissions, right ones and hostile ones, among honest ones."""

from collections.abc import Iterator

import pytest

from course.hostile import Case, cheats, crashes, fresh, hangs, odd, spies
from course.test_hostile import Run

pytestmark = pytest.mark.timeout(900)

# those that cost no more than a start and a few calls
QUICK = [*odd.ODD_AND_RIGHT, *odd.WORDS[:6], *odd.SYSTEM]
OTHERS = [case for case in odd.CASES if case not in QUICK]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    yield Run(tmp_path_factory.mktemp("quick"), QUICK, "auto", honest=3, jobs=2)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    yield Run(tmp_path_factory.mktemp("others"), OTHERS, "auto", honest=40, jobs=2)


def test_none_is_like_another() -> None:
    every = [*hangs.CASES, *crashes.CASES, *cheats.CASES, *spies.CASES, *fresh.CASES, *odd.CASES]
    assert len({case.name for case in every}) == len(every)
    assert len(odd.CASES) >= 80


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_gets_what_it_earned(quick: Run, case: Case) -> None:
    quick.assert_earned(case)


def test_the_quick_ones_harm_nobody(quick: Run) -> None:
    quick.assert_honest_are_whole()
    quick.assert_nothing_leaked()


@pytest.mark.grading
@pytest.mark.slow
@pytest.mark.parametrize("case", OTHERS, ids=lambda case: case.name)
def test_each_of_the_others_gets_what_it_earned(others: Run, case: Case) -> None:
    others.assert_earned(case)


@pytest.mark.grading
@pytest.mark.slow
def test_the_others_harm_nobody(others: Run) -> None:
    others.assert_honest_are_whole()
    others.assert_nothing_leaked()
