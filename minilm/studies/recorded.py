"""A recorded study as a lesson reads it: runs by case and seed, numbers along them as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.studies.record import load, points

Point = dict[str, Any]
Read = Callable[[Point], float]  # takes one number from a test of a run
# What may tell one case of a study from another; a study uses one or two of them.
STEPS_OF = ("reached", "learnt")  # entries of a run that count steps, None for never
CASE = ("task", "model", "size", "amount", "sequences", "mask")


def points_of(run: dict[str, Any], steady: bool = True) -> list[Point]:
    """The tests of a run; `steady` leaves out those where the learning rate was falling."""
    return [point for point in run["points"] if not (steady and point.get("annealed"))]


def shortened(data: dict[str, Any], share: float) -> dict[str, Any]:
    """A record as it would be with a share of the training.

    Runs lose their later tests. A study that trains for several amounts loses the larger amounts.

    Raises:
        InputError: no test came that early.
    """
    runs, settings = data["runs"], dict(data["settings"])
    if "steps" in settings:
        settings["steps"] = int(settings["steps"] * share)
    amounts = {run["amount"] for run in runs if "amount" in run}
    if len(amounts) > 1:
        runs = [run for run in runs if run["amount"] <= share * max(amounts)]
    else:
        runs = [_cut(run, share, data["settings"]) for run in runs]
    if not all(run["points"] for run in runs) or not runs:
        raise InputError(f"share is {share:g}; the first test of a run came later than that")
    return {**data, "settings": settings, "runs": runs}


def _cut(run: dict[str, Any], share: float, settings: dict[str, Any]) -> dict[str, Any]:
    """A run without the tests behind a share of its steps, and without what they found."""
    last = share * run.get("steps", settings.get("steps", run["points"][-1]["step"]))
    kept = [point for point in run["points"] if point["step"] <= last]
    late = [key for key in STEPS_OF if run.get(key) is not None and run[key] > last]
    best = {"best": min(kept, key=lambda p: p["validation"])} if kept and "best" in run else {}
    return {**run, "points": kept, **dict.fromkeys(late), **best}


class Recorded:
    """One record of a study.

    A case is what tells one kind of run from another, the seed left out: the value itself where
    a study varies one thing ("2x32"), a tuple in the order of `keys` where it varies two.

    Args:
        path: the JSON file.
        share: of every run's steps, above 0 and at most 1: what lies behind is as if the study
            had stopped there. The last test that is left stands for the end.

    Attributes:
        name: of the file; `data`: all of it, as `record.load` gives it; `settings`: of the study.
        keys: what varies, such as `("size",)` or `("task", "model")`.
        runs: (case, seed) -> run.
        cases: all of them, smallest model first.

    Raises:
        InputError: the file is missing or holds no study, or `share` leaves a run without a test.
    """

    def __init__(self, path: Path, share: float = 1.0) -> None:
        self.name, self.data = path.stem, load(path)
        runs = self.data["runs"]
        found = tuple(k for k in CASE if any(k in run for run in runs))
        varied = tuple(k for k in found if len({run.get(k) for run in runs}) > 1)
        self.keys = varied or found[:1]  # also where a share leaves but one amount
        if share < 1:
            self.data = shortened(self.data, share)
        self.settings, runs = self.data["settings"], self.data["runs"]
        self.runs = {(self.case_of(run), run["seed"]): run for run in runs}
        weight = {case: run.get("parameters", 0) for (case, _), run in self.runs.items()}
        self.cases = sorted(weight, key=lambda case: (weight[case], case))
        self.parameters = weight

    def case_of(self, run: dict[str, Any]) -> Any:
        """The case that a run belongs to."""
        values = tuple(run[key] for key in self.keys)
        return values[0] if len(values) == 1 else values

    @property
    def points(self) -> list[Point]:
        """One flat row per test: the run's entries with those of the point."""
        return points(self.data)

    def seeds_of(self, *cases: Any) -> list[int]:
        """The seeds that every one of these cases has."""
        sets = [{seed for known, seed in self.runs if known == case} for case in cases]
        return sorted(set.intersection(*sets)) if sets else []

    @cached_property
    def whole(self) -> list[Any]:
        """The cases with three seeds or more."""
        return [case for case in self.cases if len(self.seeds_of(case)) >= 3]

    @cached_property
    def seeds(self) -> list[int]:
        """The seeds that every case of `whole` has."""
        return self.seeds_of(*self.whole)

    def final(self, read: Read, cases: Sequence[Any] | None = None) -> np.ndarray:
        """(seeds, cases): a number taken from the last test of each run.

        Raises:
            InputError: the cases have no seed in common.
        """
        cases = self.whole if cases is None else list(cases)
        rows = [[self.run(case, seed)["points"][-1] for case in cases] for seed in self._of(cases)]
        return self._table(rows, read)

    def along(self, case: Any, read: Read, steady: bool = True) -> np.ndarray:
        """(seeds, tests): a number along the runs of one case, while the rate is constant."""
        return self._table(
            [points_of(self.run(case, seed), steady) for seed in self.seeds_of(case)], read
        )

    def run(self, case: Any, seed: int) -> dict[str, Any]:
        """One run.

        Raises:
            InputError: it is not in the record.
        """
        if (case, seed) not in self.runs:
            known = ", ".join(map(str, self.cases))
            raise InputError(f"run is {case} with seed {seed}; {self.name} has the cases {known}")
        return self.runs[case, seed]

    def said(self) -> str:
        """One line on where the numbers come from."""
        sizes = [weight for weight in self.parameters.values() if weight]
        span = f", {min(sizes):,} to {max(sizes):,} parameters" if sizes else ""
        missing = len(self.data.get("missing", []))
        return (
            f"{self.name}: {len(self.runs)} runs of {len(self.cases)} cases{span}, "
            f"seeds {', '.join(map(str, self.seeds))}, {self.data['date']}"
            + (f", {missing} missing" if missing else "")
        )

    def _of(self, cases: Sequence[Any]) -> list[int]:
        seeds = self.seeds_of(*cases)
        if not seeds:
            raise InputError(f"cases are {list(cases)}; they must have a seed in common")
        return seeds

    def _table(self, rows: Sequence[Sequence[Point]], read: Read) -> np.ndarray:
        return np.array([[read(point) for point in row] for row in rows], float)
