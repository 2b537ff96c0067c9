"""Cells to slides: what stands on each, what is said beside it, and which belong together."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from minilm.course.build.lessons import Lesson
from minilm.course.build.notebook import tags_of
from minilm.course.publish.prose import markdown
from minilm.course.publish.render import blocks

EXTRA = "extra"  # tag of a slide that a short lecture leaves out first


@dataclass
class Slide:
    """One page: its heading, its blocks of HTML (with whether each is a fragment), its notes.

    `cells` says from which cell of the lesson each block comes, `part` counts headings: a page
    without a heading of its own belongs to the part that the page before it began.
    """

    below: bool = False  # a subslide stands under the slide before it
    heading: str = ""
    title: bool = False
    extra: bool = False
    part: int = 0
    body: list[tuple[str, bool]] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)  # what the article says here and the page not

    @property
    def name(self) -> str:
        """The heading as plain text."""
        return html.unescape(re.sub(r"<[^>]+>", "", self.heading)).strip()

    @property
    def html(self) -> str:
        """All that stands on the page below its heading."""
        return "".join(block for block, _ in self.body)


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
    for number, cell in enumerate(lesson.cells):
        kind = slide_type(cell)
        prose = cell["cell_type"] == "markdown"
        if not (cell["source"].strip() or cell.get("outputs")):
            continue
        if not marked and re.match(r"#{1,2} ", cell["source"]) and prose:
            kind = "slide"
        if kind in ("notes", "skip"):
            if slides and prose:
                said = slides[-1].notes if kind == "notes" else slides[-1].aside
                said.append(_unlinked(markdown(cell["source"], folder)))
            continue
        if kind in ("slide", "subslide") or not slides:
            slides.append(Slide(below=kind == "subslide" and bool(slides)))
        slides[-1].extra |= EXTRA in tags_of(cell)
        slides[-1].aside += _details(cell)
        _add(slides[-1], number, cell, kind == "fragment", folder)
    slides = [slide for slide in slides if slide.body or slide.heading]
    for before, slide in pairwise(slides):
        slide.part = before.part + (slide.heading != "" or before.title or not slide.below)
        if slide.part == before.part:  # a figure under its text keeps the text's heading
            slide.heading = before.heading
            slide.extra |= before.extra
    return slides


def _details(cell: dict[str, Any]) -> Iterator[str]:
    """What a speaker may want of a cell's outputs: the terms of a verdict, what a figure shows."""
    for out in cell.get("outputs", []):
        metadata = out.get("metadata", {})
        record = metadata.get("minilm", {}).get("claim") or {}
        told = [("Claim", "claim"), ("Expected", "expected"), ("Measured by", "measure")]
        lines = [f"{name}: {record[key]}." for name, key in told if record.get(key)]
        lines += [record["note"]] if record.get("note") else []
        if metadata.get("alt"):
            lines.append(f"The picture: {metadata['alt']}")
        yield from (f"<p>{html.escape(line)}</p>" for line in lines)


def _unlinked(block: str) -> str:
    """HTML whose links to notebooks are plain words: a deck travels alone."""
    return re.sub(r'<a [^>]*href="[^"]*\.ipynb[^"]*"[^>]*>(.*?)</a>', r"\1", block, flags=re.DOTALL)


def _add(slide: Slide, number: int, cell: dict[str, Any], fragment: bool, folder: Path) -> None:
    """Put a cell on a slide; the heading it starts with becomes the slide's if it is the first."""
    marks = tags_of(cell)
    for block in map(_unlinked, blocks(cell, folder)):
        heading, rest = _heading(block) if not (slide.heading or slide.body) else ("", block)
        if heading:
            slide.heading = heading
            slide.title = heading.startswith("<h1")
        if rest and cell["cell_type"] == "markdown" and "fragments" not in marks:
            slide.body += [(part, fragment) for part in _paragraphs(rest)]
        elif rest:
            slide.body.append((rest, fragment))
        slide.cells += [number] * (len(slide.body) - len(slide.cells))


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
