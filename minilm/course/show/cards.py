"""A verdict as people read it: numbers with their spread, a coloured word, a card."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

REPRODUCED, PARTLY, NOT = "reproduced", "partly", "not reproduced"
NO_VERDICT = "no verdict"  # a training was stopped; such a claim is shown and not recorded
KINDS = {  # whose claim it is
    "talk": "said in the talk",
    "paper": "published elsewhere",
    "ours": "ours, after the talk",
    "package": "a fact about minilm",
    "identity": "an identity",  # true by algebra, and checked: nothing that training could turn
}

_LOOK = {  # verdict -> ink, paper, sign
    REPRODUCED: ("#00674A", "#E3F4EE", "✓"),
    PARTLY: ("#8A5A00", "#FFF3D9", "◐"),
    NOT: ("#A33F00", "#FDEAE0", "✗"),
    NO_VERDICT: ("#5B6678", "#EEF1F6", "…"),
}


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
