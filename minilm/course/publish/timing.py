"""How long a slide takes to tell, and which slides a lecture of so many minutes has room for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from minilm.course.publish.pages import Slide

LEAST = 10  # minutes that a cut may ask for
HASTE = 1.15  # how much faster a lecture may be told before it loses what no author marked
_NUMBERS = "one two three four five six seven eight nine ten".split()
_SAID = re.compile(rf"\W*(\d+|{'|'.join(_NUMBERS)}) minutes?\b", re.IGNORECASE)


def minutes(slide: Slide) -> float:
    """Minutes for a slide: those that its note begins with, else an estimate, in halves.

    The estimate allows a minute for 150 words, for 20 lines of code, and for a picture.
    """
    for note in slide.notes:
        said = _SAID.match(re.sub(r"<[^>]+>", "", note))
        if said:
            word = said[1].lower()
            return float(word) if word.isdigit() else float(_NUMBERS.index(word) + 1)
    listings = re.findall(r'<div class="highlight".*?</div>', slide.html, re.DOTALL)
    lines = sum(bool(line.strip()) for listing in listings for line in listing.splitlines())
    prose = re.sub(r'<div class="highlight".*?</div>', "", slide.html, flags=re.DOTALL)
    words = len(re.sub(r"<[^>]+>", " ", prose).split())
    return max(0.5, round(2 * (words / 150 + lines / 20 + ("<figure" in prose))) / 2)


def parts_of(slides: Sequence[Slide]) -> list[list[Slide]]:
    """The slides under each heading."""
    return [list(group) for _, group in groupby(slides, key=lambda slide: slide.part)]


def cut(slides: Sequence[Slide], limit: float) -> tuple[list[Slide], list[str]]:
    """The slides that fit into `limit` minutes, and the headings of what is left out.

    Whole parts go: first those that the author tagged `extra`, from the last. Where that is far
    from enough, the longest follow of those that neither open a section nor hold a verdict. What
    opens, closes or judges always stays, even if it takes longer than there is.
    """
    parts = parts_of(slides)
    costs = [sum(map(minutes, part)) for part in parts]
    inner = range(1, len(parts) - 1)
    tagged = [k for k in inner if parts[k][0].extra]
    others = [k for k in inner if k not in tagged and _spare(parts[k])]
    out: list[int] = []

    def left() -> float:
        return sum(cost for k, cost in enumerate(costs) if k not in out)

    for room, spare in (
        (limit, tagged[::-1]),
        (HASTE * limit, sorted(others, key=lambda k: -costs[k])),
    ):
        dropped = []
        for k in spare:
            if left() > room:
                out.append(k)
                dropped.append(k)
        for k in dropped:  # a long part may have made room for a short one
            if left() + costs[k] <= room:
                out.remove(k)
    kept = [slide for k, part in enumerate(parts) if k not in out for slide in part]
    return kept, [parts[k][0].name for k in sorted(out)]


def _spare(part: list[Slide]) -> bool:
    """Whether a lecture is whole without these slides."""
    return part[0].below and all("minilm-claim" not in slide.html for slide in part)


def paced(slides: Sequence[Slide], limit: float | None = None) -> list[float]:
    """Minutes for each slide; where they are more than `limit`, all are told faster alike."""
    each = list(map(minutes, slides))
    total = sum(each)
    return each if limit is None or total <= limit else [m * limit / total for m in each]
