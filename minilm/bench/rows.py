"""A row of a benchmark table, and how two programs are timed fairly on a machine that drifts."""

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
        ours: our figure, a median; None where only the ratio means something.
        peer: the peer's figure, a median; None where the peer is not installed.
        peer_name: who the peer is.
        ratio: how many times better ours is: the median of the ratios of single rounds.
        spread: lowest and highest ratio of a round, without the outermost fifth on either side.
        goal: the desired ratio, or None.
        met: whether the ratio reaches the goal; None where one of them is missing.
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

    Without a peer there are only our seconds.
    """

    ours: float
    peer: float | None = None
    ratio: float | None = None
    spread: tuple[float, float] | None = None

    def reaches(self, goal: float | None) -> bool | None:
        """Whether the ratio reaches the goal; None where one of them is missing."""
        return None if goal is None or self.ratio is None else self.ratio >= goal


def seconds(function: Callable[[], Any]) -> float:
    """How long one call takes; garbage is collected before it, not during it."""
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
    """Time two functions in turn, after one call of each that is not counted.

    A machine's speed drifts with heat and neighbours. Both runs of a round see the same drift, so
    the ratio is taken round by round, and which goes first changes from round to round.

    Args:
        ours, peer: the functions; without a peer, ours is timed alone.
        rounds: how many.
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
    """The outcome of rounds, from the seconds of each; a round's two runs are at the same place."""
    ratios = sorted(b / a for a, b in zip(ours, peer, strict=True))
    cut = len(ratios) // 5
    spread = ratios[cut], ratios[len(ratios) - 1 - cut]
    return Race(statistics.median(ours), statistics.median(peer), statistics.median(ratios), spread)


def row_of(
    name: str, unit: str, work: float | None, race: Race, peer_name: str, goal: float | None
) -> Row:
    """A row from a race.

    Args:
        name, unit, peer_name, goal: as in `Row`.
        work: what one call does, in the unit times seconds (9.5 for 9.5 MB and "MB/s"); None where
            the unit is seconds.
        race: the outcome.
    """

    def figure(t: float | None) -> float | None:
        return t if work is None or t is None else work / t

    times = figure(race.ours), figure(race.peer)
    return Row(name, unit, *times, peer_name, race.ratio, race.spread, goal, race.reaches(goal))


def missing_row(name: str, unit: str, peer_name: str, goal: float | None) -> Row:
    """A row for a peer that is not installed, where our figure means nothing on its own."""
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
    """The lines above those of a table."""
    line = _columns(("what", "ours", "peer", "", "peer is", "ratio", "spread", "goal", ""))
    return f"{line}\n{'-' * len(line)}"


def line_of(row: Row) -> str:
    """A row as a line of text, in columns whose width does not depend on the other rows."""
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
