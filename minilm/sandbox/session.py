"""One worker process as the grader sees it: messages both ways, and a clock it cannot stop.

The clock is the processor's: what the worker has used, and what this process has used for it, so
that a busy machine costs nobody points. The clock on the wall stops a worker that sleeps, and
stands in where the processor time of another process cannot be read.
"""

import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from minilm.sandbox.clock import Clock
from minilm.sandbox.inside import wire
from minilm.sandbox.kit import ANSWERS, EMULATOR, PROGRAMS
from minilm.sandbox.libraries import FOR_THE_EMULATOR, top_names
from minilm.sandbox.places import Place
from minilm.sandbox.shared import Shared
from minilm.sandbox.walls import PATIENCE, Isolation, Limits

MOST_SLOTS = 256  # submissions at once
STIRS = 0.01  # a worker that uses a smaller part of its time than this is asleep
LOOK = 0.05  # seconds between two looks at a clock that has nearly run out


class SessionError(Exception):
    """The worker is of no more use.

    `kind` says why: "time", "gone", "size" or "broken"; `cell` where, if it was running cells.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.cell: int | None = None


class Session:
    """A worker behind its wall.

    Args:
        isolation: the wall.
        kit: made by `make_kit`.
        limits: what it may use.
        libraries: what its answers may use beside the usual, see `sandbox.libraries`.
        role: ANSWERS for a worker that runs a notebook, EMULATOR for one that launches kernels,
            PROGRAMS for one that forks a child for each program, see `sandbox.programs`.
    """

    def __init__(
        self,
        isolation: Isolation,
        kit: Path,
        limits: Limits,
        libraries: Sequence[str] = (),
        role: str = ANSWERS,
    ) -> None:
        self.isolation, self.kit, self.limits = isolation, kit, limits
        self.libraries, self.role = tuple(libraries), role
        self.process: subprocess.Popen | None = None
        self.deadline = self.allowed = 0.0
        self.idle = self.waited = 0.0
        self._moved = 0.0, 0.0  # when the clocks were seen to move: on the wall, of the processor
        self.shared: Shared | None = None
        self._clock = Clock()
        self._place: Place | None = None
        self._beside: Session | None = None

    def start(self, seconds: float = 30.0) -> None:
        """Start the worker and wait until it has locked itself in.

        Raises:
            SessionError: it did not start, or a lock did not close.
        """
        answers = self.role == ANSWERS
        emulates = self.role == EMULATOR
        packages = FOR_THE_EMULATOR if emulates else top_names(self.libraries)
        kit = self.kit / (EMULATOR if emulates else ANSWERS)
        try:
            self._place = Place()
        except OSError as error:
            raise SessionError("broken", str(error)) from None
        place = self._place.number
        line, options = self.isolation.command(kit, packages, place)
        plan = self.isolation.plan(kit, packages, self.limits, place)
        plan |= {"answers": answers, "libraries": list(self.libraries)}
        if self.role == PROGRAMS:  # no file outlives the program that would have made it
            plan |= {"programs": True, "scratch": plan["scratch"] and (4096, 1)}
        self.shared = Shared.made() if answers else None
        if self.shared is not None:
            plan |= {"shared": [self.shared.file, self.shared.size]}
            options["pass_fds"] = [self.shared.file]
        self._open(line, options)
        self.allow(seconds)
        self.deadline = time.monotonic() + seconds
        self.send(plan)
        answer, _ = self.receive()
        if self.shared is not None:
            self.shared.close()
        if not isinstance(answer, dict) or answer.get("locked") is not True:
            self.close()
            reason = answer.get("refused") if isinstance(answer, dict) else None
            raise SessionError("broken", str(reason or "the worker did not start")[:200])

    def _open(self, line: list[str], options: dict[str, Any]) -> None:
        if os.name != "posix":
            self.process = subprocess.Popen(
                line, stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, bufsize=0, **options
            )
            self._reads, self._writes = self.process.stdout, self.process.stdin
            return
        # a socket and no pipes: over it the kernel says which process is at the other end
        ours, theirs = socket.socketpair()
        with theirs:
            self._clock.listen(ours)
            ours.setblocking(False)
            self._reads = self._writes = ours
            self.process = subprocess.Popen(
                line, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, **options
            )

    @property
    def alive(self) -> bool:
        """Whether there is still a worker to talk to."""
        return self.process is not None and self.process.poll() is None

    @property
    def spent(self) -> float:
        """Seconds of processor time that the worker and the one beside it have used.

        Those that it was given and has slept away count like used ones.
        """
        return self._clock.worker() + self.waited + (self._beside.spent if self._beside else 0.0)

    def allow(self, seconds: float) -> None:
        """Set the clock: everything until the next call of this has so much time together."""
        self.deadline, self.idle = time.monotonic() + PATIENCE * seconds, seconds
        self.allowed = self._used() + seconds
        self._moved = time.monotonic(), self._used()

    def _used(self) -> float:
        """Seconds of processor time, the worker's and those of this process for it."""
        return self.spent + time.process_time()

    def beside(self) -> "Session":
        """A worker that holds no student's code, behind a wall of its own, under the same clock.

        It runs what has been looked through before; closing this session closes it too.
        """
        if self._beside is None or not self._beside.alive:
            begun = time.monotonic(), self._used()
            self._beside = Session(self.isolation, self.kit, self.limits, role=EMULATOR)
            self._beside.start()
            # nobody's answer starts it
            self.deadline += time.monotonic() - begun[0]
            self.allowed += self._used() - begun[1]
        self._beside.deadline, self._beside.idle = self.deadline, self.idle
        self._beside._moved = time.monotonic(), self._beside._used()
        self._beside.allowed = self._beside._used() + self.allowed - self._used()
        return self._beside

    def send(self, message: Any, pack: wire.Pack | None = None) -> None:
        """Send one message; values in it went through `pack`."""
        packed = pack or wire.Pack(_no_handle)
        data = memoryview(wire.frame(message, packed, wire.LARGEST_REQUEST))
        self._timed(lambda: self._send(data))

    def receive(self) -> tuple[Any, list[memoryview]]:
        """The next message and its blobs, rebuilt from plain parts."""
        return self._timed(self._receive)

    def close(self) -> None:
        """End the worker and everything it started."""
        if self._beside is not None:
            self._beside.close()
        if self.process is None:
            return
        self._clock.worker()  # the last look
        process, self.process = self.process, None
        with suppress(OSError):
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
        for end in (self._reads, self._writes, self.shared, self._place):
            if end is not None:
                with suppress(OSError):
                    end.close()
        process.wait()

    def _timed(self, action: Callable[[], Any]) -> Any:
        """Run one exchange. Windows pipes cannot be waited for, so there a timer kills instead."""
        if self.process is None:
            raise SessionError("gone", "the program is gone")
        timer = None
        if os.name != "posix":
            left = max(0.01, self.deadline - time.monotonic())
            timer = threading.Timer(left, self.process.kill)
            timer.start()
        try:
            return action()
        except wire.TooLargeError as error:
            self.close()
            raise SessionError("size", str(error)) from None
        except wire.WireError as error:
            self.close()
            raise SessionError("broken", str(error)) from None
        except (BrokenPipeError, ConnectionError, OSError):
            self.close()
            raise SessionError("gone", "the program ended by itself") from None
        except SessionError:
            self.close()
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _wait(self, read: list[int], write: list[int]) -> None:
        """Wait until there is something to do, or the time is up."""
        while True:
            now, used = time.monotonic(), self._used()
            if used - self._moved[1] > STIRS * self.idle:
                self._moved = now, used
            # who has a processor uses it, however busy the machine: who does not is asleep
            left = min(self.deadline, self._moved[0] + self.idle) - now
            due = self.allowed - used
            if left <= 0 or due <= 0:
                self.waited += max(0.0, due)
                raise SessionError("time", "it took too long")
            if os.name != "posix" or any(select.select(read, write, [], min(left, due + LOOK))):
                return

    def _send(self, data: memoryview) -> None:
        pipe = self._writes.fileno()
        while data:
            self._wait([], [pipe])
            with suppress(BlockingIOError):
                data = data[os.write(pipe, data[: 1 << 16]) :]

    def _receive(self) -> tuple[Any, list[memoryview]]:
        total, text = wire.head(self._read(wire.HEAD.size))
        return wire.split(self._read(total), text)

    def _read(self, count: int) -> bytes:
        pipe = self._reads.fileno()
        out = bytearray()
        while len(out) < count:
            self._wait([pipe], [])
            self._clock.look(self._reads)
            try:
                part = os.read(pipe, min(1 << 20, count - len(out)))
            except BlockingIOError:
                continue
            if not part:
                late = time.monotonic() > self.deadline
                raise SessionError("time" if late else "gone", "the program ended by itself")
            out += part
        return bytes(out)


def _no_handle(value: Any) -> dict[str, Any]:
    raise wire.WireError(f"a {type(value).__name__} cannot be sent")
