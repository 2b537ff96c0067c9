"""One Ctrl-C stops a grader, wherever it falls, and all that was graded by then is written."""

import signal
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from course.grading import make_course, write_submission
from course.hostile import HONEST
from minilm.course.grade import run
from minilm.course.grade.folder import Results
from minilm.course.grade.pool import grade_each
from minilm.course.grade.run import grade_paths
from minilm.course.places import Course
from minilm.interrupt import Interrupt


@pytest.fixture(autouse=True)
def interrupts_are_heard() -> Iterator[None]:
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Thing:
    """What a weak reference may point to."""


def press_in_a_callback() -> None:
    """Ctrl-C while a callback of a weak reference runs, whose exceptions Python drops."""
    thing = Thing()
    watched = weakref.ref(thing, lambda gone: signal.raise_signal(signal.SIGINT))
    del thing
    assert watched() is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_python_drops_an_interrupt_that_falls_into_a_callback() -> None:
    press_in_a_callback()  # which is why a grader needs a way of its own


def test_it_is_heard_in_a_callback_and_a_second_one_stops_at_once() -> None:
    with Interrupt() as interrupt:
        interrupt.refuse_to_go_on()
        press_in_a_callback()
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            interrupt.refuse_to_go_on()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert not interrupt.asked
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.asked


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_course(tmp_path_factory.mktemp("stops") / "course")


def test_what_was_graded_is_written_and_the_next_run_goes_on(
    course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(12):
        write_submission(folder / f"s{number:02}.ipynb", list(HONEST.values()))
    where: dict[str, Any] = {"course": Course(course), "hidden": course / "hidden"}
    where |= {"out": tmp_path / "out", "jobs": 2}
    keep = Results.keep
    kept: list[str] = []

    def keeps(self: Results, grade: Any, wall: str) -> None:
        keep(self, grade, wall)
        kept.append(grade.submission.student)
        if len(kept) == 2:
            press_in_a_callback()

    monkeypatch.setattr(Results, "keep", keeps)
    with pytest.raises(KeyboardInterrupt):
        grade_paths([folder], **where)
    assert 2 <= len(kept) < 12
    rows = (tmp_path / "out" / "grades.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == len(kept) + 1
    for part in ("feedback", "records"):
        assert {path.stem for path in (tmp_path / "out" / part).iterdir()} == set(kept)
    said: list[str] = []
    first = set(kept)
    grades, _, _ = grade_paths([folder], **where, say=said.append)
    assert len(grades) == 12 and said[0].startswith(f"graded before and not changed: {len(first)} ")
    assert not first & set(kept[len(first) :])


@pytest.mark.parametrize("phase", ["find_submissions", "results_in", "Judges"])
def test_it_is_heard_before_the_first_submission(
    course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    write_submission(tmp_path / "ann.ipynb", list(HONEST.values()))
    real = getattr(run, phase)

    def pressed(*args: Any, **named: Any) -> Any:
        press_in_a_callback()
        return real(*args, **named)

    monkeypatch.setattr(run, phase, pressed)
    monkeypatch.setattr(Results, "keep", None)
    with pytest.raises(KeyboardInterrupt):
        grade_paths([tmp_path / "ann.ipynb"], course=Course(course), out=tmp_path / "out")


class Judged:
    """Judges of which the first hundred grades are there at once, and no others until the end."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.stuck = threading.Barrier(3)  # both workers have handed over all that came before

    def grade(self, one: int) -> int:
        if one >= 100:
            self.stuck.wait()
            self.ended.wait()
        return one

    def close(self) -> None:
        self.ended.set()


def test_all_that_was_there_is_handed_over_once() -> None:
    judges, got = Judged(), []
    with Interrupt() as interrupt, pytest.raises(KeyboardInterrupt):
        for one in grade_each(judges, list(range(102)), 2, interrupt):
            got.append(one)
            if one == 5:
                judges.stuck.wait()
                signal.raise_signal(signal.SIGINT)
    assert sorted(got) == list(range(100))


def test_when_all_are_graded_there_is_nothing_to_stop() -> None:
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert list(grade_each(Judged(), [], 2, interrupt)) == []
