"""The course as a static site: lessons with figures, decks, claims board, reference, search.

Pages use relative addresses and scripts only, so the site works from `file://` with no network.
"""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from minilm.course.build.lessons import Lesson
from minilm.course.places import Course
from minilm.course.publish import api
from minilm.course.publish.anchors import Section, anchored, contents
from minilm.course.publish.board import as_html, read_board, tally
from minilm.course.publish.inlined import ASSETS, TEMPLATES, fonts_css, katex_css
from minilm.course.publish.listing import code_css
from minilm.course.publish.pages import slide_type
from minilm.course.publish.prose import has_maths, markdown
from minilm.course.publish.render import blocks
from minilm.course.publish.slides import COURSE, write_decks

Hit = dict[str, str]  # what search finds: t title, u address, k kind, x text

SCRIPTS = ("frames.js", "search.js", "site.js")
_NOTEBOOK = re.compile(r'<a href="([^":#]+)\.ipynb(#[^"]*)?">(.*?)</a>', re.DOTALL)


class Site:
    """The pages of a site while they are written; `hits` grows into the search index."""

    def __init__(self, out: Path, lessons: Sequence[Lesson]) -> None:
        self.out, self.lessons = out, list(lessons)
        self.hits: list[Hit] = []

    def write(
        self, address: str, title: str, body: str, section: str, side: str = "", maths: bool = False
    ) -> None:
        """Write one page, with the header and the side column around it."""
        up = "../" * address.count("/")
        nav = "".join(
            f'<a href="{up}{target}"{" aria-current=page" if name == section else ""}>{name}</a>'
            for name, target in (
                ("Lessons", "index.html"),
                ("Exercises", "exercises/index.html"),
                ("Slides", "decks/index.html"),
                ("Claims", "claims.html"),
                ("Reference", "reference/index.html"),
            )
        )
        scripts = ["search_index.js", *(["katex.min.js", "maths.js"] if maths else [])]
        folded = f"<details open><summary>Contents</summary>{side}</details>" if side else ""
        page = f"""<!DOCTYPE html>
<html lang="en" data-home="{up}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">
<title>{html.escape(title)}</title>
<link rel="stylesheet" href="{up}assets/site.css">
{f'<link rel="stylesheet" href="{up}assets/katex.css">' if maths else ""}
</head><body><a class="skip" href="#main">Skip to the text</a>
<header><a class="home" href="{up}index.html">{COURSE}</a><nav aria-label="Parts">{nav}</nav>
<div class="search" role="search"><input type="search" placeholder="Search  /"
aria-label="Search the course"><ul></ul></div></header>
<div class="frame"><aside class="side" aria-label="Contents">{folded}</aside>
<main id="main">{body}</main></div>
{"".join(f'<script src="{up}assets/{name}"></script>' for name in (*scripts, *SCRIPTS))}
</body></html>
"""
        target = self.out / address
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")

    def side(
        self,
        up: str,
        current: Lesson | None = None,
        sections: Sequence[Section] = (),
        room: str = "lessons",
    ) -> str:
        """The side column: lessons (or sets), and below the current one its own contents."""
        items = ""
        for lesson in self.lessons if room == "lessons" else self.sets:
            here = lesson is current
            current_page = " aria-current=page" if here else ""
            below = contents(sections) if here else ""
            link = f'<a href="{up}{room}/{lesson.slug}.html"{current_page}>'
            items += f"<li>{link}{lesson.number} {html.escape(lesson.title)}</a>{below}</li>"
        return f"<ol>{items}</ol>"

    @property
    def sets(self) -> list[Lesson]:
        """The lessons that have an exercise set."""
        return [lesson for lesson in self.lessons if lesson.place.exercise.is_file()]

    def linked(self, body: str) -> str:
        """HTML whose links to notebooks lead to their pages, or nowhere if they have none."""
        pages = {f"lessons/{lesson.slug}" for lesson in self.lessons}
        pages |= {f"exercises/{lesson.slug}" for lesson in self.sets}

        def page(found: re.Match[str]) -> str:
            *rooms, slug = found[1].split("/")
            address = f"{rooms[-1] if rooms and rooms[-1] != '..' else 'lessons'}/{slug}"
            if address not in pages:
                return found[3]
            return f'<a href="../{address}.html{found[2] or ""}">{found[3]}</a>'

        return _NOTEBOOK.sub(page, body)


