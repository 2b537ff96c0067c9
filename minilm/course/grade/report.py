"""`report.html`: what a class found hard, which errors came most, and where code looks alike.

It is made of what is kept of every submission, so late ones are in it, and it is for the lecturer
alone: it names students.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from minilm.course.checking.questions import COARSE
from minilm.course.grade.page import page, safe
from minilm.course.grade.records import Place, Record
from minilm.course.grade.roster import Roster
from minilm.course.grade.similar import similar_pairs
from minilm.course.grade.submissions import Skipped, Submission
from minilm.course.grade.table import Table
from minilm.files import write_text

MOST = 12  # lines of each list
_NUMBER = re.compile(r"-?\d[\d.,]*(?:e[+-]?\d+)?|\[[^\]]*\]", re.IGNORECASE)
_LINE = re.compile(r" *\((in the line `.*`|(<\w+>, )?line \d+)\)$")
_CELL = re.compile(r"code cell \d+: ")


def write_report(
    place: Place, table: Table, skipped: Sequence[Skipped], roster: Roster | None
) -> Path:
    """Write the report of everything that lies in a folder of results."""
    records = place.records()
    sets = sorted({record["set"] for record in records})
    body = ["<h1>Class report</h1>", '<p class="who">For the lecturer: it names students.</p>']
    for name in sets:
        mine = [record for record in records if record["set"] == name]
        rows = [row for row in table.sheet.rows if row["set"] == name]
        body += [f"<section><h2>{safe(name)}</h2>", _overview(mine, rows), "</section>"]
        body += [_hardest(mine), _errors(mine), _similar(mine)]
    body += [_skipped(skipped), _absent(roster, records)]
    path = place.folder / "report.html"
    write_text(path, page("Class report", body))
    return path


def _section(title: str, note: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table under a title; numbers, which begin with a digit, stand to the right."""
    if not rows:
        return ""
    note = f'<p class="faint">{note}</p>' if note else ""
    top = "".join(f"<th>{one}</th>" for one in head)
    lines = ["".join(_td(one) for one in row) for row in rows]
    listed = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<section><h2>{title}</h2>{note}<table><tr>{top}</tr>{listed}</table></section>"


def _td(text: str) -> str:
    kind = ' class="n"' if re.fullmatch(r"\d+( %| of \d+)?", text) else ""
    return f"<td{kind}>{text if text.startswith('<meter') else safe(text)}</td>"


def _meter(share: float) -> str:
    return f'<meter value="{share:.3f}"></meter>'


def _overview(records: Sequence[Record], rows: Sequence[dict[str, str]]) -> str:
    """How many points how many students have."""
    most = max(record["max"] for record in records)
    points = sorted(record["points"] for record in records)
    middle = (points[(len(points) - 1) // 2] + points[len(points) // 2]) / 2
    bands = Counter(min(int(5 * p / most), 4) if most else 0 for p in points)
    lines = "".join(
        f"<tr>{_td(f'{20 * band} to {20 * band + 20} %')}{_td(str(bands[band]))}"
        f"{_td(_meter(bands[band] / len(points)))}</tr>"
        for band in range(5)
    )
    other = len(rows) - len(records)
    more = f", and {other} rows of the table that were not graded here" if other > 0 else ""
    return (
        f"<p>{len(points)} submissions{more}. Mean {sum(points) / len(points):.1f}, median "
        f"{middle:g}, best {points[-1]:g} of {most:g} points.</p>"
        f'<table class="narrow">{lines}</table>'
    )


def _hardest(records: Sequence[Record]) -> str:
    """The tests that the fewest earned."""
    earned: dict[tuple[str, str], list[bool]] = {}
    for record in records:
        for question in record["questions"]:
            for test in question["tests"]:
                key = (question["name"], test["title"])
                earned.setdefault(key, []).append(test["points"] > 0)
    worst = sorted(earned.items(), key=lambda pair: (sum(pair[1]) / len(pair[1]), pair[0]))
    rows = [
        (name, title, _meter(sum(got) / len(got)), f"{sum(got)} of {len(got)}")
        for (name, title), got in worst[:MOST]
        if not all(got)
    ]
    return _section("The hardest tests", "", ("question", "test", "earned by", ""), rows)


def _errors(records: Sequence[Record]) -> str:
    """What failures say most often; numbers are left out, since each student has others."""
    who: dict[str, set[str]] = {}
    where: dict[str, Counter[str]] = {}
    for record in records:
        mine = {("while the cells ran", _general(_CELL.sub("", note))) for note in record["notes"]}
        for question in record["questions"]:
            mine |= {(question["name"], _why(test)) for test in question["tests"]}
        for name, text in mine:
            if text:
                who.setdefault(text, set()).add(record["student"])
                where.setdefault(text, Counter())[name] += 1
    rows = []
    for text in sorted(who, key=lambda text: (-len(who[text]), text))[:MOST]:
        names = [name for name, _ in where[text].most_common()]
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        rows.append((text, shown, str(len(who[text]))))
    return _section("The commonest errors", "", ("error", "in", "students"), rows)


def _why(test: Record) -> str:
    """Why a test was not earned, or nothing."""
    if test["points"]:
        return ""
    if test["kind"] != "pass":
        return _general(test["text"])
    return "right with the numbers shown, then " + COARSE.get(test["hidden"] or "", "it fails")


def _general(text: str) -> str:
    text = _LINE.sub("", " ".join(text.split()))
    return _NUMBER.sub("...", text)[:200]


def _similar(records: Sequence[Record]) -> str:
    """Submissions that hold the same code."""
    prints = {record["student"]: set(record.get("fingerprints", ())) for record in records}
    rows = [
        (pair.first, pair.second, f"{100 * pair.share:.0f} %", str(pair.count))
        for pair in similar_pairs(prints)
    ]
    note = (
        "A hint where to look, and no verdict: names, numbers, comments and layout are ignored, so "
        "two people who were taught the same may well write the same. Read both before you speak "
        "to anybody. Code that was handed out, or that many have written, does not count."
    )
    return _section("Similar submissions", note, ("", "", "shared", "places"), rows)


def _skipped(skipped: Sequence[Skipped]) -> str:
    rows = [(one.path.name, one.why) for one in skipped]
    return _section("Not graded", "Entries of the last run.", ("entry", "why"), rows)


def _absent(roster: Roster | None, records: Sequence[Record]) -> str:
    if roster is None:
        return ""
    handed = [Submission(record["student"], Path(), record["set"]) for record in records]
    rows = [(person.name, person.email or person.login) for person in roster.without(handed)]
    return _section("Nothing handed in", "", ("student", ""), rows)
