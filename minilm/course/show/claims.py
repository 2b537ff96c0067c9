"""Verdicts: what a talk claims, what this run measured, and whether the two agree.

A lesson states its criterion before the run and hands over the values the run produced; the verdict
follows from them and from nothing else. Each record travels in the metadata of the notebook output
that shows it, so `minilm run` can collect them without trusting prose.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from minilm.course.show.cards import (
    KINDS,
    NO_VERDICT,
    NOT,
    PARTLY,
    REPRODUCED,
    card,
    measured_text,
    sentence,
)
from minilm.course.show.cells import clock, stopped
from minilm.course.show.style import in_notebook
from minilm.errors import InputError

SEEDS_NEEDED = 3  # fewer say nothing about spread


@dataclass
class Verdict:
    """One claim and what became of it.

    `values` maps each measured quantity to one number per seed; the usual single quantity is called
    "value". `held` says per seed whether the criterion was met.
    """

    claim: str
    lesson: str
    talk: str
    source: str
    measure: str
    expected: str
    values: dict[str, list[float]]
    seeds: list[int]
    held: list[bool]
    verdict: str
    unit: str = ""
    exact: bool = False
    seconds: float = 0.0
    note: str = field(default="")
    says: str = ""
    kind: str = "talk"
    over: str = "seeds"
    recorded: bool = False
    until_learnt: bool = False

    def record(self) -> dict[str, Any]:
        """The verdict as plain data, the way it is stored."""
        return asdict(self)

    @property
    def measured(self) -> str:
        """Mean and lowest-highest over seeds, for people."""
        return measured_text(self.values, self.unit)

    def __repr__(self) -> str:
        said = f"{sentence(self.record())} {self.claim} ({self.source})"
        return f"{said}; measured {self.measured}, expected {self.expected}"

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        data = {"text/html": card(self.record()), "text/plain": repr(self)}
        judged = self.verdict != NO_VERDICT
        return data, {"minilm": {"claim": self.record()}} if judged else {}


def claim(
    claim: str,
    *,
    source: str,
    measure: str,
    expected: str,
    measured: float | Sequence[float] | Mapping[str, Sequence[float]],
    holds: Callable[[Any], bool],
    partly: Callable[[Any], bool] | None = None,
    seeds: Sequence[int] | None = None,
    exact: bool = False,
    unit: str = "",
    talk: str = "",
    lesson: str = "",
    seconds: float | None = None,
    note: str = "",
    says: str = "",
    kind: str = "talk",
    over: str = "seeds",
    recorded: bool = False,
    until_learnt: bool = False,
) -> Verdict:
    """Record a verdict and show it as a card.

    Args:
        claim: what was said, in one sentence of ours.
        source: who said it and where, such as "Chung 64:14".
        measure: what was measured, with its unit if it has one.
        expected: what the claim predicts, in words ("10.5 +- 1 %").
        measured: one number per seed; or name -> one number per seed where the criterion compares
            several quantities, and then `holds` gets a dict per seed.
        holds: the criterion, asked once per seed.
        partly: a weaker criterion. Without it, "partly" means that some seeds met `holds`.
        seeds: the seeds used; counted from 0 by default.
        exact: the measure has no noise (a count, a formula), so one value is enough.
        talk, lesson: taken from the lesson that runs when left out.
        seconds: what the experiment cost; by default the time cells ran since the last claim.
        note: one sentence beside the verdict, such as why it fails here.
        says: what came out, in one sentence with its numbers, true whichever way the verdict goes:
            "with 26,304 parameters writing the steps gains 93 points; with 7,008 none". The card
            begins with it.
        kind: whose claim it is, one of `KINDS`.
        over: what the values differ by, where it is no seed: "parts of the text", "repeats".
        recorded: the values come from a recorded study, so a run with fresh seeds repeats them.
        until_learnt: every model was trained until it could do what it was trained on, so no
            other budget is tried.

    Returns:
        The verdict: "reproduced" if every seed met the criterion, "partly", or "not reproduced".
        It is "no verdict" where the cell uses what a stopped cell left, see `cells.Stopped`; only
        recorded values are judged then.

    Raises:
        InputError: a text is empty, a number is not finite, or noise was measured with fewer than
            3 seeds.
    """
    for name, text in (
        ("claim", claim),
        ("source", source),
        ("measure", measure),
        ("expected", expected),
    ):
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{name} is {text!r}; it must be a sentence")
    if kind not in KINDS:
        raise InputError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    values = _values(measured)
    count = len(next(iter(values.values())))
    used = list(range(count)) if seeds is None else [int(seed) for seed in seeds]
    if len(used) != count or len(set(used)) != count:
        raise InputError(f"seeds are {used} for {count} measured values; give one seed per value")
    if not exact and count < SEEDS_NEEDED:
        raise InputError(
            f"measured has {count} value{'s' if count > 1 else ''}; a noisy measure needs at least "
            f"{SEEDS_NEEDED} seeds (exact=True if there is no noise)"
        )
    why = stopped.why() if in_notebook() and not recorded else ""
    held, verdict = ([], NO_VERDICT) if why else _judge(_rows(values), holds, partly)
    made = Verdict(
        claim=_one_line(claim),
        lesson=lesson or current_lesson(),
        talk=talk,
        source=_one_line(source),
        measure=_one_line(measure),
        expected=_one_line(expected),
        values=values,
        seeds=used,
        held=held,
        verdict=verdict,
        unit=unit,
        exact=exact,
        seconds=round(clock.lap() if seconds is None else float(seconds), 1),
        note=_one_line(note),
        says=f"{why}; run it to its end, then this cell again" if why else _one_line(says),
        kind=kind,
        over=_one_line(over),
        recorded=recorded,
        until_learnt=until_learnt,
    )
    if in_notebook():
        from IPython.display import display

        data, metadata = made._repr_mimebundle_()
        display(data, raw=True, metadata=metadata)
        made.__class__ = _Shown
    return made


verdict = claim


def _judge(
    rows: list[Any], holds: Callable[[Any], bool], partly: Callable[[Any], bool] | None
) -> tuple[list[bool], str]:
    """Which seeds met the criterion, and the verdict that follows."""
    held = [bool(holds(row)) for row in rows]
    if all(held):
        return held, REPRODUCED
    some = all(bool(partly(row)) for row in rows) if partly else any(held)
    return held, PARTLY if some else NOT


class _Shown(Verdict):
    """A verdict whose card already stands in the notebook: ending a cell with it adds no second."""

    def _ipython_display_(self) -> None:
        return None


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _values(measured: Any) -> dict[str, list[float]]:
    """Measured numbers as name -> one finite float per seed."""
    given = measured if isinstance(measured, Mapping) else {"value": measured}
    values = {}
    for name, numbers in given.items():
        try:
            listed = [numbers] if isinstance(numbers, int | float) else list(numbers)
            values[str(name)] = [_plain(number) for number in listed]
        except (TypeError, ValueError):
            raise InputError(
                f"measured ({name}) is {numbers!r}; it must be a list with one number per seed"
            ) from None
    lengths = {len(numbers) for numbers in values.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise InputError(
            f"measured holds {sorted(lengths)} values; every quantity needs one per seed"
        )
    for name, numbers in values.items():
        if not all(map(math.isfinite, numbers)):
            raise InputError(f"measured ({name}) is {numbers}; every value must be a finite number")
    return values


def _plain(number: Any) -> float:
    """A Python number; whole numbers stay whole, the rest keep 6 digits (seeds differ earlier)."""
    number = number.item() if hasattr(number, "item") else number
    if isinstance(number, int):
        return int(number)
    return float(f"{float(number):.6g}")


def _rows(values: dict[str, list[float]]) -> list[Any]:
    """What the criterion sees per seed: the number itself, or a dict of several."""
    if list(values) == ["value"]:
        return list(values["value"])
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def current_lesson() -> str:
    """The slug of the lesson that runs, as far as its runner or JupyterLab says; else ""."""
    named = os.environ.get("MINILM_LESSON") or os.environ.get("JPY_SESSION_NAME") or ""
    return Path(named).stem if named.endswith(".ipynb") or "MINILM_LESSON" in os.environ else ""
