"""The clock of `check`: an endless answer is stopped, and the line where it stood is named."""

import linecache
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from course.grading import SET, make_course
from minilm.course.build import notebook as nb
from minilm.course.build.lessons import Lesson
from minilm.course.build.run import Kernel
from minilm.course.checking import check as check_module
from minilm.course.checking.limit import Clock, TimeIsUp

ENDLESS = {
    "a loop": ("while True:\n        pass", "while True:"),
    "a sleep": ("time.sleep(30)", "time.sleep(30)"),
    "a loop that catches everything": (
        "while 1:\n        try:\n            time.sleep(0.01)\n        except:\n            pass",
        "time.sleep(0.01)",
    ),
    "a loop that goes on at last": (
        "while True:\n        try:\n            while True: pass\n        finally: continue",
        "while True: pass",
    ),
    "an iterator": ("return max(n for n in iter(int, 1))", "return max(n for n in iter(int, 1))"),
}


def names_of(body: str) -> dict:
    """The namespace of a notebook whose `softmax` has this body."""
    source = f"import time\ndef softmax(x):\n    {body}\n"
    linecache.cache["<cell 0>"] = (1, None, source.splitlines(keepends=True), "<cell 0>")
    exec(compile(source, "<cell 0>", "exec"), names := {"__name__": "__main__"})
    return names


def run_check(names: dict) -> str:
    """What `check("softmax")` prints."""
    said: list[str] = []
    names["print"] = said.append
    exec("from minilm.course import check\ncheck('softmax')", names)
    return "\n".join(said)


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_course(tmp_path / "course")
    monkeypatch.chdir(folder / "exercises")
    monkeypatch.setenv("MINILM_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.setattr(check_module, "SECONDS", 0.3)
    return folder


@pytest.mark.parametrize("name", ENDLESS)
def test_an_endless_answer_is_stopped_where_it_stands(
    name: str, course: Path, capsys: pytest.CaptureFixture
) -> None:
    body, line = ENDLESS[name]
    handler = signal.getsignal(signal.SIGALRM)
    run_check(names_of(body))
    said = capsys.readouterr().out
    assert f"your code was stopped after 0.3 s: it stood in the line `{line}`" in said
    assert said.count("your code was stopped") == 1  # all tests share one clock and one sentence
    assert "0 of 4 points here" in said and "hint:" not in said
    assert signal.getsignal(signal.SIGALRM) is handler


@pytest.mark.parametrize("name", [name for name in ENDLESS if name != "a sleep"])
@pytest.mark.parametrize("way", ["another thread", "no alarms"])
def test_it_is_stopped_without_signals(
    name: str, way: str, course: Path, capsys: pytest.CaptureFixture, monkeypatch
) -> None:
    body, line = ENDLESS[name]
    if way == "no alarms":
        monkeypatch.delattr(signal, "setitimer")
        run_check(names_of(body))
    else:
        thread = threading.Thread(target=run_check, args=(names_of(body),), daemon=True)
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
    assert f"it stood in the line `{line}`" in capsys.readouterr().out


def test_a_payoff_of_an_endless_answer_does_not_run(course: Path, capsys) -> None:
    names = names_of("while True: pass")
    exec('from minilm.course import payoff\n@payoff("softmax")\ndef paid():\n    return 7', names)
    assert names["paid"] is None and "First make" in capsys.readouterr().out


def test_an_alarm_of_somebody_else_goes_on() -> None:
    rung = threading.Event()
    handler = signal.signal(signal.SIGALRM, lambda *_: rung.set())
    before = signal.setitimer(signal.ITIMER_REAL, 0.4)
    try:
        clock = Clock(0.1, lambda frame: False)
        with pytest.raises(TimeIsUp):
            clock.run(lambda: time.sleep(5))
        with pytest.raises(TimeIsUp):  # no time is left
            clock.run(lambda: None)
        assert Clock(5, lambda frame: False).run(lambda: 7) == 7
        assert rung.wait(10) or rung.is_set()
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
        signal.signal(signal.SIGALRM, handler)


def test_a_debugger_keeps_its_trace() -> None:
    def tracer(*_):
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        with pytest.raises(TimeIsUp):
            Clock(0.05, lambda frame: True).run(lambda: time.sleep(5))
        kept = sys.gettrace()
    finally:
        sys.settrace(before)
    assert kept is tracer


CELLS = """\
import numpy as np
from minilm.course import check
from minilm.course.checking import check as check_module
check_module.SECONDS = 0.5
---
def softmax(x):
    while True:
        x = x + 1
---
check("softmax")
---
print("the kernel lives")
"""


def test_in_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    course = make_course(tmp_path / "course")
    monkeypatch.setenv("MINILM_PROGRESS", str(tmp_path / "progress.json"))
    cells = [nb.make_cell("code", text.strip()) for text in CELLS.split("---\n")]
    path = course / "exercises" / f"{SET}.ipynb"
    nb.write(path, nb.make_notebook(cells))
    kernel = Kernel(Lesson(path))
    with kernel.started():
        for number in range(len(cells)):
            kernel.execute(number)
    said = str([cell["outputs"] for cell in kernel.notebook["cells"]])
    assert "stopped after 0.5 s: it stood in the line `" in said
    assert "the kernel lives" in said
