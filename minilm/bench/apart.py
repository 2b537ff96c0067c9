"""Each part of the benchmark in a process of its own.

What one part sets must not affect the next: numbers of threads, loaded libraries, and the settings
of the allocator (`backend.keep_freed_memory` leaves one arena, for which a peer's threads would
queue).
"""

import importlib
import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any


def results_of(module: str, quick: bool) -> Iterator[Any]:
    """Run `module.run(quick)` in another process.

    Yields:
        What it yields, as soon as it does.

    Raises:
        RuntimeError: the process ended early; whatever `run` raises is raised here.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(module, quick, there))
    process.start()
    there.close()
    try:
        while True:
            try:
                result = here.recv()
            except EOFError:
                break
            if isinstance(result, Exception):
                raise result
            yield result
        process.join()
    finally:
        process.terminate()
        process.join()
    if process.exitcode:
        raise RuntimeError(f"{module} ended early, with status {process.exitcode}")


def _send(module: str, quick: bool, to: Connection) -> None:
    try:
        for result in importlib.import_module(module).run(quick=quick):
            to.send(result)
    except KeyboardInterrupt:
        pass  # the process that started this one says so
    except Exception as problem:
        to.send(problem)
    to.close()
