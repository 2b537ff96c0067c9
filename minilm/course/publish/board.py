"""The claims board: the verdicts of all lessons, as text, JSON, HTML and in CLAIMS.md."""

from __future__ import annotations

import html
import json
import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from minilm.course.build.lessons import Lesson
from minilm.course.build.run import claims_in
from minilm.course.places import Course, fits
from minilm.course.show.cards import (
    KINDS,
    NOT,
    PARTLY,
    REPRODUCED,
    counted,
    measured_text,
    number_text,
    pill,
    sentence,
    spread,
)
from minilm.errors import InputError
from minilm.files import replace_between, write_text

BEGIN, END = "<!-- claims:begin -->", "<!-- claims:end -->"
SIGNS = {REPRODUCED: "✓", PARTLY: "◐", NOT: "✗"}

Record = dict[str, Any]


def read_board(course: Course, lessons: Sequence[str] = ()) -> list[Record]:
    """The stored verdicts of a course, by lesson; `mean` and `spread` are added to each.

    Raises:
        InputError: a claims file is not a JSON list, or a lesson asked for has none.
    """
    files = [one.claims for one in course.lessons if one.claims.is_file()]
    if lessons:
        files = [path for path in files if _named(path.parent.name, lessons)]
        known = {name for name in lessons for path in files if _named(path.parent.name, [name])}
        missing = [name for name in lessons if name not in known]
        if missing:
            raise InputError(
                f"lesson {missing[0]!r} has no stored verdicts; run `minilm run {missing[0]} "
                "--save` first"
            )
    board = []
    for path in files:
        try:
            records = json.loads(path.read_text(encoding="utf-8"))
            others = _fresh(path.parent)
            board += [_completed(record, others) for record in records]
        except (ValueError, TypeError, KeyError):
            raise InputError(
                f"{path} is not a list of verdicts; `minilm run --save` writes it"
            ) from None
    return board


def _named(slug: str, names: Sequence[str]) -> bool:
    return any(fits(slug, name) for name in names)


def _fresh(folder: Path) -> list[dict[str, Any]]:
    path = folder / "fresh.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def _completed(record: Record, others: Sequence[dict[str, Any]] = ()) -> Record:
    means = {name: float(f"{fmean(numbers):.6g}") for name, numbers in record["values"].items()}
    judged = [other for other in others if record["claim"] in other["verdicts"]]
    fresh, budgets = (
        {o[key]: o["verdicts"][record["claim"]] for o in judged if o.get(key) and not o.get(other)}
        for key, other in (("seeds", "budget"), ("budget", "seeds"))
    )
    again = {"fresh": fresh, "budgets": budgets}
    return {**record, "mean": means, "spread": spread(record["values"]), **again}


def tally(board: Sequence[Record]) -> str:
    """How many claims were reproduced, partly, or not."""
    counts = Counter(record["verdict"] for record in board)
    parts = [f"{counts[verdict]} {verdict}" for verdict in (REPRODUCED, PARTLY, NOT)]
    return f"{len(board)} claims: {', '.join(parts)}"


def by_kind(board: Sequence[Record]) -> str:
    """How many claims of each kind there are, and how many of them were reproduced."""
    kinds = [record.get("kind", "talk") for record in board]
    held = Counter(
        kind for kind, record in zip(kinds, board, strict=True) if record["verdict"] == REPRODUCED
    )
    return "; ".join(
        f"{said}: {held[kind]} of {kinds.count(kind)}"
        for kind, said in KINDS.items()
        if kind in kinds
    )


def spread_text(record: Record) -> str:
    """Standard deviation over seeds, for people; "exact" where there is no noise."""
    if record["exact"]:
        return "exact"
    return ", ".join(
        number_text(value)
        if list(record["spread"]) == ["value"]
        else f"{name} {number_text(value)}"
        for name, value in record["spread"].items()
    )


def as_text(board: Sequence[Record], width: int = 100) -> str:
    """The board for a terminal, one block per lesson."""
    lines: list[str] = []
    lesson = None
    for record in board:
        if record["lesson"] != lesson:
            lesson = record["lesson"]
            talk = f"  {record['talk']}" if record["talk"] else ""
            lines += [*([""] if lines else []), f"{lesson}{talk}"]
        head = f"  {SIGNS[record['verdict']]} {record['verdict']:<15} "
        gap = " " * len(head)
        said = f"{record['claim']} ({record['source']})"
        lines += textwrap.wrap(said, width, initial_indent=head, subsequent_indent=gap)
        noise = f"spread {spread_text(record)} over {len(record['seeds'])} seeds"
        noise = "exact" if record["exact"] else noise
        measured = measured_text(record["values"], record["unit"])
        detail = (
            f"{record['measure']}: {measured}, {noise}; expected "
            f"{record['expected']}; {record['seconds']:g} s"
        )
        lines += textwrap.wrap(detail, width, initial_indent=gap, subsequent_indent=gap)
        if record["note"]:
            lines += textwrap.wrap(record["note"], width, initial_indent=gap, subsequent_indent=gap)
    return "\n".join([*lines, "", tally(board)])


