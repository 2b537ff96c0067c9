"""The published filters as a table: what each measures of a document, and what it lets through."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from minilm.data.clean.comments import STYLES, code_points, count_comments, measure_lines

# Characters per token below which a file is data rather than code (StarCoder, arXiv 2305.06161).
FERTILITY = {"python": 2.5, "java": 2.9, "javascript": 2.6}
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")


@dataclass(frozen=True)
class Limit:
    """One filter.

    Attributes:
        name: what it measures.
        unit: of the measured value.
        low, high: the least and the most that it lets through; None: no bound on that side.
        edges: where the bars of its histogram begin and end, ascending.
        by_language: languages with a least value of their own.
    """

    name: str
    unit: str
    low: float | None
    high: float | None
    edges: tuple[float, ...]
    by_language: Mapping[str, float] | None = None

    def passes(self, value: float, language: str = "") -> bool:
        """Whether a measured value lies within the bounds, which belong to what passes."""
        low = self.low if self.by_language is None else self.by_language.get(language, self.low)
        return (low is None or value >= low) and (self.high is None or value <= self.high)


def limits(**changes: float) -> tuple[Limit, ...]:
    """The filters in the order in which they are applied.

    Args:
        changes: other bounds: longest_line, mean_line, alphanumeric, least_comments,
            most_comments, fertility (of every language).
    """
    fertility = changes.get("fertility")
    return (
        Limit("longest line", "characters", None, changes.get("longest_line", 1000),
              (0, 40, 60, 80, 100, 120, 160, 250, 500, 1000, 2000, 10_000, 10**9)),
        Limit("mean line", "characters", None, changes.get("mean_line", 100),
              (0, 10, 15, 20, 25, 30, 35, 40, 50, 70, 100, 1000, 10**9)),
        Limit("letters and digits", "share", changes.get("alphanumeric", 0.25), None,
              (0, 0.125, 0.25, 0.375, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 1)),
        Limit("comments", "share", changes.get("least_comments", 0.01),
              changes.get("most_comments", 0.8),
              (0, 0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1)),
        Limit("fertility", "characters per token", 2.5 if fertility is None else fertility, None,
              (0, 1, 1.5, 2, 2.25, 2.5, 2.75, 3, 3.5, 4, 4.5, 5, 10**9),
              FERTILITY if fertility is None else None),
    )  # fmt: skip


def measure(
    text: str, language: str, tokens: Callable[[str], int] | None = None
) -> dict[str, float]:
    """What the filters measure of a document: a value for each that applies to its language.

    Args:
        text: the document.
        language: as `origin.language_of` names it. The share of comments is measured where it is
            known how comments are written; characters per token in programming languages.
        tokens: the number of tokens of a text; None: that filter does not apply.
    """
    points = code_points(text)
    longest, lines, total, letters = measure_lines(points)
    if len(text) and not text.isascii():
        letters += sum(c.isalnum() for part in _BEYOND_ASCII.findall(text) for c in part)
    found: dict[str, Any] = {
        "longest line": longest,
        "mean line": total / max(lines, 1),
        "letters and digits": letters / max(len(text), 1),
    }
    style = STYLES.get(language)
    if style is not None:
        found["comments"] = count_comments(points, style) / max(len(text), 1)
        if tokens is not None:
            found["fertility"] = len(text) / max(tokens(text), 1)
    return found


def failed(found: Mapping[str, float], language: str, table: tuple[Limit, ...]) -> list[str]:
    """The names of the filters that a document does not pass, in the order of the table."""
    return [
        limit.name
        for limit in table
        if limit.name in found and not limit.passes(found[limit.name], language)
    ]
