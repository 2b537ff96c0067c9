"""Lessons to slide decks: one HTML file each that needs no network, and PDF through Chromium."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from pathlib import Path

from minilm.course.build.lessons import Lesson
from minilm.course.publish.inlined import ASSETS, TEMPLATES, fonts_css, katex_css, script
from minilm.course.publish.listing import code_css
from minilm.course.publish.pages import Slide, slide_type, slides_of
from minilm.course.publish.prose import markdown
from minilm.course.publish.timing import LEAST, cut, paced
from minilm.errors import InputError

__all__ = ["COURSE", "Slide", "deck", "slide_type", "slides_of", "write_decks"]

COURSE = "CS25 V4, rebuilt and measured"


def told(lesson: Lesson, minutes: float | None = None) -> tuple[list[Slide], list[str]]:
    """The slides for a lecture of so many minutes, and the headings of those it has no room for.

    Args:
        minutes: of the lecture; None keeps every slide.

    Raises:
        InputError: `minutes` is too small for any lecture.
    """
    slides, left = slides_of(lesson), []
    if minutes is not None:
        if minutes < LEAST:
            raise InputError(f"minutes is {minutes:g}; it must be at least {LEAST}")
        slides, left = cut(slides, minutes)
    if not slides or not slides[0].title:
        slides.insert(0, Slide(heading=f"<h1>{html.escape(lesson.title)}</h1>", title=True))
        if lesson.summary:
            slides[0].body.append((markdown(lesson.summary, lesson.path.parent), False))
            slides[0].cells.append(-1)
    return slides, left


def deck(lesson: Lesson, minutes: float | None = None) -> str:
    """The lesson as one HTML page that carries everything it needs.

    Args:
        minutes: of the lecture that the deck is for; None keeps every slide.
    """
    slides, _ = told(lesson, minutes)
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
        *_sections(slides, lesson, paced(slides, minutes)),
        "</div></div>",
        *(
            f"<script>{script(name)}</script>"
            for name in (
                "reveal.js",
                "reveal-notes.js",
                "katex.min.js",
                "maths.js",
                "frames.js",
                "fit.js",
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


def _sections(slides: Sequence[Slide], lesson: Lesson, pace: Sequence[float]) -> Iterator[str]:
    """Slides as reveal.js sections: subslides nested under the slide before them."""
    for k, slide in enumerate(slides):
        if k == 0 or not slide.below:
            yield "<section>"
        so_far = f"minute {sum(pace[:k]):.0f} of {sum(pace):.0f}"
        yield _page(slide, lesson, f"<b>{_spoken(pace[k])}</b>, from {so_far}", first=k == 0)
        if k + 1 == len(slides) or not slides[k + 1].below:
            yield "</section>"


def _spoken(minutes: float) -> str:
    """Minutes as a speaker reads them."""
    rounded = max(0.5, round(2 * minutes) / 2)
    return f"{rounded:g} minute{'s' if rounded > 1 else ''}"


def _page(slide: Slide, lesson: Lesson, time: str, first: bool) -> str:
    foot = f"{lesson.number} · {html.escape(lesson.title)}"
    parts = []
    if slide.title:
        parts.append(f'<div class="course">{COURSE}</div>')
    if slide.heading:
        parts.append(f'<div class="block heading">{slide.heading}</div>')
    for (block, fragment), cell in zip(slide.body, slide.cells, strict=True):
        kind = "block fragment" if fragment else "block"
        parts.append(f'<div class="{kind}" data-cell="{cell}">{block}</div>')
    if slide.title and first:
        said = " · ".join(filter(None, map(lesson.said, ("speaker", "talk"))))
        parts.append(f'<div class="talk">{html.escape(said or "Lesson " + lesson.number)}</div>')
    parts.append(f'<div class="foot">{foot}</div>')
    said = "".join([f'<p class="minutes">{time}</p>', *slide.notes, *slide.aside])
    kind = "page title" if slide.title else "page"
    page = f'<div class="{kind}">{"".join(parts)}</div>'
    return f'<section>{page}<aside class="notes">{said}</aside></section>'


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
    lessons: Sequence[Lesson],
    out: Path,
    pdf: bool = False,
    notes: bool = False,
    minutes: float | None = None,
) -> list[Path]:
    """Write `NN_slug.html` (and `.pdf`) per lesson, `index.html` and `licences.txt` into `out`.

    Args:
        notes: with `pdf`, a page of notes after each slide.
        minutes: of the lecture that the decks are for; None keeps every slide.

    Raises:
        InputError: `minutes` is too small, or `pdf` is asked for and no browser is installed.
    """
    from minilm.course.publish.chrome import find_chromium

    if pdf and find_chromium() is None:
        raise InputError(
            "--pdf prints through a browser and none was found; install Chromium, Chrome or Edge, "
            "or leave --pdf out and print the deck yourself (open it with ?print-pdf)"
        )
    pages = [deck(lesson, minutes) for lesson in lessons]
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for lesson, text in zip(lessons, pages, strict=True):
        page = out / f"{lesson.slug}.html"
        page.write_text(text, encoding="utf-8")
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
