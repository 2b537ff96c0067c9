"""A number for every worker that runs on this machine, whichever grader started it.

The number picks the worker's user and its processor. Two graders that counted for themselves would
give the same user to two strangers, who could then signal each other and share a limit on threads.
A number is held by a name that the kernel forgets with the process that bound it: a socket in the
abstract namespace, where there is one.
"""

import errno
import os
import socket
import sys

MOST = 1_000  # workers at once, on the whole machine


class Place:
    """A number that nobody else holds; let go by `close` or by the end of the process."""

    def __init__(self) -> None:
        self.number, self._held = _take()

    def close(self) -> None:
        """Let the number go."""
        if self._held is not None:
            self._held.close()
            self._held = None


def _take() -> tuple[int, socket.socket | None]:
    first = os.getpid() % MOST  # so that graders seldom try the same one
    if not sys.platform.startswith("linux"):
        return first, None
    for step in range(MOST):
        number = (first + step) % MOST
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            held.bind(f"\0minilm-place-{number}")
        except OSError as error:
            held.close()
            if error.errno != errno.EADDRINUSE:
                return number, None
            continue
        return number, held
    raise OSError(errno.EAGAIN, f"{MOST} workers run on this machine already")
