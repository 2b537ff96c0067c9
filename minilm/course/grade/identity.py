"""One row, one page and one JSON file for every (student, set), whatever the students are called.

Names come from strangers. Two may look alike in a table, differ only in case, or be made to fit the
name of a file that belongs to somebody else.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{5,}")
_FORMULA = ("=", "+", "-", "@")
_JOINERS = "\u200c\u200d"  # of no width; Persian names and many emoji are written with them
_ODD = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, direction, surrogate, no character
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")
_LIKE_OURS = re.compile(r".*-[0-9a-f]{12}")
_DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(10))}


def scrub(text: str) -> str:
    """A student's text without what differs from run to run (addresses) or breaks a page."""
    return visible(_ADDRESS.sub("0x...", text))


def visible(text: str) -> str:
    """A text of characters that can be seen.

    Lines and tabs stay; other control characters, and those that turn the direction of writing or
    take no space, become a replacement character.
    """
    if text.isascii() and text.isprintable():
        return text
    kept = "\n\t" + _JOINERS
    return "".join(
        c if c in kept or unicodedata.category(c) not in _ODD else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )


def cell(text: str) -> str:
    """A text on one line that no spreadsheet takes for a formula, whatever it splits columns at.

    A quote goes before every sign that could begin a formula at the start or after a semicolon,
    full-width signs too; what would begin a new row or column becomes a blank.
    """
    parts = " ".join(visible(text).split()).split(";")
    return ";".join(_guarded(part) for part in parts)


def _guarded(part: str) -> str:
    unseen = ' "\N{REPLACEMENT CHARACTER}' + _JOINERS
    start = unicodedata.normalize("NFKC", part.lstrip(unseen))
    if not start.startswith(_FORMULA) or len(start) == 1:  # a sign alone, Moodle's "no date"
        return part
    blanks = len(part) - len(part.lstrip(" "))
    return part[:blanks] + "'" + part[blanks:]


def file_name(student: str) -> str:
    """A file name for a student; names that differ, if only in case, give names that differ."""
    device = student.split(".")[0] in _DEVICES or student.endswith(".")  # of Windows
    if _PLAIN.fullmatch(student) and not _LIKE_OURS.fullmatch(student) and not device:
        return student
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", student).strip("._")[:60]
    digest = hashlib.sha256(student.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{plain or 'student'}-{digest}"


def tell_apart(names: Iterable[str]) -> list[str]:
    """The names in the same order, each unlike all others in a table.

    A name that comes once keeps it, also where a repeated one would have been numbered into it:
    ann, ann, ann (2) become ann, ann (3), ann (2).
    """
    names = list(names)
    taken = {cell(name) for name in names}
    seen: set[str] = set()
    out = []
    for name in names:
        number = 2
        own = name
        while cell(own) in seen or (own != name and cell(own) in taken):
            own, number = f"{name} ({number})", number + 1
        seen.add(cell(own))
        out.append(own)
    return out
