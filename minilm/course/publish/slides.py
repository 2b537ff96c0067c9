"""Lessons to slide decks: one HTML file each that needs no network, and PDF through Chromium."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minilm.course.build.lessons import Lesson
from minilm.course.build.notebook import tags_of
from minilm.course.publish.render import (
    ASSETS,
    TEMPLATES,
    blocks,
    code_css,
    fonts_css,
    katex_css,
    markdown,
    script,
)

COURSE = "CS25 V4, rebuilt and measured"


@dataclass
class Slide:
    """One page: its heading, its blocks of HTML (with whether each is a fragment), its notes."""

    below: bool = False  # a subslide stands under the slide before it
    heading: str = ""
    title: bool = False
    body: list[tuple[str, bool]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def slide_type(cell: dict[str, Any]) -> str:
    """slide, subslide, fragment, notes, skip, or "-" for more of the same slide."""
    return cell.get("metadata", {}).get("slideshow", {}).get("slide_type") or "-"


def slides_of(lesson: Lesson) -> list[Slide]:
    """The slides of a lesson, from the slide types of its cells.

    A markdown cell that starts with a first or second level heading begins a slide even without
    metadata, so that a plain notebook is a deck too.
    """
    slides: list[Slide] = []
    folder = lesson.path.parent
    marked = any(slide_type(cell) in ("slide", "subslide") for cell in lesson.cells)
    for cell in lesson.cells:
        kind = slide_type(cell)
        if kind == "skip" or not (cell["source"].strip() or cell.get("outputs")):
            continue
        if not marked and re.match(r"#{1,2} ", cell["source"]) and cell["cell_type"] == "markdown":
            kind = "slide"
        if kind == "notes":
            if slides:
                slides[-1].notes.append(markdown(cell["source"], folder))
            continue
        if kind in ("slide", "subslide") or not slides:
            slides.append(Slide(below=kind == "subslide" and bool(slides)))
        _add(slides[-1], cell, kind == "fragment", folder)
    slides = [slide for slide in slides if slide.body or slide.heading]
    for before, slide in zip(slides, slides[1:], strict=False):
        if slide.below and not slide.heading and not before.title:
            slide.heading = before.heading  # a figure under its text keeps the text's heading
    return slides


def _add(slide: Slide, cell: dict[str, Any], fragment: bool, folder: Path) -> None:
    """Put a cell on a slide; the heading it starts with becomes the slide's if it is the first."""
    marks = tags_of(cell)
    for block in blocks(cell, folder):
        heading, rest = _heading(block) if not (slide.heading or slide.body) else ("", block)
        if heading:
            slide.heading = heading
            slide.title = heading.startswith("<h1")
        if rest and cell["cell_type"] == "markdown" and "fragments" not in marks:
            slide.body += [(part, fragment) for part in _paragraphs(rest)]
        elif rest:
            slide.body.append((rest, fragment))


def _heading(block: str) -> tuple[str, str]:
    """Split the heading a block of markdown starts with from what follows."""
    found = re.match(r'<div class="markdown">\s*(<h[123][^>]*>.*?</h[123]>)\s*', block, re.DOTALL)
    if not found:
        return "", block
    rest = block[found.end() :].removesuffix("</div>").strip()
    return found[1], f'<div class="markdown">{rest}</div>' if rest else ""


_PARTS = re.compile(
    r"<(p|ul|ol|table|blockquote|pre|h[1-6]|div)\b.*?</\1>(?=\s*(?:<(?:p|ul|ol|table|blockquote|"
    r"pre|h[1-6]|div)\b|$))",
    re.DOTALL,
)


def _paragraphs(block: str) -> list[str]:
    """The top-level elements of a markdown block, each movable to the next slide on its own."""
    inner = block.removeprefix('<div class="markdown">').removesuffix("</div>").strip()
    parts = [found[0] for found in _PARTS.finditer(inner)]
    whole = "".join("".join(parts).split()) == "".join(inner.split())
    if not whole or any(part.count("<div") != part.count("</div") for part in parts):
        return [block]
    return [f'<div class="markdown">{part}</div>' for part in parts]


def deck(lesson: Lesson) -> str:
    """The lesson as one HTML page that carries everything it needs."""
    slides = slides_of(lesson)
    if not slides or not slides[0].title:
        slides.insert(0, Slide(heading=f"<h1>{html.escape(lesson.title)}</h1>", title=True))
        if lesson.summary:
            slides[0].body.append((markdown(lesson.summary, lesson.path.parent), False))
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        '<link rel="icon" href="data:,">',
        f"<title>{html.escape(lesson.title)}</title>",
        f"<!-- {_notice()} -->",
        f"<style>{(ASSETS / 'reset.css').read_text(encoding='utf-8')}",
        f"{(ASSETS / 'reveal.css').read_text(encoding='utf-8')}{katex_css()}{fonts_css()}",
        f"{code_css()}{(TEMPLATES / 'deck.css').read_text(encoding='utf-8')}</style></head>",
        '<body><div class="reveal"><div class="slides">',
        *_sections(slides, lesson),
        "</div></div>",
        *(
            f"<script>{script(name)}</script>"
            for name in (
                "reveal.js",
                "reveal-notes.js",
                "katex.min.js",
                "deck.js",
            )
        ),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _notice() -> str:
    return (
        "reveal.js (MIT, Hakim El Hattab), KaTeX (MIT, Khan Academy), Inter and JetBrains Mono "
        "(SIL Open Font License 1.1); the licences are in licences.txt beside this file"
    )


