"""Disposable processes end as they must, and nothing that they started is left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minilm.sandbox.disposable import Allowance, Ended, Nursery


def prepare(setup: Any) -> Any:
    if setup == "ended while it forks":
        os.register_at_fork(before=_end_a_keeper)
    return setup


def _end_a_keeper() -> None:
    if callable(signal.getsignal(signal.SIGTERM)):  # in a keeper, and not before
        os.kill(os.getpid(), signal.SIGTERM)


def work(state: Any, request: Any, send: Callable[[Any], None]) -> None:
    send([state, request])
    if request == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if request == "eats":
        send(len(bytearray(4 << 30)))
    if request == "tells":
        while True:
            send(0)
    if request == "spins":
        while True:
            pass
    if request == "sleeps":
        time.sleep(1000)
    if request == "leaves":
        child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        send(child.pid)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    sys.path.insert(0, str(Path(__file__).parent))
    with Nursery("test_sandbox_process", {"warm": 1}, places=1) as made:
        yield made
    sys.path.pop(0)


@pytest.mark.parametrize(
    ("request_", "how"),
    [("lives", "done"), ("dies", "gone"), ("eats", "gone"), ("spins", "time"), ("sleeps", "time")],
)
def test_a_piece_of_work_ends_as_it_must(nursery: Nursery, request_: str, how: str) -> None:
    wall_clock = 1.0 if request_ == "sleeps" else 60.0
    said = list(nursery.work(request_, Allowance(memory=3 << 30, cpu=1, wall=wall_clock)))
    assert said[0] == [{"warm": 1}, request_]
    assert len(said) == 2 and isinstance(said[1], Ended) and said[1].how == how


def test_nothing_that_a_piece_started_is_left(nursery: Nursery) -> None:
    _, pid, ended = nursery.work("leaves", Allowance(memory=3 << 30, cpu=5, wall=60))
    assert ended.how == "done"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_keeper_that_is_ended_while_it_forks_ends(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    with Nursery("test_sandbox_process", "ended while it forks", places=1) as made:
        *_, ended = made.work("sleeps", Allowance(memory=3 << 30, cpu=5, wall=20))
    assert ended.how == "lost"
    assert capfd.readouterr().err == ""


def test_a_piece_that_nobody_listens_to_ends_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    with Nursery("test_sandbox_process", 1, places=1) as made:
        said = made.work("tells", Allowance(memory=3 << 30, cpu=50, wall=50))
        assert [next(said), next(said)] == [[1, "tells"], 0]
    assert capfd.readouterr().err == ""
