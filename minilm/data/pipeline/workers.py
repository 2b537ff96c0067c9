"""Processes on this machine that work on parts; one that is killed is replaced, its part redone."""

import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from minilm.errors import InputError

TRIES = 3  # of a part whose worker was killed: by the system, when memory runs out


class Processes:
    """Several processes; a single one is this process itself.

    Args:
        count: how many.

    Raises:
        InputError: fewer than 1.
    """

    def __init__(self, count: int = 1) -> None:
        if count < 1:
            raise InputError(f"processes is {count}; it must be 1 or more")
        self.count = count
        self._workers: list[tuple[Any, Connection]] = []

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: Any) -> None:
        for process, pipe in self._workers:
            pipe.close()  # it ends when nobody can ask it for anything
            process.terminate()
        for process, _ in self._workers:
            process.join()
        self._workers = []

    def run(
        self,
        function: Callable[..., None],
        tasks: Sequence[tuple],
        told: Callable[[], Any] = lambda: None,
    ) -> None:
        """Call a function of a module once for each task, in any order.

        Args:
            function: called with a task's values. Calling it twice must do no harm.
            tasks: what to call it with.
            told: called each time a task is done.

        Raises:
            InputError: a worker was killed three times on the same task; whatever the function
                raises is raised here.
        """
        if self.count == 1 or len(tasks) == 1:
            for task in tasks:
                function(*task)
                told()
            return
        waiting = [(task, 0) for task in reversed(tasks)]
        busy: dict[Connection, tuple[tuple, int]] = {}
        try:
            while waiting or busy:
                while waiting and len(busy) < self.count:
                    pipe = self._idle(busy)
                    busy[pipe] = waiting.pop()
                    with contextlib.suppress(OSError):  # it died while idle; seen below
                        pipe.send((function, busy[pipe][0]))
                for pipe in wait(list(busy)):
                    task, tried = busy.pop(pipe)
                    try:
                        problem = pipe.recv()
                    except (EOFError, OSError):
                        self._forget(pipe)
                        if tried + 1 == TRIES:
                            raise InputError(
                                f"processes is {self.count}; a worker was killed {TRIES} times "
                                f"on the same part ({task[-1]}), perhaps for want of memory: "
                                "it must be fewer"
                            ) from None
                        waiting.append((task, tried + 1))
                        continue
                    if problem is not None:
                        raise problem
                    told()
        except BaseException:
            self.__exit__()  # whatever is still at work is of no use
            raise

    def _idle(self, busy: dict[Connection, Any]) -> Connection:
        for _, pipe in self._workers:
            if pipe not in busy:
                return pipe
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(there,), daemon=True)
        with _deaf():
            process.start()
        there.close()
        self._workers.append((process, here))
        return here

    def _forget(self, pipe: Connection) -> None:
        for worker in self._workers:
            if worker[1] is pipe:
                worker[0].join(1)
                worker[0].kill()
                worker[0].join()
                pipe.close()
                self._workers.remove(worker)
                return


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """A process that is started inside ignores Ctrl-C: it is for the one that started it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(pipe: Connection) -> None:
    """Do what comes through the pipe until the other end is closed, or its process killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from minilm import backend

    backend.set_threads(1)
    while True:
        try:
            function, task = pipe.recv()
        except (EOFError, OSError):
            return
        problem = None
        try:
            function(*task)
        except Exception as error:
            problem = error
        try:
            pipe.send(problem)
        except OSError:
            return
        except Exception:  # an error that cannot be sent
            pipe.send(RuntimeError(f"{type(problem).__name__}: {problem}"))
