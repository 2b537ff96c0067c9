"""An event loop for an `await` in a cell: timers, tasks and threads, and no sockets.

asyncio's own loop wakes itself through a pair of sockets, which the sandbox does not allow.
"""

import asyncio
import threading
from typing import Any


class Bell:
    """Stands where a loop has its selector: nothing to read, only a bell that threads ring."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def ring(self) -> None:
        self._rung.set()

    def select(self, timeout: float | None) -> list[Any]:
        """No events, once the time is over or the bell has rung."""
        self._rung.wait(timeout)
        self._rung.clear()
        return []


class Loop(asyncio.BaseEventLoop):
    """What `asyncio.get_running_loop()` gives while a cell waits."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = Bell()

    def _process_events(self, events: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        self._selector.ring()
