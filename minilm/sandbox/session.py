"""One worker process as the grader sees it: messages over two pipes, and a clock it cannot stop."""

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from minilm.sandbox.inside import wire
from minilm.sandbox.walls import Isolation, Limits

MOST_SLOTS = 256  # submissions at once; a worker beside another takes a slot above them


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
        kit: the folder that the worker starts from.
        limits: what it may use.
        slot: which of the parallel places it takes; picks its processor and its user.
    """

    def __init__(self, isolation: Isolation, kit: Path, limits: Limits, slot: int = 0) -> None:
        self.isolation, self.kit, self.limits, self.slot = isolation, kit, limits, slot
        self.process: subprocess.Popen | None = None
        self.deadline = 0.0
        self._beside: Session | None = None

    def start(self, seconds: float = 30.0) -> None:
        """Start the worker and wait until it has locked itself in.

        Raises:
            SessionError: it did not start, or a lock did not close.
        """
        line, options = self.isolation.command(self.kit, self.slot)
        self.process = subprocess.Popen(
            line,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            **options,
        )
        if os.name == "posix":
            os.set_blocking(self.process.stdin.fileno(), False)
            os.set_blocking(self.process.stdout.fileno(), False)
        self.allow(seconds)
        self.send(self.isolation.plan(self.kit, self.limits, self.slot))
        answer, _ = self.receive()
        if not isinstance(answer, dict) or answer.get("locked") is not True:
            self.close()
            reason = answer.get("refused") if isinstance(answer, dict) else None
            raise SessionError("broken", str(reason or "the worker did not start")[:200])

    @property
    def alive(self) -> bool:
        """Whether there is still a worker to talk to."""
        return self.process is not None and self.process.poll() is None

    def allow(self, seconds: float) -> None:
        """Set the clock: everything until the next call of this has so much time together."""
        self.deadline = time.monotonic() + seconds

    def beside(self) -> "Session":
        """A worker that holds no student's code, behind a wall of its own, under the same clock.

        It runs what has been looked through before; closing this session closes it too.
        """
        if self._beside is None or not self._beside.alive:
            begun = time.monotonic()
            self._beside = Session(self.isolation, self.kit, self.limits, self.slot + MOST_SLOTS)
            self._beside.start()
            self.deadline += time.monotonic() - begun  # nobody's answer starts it
        self._beside.deadline = self.deadline
        return self._beside

    def send(self, message: Any, pack: wire.Pack | None = None) -> None:
        """Send one message; values in it went through `pack`."""
        data = memoryview(wire.frame(message, pack or wire.Pack(_no_handle)))
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
        process, self.process = self.process, None
        with suppress(OSError):
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                pipe.close()
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
        if os.name != "posix":
            if time.monotonic() > self.deadline:
                raise SessionError("time", "it took too long")
            return
        left = self.deadline - time.monotonic()
        if left <= 0 or not any(select.select(read, write, [], left)):
            raise SessionError("time", "it took too long")

    def _send(self, data: memoryview) -> None:
        pipe = self.process.stdin.fileno()
        while data:
            self._wait([], [pipe])
            with suppress(BlockingIOError):
                data = data[os.write(pipe, data[: 1 << 16]) :]

    def _receive(self) -> tuple[Any, list[memoryview]]:
        total, text = wire.head(self._read(wire.HEAD.size))
        return wire.split(self._read(total), text)

    def _read(self, count: int) -> bytes:
        pipe = self.process.stdout.fileno()
        out = bytearray()
        while len(out) < count:
            self._wait([pipe], [])
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
