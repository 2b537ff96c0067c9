"""Where there is no wall, or no Linux at all: a sentence, or grading in the plainest way.

macOS and Windows do not run here. What the code asks a system for is taken away instead: its name,
the clock of another process, fork, sockets between processes, shared memory, locks.
"""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from course.grading import grade_cells, make_course, points
from course.hostile import HONEST, WORTH, hangs
from minilm.cli import main
from minilm.errors import InputError
from minilm.sandbox import choice, clock, disposable, places, scratch, session, shared
from minilm.sandbox.choice import choose
from minilm.sandbox.kit import make_kit
from minilm.sandbox.session import Session, SessionError
from minilm.sandbox.walls import Isolation, Limits

LACKS = {"darwin": {"memfd_create"}, "win32": {"memfd_create", "fork", "killpg", "geteuid"}}


class Lacking:
    """A module without some of its names."""

    def __init__(self, module: Any, lacks: set[str], **other: Any) -> None:
        self.__dict__.update(_module=module, _lacks=lacks, **other)

    def __getattr__(self, name: str) -> Any:
        if name in self._lacks:
            raise AttributeError(name)
        return getattr(self._module, name)


@pytest.fixture(params=list(LACKS))
def elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Another system, as far as the grader's side of the wall can tell."""
    name, lacks = request.param, LACKS[request.param]
    for module in (choice, places):
        monkeypatch.setattr(module, "sys", Lacking(sys, set(), platform=name))
    monkeypatch.setattr(clock, "LINUX", False)
    known = {"name": "nt"} if name == "win32" else {}
    monkeypatch.setattr(session, "os", Lacking(os, lacks, **known))
    monkeypatch.setattr(disposable, "os", Lacking(os, lacks))
    monkeypatch.setattr(shared, "os", Lacking(os, lacks))
    if name == "win32":
        monkeypatch.setattr(scratch, "fcntl", None)
    return name


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_course(tmp_path_factory.mktemp("elsewhere") / "course")


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kit")
    folder.chmod(0o755)
    return make_kit(folder / "kit")


def test_without_a_wall_grading_is_refused_in_a_sentence(
    elsewhere: str, course: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(InputError, match="no wall around them .*bubblewrap is not installed"):
        grade_cells(course, tmp_path, {"one": list(HONEST.values())}, hidden=course / "hidden")
    line = ["grade", str(tmp_path / "n000.ipynb"), "--root", str(course)]
    assert main([*line, "--out", str(tmp_path / "out"), "--hidden", str(course / "hidden")]) == 2
    said = capsys.readouterr().err
    assert "or accept the risk with --unsafe" in said and "Traceback" not in said
    assert not list((tmp_path / "out").rglob("*.html"))


def test_a_wall_that_is_asked_for_by_name_is_refused_too(elsewhere: str, kit: Path) -> None:
    for kind, why in (("bwrap", "bubblewrap is not installed"), ("landlock", "no Landlock")):
        with pytest.raises(InputError, match=why):
            choose(kit, kind)


def test_no_wall_needs_a_word_more(kit: Path) -> None:
    with pytest.raises(InputError, match="^isolation is 'none', which is no wall; .*--unsafe$"):
        choose(kit, "none")


def test_who_accepts_the_risk_gets_grades(elsewhere: str, course: Path, tmp_path: Path) -> None:
    answers = {"one": list(HONEST.values()), "two": [HONEST["imports"], HONEST["merge"]]}
    options: dict[str, Any] = {"hidden": course / "hidden", "unsafe": True, "jobs": 2}
    grades = grade_cells(course, tmp_path, answers, **options)
    assert points(grades["one"]) == WORTH
    assert points(grades["two"]) == dict.fromkeys(WORTH, 0) | {"merge": WORTH["merge"]}


def test_a_loop_is_stopped_by_the_clock_on_the_wall(
    elsewhere: str, kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "PATIENCE", 1)
    worker = Session(Isolation("none"), kit, Limits(seconds=1.0))
    worker.start()
    try:
        worker.allow(1.0)
        worker.send({"given": [], "cells": [[0, hangs.CASES[0].first, "full"]]})
        with pytest.raises(SessionError) as caught:
            while True:
                worker.receive()
        assert caught.value.kind == "time"
        assert not worker.alive
    finally:
        worker.close()
