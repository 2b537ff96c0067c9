"""Submissions that share more code than chance explains: a hint where to look, never a verdict.

Winnowing (Schleimer, Wilkerson and Aiken, "Winnowing: Local Algorithms for Document
Fingerprinting", SIGMOD 2003): code becomes tokens without names, comments and layout; every run of
`GRAM` tokens is hashed; of each window of `WINDOW` hashes the smallest is kept. Whatever two texts
share that is at least GRAM + WINDOW - 1 tokens long is then found. Code that was handed out does
not count, and neither does what many have written, since a short function has few natural forms.
"""

import keyword
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations

GRAM, WINDOW = 16, 8  # shared runs of 23 tokens, about two lines, are always found
MOST_TEXT = 200_000  # letters of one submission that are compared
FEWEST = 8  # shared fingerprints below which nothing is said
SHARE = 0.5  # of the smaller submission's fingerprints
# a text that is never closed goes on to the end of its line, or of the cell: nothing is read twice
_TOKEN = re.compile(
    r"(?P<skip>\#[^\n]*|[ \t\r\f\\]+)"
    r"|(?P<text>[rbfuRBFU]{0,2}(?:"
    r"\"\"\"(?:[^\"\\]|\\.|\"(?!\"\"))*+(?:\"\"\")?|'''(?:[^'\\]|\\.|'(?!''))*+(?:''')?"
    r"|\"(?:[^\"\\\n]|\\.)*+\"?|'(?:[^'\\\n]|\\.)*+'?))"
    r"|(?P<number>\d[\w.]*)|(?P<name>[^\W\d]\w*)|(?P<lines>\n+)|(?P<sign>.)",
    re.DOTALL,
)


def tokens(text: str) -> list[str]:
    """Code as a list of tokens: names, numbers and texts each as one letter, all else as it is.

    A name behind a dot stays, since it belongs to a library and not to the writer. Cells with
    mistakes are taken as far as they go; no line of the code is run or parsed.
    """
    out: list[str] = []
    for found in _TOKEN.finditer(text):
        kind, said = found.lastgroup, found[0]
        if kind in ("skip", "lines"):
            continue
        if kind == "name":
            keep = keyword.iskeyword(said) or (out and out[-1] == ".")
            out.append(said if keep else "n")
        else:
            out.append({"text": "t", "number": "0"}.get(kind, said))
    return out


def fingerprints(cells: Sequence[str], given: Sequence[str] = ()) -> set[str]:
    """The winnowed hashes of a submission, without those of the code that was handed out."""
    own = {one for grams in _hashed(cells) for one in _winnowed(grams)}
    return own - {one for grams in _hashed(given) for one in grams}


def _winnowed(grams: list[str]) -> set[str]:
    windows = max(len(grams) - WINDOW + 1, min(len(grams), 1))
    return {min(grams[at : at + WINDOW]) for at in range(windows)}


def _hashed(cells: Sequence[str]) -> Iterator[list[str]]:
    """The hashes of every run of GRAM tokens, cell by cell."""
    left = MOST_TEXT
    for text in cells:
        found = tokens(text[:left])
        left = max(0, left - len(text))
        grams = [" ".join(found[at : at + GRAM]) for at in range(len(found) - GRAM + 1)]
        yield [blake2b(g.encode("utf-8", "replace"), digest_size=6).hexdigest() for g in grams]


@dataclass(frozen=True)
class Pair:
    """Two submissions, and which part of the smaller one both hold."""

    first: str
    second: str
    share: float
    count: int


def similar_pairs(prints: dict[str, set[str]], most: int = 20) -> list[Pair]:
    """The pairs that share the most, by name.

    Args:
        prints: student -> fingerprints.
        most: pairs to return.
    """
    held = Counter(one for own in prints.values() for one in own)
    common = max(4, len(prints) // 10)  # what more students hold is how one writes it
    rare = {name: {one for one in own if held[one] <= common} for name, own in prints.items()}
    pairs = []
    for (first, mine), (second, theirs) in combinations(sorted(rare.items()), 2):
        shared = len(mine & theirs)
        smaller = min(len(mine), len(theirs))
        if shared >= FEWEST and shared >= SHARE * smaller:
            pairs.append(Pair(first, second, shared / smaller, shared))
    return sorted(pairs, key=lambda p: (-p.share, -p.count, p.first, p.second))[:most]
