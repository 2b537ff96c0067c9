"""What happens around the cells of a notebook: how long they ran, and which of them were stopped.

A training that is stopped leaves a model that is half trained, and later cells would judge it. So
claims ask here, and those that rest on what a stopped cell left give no verdict until it, and every
cell that has used it since, has run to its end.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from minilm.course.show.names import may_change, names_of
from minilm.course.show.style import in_notebook
from minilm.train.watch import stopped_runs


class Clock:
    """Seconds that notebook cells ran since the last claim; thinking time is not counted."""

    def __init__(self) -> None:
        self.spent, self.began = 0.0, time.perf_counter()

    def start(self) -> None:
        """A cell begins."""
        self.began = time.perf_counter()

    def stop(self) -> None:
        """A cell ends."""
        self.spent += time.perf_counter() - self.began

    def lap(self) -> float:
        """Seconds since the last lap."""
        now = time.perf_counter()
        total = self.spent + now - self.began
        self.spent, self.began = 0.0, now
        return total


@dataclass
class _Doubt:
    """A cell that was stopped or ran on what such a cell left, and the names that rest on it."""

    cell: set[str]  # its id and text; none where the cell is not known
    said: str  # what was stopped, in words
    names: set[str] | None  # None: all


class Stopped:
    """The cells that were stopped, each until it is run again, and what rests on them.

    A cell that was stopped may have changed every name that it mentions, other than modules,
    functions and what cannot change. One that ran on such a name puts in doubt what it assigns or
    is seen to change. Running a cell again lifts its own share, and a cell that is in no doubt
    lifts what it assigns. What a cell leaves on the disk is not followed.
    """

    def __init__(self) -> None:
        self._doubts = [_Doubt(set(), said, None) for said in stopped_runs]
        self._known = len(stopped_runs)  # of them belong to earlier cells
        self._older = self._doubts[:]  # than this cell's own share, the last time it ran
        self._needed: set[str] = set()
        self._made: set[str] = set()
        self._changed: set[str] = set()

    def start(self, cell: set[str], text: str, space: dict[str, Any]) -> None:
        """A cell begins: what it left unfinished before is made anew."""
        own = [i for i, doubt in enumerate(self._doubts) if doubt.cell & cell]
        self._older = self._doubts[: own[0]] if own else self._doubts[:]
        self._doubts = [doubt for doubt in self._doubts if not doubt.cell & cell]
        self._known = len(stopped_runs)
        self._needed, self._made, self._changed = names_of(text, space)

    def stop(self, cell: set[str], broken: bool, number: int | None, space: dict[str, Any]) -> None:
        """A cell ends; `broken` says that it was stopped itself."""
        runs = stopped_runs[self._known :]
        self._known = len(stopped_runs)
        names = self._made | self._changed
        if runs:
            said, names = runs[0], names | self._needed
        elif broken:
            said, names = "a cell was interrupted", names | self._needed
        elif self._rests_on(self._older):  # younger doubts came out of this cell's own
            said = "a cell ran on what was interrupted"
        else:
            for doubt in self._doubts:
                if doubt.names is not None:
                    doubt.names -= self._made
            return
        said += f" (cell [{number}])" if number else ""
        doubtful = may_change(names, self._made, space)
        self._doubts.insert(len(self._older), _Doubt(cell, said, doubtful))

    def why(self) -> str:
        """What was stopped and the cell that runs rests on, in words; "" where nothing was."""
        return self._rests_on(self._doubts) or next(iter(stopped_runs[self._known :]), "")

    def _rests_on(self, doubts: list[_Doubt]) -> str:
        for doubt in doubts:
            if doubt.names is None or doubt.names & self._needed:
                return doubt.said
        return ""


clock, stopped = Clock(), Stopped()


def _cell(info: Any) -> set[str]:
    """What a cell is known by: its id, where the front end sends one, and its text."""
    return {str(name) for name in (getattr(info, "cell_id", None), info.raw_cell) if name}


def _before(info: Any) -> None:
    clock.start()
    shell, text = get_ipython(), ""
    with suppress(SyntaxError):
        text = shell.transform_cell(info.raw_cell)
    stopped.start(_cell(info), text, shell.user_ns)


def _after(result: Any) -> None:
    clock.stop()
    error = result.error_in_exec or result.error_before_exec
    broken = isinstance(error, KeyboardInterrupt)
    stopped.stop(_cell(result.info), broken, result.execution_count, get_ipython().user_ns)


if in_notebook():
    from IPython import get_ipython

    get_ipython().events.register("pre_run_cell", _before)
    get_ipython().events.register("post_run_cell", _after)
