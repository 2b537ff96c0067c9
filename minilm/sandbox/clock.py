"""The processor time of a worker, read from outside: it cannot set this clock back.

The worker sits in a process namespace of its own, so its number there says nothing here. The kernel
knows: a message over a socket carries the number of its sender, as seen by the receiver (unix(7)).
With it, the worker's clock is one call away (clock_getcpuclockid(3)).
"""

import socket
import struct
import sys
import time
from contextlib import suppress

CREDENTIALS = struct.Struct("3i")
LINUX = sys.platform.startswith("linux")


class Clock:
    """Seconds of processor time of the process that first wrote to a socket."""

    def __init__(self) -> None:
        self._clock: int | None = None
        self._last, self._begun = 0.0, time.monotonic()

    def listen(self, ours: socket.socket) -> None:
        """Ask for the sender's number; to be called before it can write."""
        if LINUX:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

    def look(self, ours: socket.socket) -> None:
        """Learn, from the first message that waits, which process has sent it."""
        if not LINUX or self._clock is not None:
            return
        try:
            space = socket.CMSG_SPACE(CREDENTIALS.size)
            _, extra, *_ = ours.recvmsg(1, space, socket.MSG_PEEK)
        except OSError:
            return
        for level, kind, data in extra:
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                number, *_ = CREDENTIALS.unpack(data[: CREDENTIALS.size])
                self._clock = ~number << 3 | 2 if number > 0 else None
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)

    def worker(self) -> float:
        """Seconds so far, or until the last look where the worker is gone.

        Where the system does not say which process it is, all time on the wall counts as its own.
        """
        if self._clock is None:
            return time.monotonic() - self._begun
        with suppress(OSError):
            self._last = time.clock_gettime(self._clock)
        return self._last