def write_site(
    lessons: Sequence[Lesson], course: Course, out: Path, package: Path | None = None
) -> Site:
    """Write the whole site into `out` (pages that are there are replaced, others stay).

    Args:
        course: for its claims.
        package: the folder whose reference is written; by default all of minilm.
    """
    site = Site(out, lessons)
    assets = out / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    css = f"{fonts_css()}{code_css()}{(TEMPLATES / 'site.css').read_text(encoding='utf-8')}"
    (assets / "site.css").write_text(css, encoding="utf-8")
    (assets / "katex.css").write_text(katex_css(), encoding="utf-8")
    for name in ("maths.js", *SCRIPTS):
        shutil.copyfile(TEMPLATES / name, assets / name)
    shutil.copyfile(ASSETS / "katex.min.js", assets / "katex.min.js")
    board = read_board(course)
    _front(site, board)
    for place, lesson in enumerate(site.lessons):
        _lesson(site, place, lesson)
    _exercises(site)
    _claims(site, board)
    _reference(site, package or Path(__file__).parents[2])
    write_decks(site.lessons, out / "decks")
    index = json.dumps(site.hits, ensure_ascii=False).replace("</", "<\\/")
    (assets / "search_index.js").write_text(f"window.SEARCH_INDEX = {index};\n", encoding="utf-8")
    return site


def _front(site: Site, board: Sequence[dict[str, Any]]) -> None:
    items = []
    for lesson in site.lessons:
        own = [record for record in board if record["lesson"] == lesson.slug]
        said = f'<p class="lead">{tally(own)}</p>' if own else ""
        items.append(
            f'<li><h2>{lesson.number} <a href="lessons/{lesson.slug}.html">'
            f"{html.escape(lesson.title)}</a></h2><p>{html.escape(lesson.summary)}</p>{said}</li>"
        )
    body = (
        f"<h1>{COURSE}</h1><p>Stanford's seminar on transformers, rebuilt from scratch in NumPy. "
        "Each lesson takes one talk, builds what it describes and measures what it claims.</p>"
        f'<ul class="list">{"".join(items)}</ul>'
    )
    site.write("index.html", COURSE, body, "Lessons", site.side(""), has_maths(body))


def _lesson(site: Site, place: int, lesson: Lesson) -> None:
    address = f"lessons/{lesson.slug}.html"
    body, sections = anchored(site.linked("\n".join(_cells(lesson))))
    for _, title, mark, text in sections:
        kind = f"lesson {lesson.number}"
        site.hits.append({"t": title, "u": f"{address}#{mark}", "k": kind, "x": text})
    head = " · ".join(map(html.escape, filter(None, map(lesson.said, ("speaker", "talk")))))
    lead = f'{head + " · " if head else ""}<a href="../decks/{lesson.slug}.html">as slides</a>'
    if lesson in site.sets:
        lead += f' · <a href="../exercises/{lesson.slug}.html">exercises</a>'
    made = lesson.notebook["metadata"].get("minilm", {})
    if "machine" in made:
        lead += f" · outputs from a run on {html.escape(made['machine'])}, {made['seconds']} s"
    before = site.lessons[place - 1] if place else None
    after = site.lessons[place + 1] if place + 1 < len(site.lessons) else None
    ends = "".join(
        f'<a href="{other.slug}.html">{arrow} {html.escape(other.title)}</a>'
        if other
        else "<i></i>"
        for other, arrow in ((before, "←"), (after, "→"))
    )
    page = f'<p class="lead">{lead}</p>{body}<nav class="ends" aria-label="Next">{ends}</nav>'
    side = site.side("../", lesson, sections)
    site.write(address, lesson.title, page, "Lessons", side, has_maths(body))


