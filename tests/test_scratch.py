"""A grader's folder goes with it, and the next grader removes what a killed one has left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from minilm.sandbox import scratch
from minilm.sandbox.scratch import LOCK, OLD, PREFIX, Scratch, sweep

HOLDS = """
import sys, time
from minilm.sandbox.scratch import Scratch
one = Scratch()
(one.path / "kit").mkdir()
print(one.path, flush=True)
time.sleep(1000)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(scratch.tempfile, "tempdir", None)
    return tmp_path


def grader(place: Path) -> tuple[subprocess.Popen, Path]:
    """Another process that holds a folder, and the folder."""
    env = {**os.environ, "TMPDIR": str(place), "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS], env=env, stdout=subprocess.PIPE, text=True
    )
    return process, Path(process.stdout.readline().strip())


def test_a_folder_goes_with_its_grader(place: Path) -> None:
    one = Scratch()
    assert one.path.parent == place and one.path.stat().st_mode & 0o777 == 0o755
    assert (one.path / LOCK).exists()
    one.close()
    assert not list(place.iterdir())


def test_what_a_killed_grader_left_is_removed_by_the_next(place: Path) -> None:
    killed, left = grader(place)
    alive, held = grader(place)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert left.is_dir()
    one = Scratch()
    assert not left.exists()
    assert (held / "kit").is_dir() and one.path.is_dir()  # of the two that run
    alive.kill()
    alive.wait()
    one.close()
    assert sweep(place) == [held]


def test_only_folders_that_are_surely_left_are_removed(place: Path) -> None:
    other = place / "outside"
    other.mkdir()
    (other / "kept").touch()
    link = place / f"{PREFIX}link"
    link.symlink_to(other)
    file = place / f"{PREFIX}file"
    file.touch()
    in_the_making = place / f"{PREFIX}new"
    in_the_making.mkdir()
    of_one_that_runs = place / f"{PREFIX}{os.getpid()}-x"
    of_one_that_runs.mkdir()
    old = place / f"{PREFIX}old"
    (old / "kit").mkdir(parents=True)
    (old / "inner").symlink_to(other)
    long_ago = old.stat().st_mtime - OLD - 60
    for one in (old, of_one_that_runs):
        os.utime(one, (long_ago, long_ago))
    assert sweep(place) == [old]
    assert not old.exists() and (other / "kept").exists()
    assert {link, file, in_the_making, of_one_that_runs} <= set(place.iterdir())


def test_folders_of_others_stay(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = place / f"{PREFIX}theirs"
    theirs.mkdir()
    (theirs / LOCK).touch()
    somebody = os.geteuid() + 1
    with monkeypatch.context() as patched:
        patched.setattr(scratch.os, "geteuid", lambda: somebody)
        assert sweep(place) == [] and theirs.exists()
    assert sweep(place) == [theirs]


def test_where_there_are_no_locks_nothing_is_removed(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "fcntl", None)
    left = place / f"{PREFIX}1-left"
    left.mkdir()
    one = Scratch()
    assert left.is_dir() and one.path.is_dir()
    one.close()
