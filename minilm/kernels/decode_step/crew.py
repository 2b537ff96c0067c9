"""Threads that wait for each other inside compiled code, and so have to run all at once."""

import os
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any


class Crew:
    """Helpers of one caller: `run` starts all parts of a job at once.

    A pool shared with others might start one part only after another has ended; parts that meet at
    barriers would then wait forever. These threads belong to one owner and take one job at a time.
    """

    def __init__(self) -> None:
        self._desks: list[SimpleQueue] = []
        self._process = os.getpid()
        self._alone = threading.Lock()

    def run(self, job: Callable[..., Any], parts: int, *args: Any) -> None:
        """`job(part, *args)` for each part, part 0 in this thread; returns when part 0 does.

        The last barrier of the job itself tells that the others are done.
        """
        with self._alone:
            if self._process != os.getpid():  # a fork has this object but not its threads
                self._desks, self._process = [], os.getpid()
            while len(self._desks) < parts - 1:
                self._desks.append(_hire(self))
            for part in range(1, parts):
                self._desks[part - 1].put((job, part, args))
            job(0, *args)


def _hire(owner: Crew) -> SimpleQueue:
    desk: SimpleQueue = SimpleQueue()
    threading.Thread(target=_work, args=(desk,), daemon=True, name="minilm-decode").start()
    weakref.finalize(owner, desk.put, None)
    return desk


def _work(desk: SimpleQueue) -> None:
    while (task := desk.get()) is not None:
        job, part, args = task
        job(part, *args)
        del task, job, args  # a waiting thread keeps nothing alive
