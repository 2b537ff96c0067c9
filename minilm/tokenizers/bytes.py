"""The simplest tokenizer: a token is a byte.

It can write any text and never meets an unknown character. It does not shorten anything yet: a page
of English takes as many tokens as it has letters, and one of Chinese three times as many.
"""

import json
import os
from collections.abc import Iterable

import numpy as np

from minilm.files import write_atomically
from minilm.tokenizers.base import Tokenizer
from minilm.tokenizers.checks import check_bytes, numbered_specials, utf8, vocabulary_size


class ByteTokenizer(Tokenizer):
    """Ids 0 to 255 are the bytes of UTF-8; special tokens follow.

    Args:
        special: names of special tokens (ids 256, 257, ...), or names with their ids.
    """

    def __init__(self, special: Iterable[str] | dict[str, int] = ()) -> None:
        numbered = numbered_specials(special, 256)
        size = vocabulary_size([255, *numbered.values()], "special")
        tokens = [bytes([b]) for b in range(256)] + [None] * (size - 256)
        super().__init__(tokens, numbered)

    def encode_bytes(self, content: bytes) -> list[int]:
        """The ids of bytes, which need not be UTF-8.

        Raises:
            InputError: not bytes.
        """
        return list(check_bytes(content))

    def _grown(self, special: dict[str, int]) -> "ByteTokenizer":
        return ByteTokenizer(self.special | special)

    def _encode_segment(self, text: str, begins: bool) -> np.ndarray:
        return np.frombuffer(utf8(text), np.uint8).astype(np.int32)

    def save(self, path: str | os.PathLike) -> None:
        """Write the tokenizer as a small JSON file."""
        content = {"minilm_tokenizer": "bytes", "version": 1, "special": self.special}
        write_atomically(path, json.dumps(content, ensure_ascii=False, indent=1).encode())
