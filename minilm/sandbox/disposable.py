"""Disposable processes: every piece of work runs in a fork of a warm one, with limits of its own.

    with Nursery("package.module", setup, places=2) as nursery:
        for message in nursery.work(request, Allowance(memory=1 << 30, cpu=60, wall=300)):
            ...

A fresh Python imports the module, calls its `prepare(setup)` and waits. For each piece it forks:
the child calls `work(state, request, send)`, and what it sends comes out here as plain JSON. What
it eats, breaks or leaves running ends with it. Where there is no fork (Windows), each piece starts
a Python of its own.
"""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

LENGTH = struct.Struct("<I")
LARGEST = 1 << 20  # bytes of a message from the child
LARGEST_REQUEST = 256 << 20
MOST = 10_000  # messages of one piece of work
GRACE = 30.0  # seconds after the end of a piece until its keeper is given up too
PACKAGE = Path(__file__).resolve().parents[2]
# the terminal's Ctrl-C is none of its business, also while it warms up: the grader closes in order
COMMAND = "import sys, json, signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
COMMAND += "sys.path[:0] = json.loads(sys.argv[1]); "
COMMAND += "from minilm.sandbox import keeper; keeper.main(sys.argv[2:])"


@dataclass(frozen=True)
class Allowance:
    """What one piece of work may use: bytes of address space, seconds of processor and wall."""

    memory: int
    cpu: float
    wall: float
    files: int = 256


@dataclass(frozen=True)
class Ended:
    """How a piece of work ended: "done", "time" or "gone", and its seconds of processor time."""

    how: str
    cpu: float


class Nursery:
    """A warm process and its forks.

    Args:
        entry: "package.module" with `prepare(setup)` and `work(state, request, send)`.
        setup: plain JSON for `prepare`.
        places: how many pieces may run at once.
    """

    def __init__(self, entry: str, setup: Any, places: int) -> None:
        self.entry, self.setup = entry, setup
        self._free: SimpleQueue[socket.socket | None] = SimpleQueue()
        self._ends: list[socket.socket] = []
        self._warm: subprocess.Popen | None = None
        if hasattr(os, "fork"):
            pairs = [socket.socketpair() for _ in range(places)]
            self._ends = [ours for ours, _ in pairs]
            files = [theirs.fileno() for _, theirs in pairs]
            self._warm = self._python([str(file) for file in files], pass_fds=files)
            for _, theirs in pairs:
                theirs.close()
            self._put_setup(self._warm)
        for place in self._ends or [None] * places:
            self._free.put(place)

    def _python(self, arguments: list[str], **options: Any) -> subprocess.Popen:
        path = json.dumps([str(PACKAGE), *filter(None, sys.path)])
        one_thread = dict.fromkeys(
            ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"
        )
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, path, self.entry, *arguments],
            stdin=subprocess.PIPE,
            env={**os.environ, **one_thread},
            **options,
        )

    def _put_setup(self, process: subprocess.Popen) -> None:
        with suppress(OSError):  # a process that is gone is noticed when work is asked for
            process.stdin.write(framed(self.setup))
            process.stdin.flush()

    def __enter__(self) -> "Nursery":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the warm process and all that it forked."""
        for end in self._ends:  # a keeper that reads nothing more ends, and its child with it
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # so does a thread that waits for it
            end.close()
        if self._warm is None:
            return
        self._warm.stdin.close()
        try:
            self._warm.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._warm.kill()
            self._warm.wait()

    def work(self, request: Any, allowance: Allowance) -> Iterator[Any]:
        """Have one piece of work done: its messages, then how it ended; from any thread."""
        place = self._free.get()
        try:
            if place is None:
                yield from self._alone(request, allowance)
            else:
                place.settimeout(allowance.wall + GRACE)
                yield from _exchange(place, request, allowance)
        finally:
            self._free.put(place)

    def _alone(self, request: Any, allowance: Allowance) -> Iterator[Any]:
        """A piece of work in a Python of its own."""
        process = self._python([], stdout=subprocess.PIPE)
        timer = threading.Timer(allowance.wall, process.kill)
        timer.start()
        begun = time.monotonic()
        try:
            self._put_setup(process)
            with suppress(OSError):
                process.stdin.write(framed([request, asdict(allowance)]))
                process.stdin.close()
            yield from _limited(iter(lambda: read_frame(process.stdout.read, LARGEST), None))
            code = process.wait()
            late = time.monotonic() - begun > allowance.wall
            yield Ended("done" if code == 0 else "time" if late else "gone", 0.0)
        finally:
            timer.cancel()
            process.kill()
            process.wait()


def _exchange(place: socket.socket, request: Any, allowance: Allowance) -> Iterator[Any]:
    try:
        place.sendall(framed([request, asdict(allowance)]))
        with place.makefile("rb") as stream:
            for message in _limited(iter(lambda: read_frame(stream.read, LARGEST), None)):
                if isinstance(message, dict) and "ended" in message:
                    yield Ended(str(message["ended"]), float(message["cpu"]))
                    return
                yield message
    except (OSError, ValueError, KeyError, TypeError):
        pass
    yield Ended("lost", 0.0)


def _limited(messages: Iterator[Any]) -> Iterator[Any]:
    for number, message in enumerate(messages):
        if number > MOST:
            raise ValueError("too many messages")
        yield message


def framed(message: Any) -> bytes:
    """A message as bytes: its length, then JSON."""
    data = json.dumps(message).encode("ascii")
    return LENGTH.pack(len(data)) + data


def read_frame(read: Callable[[int], bytes], largest: int) -> Any:
    """The next message, or None at the end.

    Raises:
        ValueError: it is longer than `largest`, or no JSON.
    """
    head = read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    if size > largest:
        raise ValueError(f"a message of {size} bytes; at most {largest} are read")
    body = read(size)
    return json.loads(body) if len(body) == size else None
