"""What happens around the cells of a notebook: how long they ran, and which of them were stopped.

A training that is stopped leaves a model that is half trained, and later cells would judge it. So
claims ask here, and give no verdict until the cell that was stopped has run to its end.
"""

from __future__ import annotations

import time
from typing import Any

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


class Stopped:
    """The cells that were stopped, each until it is run again."""

    def __init__(self) -> None:
        # (id and text of a cell, what was stopped); of what came before, the cell is not known
        self._cells: list[tuple[set[str], str]] = [(set(), said) for said in stopped_runs]
        self._known = len(stopped_runs)  # of them belong to earlier cells

    def start(self, names: set[str]) -> None:
        """A cell begins: what it left unfinished before is made anew."""
        self._cells = [(known, said) for known, said in self._cells if not known & names]
        self._known = len(stopped_runs)

    def stop(self, names: set[str], broken: bool, number: int | None) -> None:
        """A cell ends; `broken` says that it was stopped itself."""
        runs = stopped_runs[self._known :]
        self._known = len(stopped_runs)
        where = f" (cell [{number}])" if number else ""
        if runs:
            self._cells.append((names, f"{runs[0]}{where}"))
        elif broken:
            self._cells.append((names, f"a cell was interrupted{where}"))

    def why(self) -> str:
        """What was stopped and not run again, in words; "" where nothing was."""
        said = [text for _, text in self._cells] + stopped_runs[self._known :]
        return said[0] if said else ""


clock, stopped = Clock(), Stopped()


def _names(info: Any) -> set[str]:
    """What a cell is known by: its id, where the front end sends one, and its text."""
    return {str(name) for name in (getattr(info, "cell_id", None), info.raw_cell) if name}


def _before(info: Any) -> None:
    clock.start()
    stopped.start(_names(info))


def _after(result: Any) -> None:
    clock.stop()
    error = result.error_in_exec or result.error_before_exec
    broken = isinstance(error, KeyboardInterrupt)
    stopped.stop(_names(result.info), broken, result.execution_count)


if in_notebook():
    from IPython import get_ipython

    get_ipython().events.register("pre_run_cell", _before)
    get_ipython().events.register("post_run_cell", _after)
