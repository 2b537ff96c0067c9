"""Untrusted programs: hostile ones fail safely, good ones pass, one leaves no trace."""

import os
from collections.abc import Iterator

import pytest

from minilm import sandbox
from minilm.errors import InputError
from minilm.sandbox.inside import programs as inside
from minilm.sandbox.programs import Programs

CALL = [("f", ([1, 2],), 3)]
GOOD = "def f(x):\n    return sum(x)\n"
MEMORY = 512 << 20

# what a model may write, and how each of these ends
HOSTILE = {
    "an endless loop": ("def f(x):\n    while True:\n        pass\n", "time"),
    "a fork bomb": ("import os\ndef f(x):\n    while True:\n        os.fork()\n", "raised"),
    "another program": (
        "import subprocess\ndef f(x):\n    return 3 + subprocess.run(['true']).returncode\n",
        "raised",
    ),
    "a file is written": (
        "def f(x):\n    with open('/tmp/left', 'w') as file:\n        file.write('x' * 9)\n"
        "    return 3\n",
        "raised",
    ),
    "a file of the machine is read": (
        "def f(x):\n    open('/etc/passwd').read()\n    return 3\n",
        "raised",
    ),
    "8 GB at once": ("def f(x):\n    a = bytearray(8 << 30)\n    return 3\n", "raised"),
    "memory bit by bit": (
        "def f(x):\n    a = []\n    while True:\n        a.append('x' * 10**7)\n",
        "raised",
    ),
    "a connection": (
        "import socket\ndef f(x):\n    socket.create_connection(('127.0.0.1', 9), 1)\n"
        "    return 3\n",
        "raised",
    ),
    "it ends itself": ("import os\nos._exit(0)\n", "gone"),
    "it leaves politely": ("import sys\nsys.exit(0)\n", "raised"),
    "it kills the worker": (
        "import os\ndef f(x):\n    os.kill(os.getppid(), 9)\n    return 3\n",
        "raised",
    ),
    "it sleeps": ("import time\ndef f(x):\n    time.sleep(1000)\n", "time"),
    "no end of recursion": ("def f(x):\n    return f(x)\n", "raised"),
    "an answer of 100 MB": ("def f(x):\n    return 'x' * (100 << 20)\n", "raised"),
    "it agrees with everything": (
        "class E:\n    def __eq__(self, other):\n        return True\ndef f(x):\n    return E()\n",
        "raised",
    ),
    "a number that agrees with everything": (
        "class E(int):\n    def __eq__(self, other):\n        return True\n"
        "def f(x):\n    return E(7)\n",
        "wrong",
    ),
    "it prints for ever": ("def f(x):\n    while True:\n        print('x' * 1000)\n", "time"),
    "it breaks the interpreter": (
        "import ctypes\ndef f(x):\n    ctypes.string_at(0)\n",
        "gone",
    ),
    "it writes into every pipe": (
        "import os\ndef f(x):\n    for i in range(3, 60):\n        try:\n"
        "            os.write(i, b'\\xff' * 100)\n        except OSError:\n            pass\n"
        "    return 3\n",
        "size",
    ),
    "nested without end": (
        "def f(x):\n    a = []\n    for _ in range(10**5):\n        a = [a]\n    return a\n",
        "raised",
    ),
    "no Python": ("def f(x:\n", "raised"),
    "no function": ("g = 3\n", "raised"),
}


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    with Programs(places=2) as made:
        yield made


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_fails_safely(programs: Programs, name: str) -> None:
    code, kind = HOSTILE[name]
    outcome = programs.run(code, CALL, seconds=0.5 if kind == "time" else 5, memory=MEMORY)
    assert not outcome.passed and outcome.kind == kind, outcome
    assert programs.run(GOOD, CALL).passed  # the worker lives and has learnt nothing


def test_good_code_passes_whatever_form_its_tests_have(programs: Programs) -> None:
    assert programs.run(GOOD, CALL) == sandbox.Outcome(True, "passed", "", pytest.approx(0, abs=2))
    assert programs.run(GOOD, "assert f([1, 2]) == 3\n").passed
    assert programs.run("import numpy as np\ndef f(x):\n    return int(np.sum(x))\n", CALL).passed
    mixed = [("f", ({"a": (1, None)}, "é"), [{"a": (1, None)}, "é", 2.5, True])]
    assert programs.run("def f(d, s):\n    return [d, s, 2.5, True]\n", mixed).passed


