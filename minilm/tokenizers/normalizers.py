"""What is done to a text before WordPiece or Unigram cut it: Hugging Face's normalizers.

Each is read from its description in a `tokenizer.json` and becomes a function from text to text.
"""

import functools
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from minilm.errors import InputError
from minilm.tokenizers.charsmap import CharsMap
from minilm.tokenizers.unicode_8 import category
from minilm.tokenizers.unicode_classes import WHITE_SPACE, is_mark

Normalizer = Callable[[str], str]

SPACES = "".join(map(chr, WHITE_SPACE))
_FORMS = ("NFC", "NFD", "NFKC", "NFKD")
_CHINESE = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip
# SentencePiece's "nmt" rules: what disappears, and what becomes a blank.
_NMT = dict.fromkeys([*range(1, 9), 0xB, *range(0xE, 0x20), 0x7F, 0x8F, 0x9F])
_NMT |= dict.fromkeys(
    [9, 0xA, 0xC, 0xD, 0x1680, *range(0x200B, 0x2010), 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD], " "
)


def normalizer_of(described: dict[str, Any] | None, source: str) -> Normalizer:
    """The function that a "normalizer" of `tokenizer.json` describes.

    Args:
        described: the object, or None for no change.
        source: where it is from, for the error message.

    Raises:
        InputError: one that is not known, or has a setting that is not.
    """
    if described is None:
        return _same
    kind = described["type"]
    if kind == "Sequence":
        steps = [normalizer_of(step, source) for step in described["normalizers"]]
        return functools.partial(_in_turn, steps)
    if kind in _FORMS:
        return functools.partial(unicodedata.normalize, kind)
    if kind == "BertNormalizer":
        accents = described.get("strip_accents")
        lower = bool(described["lowercase"])
        return functools.partial(
            bert,
            clean=bool(described["clean_text"]),
            chinese=bool(described["handle_chinese_chars"]),
            accents=lower if accents is None else bool(accents),
            lower=lower,
        )
    if kind == "Precompiled":
        return CharsMap(described["precompiled_charsmap"] or "")
    if kind == "Replace":
        return _replace(described, source)
    if kind == "Strip":
        return functools.partial(_strip, bool(described["strip_left"]), described["strip_right"])
    if kind == "Prepend":
        return functools.partial(_prepend, described["prepend"])
    simple = {"Lowercase": lowercase, "StripAccents": _strip_marks, "Nmt": _nmt}
    if kind in simple:
        return simple[kind]
    raise InputError(
        f"{source} has the normalizer {kind!r}; allowed are BertNormalizer, Lowercase, "
        f"{', '.join(_FORMS)}, Nmt, Precompiled, Prepend, Replace, Sequence, Strip and StripAccents"
    )


def bert(text: str, clean: bool, chinese: bool, accents: bool, lower: bool) -> str:
    """BERT's normalizer.

    Args:
        text: any.
        clean: control characters disappear, white space becomes a blank.
        chinese: blanks around every Chinese character.
        accents: letters lose their accents.
        lower: capitals become small.
    """
    if clean:
        text = "".join([_cleaned(c) for c in text])
    if chinese and not text.isascii():
        text = "".join([f" {c} " if _is_chinese(ord(c)) else c for c in text])
    if accents:
        text = unicodedata.normalize("NFD", text)
        if not text.isascii():
            text = "".join([c for c in text if category(c) != "Mn"])
    return lowercase(text) if lower else text


@functools.lru_cache(maxsize=1 << 16)
def _cleaned(c: str) -> str:
    if c in "\t\n\r":
        return " "
    if category(c) in ("Cc", "Cf", "Co") or c == "\ufffd":
        return ""
    return " " if c in SPACES else c


def _is_chinese(point: int) -> bool:
    return any(first <= point <= last for first, last in _CHINESE)


def lowercase(text: str) -> str:
    """Every character by itself in lower case: a sigma that ends a word is one like others."""
    return text.lower() if text.isascii() else "".join(map(str.lower, text))


def _strip_marks(text: str) -> str:
    return "".join([c for c in text if not is_mark(ord(c))])


def _nmt(text: str) -> str:
    return text.translate(_NMT)


def _same(text: str) -> str:
    return text


def _in_turn(steps: list[Normalizer], text: str) -> str:
    for step in steps:
        text = step(text)
    return text


def _strip(left: bool, right: bool, text: str) -> str:
    text = text.lstrip(SPACES) if left else text
    return text.rstrip(SPACES) if right else text


def _prepend(before: str, text: str) -> str:
    return before + text if text else text


def _replace(described: dict[str, Any], source: str) -> Normalizer:
    pattern, content = described["pattern"], described["content"]
    if "String" in pattern:
        return functools.partial(_replace_text, pattern["String"], content)
    if pattern.get("Regex") == " {2,}":
        return functools.partial(_replace_blanks, content)
    raise InputError(
        f"{source} has a Replace of the pattern {pattern!r}; allowed are a String and the Regex "
        "' {2,}'"
    )


def _replace_text(old: str, new: str, text: str) -> str:
    return text.replace(old, new) if old else text


def _replace_blanks(new: str, text: str) -> str:
    return re.sub(" {2,}", lambda _: new, text)
