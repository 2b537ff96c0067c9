"""Which files git would ignore: the rules of `.gitignore`, as gitignore(5) describes them.

A line is a pattern; the last one that matches decides; `!` takes an earlier match back; a slash at
the end means folders only; a slash elsewhere ties the pattern to the folder of its file; `*` and
`?` stop at slashes, `**` does not. What lies in an ignored folder cannot be taken back, so whoever
walks the tree does not enter one.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One line of an ignore file.

    Attributes:
        pattern: matches paths relative to the folder of the ignore file, with "/" between parts.
        taken_back: the line begins with "!": what it matches is not ignored.
        folders_only: the line ends with a slash.
    """

    pattern: re.Pattern[str]
    taken_back: bool
    folders_only: bool


def parse_rules(text: str) -> list[Rule]:
    """The rules of an ignore file, in order; comments, blank and meaningless lines give none."""
    rules = []
    for line in text.removeprefix("\ufeff").split("\n"):
        rule = _rule(line.removesuffix("\r"))
        if rule is not None:
            rules.append(rule)
    return rules


def is_ignored(rules: Sequence[tuple[str, Sequence[Rule]]], path: str, folder: bool) -> bool:
    """Whether the rules ignore a path whose parent folders they do not ignore.

    Args:
        rules: for each ignore file, from the outermost in: the folder in which it lies ("" for the
            top, "a/b" below it), and its rules.
        path: relative to the top, "/" between parts.
        folder: whether it is a folder.
    """
    for place, own in reversed(rules):
        if place and not path.startswith(f"{place}/"):
            continue
        below = path[len(place) + 1 :] if place else path
        for rule in reversed(own):
            if (folder or not rule.folders_only) and rule.pattern.fullmatch(below):
                return not rule.taken_back
    return False


def _rule(line: str) -> Rule | None:
    # blanks at the end mean nothing, unless escaped
    line = re.sub(r"(?<!\\)((?:\\\\)*)[ ]+$", r"\1", line)
    if not line or line.startswith("#"):
        return None
    taken_back = line.startswith("!")
    line = line[taken_back:]
    folders_only = line.endswith("/")
    line = line[: len(line) - folders_only]
    if not line or line.endswith("\\") and not line.endswith("\\\\"):
        return None
    tied = "/" in line
    source = _regex(line.removeprefix("/"))
    if source is None:
        return None
    return Rule(_compiled(source if tied else f"(?:.*/)?{source}"), taken_back, folders_only)


@functools.lru_cache(maxsize=4096)
def _compiled(source: str) -> re.Pattern[str]:
    return re.compile(source, re.DOTALL)


def _regex(glob: str) -> str | None:
    """A glob as a regular expression; None where it matches nothing."""
    out, i = [], 0
    while i < len(glob):
        if glob[i] == "*":
            first, fresh = i, i == 0 or glob[i - 1] == "/"
            while i < len(glob) and glob[i] == "*":
                i += 1
            if i - first == 1 or not fresh or glob[i : i + 1] not in ("", "/"):
                out.append("[^/]*")
            elif i == len(glob):
                out.append(".*")
            else:  # two stars or more, alone between slashes
                out.append("(?:.*/)?")
                i += 1
        elif glob[i] == "?":
            out.append("[^/]")
            i += 1
        elif glob[i] == "[":
            found = _bracket(glob, i)
            if found is None:
                return None
            part, i = found
            out.append(part)
        elif glob[i] == "\\":
            if i + 1 == len(glob):
                return None
            out.append(re.escape(glob[i + 1]))
            i += 2
        else:
            out.append(re.escape(glob[i]))
            i += 1
    return "".join(out)


_CLASSES = {
    "alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "upper": "A-Z", "lower": "a-z",
    "space": r"\s", "blank": r" \t", "punct": r"!-/:-@\[-`{-~", "xdigit": "0-9a-fA-F",
}  # fmt: skip


def _bracket(glob: str, i: int) -> tuple[str, int] | None:
    """A `[...]` that begins at i, and the place after it; None where it does not end."""
    i += 1
    negated = i < len(glob) and glob[i] in "!^"
    i += negated
    out: list[str] = []
    first = True
    while i < len(glob) and (glob[i] != "]" or first):
        first = False
        named = re.match(r"\[:(\w+):\]", glob[i:])
        if named:
            if named[1] not in _CLASSES:
                return None
            out.append(_CLASSES[named[1]])
            i += named.end()
            continue
        low, i = _one(glob, i)
        if low is None:
            return None
        if glob[i : i + 1] == "-" and i + 1 < len(glob) and glob[i + 1] != "]":
            high, i = _one(glob, i + 1)
            if high is None:
                return None
            if low <= high:
                out.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            out.append(re.escape(low))
    if i >= len(glob):
        return None
    if not out:  # only ranges that hold nothing
        return ("[^/]" if negated else "(?!)"), i + 1
    return f"(?!/)[{'^' * negated}{''.join(out)}]", i + 1


def _one(glob: str, i: int) -> tuple[str | None, int]:
    if glob[i] == "\\":
        return (glob[i + 1], i + 2) if i + 1 < len(glob) else (None, i)
    return glob[i], i + 1
