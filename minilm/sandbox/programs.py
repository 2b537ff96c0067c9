"""Untrusted programs and their tests, judged many at a time by warm workers behind the wall.

    outcome = sandbox.run(code, [("f", ([1, 2],), 3)])
    with Programs(places=2) as programs:
        outcomes = programs.run_many([(code, tests), ...])

A worker forks a child for each program, so the next program finds nothing of the one before, and a
fork takes a few thousandths of a second where a new Python takes a third of a second. Tests that
are calls are judged on this side: the program never holds the values that it must return. Tests
that are text (assert statements, as in HumanEval) run beside the program, and a program of ill will
could say that it passed.
"""

import atexit
import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from minilm.errors import InputError
from minilm.sandbox.choice import choose
from minilm.sandbox.inside import wire
from minilm.sandbox.kit import PROGRAMS, make_kit
from minilm.sandbox.scratch import Scratch
from minilm.sandbox.session import Session, SessionError
from minilm.sandbox.walls import Limits

Call = tuple[str, tuple[Any, ...], Any]  # function, arguments, the value that it must return
Tests = str | Sequence[Call]
SECONDS, MEMORY = 3.0, 1 << 30
LEAST_MEMORY = 256 << 20  # below it Python and NumPy themselves do not fit
LONG = 600.0  # seconds after which a worker is given up that says nothing at all
LASTS = 3600.0  # processor seconds of a worker until another one takes its place


@dataclass(frozen=True)
class Outcome:
    """What came of one program.

    Attributes:
        passed: whether all its tests passed.
        kind: "passed"; "wrong" (a value was another one); "raised"; "time"; "gone" (it ended
            itself, or was ended for its memory); "size" (an answer that is too large).
        text: what it raised or returned, in words.
        seconds: of processor time.
    """

    passed: bool
    kind: str
    text: str = ""
    seconds: float = 0.0


