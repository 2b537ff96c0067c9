"""Executing several lessons side by side, each in a process and a kernel of its own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from typing import Any

from minilm.course.build.lessons import Lesson
from minilm.course.build.run import LessonError, Run, run_lesson

_BLAS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def run_lessons(
    lessons: list[Lesson], jobs: int = 1, progress: bool = True, **options: Any
) -> Iterator[tuple[Lesson, Run | LessonError]]:
    """Execute lessons, and give each with its run, or with why it failed, when it ends.

    Side by side they are done sooner, but each takes longer: do not measure lessons so. Those that
    took longest when they were stored begin first, so that no core waits for a late long one.
    Matrix products then use one thread each, for threads of two lessons that wait for one another
    at the same cores cost more than they bring.

    Args:
        lessons: what to execute.
        jobs: how many at a time.
        progress: show a bar, where only one runs at a time.
        options: `seconds`, `seeds` and `budget` of `run_lesson`.
    """
    if jobs == 1 or len(lessons) < 2:
        for lesson in lessons:
            yield lesson, _run(lesson, progress, options)
        return
    started: dict[Future[Run | LessonError], Lesson] = {}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_one_thread) as pool:
        for lesson in sorted(lessons, key=_seconds, reverse=True):
            started[pool.submit(_run, lesson, False, options)] = lesson
        try:
            for done in as_completed(started):
                yield started[done], done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _run(lesson: Lesson, progress: bool, options: dict[str, Any]) -> Run | LessonError:
    try:
        return run_lesson(lesson, progress, **options)
    except LessonError as error:
        return error


def _seconds(lesson: Lesson) -> float:
    """How long the lesson took when its outputs were stored; one never stored goes first."""
    return lesson.notebook["metadata"].get("minilm", {}).get("seconds", float("inf"))


def _one_thread() -> None:
    for name in _BLAS:  # the kernels that this process starts inherit them
        os.environ.setdefault(name, "1")
