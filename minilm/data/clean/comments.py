"""The share of comments in source of many languages: one compiled pass over the characters.

It does not parse: a regular expression literal of JavaScript that holds a quote misleads it. For
Python that is valid it counts what `filters.comment_ratio` counts.
"""

import numpy as np

from minilm.kernels.numba_tools.jit import jit

PYTHON, HASH, SLASHES = 1, 2, 3
# Programming languages. Settings (TOML, YAML) need no comments, so none are asked of them.
STYLES = {
    **dict.fromkeys(["python"], PYTHON),
    **dict.fromkeys("shell ruby perl r julia".split(), HASH),
    **dict.fromkeys(
        "c c++ java javascript typescript go rust c# swift kotlin scala php".split(), SLASHES
    ),
}

_NEWLINE, _QUOTE, _APOSTROPHE, _HASH, _SLASH, _STAR, _BACKSLASH, _BACKTICK = map(ord, "\n\"'#/*\\`")


def code_points(text: str) -> np.ndarray:
    """The characters of a text as numbers, uint32 (T,)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def count_comments(points: np.ndarray, style: int) -> int:
    """How many characters belong to comments, in Python also to docstrings.

    Args:
        points: `code_points` of the source.
        style: how comments are written: one of `STYLES`.
    """
    return int(_python(points) if style == PYTHON else _marked(points, style == SLASHES))


@jit
def _string_end(text, i):
    """The place after a string that begins with a quote at i."""
    quote = text[i]
    n = text.size
    long = i + 2 < n and text[i + 1] == quote and text[i + 2] == quote
    i += 3 if long else 1
    while i < n:
        c = text[i]
        if c == _BACKSLASH:
            i += 2
            continue
        if long:
            if c == quote and i + 2 < n and text[i + 1] == quote and text[i + 2] == quote:
                return i + 3
        elif c == quote:
            return i + 1
        elif c == _NEWLINE:
            return i  # it does not end: go on as if it did
        i += 1
    return n


@jit
def _python(text):
    n = text.size
    comments = 0
    depth = 0
    fresh = True  # at the start of a statement, where a string is a docstring
    i = 0
    while i < n:
        c = text[i]
        if c == _NEWLINE:
            if depth == 0:
                fresh = True
            i += 1
        elif c == 32 or c == 9 or c == 12:
            i += 1
        elif c == _BACKSLASH:
            i += 2
        elif c == _HASH:
            start = i
            while i < n and text[i] != _NEWLINE:
                i += 1
            comments += i - start
        elif c == _QUOTE or c == _APOSTROPHE:
            end = min(_string_end(text, i), n)
            if fresh:
                comments += end - i
            fresh = False
            i = end
        elif c >= 128 or c == 95 or 48 <= c <= 57 or 65 <= (c & 0xDF) <= 90:
            start = i
            prefix = True
            while i < n and (
                text[i] >= 128
                or text[i] == 95
                or 48 <= text[i] <= 57
                or 65 <= (text[i] & 0xDF) <= 90
            ):
                low = text[i] | 32
                if not (low == 114 or low == 98 or low == 117 or low == 102):  # r b u f
                    prefix = False
                i += 1
            if (
                prefix
                and i - start <= 2
                and i < n
                and (text[i] == _QUOTE or text[i] == _APOSTROPHE)
            ):
                end = min(_string_end(text, i), n)
                if fresh:
                    comments += end - start
                i = end
            fresh = False
        else:
            if c == 40 or c == 91 or c == 123:
                depth += 1
            elif c == 41 or c == 93 or c == 125:
                depth = max(0, depth - 1)
            fresh = False
            i += 1
    return comments


@jit
def _marked(text, slashes):
    n = text.size
    comments = 0
    i = 0
    while i < n:
        c = text[i]
        start = i
        if slashes and c == _SLASH and i + 1 < n and text[i + 1] == _SLASH:
            while i < n and text[i] != _NEWLINE:
                i += 1
            comments += i - start
        elif slashes and c == _SLASH and i + 1 < n and text[i + 1] == _STAR:
            i += 2
            while i < n and not (text[i] == _SLASH and text[i - 1] == _STAR and i > start + 2):
                i += 1
            i = min(i + 1, n)
            comments += i - start
        elif not slashes and c == _HASH and (i == 0 or text[i - 1] <= 32):
            while i < n and text[i] != _NEWLINE:
                i += 1
            comments += i - start
        elif c == _QUOTE or c == _APOSTROPHE or (slashes and c == _BACKTICK):
            i += 1
            while i < n and text[i] != c:
                if text[i] == _BACKSLASH:
                    i += 1
                elif text[i] == _NEWLINE and c != _BACKTICK:
                    break
                i += 1
            i = min(i + 1, n)
        else:
            i += 1
    return comments


@jit
def _measure(text, ascii_alnum):
    """The longest line, the lines, the characters in them, and letters and digits of ASCII."""
    n = text.size
    longest = 0
    lines = 0
    total = 0
    inside = 0
    alnum = 0
    i = 0
    while i < n:
        c = text[i]
        if c < 128 and ascii_alnum[c]:
            alnum += 1
        if 10 <= c <= 13 or 28 <= c <= 30 or c == 0x85 or c == 0x2028 or c == 0x2029:
            longest = max(longest, inside)
            total += inside
            inside = 0
            lines += 1
            if c == 13 and i + 1 < n and text[i + 1] == 10:
                i += 1
        else:
            inside += 1
        i += 1
    if inside:
        longest = max(longest, inside)
        total += inside
        lines += 1
    return longest, lines, total, alnum


_ALNUM = np.array([chr(c).isalnum() for c in range(128)])


def measure_lines(points: np.ndarray) -> tuple[int, int, int, int]:
    """The longest line, how many lines, the characters in all of them, letters and digits of ASCII.

    Lines end where `str.splitlines` ends them.
    """
    longest, lines, total, alnum = _measure(points, _ALNUM)
    return int(longest), int(lines), int(total), int(alnum)