def test_what_is_wrong_is_said(programs: Programs) -> None:
    other = programs.run("def f(x):\n    return len(x)\n", CALL)
    assert (other.passed, other.kind, other.text) == (False, "wrong", "2 instead of 3")
    raised = programs.run("def f(x):\n    return 1 / 0\n", CALL)
    assert (raised.kind, raised.text) == ("raised", "ZeroDivisionError: division by zero")
    failed = programs.run(GOOD, "assert f([1]) == 2, 'one'\n")
    assert (failed.passed, failed.kind) == (False, "raised")
    assert programs.run("def f(x):\n    return {1: 2}\n", [("f", (0,), {1: 3})]).kind == "wrong"


def test_a_program_leaves_nothing_to_the_next(programs: Programs) -> None:
    leave = (
        "import builtins, sys, os\nbuiltins.left = 1\nsys.modules['left'] = sys\n"
        "os.environ['LEFT'] = '1'\ndef f(x):\n    return 3\n"
    )
    look = (
        "import builtins, os, sys\ndef f(x):\n"
        "    return [hasattr(builtins, 'left'), 'left' in sys.modules, 'LEFT' in os.environ]\n"
    )
    for _ in range(2 * programs.places):
        assert programs.run(leave, CALL).passed
    for _ in range(2 * programs.places):
        assert programs.run(look, [("f", (0,), [False, False, False])]).passed


def test_the_program_does_not_hold_what_it_must_return(programs: Programs) -> None:
    spy = (
        "import gc\ndef f(x):\n    for found in gc.get_objects():\n"
        "        if isinstance(found, (list, tuple)):\n"
        "            for one in found:\n"
        "                if type(one) is int and one // 1000 == 918273:\n"
        "                    return one\n    return 0\n"
    )
    assert programs.run(spy, [("f", (1,), 918273645)]).kind == "wrong"


def test_many_come_back_in_their_order(programs: Programs) -> None:
    jobs = [(f"def f(x):\n    return {i}\n", [("f", (0,), i // 2 * 2)]) for i in range(40)]
    told: list[int] = []
    outcomes = programs.run_many(jobs, told=lambda: told.append(1))
    assert [one.passed for one in outcomes] == [i % 2 == 0 for i in range(40)]
    assert len(told) == 40


def test_a_worker_that_is_killed_is_replaced() -> None:
    with Programs(places=1) as programs:
        assert programs.run(GOOD, CALL).passed
        session = programs._free.get()
        session.process.kill()
        session.process.wait()
        programs._free.put(session)
        assert programs.run(GOOD, CALL).passed


def test_nothing_is_left_when_it_is_closed() -> None:
    programs = Programs(places=1)
    programs.run(GOOD, CALL)
    session = programs._free.get()
    pid, folder = session.process.pid, programs._scratch.path
    programs._free.put(session)
    programs.close()
    programs.close()
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("kind", ["landlock", "none"])
def test_other_walls_hold_too(kind: str) -> None:
    try:
        programs = Programs(places=1, isolation=kind, unsafe=kind == "none")
    except InputError:
        pytest.skip(f"this machine has no {kind}")
    with programs:
        assert programs.run(GOOD, CALL).passed
        for name in ("an endless loop", "a fork bomb", "8 GB at once", "a connection", "no Python"):
            code, how = HOSTILE[name]
            assert programs.run(code, CALL, seconds=0.5, memory=MEMORY).kind == how, name


def test_without_fork_a_worker_runs_one_program(monkeypatch: pytest.MonkeyPatch) -> None:
    class Talk:
        def __init__(self) -> None:
            self.sent: list = []

        def receive(self) -> tuple:
            return {"code": GOOD, "tests": "assert f([1, 2]) == 3"}, []

        def pack(self) -> inside.wire.Pack:
            return inside.wire.Pack(lambda value: value)

        def send(self, message: object, pack: inside.wire.Pack) -> None:
            frame = inside.wire.frame(message, pack)
            total, text = inside.wire.head(frame[: inside.wire.HEAD.size])
            tree, blobs = inside.wire.split(frame[inside.wire.HEAD.size :], text)
            self.sent.append(inside.wire.Unpack(blobs, lambda *_: None).value(tree))

    monkeypatch.delattr(inside.os, "fork", raising=False)
    talk = Talk()
    inside.serve(talk)
    (said,) = talk.sent
    assert said["how"] == "done" and b'"passed": true' in said["data"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tests": []}, "tests is empty"),
        ({"seconds": 0}, "seconds is 0"),
        ({"memory": 1 << 20}, "memory is 1048576"),
        ({"tests": [("f", (object(),), 3)]}, "tests hold a object"),
    ],
)
def test_what_cannot_be_run_is_refused(programs: Programs, change: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        programs.run(**{"code": GOOD, "tests": CALL, **change})


def test_places_are_counted() -> None:
    with pytest.raises(InputError, match="places is 0"):
        Programs(places=0)


def test_one_call_is_enough() -> None:
    assert sandbox.run(GOOD, CALL).passed
    assert sandbox.run(GOOD, CALL).kind == "passed"
