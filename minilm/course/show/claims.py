"""Verdicts: what a talk claims, what this run measured, and whether the two agree.

A lesson states its criterion before the run and hands over the values the run produced; the verdict
follows from them and from nothing else. Each record travels in the metadata of the notebook output
that shows it, so `minilm run` can collect them without trusting prose.
"""

from __future__ import annotations

import html
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from minilm.course.show.style import in_notebook
from minilm.errors import InputError

REPRODUCED, PARTLY, NOT = "reproduced", "partly", "not reproduced"
KINDS = {  # whose claim it is
    "talk": "said in the talk",
    "paper": "published elsewhere",
    "ours": "ours, after the talk",
    "package": "a fact about minilm",
}
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
        return data, {"minilm": {"claim": self.record()}}


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

    Returns:
        The verdict: "reproduced" if every seed met the criterion, "partly", or "not reproduced".

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
    rows = _rows(values)
    held = [bool(holds(row)) for row in rows]
    if all(held):
        verdict = REPRODUCED
    elif all(bool(partly(row)) for row in rows) if partly else any(held):
        verdict = PARTLY
    else:
        verdict = NOT
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
        says=_one_line(says),
        kind=kind,
        over=_one_line(over),
        recorded=recorded,
    )
    if in_notebook():
        from IPython.display import display

        data, metadata = made._repr_mimebundle_()
        display(data, raw=True, metadata=metadata)
        made.__class__ = _Shown
    return made


verdict = claim


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


def number_text(number: float) -> str:
    """A number for a table: whole ones in groups of three, others with 3 significant digits."""
    if isinstance(number, int) or (number == round(number) and abs(number) >= 1000):
        return f"{int(number):,}"
    return f"{number:.3g}"


def measured_text(values: Mapping[str, Sequence[float]], unit: str = "") -> str:
    """Mean and range over seeds: "10.4 (10.1 to 10.6)", one part per quantity."""
    parts = []
    for name, numbers in values.items():
        text = number_text(fmean(numbers) if len(numbers) > 1 else numbers[0])
        low, high = number_text(min(numbers)), number_text(max(numbers))
        if low != high:
            text += f" ({low} to {high})"
        parts.append(text if list(values) == ["value"] else f"{name} {text}")
    return ", ".join(parts) + (f" {unit}" if unit else "")


def spread(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Sample standard deviation over seeds of each quantity; 0 for a single value."""
    return {
        name: float(f"{stdev(numbers) if len(numbers) > 1 else 0.0:.6g}")
        for name, numbers in values.items()
    }


def current_lesson() -> str:
    """The slug of the lesson that runs, as far as its runner or JupyterLab says; else ""."""
    named = os.environ.get("MINILM_LESSON") or os.environ.get("JPY_SESSION_NAME") or ""
    return Path(named).stem if named.endswith(".ipynb") or "MINILM_LESSON" in os.environ else ""


class _Clock:
    """Seconds that notebook cells ran since the last claim; thinking time is not counted."""

    def __init__(self) -> None:
        self.spent, self.began, self.wired = 0.0, time.perf_counter(), False
        if in_notebook():
            from IPython import get_ipython

            events = get_ipython().events
            events.register("pre_run_cell", self._start)
            events.register("post_run_cell", self._stop)
            self.wired = True

    def _start(self, *_: Any) -> None:
        self.began = time.perf_counter()

    def _stop(self, *_: Any) -> None:
        self.spent += time.perf_counter() - self.began

    def lap(self) -> float:
        """Seconds since the last lap."""
        now = time.perf_counter()
        total = self.spent + now - self.began
        self.spent, self.began = 0.0, now
        return total


clock = _Clock()

_LOOK = {  # verdict -> ink, paper, sign
    REPRODUCED: ("#00674A", "#E3F4EE", "✓"),
    PARTLY: ("#8A5A00", "#FFF3D9", "◐"),
    NOT: ("#A33F00", "#FDEAE0", "✗"),
}


def pill(verdict: str) -> str:
    """A verdict as a coloured word with a sign, for those who do not see the colour."""
    ink, paper, sign = _LOOK[verdict]
    return (
        f'<b class="minilm-pill" style="color:{ink};background:{paper};padding:3px 12px;'
        f'border-radius:12px;white-space:nowrap">{sign} {verdict}</b>'
    )


def sentence(record: Mapping[str, Any]) -> str:
    """What came out, in one sentence that begins with the verdict."""
    said = record.get("says") or measured_text(record["values"], record["unit"])
    return f"{record['verdict'].capitalize()}: {said.rstrip('.')}."


def counted(record: Mapping[str, Any]) -> str:
    """How many values stand behind a measure, and what they differ by: "3 seeds", "exact"."""
    if record["exact"]:
        return "exact"
    origin = ", recorded" if record.get("recorded") else ""
    return f"{len(record['seeds'])} {record.get('over', 'seeds')}{origin}"


def card(record: Mapping[str, Any]) -> str:
    """A record as a card in HTML, a sentence first; reads as plain lines where styles are not."""
    ink = _LOOK[record["verdict"]][0]
    measured = f"{measured_text(record['values'], record['unit'])} · {counted(record)}"
    source = f"{record['source']} ({KINDS[record.get('kind', 'talk')]})"
    rows = [("claim", f"{record['claim']}; {source}"), ("expected", record["expected"])]
    rows += [("measured", measured), ("by", record["measure"])]
    if record["note"]:
        rows.append(("note", record["note"]))
    lines = "".join(
        f'<div style="display:flex"><span style="flex:none;width:6em;color:#5B6678">{name}:</span> '
        f"<span>{html.escape(text)}</span></div>"
        for name, text in rows
    )
    told = sentence(record)[len(record["verdict"]) :].lstrip(": ")
    return (
        f'<div class="minilm-claim" style="border-left:6px solid {ink};background:#F7F9FC;'
        f'color:#1C2330;padding:12px 18px;margin:8px 0;border-radius:4px;line-height:1.5">'
        f'<div style="margin-bottom:8px">{pill(record["verdict"])} &nbsp; '
        f"<b>{html.escape(told[:1].upper() + told[1:])}</b></div>"
        f'<div style="font-size:90%">{lines}</div></div>'
    )
