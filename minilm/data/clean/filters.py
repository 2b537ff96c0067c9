"""Discarding what is not worth training on, by cheap rules over one text.

The limits are those published with The Stack and StarCoder (arXiv 2211.15533, 2305.06161): lines
of at most 1000 characters, 100 on average, a quarter letters and digits; for code, comments between
1 % and 80 %. Each rule discards some good text too: measure on a small model before trusting one.
"""

import io
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Quality:
    """What the rules measure.

    Attributes:
        longest_line: characters of the longest line.
        mean_line: characters of a line on average.
        alphanumeric: share of characters that are letters or digits.
    """

    longest_line: int
    mean_line: float
    alphanumeric: float


def quality(text: str) -> Quality:
    """Measure a text; an empty one has a share of 0."""
    lines = text.splitlines() or [""]
    lengths = [len(line) for line in lines]
    letters = sum(map(str.isalnum, text))
    return Quality(max(lengths), sum(lengths) / len(lines), letters / max(len(text), 1))


def basic_filters(
    text: str,
    longest_line: int = 1000,
    mean_line: float = 100,
    alphanumeric: float = 0.25,
) -> bool:
    """Whether a text passes: its longest and its mean line, and its share of letters and digits.

    Args:
        text: the text.
        longest_line: most characters that a line may have.
        mean_line: most characters that a line may have on average.
        alphanumeric: least share of letters and digits.
    """
    found = quality(text)
    return (
        found.longest_line <= longest_line
        and found.mean_line <= mean_line
        and found.alphanumeric >= alphanumeric
    )


def comment_ratio(source: str) -> float:
    """The share of characters of Python source that belong to comments and docstrings.

    It is 0 for source that is not valid Python.
    """
    comments = 0
    fresh = True  # at the start of a statement, where a string is a docstring
    starts = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT or token.type == tokenize.STRING and fresh:
                comments += len(token.string)
            if token.type not in (tokenize.NL, tokenize.COMMENT):  # these start nothing
                fresh = token.type in starts
    except (tokenize.TokenError, SyntaxError):
        return 0.0
    return comments / max(len(source), 1)


def keep(texts: Iterable[str], **limits: float) -> list[str]:
    """The texts that pass `basic_filters`, in order."""
    return [text for text in texts if basic_filters(text, **limits)]