def _sections(slides: Sequence[Slide], lesson: Lesson) -> Iterator[str]:
    """Slides as reveal.js sections: subslides nested under the slide before them."""
    for k, slide in enumerate(slides):
        opens = not slide.below
        if opens:
            yield "<section>"
        yield _page(slide, lesson, first=k == 0)
        if k + 1 == len(slides) or not slides[k + 1].below:
            yield "</section>"


def _page(slide: Slide, lesson: Lesson, first: bool) -> str:
    foot = f"{lesson.number} · {html.escape(lesson.title)}"
    parts = []
    if slide.title:
        parts.append(f'<div class="course">{COURSE}</div>')
    if slide.heading:
        parts.append(f'<div class="block heading">{slide.heading}</div>')
    for block, fragment in slide.body:
        parts.append(f'<div class="block{" fragment" if fragment else ""}">{block}</div>')
    if slide.title and first:
        said = " · ".join(filter(None, map(lesson.said, ("speaker", "talk"))))
        parts.append(f'<div class="talk">{html.escape(said or "Lesson " + lesson.number)}</div>')
    parts.append(f'<div class="foot">{foot}</div>')
    notes = "".join(f'<aside class="notes">{note}</aside>' for note in slide.notes)
    kind = "page title" if slide.title else "page"
    return f'<section><div class="{kind}">{"".join(parts)}</div>{notes}</section>'


def licences() -> str:
    """The licences of everything a deck carries, as one text."""
    files = sorted((ASSETS / "licences").glob("*.txt"))
    texts = (f"{path.stem}\n\n{path.read_text(encoding='utf-8').strip()}\n" for path in files)
    return ("\n" + "=" * 78 + "\n\n").join(texts)


def index(decks: Sequence[tuple[Lesson, bool]]) -> str:
    """The page that lists the decks; the flag says whether a deck has a PDF beside it."""
    rows = ""
    for lesson, pdf in decks:
        printed = f'<a class="pdf" href="{lesson.slug}.pdf">PDF</a>' if pdf else ""
        rows += (
            f'<li><b>{lesson.number}</b><a href="{lesson.slug}.html">{html.escape(lesson.title)}'
            f"</a>{printed}<p>{html.escape(lesson.summary)}</p></li>"
        )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">
<title>{COURSE}: slides</title>
<style>{fonts_css()}
body{{font:400 19px/1.5 Inter,system-ui,sans-serif;color:#1c2330;max-width:860px;
margin:64px auto;padding:0 28px}}
h1{{font-size:40px;letter-spacing:-.015em;color:#08304f;margin:0 0 8px}}
ul{{list-style:none;padding:0}}
li{{position:relative;padding:14px 70px 14px 64px;border-top:1px solid #d9dee7}}
li b{{position:absolute;left:0;color:#5b6678;font-weight:600}}
a{{color:#0072b2;text-decoration:none;font-weight:600}} a:hover{{text-decoration:underline}}
.pdf{{position:absolute;right:0;font-weight:400}}
li p{{margin:4px 0 0;color:#5b6678;font-size:16px}} kbd{{background:#f5f7fb;padding:1px 7px}}
</style></head><body><h1>{COURSE}</h1>
<p>Arrow keys or space: onward. <kbd>S</kbd> speaker notes. <kbd>Esc</kbd> overview.
<kbd>F</kbd> full screen. No network needed.</p><ul>{rows}</ul></body></html>
"""


def pdf_of(page: Path, notes: bool = False) -> bytes:
    """A deck as PDF, one slide per page (fragments shown), through an installed Chromium.

    Raises:
        InputError: no Chromium, Chrome or Edge is installed.
    """
    from minilm.course.publish.chrome import Page

    address = page.resolve().as_uri() + "?print-pdf" + ("&show-notes" if notes else "")
    with Page() as browser:
        browser.goto(address)
        browser.wait(
            "document.documentElement.dataset.ready === 'true'"
            " && document.querySelectorAll('.pdf-page').length > 0"
        )
        return browser.pdf()


def write_decks(
    lessons: Sequence[Lesson], out: Path, pdf: bool = False, notes: bool = False
) -> list[Path]:
    """Write `NN_slug.html` (and `.pdf`) per lesson, `index.html` and `licences.txt` into `out`."""
    from minilm.course.publish.chrome import find_chromium
    from minilm.errors import InputError

    if pdf and find_chromium() is None:
        raise InputError(
            "--pdf prints through a browser and none was found; install Chromium, Chrome or Edge, "
            "or leave --pdf out and print the deck yourself (open it with ?print-pdf)"
        )
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for lesson in lessons:
        page = out / f"{lesson.slug}.html"
        page.write_text(deck(lesson), encoding="utf-8")
        written.append(page)
        if pdf:
            target = page.with_suffix(".pdf")
            target.write_bytes(pdf_of(page, notes))
            written.append(target)
    (out / "licences.txt").write_text(licences(), encoding="utf-8")
    (out / "index.html").write_text(index(_decks_in(out, lessons)), encoding="utf-8")
    return written


def _decks_in(out: Path, lessons: Sequence[Lesson]) -> list[tuple[Lesson, bool]]:
    """The lessons with a deck in `out`, those of earlier calls too, and whether it has a PDF."""
    folders = dict.fromkeys(lesson.path.parent for lesson in lessons)
    paths = [path for folder in folders for path in sorted(folder.glob("*.ipynb"))]
    decks = [(out / path.with_suffix(".html").name, Lesson(path)) for path in paths]
    return [(lesson, deck.with_suffix(".pdf").exists()) for deck, lesson in decks if deck.exists()]