class Programs:
    """Warm workers.

    Args:
        places: how many programs run at once; None: one for each processor.
        isolation: see `sandbox.choice.choose`.
        unsafe: accept no wall where none works; the programs are then held by limits alone.

    Attributes:
        wall: the kind of wall.

    Raises:
        InputError: there is no wall.
    """

    def __init__(
        self, places: int | None = None, isolation: str = "auto", unsafe: bool = False
    ) -> None:
        if places is not None and places < 1:
            raise InputError(f"places is {places}; it must be 1 or more")
        self.places = places or _processors()
        self._scratch = Scratch()
        self._closed = False
        try:
            self._kit = make_kit(self._scratch.path / "kit")
            self._isolation = choose(self._kit, isolation, unsafe)
        except BaseException:
            self._scratch.close()
            raise
        self.wall = self._isolation.kind
        self._free: SimpleQueue[Session | None] = SimpleQueue()
        for _ in range(self.places):
            self._free.put(None)

    def __enter__(self) -> "Programs":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers; what still runs ends with them."""
        if self._closed:
            return
        self._closed = True
        for _ in range(self.places):
            session = self._free.get()
            if session is not None:
                session.close()
        self._scratch.close()

    def run(
        self, code: str, tests: Tests, seconds: float = SECONDS, memory: int = MEMORY
    ) -> Outcome:
        """Judge one program; from any thread.

        Args:
            code: Python source. It sees the standard library and NumPy, and prints to nowhere.
            tests: calls, or text that raises where the program is wrong.
            seconds: of processor time for program and tests together; one that sleeps is stopped
                after as long on the wall.
            memory: bytes of address space, with the 200 MB or so of Python and NumPy.

        Raises:
            InputError: limits out of range, tests that are none, or a worker that does not start.
        """
        request, pack, wanted = _request(code, tests, seconds, memory)
        session = self._free.get()
        try:
            session = session if session is not None and session.alive else self._started()
            try:
                session.allow(max(LONG, 10 * seconds) if hasattr(os, "fork") else seconds)
                session.send(request, pack)
                message, blobs = session.receive()
                found = wire.Unpack(blobs, _refuse).value(message)
                how, data, used = found["how"], found["data"], float(found["seconds"])
            except (SessionError, wire.WireError, KeyError, TypeError, ValueError) as error:
                session.close()
                kind = getattr(error, "kind", "gone")
                return Outcome(
                    False, kind if kind in ("time", "size") else "gone", str(error)[:200]
                )
            return _judged(how, data, wanted, used)
        finally:
            self._free.put(session)

    def run_many(
        self,
        jobs: Iterable[tuple[str, Tests]],
        seconds: float = SECONDS,
        memory: int = MEMORY,
        told: Any = None,
    ) -> list[Outcome]:
        """Judge many programs, `places` at a time; the outcomes in the order of the jobs.

        Args:
            jobs: (code, tests) each.
            seconds, memory: see `run`.
            told: called without arguments after each program, to show progress.
        """

        def one(job: tuple[str, Tests]) -> Outcome:
            outcome = self.run(*job, seconds, memory)
            if told is not None:
                told()
            return outcome

        with ThreadPoolExecutor(self.places) as pool:
            return list(pool.map(one, jobs))

    def _started(self) -> Session:
        """A new worker.

        Raises:
            InputError: it did not start.
        """
        limits = Limits(memory=1 << 40, seconds=LASTS)
        session = Session(self._isolation, self._kit, limits, role=PROGRAMS)
        try:
            session.start()
        except (SessionError, OSError) as error:
            raise InputError(f"the sandbox did not start: {error}") from None
        return session


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _request(
    code: str, tests: Tests, seconds: float, memory: int
) -> tuple[dict[str, Any], wire.Pack, list[Any] | None]:
    """The message to a worker, and the values that stay here."""
    if not 0 < seconds <= LASTS:
        raise InputError(f"seconds is {seconds}; it must be above 0 and at most {LASTS:g}")
    if memory < LEAST_MEMORY:
        raise InputError(f"memory is {memory}; it must be {LEAST_MEMORY} bytes or more")
    pack = wire.Pack(_no_plain_value)
    request: dict[str, Any] = {"code": code, "seconds": seconds, "memory": memory}
    if isinstance(tests, str):
        return {**request, "tests": tests}, pack, None
    if not len(tests):
        raise InputError("tests is empty; a program that is not tested has not passed")
    calls = [(name, list(given)) for name, given, _ in tests]
    return {**request, "tests": pack.node(calls)}, pack, [want for _, _, want in tests]


def _judged(how: str, data: Any, wanted: list[Any] | None, used: float) -> Outcome:
    """The outcome of a program whose child ended; its report is rebuilt from plain parts."""
    if how != "done" or not isinstance(data, bytes):
        kind = how if how in ("time", "size") else "gone"
        said = {"time": "it took too long", "size": "an answer that is too large"}
        return Outcome(False, kind, said.get(kind, "the program ended by itself"), used)
    try:
        _, text = wire.head(data[: wire.HEAD.size])
        answer, blobs = wire.split(data[wire.HEAD.size :], text)
        if "raised" in answer:
            return Outcome(False, "raised", str(answer["raised"])[:300], used)
        if wanted is None:
            return Outcome(answer.get("passed") is True, "passed", "", used)
        reader = wire.Unpack(blobs, _refuse, plain=True)
        values = [reader.value(node) for node in answer["values"]]
    except (wire.WireError, KeyError, TypeError, AttributeError, ValueError) as error:
        return Outcome(False, "wrong", f"no plain values: {error}"[:300], used)
    if len(values) != len(wanted):
        return Outcome(False, "wrong", "values are missing", used)
    for got, want in zip(values, wanted):
        if got != want:
            return Outcome(False, "wrong", f"{got!r:.120} instead of {want!r:.120}", used)
    return Outcome(True, "passed", "", used)


def _no_plain_value(value: Any) -> Any:
    raise InputError(f"tests hold a {type(value).__name__}; they must hold plain values")


def _refuse(mark: str, part: Any) -> Any:
    raise wire.WireError(f"unknown mark {mark!r}")


_shared: Programs | None = None
_lock = threading.Lock()


def run(code: str, tests: Tests, seconds: float = SECONDS, memory: int = MEMORY) -> Outcome:
    """Judge one program with workers that are started once and kept; see `Programs.run`.

    Raises:
        InputError: as `Programs.run`; also where this machine offers no wall: see `Programs`.
    """
    global _shared
    with _lock:
        if _shared is None:
            _shared = Programs()
            atexit.register(_close)
    return _shared.run(code, tests, seconds, memory)


def _close() -> None:
    with suppress(OSError, SessionError):
        if _shared is not None:
            _shared.close()
