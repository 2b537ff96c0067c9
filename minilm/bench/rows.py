"""A row of a benchmark table, and how two programs are timed fairly on a machine that wobbles."""

import gc
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One measured comparison.

    Attributes:
        name: what was done.
        unit: of `ours` and `peer`.
        ours: our figure, a median; None where only the ratio says something.
        peer: the peer's figure, a median; None where the peer is not installed.
        peer_name: who it is.
        ratio: how many times better ours is: the median of the ratios of single rounds.
        spread: lowest and highest ratio of a round, without the outermost fifth on either side.
        goal: the ratio wanted, or None.
        met: whether the ratio reaches the goal; None where there is nothing to say.
    """

    name: str
    unit: str
    ours: float | None
    peer: float | None
    peer_name: str
    ratio: float | None
    spread: tuple[float, float] | None
    goal: float | None
    met: bool | None


@dataclass(frozen=True)
class Race:
    """The outcome of `alternate`: median seconds of each, median and spread of peer / ours.

    Without a peer there are our seconds and nothing else.
    """

    ours: float
    peer: float | None = None
    ratio: float | None = None
    spread: tuple[float, float] | None = None

    def reaches(self, goal: float | None) -> bool | None:
        """Whether the ratio does; None where there is no ratio or no goal."""
        return None if goal is None or self.ratio is None else self.ratio >= goal


def seconds(function: Callable[[], Any]) -> float:
    """How long one call takes; garbage is collected before, not during."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        begin = time.perf_counter()
        function()
        return time.perf_counter() - begin
    finally:
        if enabled:
            gc.enable()


def alternate(ours: Callable[[], Any], peer: Callable[[], Any] | None, rounds: int = 7) -> Race:
    """Time two functions in turn, after a call of each that does not count; None: ours alone.

    A machine's speed drifts with heat and neighbours. Both runs of a round see the same drift, so
    the ratio is taken round by round, and who goes first changes from round to round.
    """
    ours()
    if peer is None:
        return Race(statistics.median(seconds(ours) for _ in range(rounds)))
    peer()
    mine, theirs = [], []
    for turn in range(rounds):
        for who in (0, 1) if turn % 2 == 0 else (1, 0):
            (mine if who == 0 else theirs).append(seconds(ours if who == 0 else peer))
    return race_of(mine, theirs)


def race_of(ours: list[float], peer: list[float]) -> Race:
    """The outcome of rounds that took so long, each round's two runs at the same place."""
    ratios = sorted(b / a for a, b in zip(ours, peer, strict=True))
    cut = len(ratios) // 5
    spread = ratios[cut], ratios[len(ratios) - 1 - cut]
    return Race(statistics.median(ours), statistics.median(peer), statistics.median(ratios), spread)


def row_of(
    name: str, unit: str, work: float | None, race: Race, peer_name: str, goal: float | None
) -> Row:
    """A row from a race.

    Args:
        work: what one call does, in the unit times seconds (9.5 for 9.5 MB and "MB/s"); None where
            the unit is seconds.
    """

    def figure(t: float | None) -> float | None:
        return t if work is None or t is None else work / t

    times = figure(race.ours), figure(race.peer)
    return Row(name, unit, *times, peer_name, race.ratio, race.spread, goal, race.reaches(goal))


def missing_row(name: str, unit: str, peer_name: str, goal: float | None) -> Row:
    """A row that says that the peer is not installed, where ours means nothing alone."""
    return Row(name, unit, None, None, peer_name, None, None, goal, None)


def said_of(row: Row) -> tuple[str, str, str, str]:
    """Ratio, spread, goal and verdict of a row that has a ratio, as text."""
    return (
        f"{row.ratio:.2f}x",
        f"{row.spread[0]:.2f}-{row.spread[1]:.2f}",
        "" if row.goal is None else f"{row.goal:.3g}x",
        "" if row.met is None else ("met" if row.met else "missed"),
    )


_WIDTHS = (50, 9, 9, 9, 24, 8, 14, 6)


def heading() -> str:
    """What stands above the lines of a table."""
    line = _columns(("what", "ours", "peer", "", "peer is", "ratio", "spread", "goal", ""))
    return f"{line}\n{'-' * len(line)}"


def line_of(row: Row) -> str:
    """A row as a line of text, in columns of a width that is known before the other rows are."""
    ours, peer = ("" if figure is None else f"{figure:.3g}" for figure in (row.ours, row.peer))
    unit = row.unit if ours else ""
    if row.ratio is None:
        missing = f"{row.peer_name}: not installed" if row.peer_name else ""
        return _columns((row.name, ours, "", unit, missing))
    return _columns((row.name, ours, peer, unit, row.peer_name, *said_of(row)))


def _columns(cells: tuple[str, ...]) -> str:
    *others, last = cells
    return "  ".join([*(c.ljust(w) for c, w in zip(others, _WIDTHS)), last]).rstrip()


def table(rows: Iterable[Row]) -> str:
    """The rows as text in columns."""
    return "\n".join([heading(), *map(line_of, rows)])
