r"""Cutting text into words before merging, so that no token spans two of them.

GPT-2 and GPT-4 define their words by a regular expression over Unicode classes, which Python's own
`re` cannot read. Here each is a function that says where the word that begins at `i` ends.

    gpt2    '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+$|\s+(?!\S)|\s
    gpt4    '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*
            |\s+$|\s*[\r\n]|\s+(?!\S)|\s
    llama3  as gpt4 without \s+$: white space that ends the text is cut after its last newline
    qwen2   as llama3 with \p{N} for \p{N}{1,3}: every digit alone

Joined again, the words are the text: nothing is lost. This version is for reading; `fast_scan` does
the same over bytes, a hundred times faster.
"""

from collections.abc import Callable

from minilm.errors import InputError
from minilm.tokenizers.unicode_classes import LETTER, NUMBER, OTHER, SPACE, class_table

# The compiled scanner's code for each pattern: 0 is gpt2; for the others, the number of digits in a
# word, plus 8 where \s+$ is missing.
PATTERNS = {"gpt2": 0, "gpt4": 3, "llama3": 8 + 3, "qwen2": 8 + 1}


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
    table = class_table()
    classes = [int(table[ord(c)]) for c in text]
    words, start = [], 0
    while start < len(text):
        end = _gpt2(text, classes, start) if code == 0 else _gpt4(text, classes, start, code)
        words.append(text[start:end])
        start = end
    return words


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
    end = _run(classes, i, SPACE)
    newline = max(text.rfind("\n", i, end), text.rfind("\r", i, end))
    if end == len(text) and (code < 8 or newline < 0):
        return end
    if newline >= 0:
        return newline + 1
    return end if end == i + 1 else end - 1


def _fold(text: str) -> str:
    return text.casefold()  # also takes the long s, U+017F, for s, as the pattern's (?i:) does
