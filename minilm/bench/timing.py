"""Rows for short functions: how often to call them in a round, and rows against a fixed goal."""

import math
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from minilm import backend
from minilm.backend.machine import cores
from minilm.bench.rows import Race, Row, alternate, seconds

UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6}
ROUND = 0.05  # seconds that a round of ours should last, well above the clock's resolution


def calls_per_round(
    ours: Callable[[], Any], peer: Callable[[], Any] | None, least: float | None = None
) -> int:
    """How many calls make a round of `least` seconds, or at most four times as long for a peer.

    Both are called once before, because the first call may compile.
    """
    least = ROUND if least is None else least
    counts = []
    for function, length in ((ours, least), (peer, 4 * least)):
        if function is None:
            continue
        function()
        begin = time.perf_counter()
        function()
        counts.append(math.ceil(length / max(time.perf_counter() - begin, 1e-7)))
    return max(1, min(counts))


def repeated(function: Callable[[], Any], count: int) -> Callable[[], None]:
    """A function that calls another one that many times."""

    def run() -> None:
        for _ in range(count):
            function()

    return run


def raced(
    ours: Callable[[], Any],
    peer: Callable[[], Any] | None,
    rounds: int,
    least: float | None = None,
) -> tuple[Race, int]:
    """A race of rounds long enough for the clock, and the number of calls in a round."""
    count = calls_per_round(ours, peer, least)
    other = None if peer is None else repeated(peer, count)
    return alternate(repeated(ours, count), other, rounds), count


def timed_row(
    name: str,
    unit: str,
    ours: Callable[[], Any],
    peer: Callable[[], Any] | None,
    peer_name: str,
    goal: float | None,
    rounds: int,
    work: int = 1,
    least: float | None = None,
) -> Row:
    """A race of two functions as a row of times.

    Args:
        name, peer_name, goal: as in `Row`.
        unit: "s", "ms" or "us", for each of the `work` pieces that a call does.
        ours, peer: the functions; None for a peer that is not installed, ours is then timed alone.
        rounds: how many.
        work: pieces of work in a call.
        least: seconds that ours should run in a round; None means ROUND.
    """
    race, count = raced(ours, peer, rounds, least)
    factor = UNITS[unit] / count / work
    times = (None if t is None else t * factor for t in (race.ours, race.peer))
    return Row(name, unit, *times, peer_name, race.ratio, race.spread, goal, race.reaches(goal))


def use_threads(count: int) -> None:
    """Set the same number of threads on both sides; each of our matrix products runs on one."""
    backend.set_threads(count)
    backend.blas_threads(1)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)


def thread_counts() -> tuple[int, ...]:
    """One thread, and two where there are two cores."""
    return (1, 2) if cores() > 1 else (1,)


def best_threads(function: Callable[[], Any], most: int) -> int:
    """The number of threads with which a function of torch's is fastest; it stays set.

    All are tried in turn, several times, and compared by their medians, so that a busy moment does
    not decide.
    """
    import torch

    taken: dict[int, list[float]] = {count: [] for count in range(1, most + 1)}
    for turn in range(6):
        for count, times in taken.items():
            torch.set_num_threads(count)
            took = seconds(function)
            if turn:  # the first is not counted: threads start, and memory is allocated
                times.append(took)
    best = min(taken, key=lambda count: statistics.median(taken[count]))
    torch.set_num_threads(best)
    return best


def limit_row(name: str, unit: str, values: list[float], limit: float) -> Row:
    """A row against a fixed limit: the ratio says how many times below it the median is.

    Args:
        name, unit: as in `Row`.
        values: of single rounds, in the unit.
        limit: what must not be exceeded.
    """
    ordered = sorted(values)
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    ratio = limit / middle
    spread = limit / ordered[-1], limit / ordered[0]
    return Row(name, unit, middle, limit, "the limit", ratio, spread, 1.0, ratio >= 1)
