"""How tokens that are texts become a text again: Hugging Face's decoders of one token at a time."""

import functools
from collections.abc import Callable
from typing import Any

from minilm.errors import InputError
from minilm.tokenizers.words import scheme_of

Shown = Callable[[str, bool], str]  # a token, and whether it begins the text

# Blanks that a cleaned-up text does not have, in this order.
_CLEAN = (
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"),
    (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
)  # fmt: skip


def shown_by(described: dict[str, Any] | None, source: str) -> Shown:
    """The function that a "decoder" of `tokenizer.json` describes.

    Args:
        described: the object; None puts a blank before every token but the first.
        source: where it is from, for the error message.

    Raises:
        InputError: one that is not known.
    """
    if described is None:
        return _after_blank
    if described["type"] == "WordPiece":
        return functools.partial(_word_piece, described["prefix"], bool(described["cleanup"]))
    if described["type"] == "Metaspace":
        mark, keep = described["replacement"], scheme_of(described) == "never"
        return functools.partial(_metaspace, mark, keep)
    raise InputError(
        f"{source} has the decoder {described['type']!r}; allowed are none, Metaspace and WordPiece"
    )


def _after_blank(token: str, begins: bool) -> str:
    return token if begins else " " + token


def _word_piece(prefix: str, cleanup: bool, token: str, begins: bool) -> str:
    if not begins:
        token = token.removeprefix(prefix) if token.startswith(prefix) else " " + token
    for old, new in _CLEAN if cleanup else ():
        token = token.replace(old, new)
    return token


def _metaspace(mark: str, keep: bool, token: str, begins: bool) -> str:
    return token.replace(mark, "" if begins and not keep else " ")
