"""How WordPiece and Unigram cut a text into words: Hugging Face's pre-tokenizers."""

import functools
import re
from collections.abc import Callable
from typing import Any

from minilm.errors import InputError
from minilm.tokenizers.normalizers import SPACES
from minilm.tokenizers.unicode_8 import category

Words = Callable[[str, bool], list[str]]  # a text, and whether it begins the text as it came

_BLANK = re.compile(f"[{SPACES}]+")


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


def _whole(text: str, begins: bool) -> list[str]:
    return [text] if text else []


def _in_turn(steps: list[Words], text: str, begins: bool) -> list[str]:
    words, start = [text], begins
    for step in steps:
        words = [
            part for i, word in enumerate(words) for part in step(word, begins and i == 0 and start)
        ]
        start = start and bool(words) and text.startswith(words[0])
    return words


def _between_blanks(text: str, begins: bool) -> list[str]:
    return [word for word in _BLANK.split(text) if word]


def _metaspace(mark: str, scheme: str, cut: bool, text: str, begins: bool) -> list[str]:
    text = text.replace(" ", mark)
    if not text:
        return []
    if (scheme == "always" or scheme == "first" and begins) and not text.startswith(mark):
        text = mark + text
    if not cut:
        return [text]
    first, *rest = text.split(mark)
    return [*([first] if first else []), *(mark + word for word in rest)]


def _bert(text: str, begins: bool) -> list[str]:
    words: list[str] = []
    for word in _between_blanks(text, begins):
        start = 0
        for i, c in enumerate(word):
            if _is_punctuation(c):
                words += [word[start:i], c] if start < i else [c]
                start = i + 1
        if start < len(word):
            words.append(word[start:])
    return words


@functools.lru_cache(maxsize=1 << 16)
def _is_punctuation(c: str) -> bool:
    """Whether BERT keeps it apart: all signs of ASCII, and what Unicode calls punctuation."""
    if c.isascii():
        return c.isprintable() and not c.isalnum() and c != " "
    return category(c)[0] == "P"
