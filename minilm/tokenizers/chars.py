"""One step up: a token is a character of the training text.

A Chinese character is now one token instead of three. It does not yet know what to do with a
character it has never seen, and a frequent word still costs a token per letter.
"""

import json
import os
from collections.abc import Iterable

import numpy as np

from minilm.errors import InputError
from minilm.files import write_atomically
from minilm.tokenizers.base import Tokenizer
from minilm.tokenizers.checks import (
    check_text,
    check_training_text,
    numbered_specials,
    vocabulary_size,
)


class CharTokenizer(Tokenizer):
    """One id per character, in the order of their code points; special tokens follow.

    Args:
        characters: the characters of the vocabulary; repeated ones count once.
        special: names of special tokens, or names with their ids.

    Raises:
        InputError: no characters.
    """

    def __init__(
        self, characters: Iterable[str], special: Iterable[str] | dict[str, int] = ()
    ) -> None:
        self.characters = "".join(sorted(set(characters)))
        if not self.characters:
            raise InputError("characters is empty; a vocabulary must have at least one")
        numbered = numbered_specials(special, len(self.characters))
        size = vocabulary_size([0, *numbered.values()], "special")
        tokens = [c.encode() for c in self.characters]
        tokens += [None] * max(0, size - len(tokens))
        super().__init__(tokens, numbered)
        self._points = np.array([ord(c) for c in self.characters], np.uint32)

    @classmethod
    def train(
        cls, text: str, vocab_size: int | None = None, special: Iterable[str] = ()
    ) -> "CharTokenizer":
        """The characters of a text.

        Args:
            text: non-empty plain text.
            vocab_size: if given, the number of ids wanted; refused if the text gives another
                number.
            special: names of special tokens.

        Raises:
            InputError: empty or binary text, or a size of vocabulary that the text does not give.
        """
        characters = sorted(set(check_training_text(text)))
        special = list(special)
        size = len(characters) + len(special)
        if vocab_size is not None and vocab_size != size:
            raise InputError(
                f"vocab_size is {vocab_size}; this text has {len(characters)} different "
                f"characters, so with {len(special)} special tokens it must be {size}"
            )
        return cls(characters, special)

    def _grown(self, special: dict[str, int]) -> "CharTokenizer":
        return CharTokenizer(self.characters, self.special | special)

    def _encode_segment(self, text: str, begins: bool) -> np.ndarray:
        text = check_text(text)
        points = np.frombuffer(text.encode("utf-32-le"), "<u4")
        ids = np.searchsorted(self._points, points)
        ids[ids == self._points.size] = 0
        unknown = self._points[ids] != points
        if unknown.any():
            where = int(np.argmax(unknown))
            raise InputError(
                f"text holds {text[where]!r} at character {where}, which is not among the "
                f"{len(self.characters)} characters of this vocabulary"
            )
        return ids.astype(np.int32)

    def save(self, path: str | os.PathLike) -> None:
        """Write the tokenizer as a small JSON file."""
        content = {
            "minilm_tokenizer": "chars",
            "version": 1,
            "characters": self.characters,
            "special": self.special,
        }
        write_atomically(path, json.dumps(content, ensure_ascii=False, indent=1).encode())
