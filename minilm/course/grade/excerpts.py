"""The lines that a student wrote for a question, and the cells that are no Python at all.

Strangers' code is searched line by line and never parsed here: Python's parser can be kept busy for
hours by a short text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

MOST_LINES = 120  # of an answer that are shown
MOST_TEXT = 400_000  # letters of one submission that are searched
_BROKEN = re.compile(
    r"code cell (\d+): the cell is no valid Python(?: in line (\d+))?: (.*)", re.DOTALL
)
_QUOTED = re.compile(r"\(in the line `(.*)`\)", re.DOTALL)


@dataclass(frozen=True)
class Excerpt:
    """Some lines of a code cell; `cell` and `first` count from 1."""

    cell: int
    first: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Broken:
    """A cell that Python cannot read."""

    cell: int
    line: int | None
    why: str

    def __str__(self) -> str:
        where = f", line {self.line}" if self.line else ""
        return f"code cell {self.cell}{where} is not valid Python: {self.why}"


def answer(cells: Sequence[str], name: str) -> Excerpt | None:
    """Where a function, class or value of that name is written: the last place that is no stub."""
    begins = re.compile(rf"(?:async +def|def|class) +{re.escape(name)}\b|{re.escape(name)} *=(?!=)")
    found, left = [], MOST_TEXT
    for number, text in enumerate(cells, 1):
        if left <= 0:
            break
        lines = text[:left].split("\n")
        left -= len(text)
        found += [_block(number, lines, at) for at, line in enumerate(lines) if begins.match(line)]
    written = [one for one in found if not _is_stub(one)]
    return (written or found or [None])[-1]


def _block(cell: int, lines: list[str], at: int) -> Excerpt:
    """From the decorators above to the last line that is indented or closes a bracket."""
    begin = at
    while begin and lines[begin - 1].startswith("@"):
        begin -= 1
    end, quotes = at + 1, _quotes(lines[at])
    while end < len(lines) and end - begin < MOST_LINES:
        line = lines[end]
        inside = quotes % 2 == 1  # of a text over several lines
        if line and not inside and not line[0].isspace() and line[0] not in ")]}#":
            break
        quotes += _quotes(line)
        end += 1
    while end > at + 1 and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    return Excerpt(cell, begin + 1, tuple(line[:400] for line in lines[begin:end]))


def _quotes(line: str) -> int:
    return line.count('"""') + line.count("'''")


def _is_stub(excerpt: Excerpt) -> bool:
    code = [line.strip() for line in excerpt.lines if line.strip()]
    return code[-1].startswith(("raise NotImplementedError", "pass", "..."))


def broken_cells(notes: Sequence[str]) -> list[Broken]:
    """The cells that could not be read as Python, from what the worker noted."""
    found = [_BROKEN.fullmatch(note) for note in notes]
    return [Broken(int(f[1]), int(f[2]) if f[2] else None, _plain(f[3])) for f in found if f]


def _plain(why: str) -> str:
    """What Python says, without where: the line has been said."""
    return re.sub(r" \((<\w+>, )?line \d+\)$", "", why)


def around(cells: Sequence[str], broken: Broken) -> Excerpt | None:
    """The line where a cell stops being Python, with two lines before and one after."""
    if not 0 < broken.cell <= len(cells) or broken.line is None:
        return None
    lines = cells[broken.cell - 1][:MOST_TEXT].split("\n")
    begin = max(0, broken.line - 3)
    return Excerpt(broken.cell, begin + 1, tuple(x[:400] for x in lines[begin : broken.line + 1]))


def quoted_line(text: str) -> str | None:
    """The line of code that a failure names, if it names one."""
    found = _QUOTED.search(text)
    return found[1] if found else None
