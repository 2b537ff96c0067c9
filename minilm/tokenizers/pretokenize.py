r"""Cutting text into words before merging, so that no token spans two of them.

GPT-2 and GPT-4 define their words by a regular expression over Unicode classes, which Python's own
`re` cannot read. Here each is a function that says where the word that begins at `i` ends.

    gpt2    '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+$|\s+(?!\S)|\s
    gpt4    '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*
            |\s+$|\s*[\r\n]|\s+(?!\S)|\s
    llama3  as gpt4 without \s+$: white space that ends the text is cut after its last newline
    qwen2   as llama3 with \p{N} for \p{N}{1,3}: every digit alone
    starcoder  every digit alone, and what is between digits as gpt2
    o200k   GPT-4o's, where U stands for [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], L for
            [\p{Ll}\p{Lm}\p{Lo}\p{M}] and C for (?i:'s|'t|'re|'ve|'m|'ll|'d):
            [^\r\n\p{L}\p{N}]?U*L+C?|[^\r\n\p{L}\p{N}]?U+L*C?|\p{N}{1,3}
            | ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+

Joined again, the words are the text: nothing is lost. This version is for reading; `fast_scan` does
the same over bytes, a hundred times faster.
"""

from collections.abc import Callable

import numpy as np

from minilm.errors import InputError
from minilm.tokenizers.unicode_classes import (
    LETTER,
    LOWER,
    MARK,
    NUMBER,
    OTHER,
    SPACE,
    UPPER,
    case_table,
    class_table,
)

# The compiled scanner's code for each pattern: 0 is gpt2; up to 15, the number of digits in a word,
# plus 8 where \s+$ is missing.
PATTERNS = {"gpt2": 0, "gpt4": 3, "llama3": 8 + 3, "qwen2": 8 + 1, "starcoder": 16, "o200k": 32}
_CAPITAL, _SMALL = (UPPER, LETTER, MARK), (LOWER, LETTER, MARK)


def check_pattern(pattern: str) -> str:
    """The name of a pattern.

    Raises:
        InputError: not one of `PATTERNS`.
    """
    if pattern not in PATTERNS:
        raise InputError(f"pattern is {pattern!r}; allowed are {', '.join(PATTERNS)}")
    return pattern


def split(text: str, pattern: str = "gpt4") -> list[str]:
    """The words of a text.

    Raises:
        InputError: an unknown pattern.
    """
    code = PATTERNS[check_pattern(pattern)]
    table = table_of(pattern)
    classes = [int(table[ord(c)]) for c in text]
    words, start = [], 0
    for part in _between_digits(text, classes) if pattern == "starcoder" else [text]:
        kinds, i = classes[start : start + len(part)], 0
        while i < len(part):
            if pattern == "o200k":
                end = _o200k(part, kinds, i)
            else:
                end = _gpt2(part, kinds, i) if code & 15 == 0 else _gpt4(part, kinds, i, code)
            words.append(part[i:end])
            i = end
        start += len(part)
    return words


def split_led(text: str, pattern: str) -> list[str]:
    """The words of a text in which everything that is cut off gets a blank before it.

    This is Hugging Face's `add_prefix_space` behind a Split or Digits: each part that these cut
    begins with a blank, and only then is it cut further.

    Raises:
        InputError: an unknown pattern.
    """
    check_pattern(pattern)
    if pattern == "gpt2":
        parts = [text]
    elif pattern == "starcoder":
        table = class_table()
        parts = _between_digits(text, [int(table[ord(c)]) for c in text])
    else:
        parts = split(text, pattern)
    led = [part if part[0] == " " else " " + part for part in parts if part]
    if pattern not in ("gpt2", "starcoder"):
        return led
    return [word for part in led for word in split(part, "gpt2")]


def table_of(pattern: str) -> np.ndarray:
    """The class of every code point, as far as the pattern tells them apart."""
    return case_table() if pattern == "o200k" else class_table()


def _between_digits(text: str, classes: list[int]) -> list[str]:
    """The text cut before and after every digit."""
    parts, start = [], 0
    for i, kind in enumerate(classes):
        if kind == NUMBER:
            parts += [text[start:i], text[i]]
            start = i + 1
    return [*parts, text[start:]]


