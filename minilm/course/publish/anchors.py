"""Headings of a page: their ids, the list of contents that they make, the text below each."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

Section = tuple[int, str, str, str]  # level, title, mark, the text that follows

_HEADING = re.compile(r"<h([123])(?: [^>]*)?>(.*?)</h\1>", re.DOTALL)


def contents(sections: Sequence[Section]) -> str:
    """The headings below the title as a list of links into the page."""
    items = "".join(
        f'<li class="level{level}"><a href="#{mark}">{html.escape(title)}</a></li>'
        for level, title, mark, _ in sections
        if level > 1
    )
    return f"<ol>{items}</ol>" if items else ""


def anchored(body: str) -> tuple[str, list[Section]]:
    """Headings with ids, and per heading its title, its id and the text that follows it."""
    used: set[str] = set()
    marks: list[tuple[int, str, str]] = []

    def name(found: re.Match[str]) -> str:
        title = html.unescape(re.sub(r"<[^>]+>", "", found[2]))
        base = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "part"
        mark, count = base, 2
        while mark in used:
            mark, count = f"{base}-{count}", count + 1
        used.add(mark)
        marks.append((int(found[1]), title, mark))
        return f'<h{found[1]} id="{mark}">{found[2]}</h{found[1]}>'

    made = _HEADING.sub(name, body)
    texts = _HEADING.split(body)[3::3]
    return made, [(*mark, _words(text)) for mark, text in zip(marks, texts, strict=True)]


def _words(text: str, limit: int = 3000) -> str:
    """HTML as searchable text, without pictures and scripts."""
    text = re.sub(r"<(style|script)\b.*?</\1>|<img[^>]*?alt=\"([^\"]*)\"[^>]*>", r" \2 ", text)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())[:limit]
