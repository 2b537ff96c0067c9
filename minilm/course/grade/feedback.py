"""What a grading run leaves behind: a table, a page for each student, a file for Gradescope.

Nothing here knows a hidden input or expected value: of a hidden case only its kind of failure got
this far. The same submissions give the same bytes, so a regrade can be compared with diff.
"""

import csv
import html
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minilm.course.checking.questions import COARSE
from minilm.course.grade.results import Grade, QuestionResult, TestResult
from minilm.errors import InputError
from minilm.files import write_text

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{5,}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
 color: #1c1c1e; background: #fff }}
h1 {{ font-size: 1.5rem }} h2 {{ font-size: 1.1rem; margin: 1.6rem 0 .3rem }}
.points {{ float: right; font-variant-numeric: tabular-nums }}
ul {{ list-style: none; padding: 0; margin: 0 }} li {{ padding: .15rem 0 }}
.pass {{ color: #0a6b49 }} .fail {{ color: #a3211a }} .why, .hint {{ padding-left: 1.6rem }}
.hint {{ font-style: italic }} code {{ background: #f2f2f4; padding: 0 .2em }}
.notes li {{ font: .85rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere }}
@media (prefers-color-scheme: dark) {{ body {{ color: #eee; background: #16161a }}
 .pass {{ color: #5fd3a8 }} .fail {{ color: #ff8a80 }} code {{ background: #2a2a30 }} }}
</style></head><body>
{body}
</body></html>
"""


def scrub(text: str) -> str:
    """A student's text without what differs from run to run (addresses) or breaks a page."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _ADDRESS.sub("0x...", text))


def test_lines(result: TestResult, number: int) -> list[tuple[str, str]]:
    """(kind, text) for one test: "pass" or "fail", then "why" and "hint"."""
    name = f"hidden test {number}" if result.secret else result.test.title
    mark = "pass" if result.points else "fail"
    lines = [(mark, f"{result.points:g}/{result.test.points:g}  {name}")]
    if result.points:
        return lines
    if result.public.passed:
        other = "" if result.secret else "with other numbers: "
        lines.append(("why", other + COARSE.get(result.hidden or "gone", COARSE["error"])))
    else:
        lines.append(("why", scrub(result.public.text)))
    kind = result.hidden if result.public.passed else result.public.kind
    if result.test.hint and not result.secret and kind not in ("missing", "todo"):
        lines.append(("hint", result.test.hint))
    return lines


def question_lines(result: QuestionResult) -> list[tuple[str, str]]:
    """The lines of all tests of a question; a reason is given once."""
    out: list[tuple[str, str]] = []
    for name in result.missing:
        out.append(("why", f"no cell defines {name}"))
    secret = 0
    for test in result.tests:
        secret += test.secret
        for line in test_lines(test, secret):
            if line[0] in ("pass", "fail") or line not in out:
                out.append(line)
    return out


def page(grade: Grade) -> str:
    """A student's feedback as one HTML page that loads nothing."""
    safe = html.escape
    student = scrub(grade.submission.student)
    body = [
        f"<h1>{safe(grade.exercise.title)}"
        f'<span class="points">{grade.points:g} / {grade.most:g}</span></h1>',
        f"<p>{safe(student)}</p>",
    ]
    for question in grade.questions:
        title = question.question.title
        body.append(
            f"<h2>{safe(title)} <code>{safe(question.question.name)}</code>"
            f'<span class="points">{question.points:g} / {question.most:g}</span></h2><ul>'
        )
        sign = {"pass": "✓ ", "fail": "✗ ", "why": "", "hint": "Hint: "}
        body += [
            f'<li class="{kind}">{sign[kind]}{safe(text)}</li>'
            for kind, text in question_lines(question)
        ]
        body.append("</ul>")
    if grade.notes:
        body.append('<h2>What happened while the cells ran</h2><ul class="notes">')
        body += [f"<li>{safe(scrub(note))}</li>" for note in grade.notes]
        body.append("</ul>")
    return PAGE.format(title=safe(f"{grade.exercise.title}: {student}"), body="\n".join(body))


def gradescope(grade: Grade) -> dict[str, Any]:
    """The `results.json` of Gradescope's autograder."""
    tests = []
    for question in grade.questions:
        secret = 0
        for result in question.tests:
            secret += result.secret
            lines = test_lines(result, secret)
            name = f"hidden test {secret}" if result.secret else result.test.title
            tests.append(
                {
                    "name": f"{question.question.name}: {name}",
                    "score": result.points,
                    "max_score": result.test.points,
                    "status": "passed" if result.points else "failed",
                    "output": "\n".join(text for _, text in lines[1:]),
                    "visibility": "visible",
                }
            )
    return {
        "score": grade.points,
        "max_score": grade.most,
        "output_format": "text",  # what a student's code says is never markup
        "test_output_format": "text",
        "output": "\n".join(scrub(note) for note in grade.notes),
        "tests": tests,
    }


def table(grades: Sequence[Grade]) -> str:
    """The grades as CSV: student, set, points, max, a column per question, remarks."""
    sets = sorted({grade.exercise.name for grade in grades})
    columns = []
    for grade in grades:
        for question in grade.questions:
            column = _column(grade, question, sets)
            if column not in columns:
                columns.append(column)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["student", "set", "points", "max", *columns, "remarks"])
    for grade in grades:
        mine = {_column(grade, q, sets): f"{q.points:g}" for q in grade.questions}
        remarks = "; ".join(grade.notes[:1]) + (" ..." if len(grade.notes) > 1 else "")
        row = [grade.submission.student, grade.exercise.name, f"{grade.points:g}"]
        row += [f"{grade.most:g}", *(mine.get(column, "") for column in columns), remarks]
        writer.writerow([_cell(value) for value in row])
    return file.getvalue()


def _column(grade: Grade, question: QuestionResult, sets: Sequence[str]) -> str:
    name = question.question.name
    return name if len(sets) == 1 else f"{grade.exercise.name}/{name}"


def _cell(value: str) -> str:
    """A value that no spreadsheet takes for a formula."""
    value = scrub(value)
    return "'" + value if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def write_all(folder: Path, grades: Sequence[Grade]) -> list[Path]:
    """Write grades.csv, feedback/, gradescope/, and results.json if there is one submission.

    Raises:
        InputError: the folder cannot be written.
    """
    files = {"grades.csv": table(grades)}
    several = len({grade.exercise.name for grade in grades}) > 1
    for grade in grades:
        slug = grade.submission.slug + (f".{grade.exercise.name}" if several else "")
        files[f"feedback/{slug}.html"] = page(grade)
        files[f"gradescope/{slug}.json"] = _json(gradescope(grade))
    if len(grades) == 1:
        files["results.json"] = _json(gradescope(grades[0]))
    try:
        for name, text in files.items():
            write_text(folder / name, text)
    except OSError as error:
        raise InputError(f"--out {folder} cannot be written: {error.strerror}") from None
    return [folder / name for name in files]


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=1, ensure_ascii=True) + "\n"
