"""What a student gets back: a page, and a file for Gradescope.

Nothing here knows a hidden input or expected value: of a hidden case a student hears one of two
sentences. The same submissions give the same bytes, so a regrade can be compared with diff.
"""

import json
from pathlib import Path
from typing import Any

from minilm.course.grade.excerpts import (
    Excerpt,
    answer,
    around,
    broken_cells,
    quoted_line,
)
from minilm.course.grade.hidden import told
from minilm.course.grade.identity import scrub
from minilm.course.grade.page import listing, page, safe
from minilm.course.grade.records import Place
from minilm.course.grade.results import Grade, QuestionResult, TestResult
from minilm.files import write_text

Line = tuple[str, str]
_SIGN = {"pass": "✓ ", "fail": "✗ ", "cause": "", "why": "", "hint": "Hint: "}


def test_lines(result: TestResult, number: int) -> list[Line]:
    """(kind, text) for one test: "pass" or "fail", then "why" and "hint"."""
    name = f"hidden test {number}" if result.secret else result.test.title
    mark = "pass" if result.points else "fail"
    lines = [(mark, f"{result.points:g}/{result.test.points:g}  {name}")]
    if result.points:
        return lines
    if result.public.passed:
        lines.append(("why", told(result.hidden or "gone")))
    else:
        lines.append(("why", scrub(result.public.text)))
    if result.test.hint and not result.secret and result.public.kind not in ("missing", "todo"):
        lines.append(("hint", result.test.hint))
    return lines


def causes(grade: Grade, question: QuestionResult) -> list[Line]:
    """What stands behind all failures of a question: the cell that should answer is no Python."""
    cells, asked = grade.submission.cells, question.question.asks
    places = {found.cell for name in asked if (found := answer(cells, name))}
    broken = [one for one in broken_cells(grade.notes) if one.cell in places]
    return [("cause", scrub(str(one))) for one in broken] if question.points < question.most else []


def question_lines(grade: Grade, question: QuestionResult) -> list[Line]:
    """The lines of all tests of a question, the cause first; a reason is given once."""
    out = causes(grade, question)
    said = {test.public.text for test in question.tests}
    for name in question.missing:
        if f"no cell defines `{name}`" not in said:
            out.append(("why", f"no cell defines `{name}`"))
    secret = 0
    for test in question.tests:
        secret += test.secret
        for line in test_lines(test, secret):
            if line[0] in ("pass", "fail") or line not in out:
                out.append(line)
    return out


def feedback(grade: Grade) -> str:
    """A student's feedback as one HTML page that loads nothing."""
    title, student = grade.exercise.title, grade.submission.student
    notes = [*grade.submission.notes, *map(scrub, grade.notes)]
    body = [
        f'<h1>{safe(title)}<span class="points">{grade.points:g} / {grade.most:g}</span></h1>',
        f'<p class="who">{safe(student)}</p>',
        *_first_of_all(grade),
    ]
    for question in grade.questions:
        name = question.question.name
        points = f'<span class="points">{question.points:g} / {question.most:g}</span>'
        lines = question_lines(grade, question)
        tests = [f'<li class="{kind}">{_SIGN[kind]}{safe(text)}</li>' for kind, text in lines]
        listed = "<ul>" + "".join(tests) + "</ul>"
        code = _code(grade, question, lines) if question.points < question.most else ""
        if code:
            listed = f'<div class="beside">{listed}<div>{code}</div></div>'
        body.append(
            f"<section><h2>{points}{safe(question.question.title)} <code>{safe(name)}</code></h2>"
            f"{listed}</section>"
        )
    if notes:
        listed = "".join(f"<li>{safe(note)}</li>" for note in notes)
        body.append(
            "<section><h2>What happened while the cells ran</h2>"
            f'<ul class="notes">{listed}</ul></section>'
        )
    return page(f"{title}: {student}", body)


def _first_of_all(grade: Grade) -> list[str]:
    """Cells that Python cannot read: what else went wrong may follow from them."""
    broken = broken_cells(grade.notes)
    if not broken or grade.points == grade.most:
        return []
    out = ['<div class="first"><h2>Mend this first</h2>']
    for one in broken[:5]:
        out.append(f"<p>{safe(str(one))}</p>")
        found = around(grade.submission.cells, one)
        if found:
            out.append(listing(found, line=one.line))
    return [*out, "</div>"]


def _code(grade: Grade, question: QuestionResult, lines: list[Line]) -> str:
    """What the student wrote for a question; the lines that failures name stand out."""
    marked = {found for _, text in lines if (found := quoted_line(text))}
    found = [answer(grade.submission.cells, name) for name in question.question.asks]
    shown: list[Excerpt] = [one for one in found if one]
    return "".join(listing(one, marked) for one in shown)


def gradescope(grade: Grade) -> dict[str, Any]:
    """The `results.json` of Gradescope's autograder."""
    tests = []
    for question in grade.questions:
        secret = 0
        before = [text for _, text in causes(grade, question)]
        for result in question.tests:
            secret += result.secret
            lines = test_lines(result, secret)
            name = f"hidden test {secret}" if result.secret else result.test.title
            said = [*(before if not result.points else ()), *(text for _, text in lines[1:])]
            tests.append(
                {
                    "name": f"{question.question.name}: {name}",
                    "score": result.points,
                    "max_score": result.test.points,
                    "status": "passed" if result.points else "failed",
                    "output": "\n".join(said),
                    "visibility": "visible",
                }
            )
    notes = [*grade.submission.notes, *grade.notes]
    return {
        "score": grade.points,
        "extra_data": {"max_score": grade.most},
        "output_format": "text",  # what a student's code says is never markup
        "test_output_format": "text",
        "output": "\n".join(scrub(note) for note in notes),
        "tests": tests,
    }


def write_pages(place: Place, grade: Grade, alone: bool) -> None:
    """Write a student's page and file for Gradescope, and results.json if nobody else is graded.

    Raises:
        InputError: the folder cannot be written.
    """
    made = json.dumps(gradescope(grade), indent=1, ensure_ascii=True) + "\n"
    paths: list[Path] = [place.path(grade, "gradescope", ".json")]
    if alone:
        paths.append(place.folder / "results.json")
    for path in paths:
        write_text(path, made)
    write_text(place.path(grade, "feedback", ".html"), feedback(grade))