def _run(classes: list[int], i: int, kind: int) -> int:
    """The end of the run of one class that begins at i, or i itself where there is none."""
    while i < len(classes) and classes[i] == kind:
        i += 1
    return i


def _contraction(text: str, i: int, fold: Callable[[str], str]) -> int:
    """The end of 's 't 'm 'd 'll 've 're at i, or 0."""
    if text[i] != "'":
        return 0
    if fold(text[i + 1 : i + 2]) in tuple("smtd"):
        return i + 2
    return i + 3 if fold(text[i + 1 : i + 3]) in ("ll", "ve", "re") else 0


def _gpt2(text: str, classes: list[int], i: int) -> int:
    end = _contraction(text, i, str)
    if end:
        return end
    first = i + 1 if text[i] == " " else i  # one space may lead any word
    if first < len(text) and classes[first] != SPACE:
        return _run(classes, first, classes[first])
    end = _run(classes, i, SPACE)
    # White space leaves its last character to the next word, unless it is all that is left.
    return end if end == len(text) or end == i + 1 else end - 1


def _gpt4(text: str, classes: list[int], i: int, code: int) -> int:
    end = _contraction(text, i, _fold)
    if end:
        return end
    if classes[i] == LETTER:
        return _run(classes, i, LETTER)
    if classes[i] == NUMBER:
        return min(_run(classes, i, NUMBER), i + (code & 7))
    if text[i] not in "\r\n" and i + 1 < len(text) and classes[i + 1] == LETTER:
        return _run(classes, i + 1, LETTER)  # any one sign or space leads a word of letters
    first = i + 1 if text[i] == " " else i
    if first < len(text) and classes[first] == OTHER:
        end = _run(classes, first, OTHER)
        while end < len(text) and text[end] in "\r\n":
            end += 1
        return end
    return _white_space(text, classes, i, keeps_end=code < 8)


def _white_space(text: str, classes: list[int], i: int, keeps_end: bool) -> int:
    end = _run(classes, i, SPACE)
    newline = max(text.rfind("\n", i, end), text.rfind("\r", i, end))
    if end == len(text) and (keeps_end or newline < 0):
        return end
    if newline >= 0:
        return newline + 1
    return end if end == i + 1 else end - 1


def _o200k(text: str, classes: list[int], i: int) -> int:
    leads = classes[i] in (OTHER, SPACE, MARK) and text[i] not in "\r\n"
    starts = [i + 1, i] if leads else [i]  # any one sign or blank leads a word of letters
    for rule in (_ends_small, _capitals):
        for start in starts:
            end = rule(classes, start)
            if end:
                return _contraction(text, end, _fold) or end if end < len(text) else end
    if classes[i] == NUMBER:
        return min(_run(classes, i, NUMBER), i + 3)
    first = i + 1 if text[i] == " " else i
    end = _run_of(classes, first, (OTHER, MARK))
    if end == first:
        return _white_space(text, classes, i, keeps_end=False)
    while end < len(text) and text[end] in "\r\n/":
        end += 1
    return end


def _run_of(classes: list[int], i: int, kinds: tuple[int, ...]) -> int:
    while i < len(classes) and classes[i] in kinds:
        i += 1
    return i


def _ends_small(classes: list[int], start: int) -> int:
    """The end of U*L+ at start, or 0: where no small letter follows, U* gives one back."""
    capitals = _run_of(classes, start, _CAPITAL)
    end = _run_of(classes, capitals, _SMALL)
    if end > capitals:
        return end
    return next((k + 1 for k in range(capitals - 1, start - 1, -1) if classes[k] in _SMALL), 0)


def _capitals(classes: list[int], start: int) -> int:
    """The end of U+ at start, or 0; an L behind it would have ended U*L+."""
    end = _run_of(classes, start, _CAPITAL)
    return end if end > start else 0


def _fold(text: str) -> str:
    return text.casefold()  # also takes the long s, U+017F, for s, as the pattern's (?i:) does
