"""A study on one page: what was promised, the curves, the verdict and how it was reached.

The same parts become an HTML page that needs no network, a PDF of it through Chromium, and a
notebook whose cells draw the figures from the record again.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minilm.course.build import notebook as nb
from minilm.course.publish.inlined import fonts_css
from minilm.course.show import study_figures
from minilm.course.show.cards import card
from minilm.course.show.claims import Verdict
from minilm.course.show.style import Picture
from minilm.files import make_folder, write_atomically, write_text
from minilm.studies import forecast, rubric

Data = dict[str, Any]
CSS = """
@page { size: A4; margin: 11mm 13mm }
body { font: 15px/1.42 Inter, system-ui, sans-serif; color: #1c2330; background: #fff;
 max-width: 60rem; margin: 1.5rem auto; padding: 0 1.2rem }
h1 { font-size: 26px; margin: 0 0 2px } h2 { font-size: 16px; margin: 12px 0 4px }
p { margin: 3px 0 } .faint { color: #5b6678; font-size: 12.5px; overflow-wrap: anywhere }
.figures { display: flex; gap: 10px } .figures img { width: 50%; min-width: 0 }
table { border-collapse: collapse; font-size: 12.5px; width: 100% }
td, th { text-align: left; padding: 2px 10px 2px 0; border-bottom: 1px solid #d9dee7;
 vertical-align: top }
th { color: #5b6678; font-weight: 600 } td.n { white-space: nowrap }
.minilm-claim { font-size: 13.5px }
@media print { body { font-size: 10.5px; margin: 0; max-width: none; padding: 0 }
 h1 { font-size: 18px } h2 { font-size: 12px; margin: 7px 0 2px }
 table, .faint, .minilm-claim { font-size: 8.8px } }
"""


def verdicts(data: Data) -> list[Verdict]:
    """The claim cards of a study: one for each idea, judged by the promised rule."""
    fields = forecast.promised(data)
    unit = data["settings"].get("unit", "")
    cards = []
    for model, found in forecast.judge(data).items():
        mean, least = float(np.mean(found["gains"])), fields["gain"]
        ends = found["interval"]
        reach = "no interval" if ends is None else f"95 % interval {ends[0]:.4f} to {ends[2]:.4f}"
        cards.append(
            Verdict(
                claim=fields["hypothesis"].rstrip("."),
                lesson="",
                talk="",
                source=f"study {data['study']}, sealed {data['pledge']['time'][:19]} UTC",
                measure=f"loss of {fields['baseline']} less loss of {model} at the held-back size "
                f"{fields['held_back']}, seed by seed",
                expected=f"{least:g} or more in the mean, and an interval above 0",
                values={"value": [float(f"{gain:.6g}") for gain in found["gains"]]},
                seeds=list(found["seeds"]),
                held=[gain >= least for gain in found["gains"]],
                verdict=found["verdict"],
                unit=unit,
                kind="ours",
                recorded=True,
                says=f"at size {fields['held_back']} {model} gains {mean:.4f} {unit}, {reach}; "
                f"{least:g} was promised",
            )
        )
    return cards


def write_report(data: Data, folder: Path, record: Path, pdf: bool = True) -> list[str]:
    """Write NAME.html, NAME.pdf and NAME.ipynb; returns a line about each.

    Args:
        data: a record that a plan has left.
        folder: to write into.
        record: the record's file, which the notebook reads.
        pdf: print the page as well, where there is a browser.

    Raises:
        InputError: the record holds no promise or no runs at the held-back size, or the folder
            cannot be written.
    """
    from minilm.course.publish.chrome import find_chromium

    name = record.stem
    pictures = [study_figures.curves(data), study_figures.gains(data)]
    page = as_html(data, pictures)
    folder = make_folder(folder, "--out")
    target = folder / f"{name}.html"
    write_text(target, page)
    said = [f"{target}: {verdicts(data)[0]!r}"]
    if pdf and find_chromium() is None:
        said.append("no PDF: it is printed through Chromium, Chrome or Edge, and none was found")
    elif pdf:
        printed = target.with_suffix(".pdf")
        write_atomically(printed, pdf_of(target))
        said.append(str(printed))
    book = target.with_suffix(".ipynb")
    nb.write(book, as_notebook(data, pictures, record))
    return [*said, str(book)]


def pdf_of(target: Path) -> bytes:
    """A page on disk, printed."""
    from minilm.course.publish.chrome import Page

    with Page() as browser:
        browser.goto(target.resolve().as_uri())
        browser.wait("document.fonts.status === 'loaded'")
        return browser.pdf()


def as_html(data: Data, pictures: Sequence[Picture]) -> str:
    """The page."""
    body = "\n".join(
        [
            f"<h1>{html.escape(data['study'])}</h1>",
            promise_html(data),
            *(card(one.record()) for one in verdicts(data)),
            '<div class="figures">' + "".join(map(_image, pictures)) + "</div>",
            f"<h2>Forecast of the held-back size</h2>{_table(*forecast_rows(data))}",
            f"<h2>Rates, tuned on a seed of their own</h2>{_table(*tuning_rows(data))}",
            f"<h2>Rubric</h2>{_table(*rubric_rows(data))}",
            f'<p class="faint">{html.escape(made_by(data))}</p>',
        ]
    )
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(data['study'])}</title><style>{fonts_css()}{CSS}</style></head>"
    )
    return f"{head}<body>{body}</body></html>\n"


def promise_html(data: Data) -> str:
    """What was said before the first run, with its hash and time."""
    fields, told = forecast.promised(data), data["pledge"]
    changes = "".join(
        f"<p><b>Changed after {change['runs']} runs:</b> {', '.join(change['fields'])}.</p>"
        for change in data.get("changes", ())
    )
    return (
        f"<p><b>Hypothesis.</b> {html.escape(fields['hypothesis'])}</p>"
        f"<p><b>Would prove it wrong.</b> {html.escape(fields['falsifier'])}</p>{changes}"
        f'<p class="faint">Sealed {told["time"]} at {told["commit"]}: {told["hash"]}</p>'
    )


def forecast_rows(data: Data) -> tuple[list[str], list[list[str]]]:
    """For every model: what its smaller sizes foretold, and what came."""
    fields, told = forecast.promised(data), data.get("forecast", {}).get("models", {})
    rows = []
    for model in fields["models"]:
        losses = [
            forecast.final(run)
            for run in data["runs"]
            if (run["model"], run["size"]) == (model, fields["held_back"])
        ]
        ends = told.get(model)
        said = f"{ends['middle']:.3f} ({ends['low']:.3f} to {ends['high']:.3f})" if ends else "none"
        mean = f"{np.mean(losses):.3f}" if losses else "not run"
        inside = bool(ends and losses) and ends["low"] <= np.mean(losses) <= ends["high"]
        rows.append([model, said, mean, "inside" if inside else "outside"])
    return ["model", "foretold, 90 % of runs", "mean of the runs", ""], rows


def tuning_rows(data: Data) -> tuple[list[str], list[list[str]]]:
    """For every search: the rates tried with their losses, and the one taken."""
    rows = []
    for name, found in data["tuning"].items():
        tried = ", ".join(
            f"{rate}: {'diverged' if loss is None else f'{loss:.3f}'}"
            for rate, loss in found["losses"].items()
        )
        taken = f"{found['lr']:g}{', at the edge of the search' * bool(found.get('at_edge'))}"
        rows.append([name, taken, tried])
    return ["size and model", "taken", "rate: loss"], rows


def rubric_rows(data: Data) -> tuple[list[str], list[list[str]]]:
    """The marks, and their sum."""
    marks = rubric.grade(data)
    rows = [[mark.part, f"{mark.points} of {mark.most}", mark.why] for mark in marks]
    most = sum(mark.most for mark in marks)
    return ["part", "points", "why"], [*rows, ["together", f"{rubric.total(marks)} of {most}", ""]]


def made_by(data: Data) -> str:
    """Where the numbers come from, in a line."""
    runs = data["runs"]
    seconds = sum(run.get("cpu_seconds", 0.0) for run in runs)
    free = "".join(f"; {name} {loss:.3f}" for name, loss in data.get("yardsticks", {}).items())
    return (
        f"{len(runs)} runs, {seconds:.0f} CPU seconds without tuning, {data['date']}, "
        f"{data['machine']}; {data['command']}{free}"
    )


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _markdown(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in r) + " |" for r in lines
    )


def _image(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode()
    return f'<img alt="{html.escape(picture.alt)}" src="data:image/png;base64,{data}">'


def as_notebook(data: Data, pictures: Sequence[Picture], record: Path) -> nb.Notebook:
    """The page as a notebook; its code draws the figures again from the record beside it."""
    fields, told = forecast.promised(data), data["pledge"]
    start = (
        "from minilm.course.publish.study_report import verdicts\n"
        "from minilm.course.show import study_figures\n"
        "from minilm.studies.record import load\n\n"
        f"data = load({record.name!r})\n"
        "verdicts(data)[0]"
    )
    found = verdicts(data)[0]
    text, _ = found._repr_mimebundle_()
    cells = [
        nb.make_cell(
            "markdown",
            f"# {data['study']}\n\n**Hypothesis.** {fields['hypothesis']}\n\n**Would prove it "
            f"wrong.** {fields['falsifier']}\n\nSealed {told['time']} at `{told['commit']}`: "
            f"`{told['hash']}`",
        ),
        _ran(start, {key: nb.lines_of(value) for key, value in text.items()}),
    ]
    for call, picture in zip(("curves", "gains"), pictures, strict=True):
        shown, metadata = picture.bundle()
        cells.append(_ran(f"study_figures.{call}(data)", shown, metadata))
    for title, rows in (
        ("Forecast of the held-back size", forecast_rows(data)),
        ("Rates, tuned on a seed of their own", tuning_rows(data)),
        ("Rubric", rubric_rows(data)),
    ):
        cells.append(nb.make_cell("markdown", f"## {title}\n\n{_markdown(*rows)}"))
    cells.append(nb.make_cell("markdown", made_by(data)))
    return nb.make_notebook(cells)


def _ran(code: str, shown: dict[str, Any], metadata: dict[str, Any] | None = None) -> nb.Cell:
    cell = nb.make_cell("code", code)
    out = {"output_type": "display_data", "data": shown, "metadata": metadata or {}}
    return {**cell, "outputs": [out]}