def _exercises(site: Site) -> None:
    """A page for each exercise set, as students get it, and one that lists them."""
    rows = ""
    for lesson in site.sets:
        address = f"exercises/{lesson.slug}.html"
        exercise = Lesson(lesson.place.exercise)
        body, sections = anchored(site.linked("\n".join(_cells(exercise))))
        for _, title, mark, text in sections:
            kind = f"exercise {lesson.number}"
            site.hits.append({"t": title, "u": f"{address}#{mark}", "k": kind, "x": text})
        lead = (
            f'<p class="lead">The set of <a href="../lessons/{lesson.slug}.html">lesson '
            f"{lesson.number}</a>. To solve it, open <code>exercises/{lesson.slug}.ipynb</code> in "
            "JupyterLab: <code>minilm lab</code>.</p>"
        )
        side = site.side("../", lesson, sections, "exercises")
        site.write(address, exercise.title, lead + body, "Exercises", side, has_maths(body))
        count = sum(title[:1].isdigit() for level, title, *_ in sections if level == 2)
        rows += (
            f'<li><h2>{lesson.number} <a href="{lesson.slug}.html">{html.escape(exercise.title)}'
            f"</a></h2><p>{count} question{'' if count == 1 else 's'}, after "
            f'<a href="../lessons/{lesson.slug}.html">{html.escape(lesson.title)}</a></p></li>'
        )
    body = f'<h1>Exercises</h1><ul class="list">{rows or "<li>None yet.</li>"}</ul>'
    side = site.side("../", room="exercises")
    site.write("exercises/index.html", "Exercises", body, "Exercises", side)


def _cells(lesson: Lesson) -> Iterator[str]:
    folder = lesson.path.parent
    for cell in lesson.cells:
        if slide_type(cell) == "notes":
            note = markdown(cell["source"], folder)
            yield f'<details class="notes"><summary>Note for the speaker</summary>{note}</details>'
        else:
            yield from blocks(cell, folder)


def _claims(site: Site, board: Sequence[dict[str, Any]]) -> None:
    for record in board:
        text = f"{record['verdict']}, {record['measure']}, {record['source']} {record['talk']}"
        site.hits.append({"t": record["claim"], "u": "claims.html", "k": "claim", "x": text})
    body = (
        "<h1>What the talks claim, and what we measured</h1><p>Every row comes from the outputs of "
        "a lesson. The criterion stands in the lesson before the experiment runs.</p>"
        + as_html(board, "lessons/{slug}.html")
    )
    site.write("claims.html", "Claims", body, "Claims", site.side(""))


def _reference(site: Site, package: Path) -> None:
    found = api.modules(package)
    side = _reference_side(found, None)
    rows = "".join(
        f'<li><h3><a href="{module.name}.html"><code>{module.name}</code></a></h3>'
        f"<p>{html.escape(module.summary)}</p></li>"
        for module in found
    )
    body = f'<h1>Package reference</h1><ul class="list">{rows}</ul>'
    site.write("reference/index.html", "Package reference", body, "Reference", side)
    for module in found:
        address = f"reference/{module.name}.html"
        kind = "module"
        site.hits.append({"t": module.name, "u": address, "k": kind, "x": module.doc})
        for entry in module.entries:
            where = f"{address}#{api.anchor(entry.name)}"
            site.hits.append({"t": entry.name, "u": where, "k": module.name, "x": entry.summary})
        side = _reference_side(found, module)
        site.write(address, module.name, api.as_html(module, found), "Reference", side)


def _reference_side(found: Sequence[api.Module], current: api.Module | None) -> str:
    items = []
    for module in found:
        here = " aria-current=page" if module is current else ""
        items.append(f'<li><a href="{module.name}.html"{here}>{module.name}</a></li>')
    return f"<ul>{''.join(items)}</ul>"
