"""How WordPiece and Unigram cut a text into words: Hugging Face's pre-tokenizers."""

import functools
import re
from collections.abc import Callable
from typing import Any

from minilm.errors import InputError
from minilm.tokenizers.normalizers import SPACES
from minilm.tokenizers.unicode_8 import category

# A word as it is to be encoded, and where it lies in the text; a mark may stand before it.
Word = tuple[str, int, int]
Words = Callable[[str, bool], list[Word]]  # a text, and whether it begins the text as it came

_WORD = re.compile(f"[^{SPACES}]+")


def words_by(described: dict[str, Any] | None, source: str) -> Words:
    """The function that a "pre_tokenizer" of `tokenizer.json` describes.

    Args:
        described: the object, or None for one word.
        source: where it is from, for the error message.

    Raises:
        InputError: one that is not known, or has a setting that is not.
    """
    if described is None:
        return _whole
    kind = described["type"]
    if kind == "Sequence":
        return functools.partial(
            _in_turn, [words_by(step, source) for step in described["pretokenizers"]]
        )
    if kind == "Metaspace":
        mark = described["replacement"]
        return functools.partial(
            _metaspace, mark, scheme_of(described), described.get("split", True)
        )
    if kind == "WhitespaceSplit":
        return _between_blanks
    if kind == "BertPreTokenizer":
        return _bert
    raise InputError(
        f"{source} cuts words by {kind!r}; allowed are BertPreTokenizer, Metaspace, Sequence and "
        "WhitespaceSplit"
    )


def scheme_of(metaspace: dict[str, Any]) -> str:
    """Which words a Metaspace marks: "always", "first" or "never"; old files say yes or no."""
    scheme = metaspace.get("prepend_scheme")
    if scheme is None:
        scheme = "always" if metaspace.get("add_prefix_space", True) else "never"
    if scheme not in ("always", "first", "never"):
        raise InputError(f"prepend_scheme is {scheme!r}; it must be 'always', 'first' or 'never'")
    return scheme


def _whole(text: str, begins: bool) -> list[Word]:
    return [(text, 0, len(text))] if text else []


def _in_turn(steps: list[Words], text: str, begins: bool) -> list[Word]:
    words: list[Word] = [(text, 0, len(text))]
    for step in steps:
        words = [
            _within(outer, inner)
            for outer in words
            for inner in step(outer[0], begins and outer[1] == 0)
        ]
    return words


def _within(outer: Word, inner: Word) -> Word:
    """A word of a word, and where it lies in the text around both."""
    first = outer[1] - led_by(outer)
    return inner[0], max(first + inner[1], outer[1]), max(first + inner[2], outer[1])


def led_by(word: Word) -> int:
    """How many characters stand before a word that are not the text's own."""
    return len(word[0]) - (word[2] - word[1])


def _between_blanks(text: str, begins: bool) -> list[Word]:
    return [(found[0], *found.span()) for found in _WORD.finditer(text)]


def _metaspace(mark: str, scheme: str, cut: bool, text: str, begins: bool) -> list[Word]:
    text = text.replace(" ", mark)
    if not text:
        return []
    led = (scheme == "always" or scheme == "first" and begins) and not text.startswith(mark)
    text = mark * led + text
    if not cut:
        return [(text, 0, len(text) - led)]
    starts = [i for i in range(len(text)) if i == 0 or text.startswith(mark, i)]
    bounds = zip(starts, [*starts[1:], len(text)])
    return [(text[i:end], max(i - led, 0), end - led) for i, end in bounds]


def _bert(text: str, begins: bool) -> list[Word]:
    words: list[Word] = []
    for word, start, end in _between_blanks(text, begins):
        for i, c in enumerate(word, end - len(word)):
            if _is_punctuation(c):
                words += [(text[start:i], start, i)] if start < i else []
                words.append((c, i, i + 1))
                start = i + 1
        if start < end:
            words.append((text[start:end], start, end))
    return words


@functools.lru_cache(maxsize=1 << 16)
def _is_punctuation(c: str) -> bool:
    """Whether BERT keeps it apart: all signs of ASCII, and what Unicode calls punctuation."""
    if c.isascii():
        return c.isprintable() and not c.isalnum() and c != " "
    return category(c)[0] == "P"