def as_markdown(board: Sequence[Record]) -> str:
    """The table of CLAIMS.md."""
    names = "lesson,claim,whose,what came out,expected,over,other seeds,other budgets".split(",")
    rows = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    for record in board:
        number = record["lesson"].split("_")[0]
        cells = [
            f"[{number}](lessons/{record['lesson']}.ipynb)",
            f"{record['claim']} ({record['source']})",
            KINDS[record.get("kind", "talk")],
            f"{SIGNS[record['verdict']]} {sentence(record)} {record['note']}".strip(),
            f"{record['measure']}: {record['expected']}",
            counted(record),
            fresh_text(record),
            budget_text(record),
        ]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([f"{tally(board)}. Reproduced were, {by_kind(board)}.", "", *rows])


def fresh_text(record: Record) -> str:
    """What runs with other seeds said of a claim: "3,4,5: the same", or the verdict that it got."""
    if record["exact"]:
        return "-"
    if record.get("recorded"):
        return "its own only"
    return _others_text(record, record["fresh"])


def budget_text(record: Record) -> str:
    """What more and less training said of a claim: "1/4 x: partly; 4 x: the same"."""
    if record["exact"]:
        return "-"
    if record.get("until_learnt"):
        return "trained until learnt"
    return _others_text(record, {f"{k} x": v for k, v in record["budgets"].items()})


def _others_text(record: Record, others: dict[str, str]) -> str:
    said = [
        f"{name}: {'the same' if verdict == record['verdict'] else verdict}"
        for name, verdict in others.items()
    ]
    return "; ".join(said) or "not run"


def as_html(board: Sequence[Record], lesson_address: str = "{slug}.html") -> str:
    """The board as an HTML table; `lesson_address` is where a lesson is found."""
    rows = []
    for record in board:
        address = lesson_address.format(slug=record["lesson"])
        cells = [
            f'<a href="{html.escape(address)}">{html.escape(record["lesson"].split("_")[0])}</a>',
            f"<b>{html.escape(record['claim'])}</b><br><small>"
            f"{html.escape(' · '.join(filter(None, (record['source'], record['talk']))))}</small>",
            html.escape(record["measure"]),
            html.escape(record["expected"]),
            html.escape(measured_text(record["values"], record["unit"])),
            html.escape(spread_text(record)),
            "-" if record["exact"] else str(len(record["seeds"])),
            pill(record["verdict"]),
            f"{record['seconds']:g}",
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    names = "lesson claim measure expected measured spread seeds verdict seconds".split()
    head = "".join(f"<th>{name}</th>" for name in names)
    return (
        f"<p>{tally(board)}.</p><div class='wide'><table class='board'><thead><tr>{head}</tr>"
        f"</thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def page_with(text: str, board: Sequence[Record]) -> str:
    """CLAIMS.md with its table between the marks replaced.

    Raises:
        InputError: the marks are missing, or not in order.
    """
    return replace_between(text, BEGIN, END, as_markdown(board))


def write_page(course: Course) -> bool:
    """Put the table into CLAIMS.md; returns whether the file changed."""
    path = course.claims
    return write_text(path, page_with(path.read_text(encoding="utf-8"), read_board(course)))


def takes(course: Course, slug: str, name: str) -> bool:
    """Whether a lesson can be run with other seeds or budgets: a file of it calls the function."""
    (lesson,) = course.named([slug])
    call = re.compile(rf"(?<![\w.])(?<!def ){name}\(")  # no method, and no definition
    return any(call.search(path.read_text("utf-8")) for path in lesson.folder.glob("*.py"))


def stale(course: Course) -> list[str]:
    """What disagrees: claims files with their notebooks' outputs, CLAIMS.md with claims files."""
    wrong = []
    for path in course.notebooks:
        lesson = Lesson(path)
        stored = lesson.place.claims
        said = json.loads(stored.read_text(encoding="utf-8")) if stored.exists() else []
        if said != claims_in(lesson.notebook, lesson):
            wrong.append(
                f"{lesson.slug}/{stored.name} is not what {path.name} shows; "
                f"minilm run {lesson.number} --save"
            )
    for record in read_board(course):
        number = record["lesson"].split("_")[0]
        for what, said, option in (
            ("seeds", fresh_text(record), "--seeds 3,4,5"),
            ("budget", budget_text(record), "--budget 1/4"),
        ):
            tried = said != "not run" or not takes(course, record["lesson"], what)
            if record["verdict"] == REPRODUCED and not tried:
                wrong.append(
                    f"lesson {number} says reproduced, and no other {what} was tried: "
                    f"{record['claim']}; minilm run {number} {option} --save"
                )
    for one in course.lessons:
        if one.claims.is_file() and not one.notebook.is_file():
            wrong.append(f"{one.slug}/{one.claims.name} belongs to no notebook; delete it")
    page = course.claims.read_text(encoding="utf-8")
    if page_with(page, read_board(course)) != page:
        wrong.append("the table in CLAIMS.md is out of date; minilm claims --write")
    return wrong
