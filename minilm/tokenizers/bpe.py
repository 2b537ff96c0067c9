"""Byte-pair encoding: the class to use, over the compiled trainer and encoder."""

import functools
import os
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minilm.backend import MOST_IDS
from minilm.errors import InputError
from minilm.tokenizers.base import (
    Tokenizer,
    check_text,
    check_training_text,
    numbered_specials,
    special_pattern,
    vocabulary_size,
)
from minilm.tokenizers.bpe_regex import byte_order
from minilm.tokenizers.pretokenize import PATTERNS, check_pattern
from minilm.tokenizers.saving import save_hugging_face
from minilm.tokenizers.unicode_classes import class_table


class BPE(Tokenizer):
    """A byte-level BPE tokenizer, as GPT-2, GPT-4, Llama 3 and Qwen 2 use it.

    Args:
        tokens: bytes by id, None where an id is not used; every single byte has to be among them.
        merges: pairs of ids in the order in which they are joined, with the id that they make:
            (left, right, joined).
        pattern: how text is cut into words: "gpt2", "gpt4", "llama3" or "qwen2".
        special: special token texts and their ids.
        whole_words: a word that is itself a token becomes that token, whatever the merges say
            (tiktoken, and `ignore_merges` of Hugging Face).
        normalize: a Unicode form ("NFC") to which text is converted first, or None.
        cache: remember encoded words; False only to measure what that gains.

    Raises:
        InputError: too many ids, a byte without an id, or an unknown pattern.
    """

    def __init__(
        self,
        tokens: Sequence[bytes | None],
        merges: Sequence[tuple[int, int, int]] | np.ndarray,
        pattern: str = "gpt4",
        special: dict[str, int] | None = None,
        whole_words: bool = False,
        normalize: str | None = None,
        cache: bool = True,
    ) -> None:
        super().__init__(tokens, special or {})
        if len(self.tokens) > MOST_IDS:
            raise InputError(f"tokens has {len(self.tokens)} ids; it must have at most {MOST_IDS}")
        reserved = set(self.special.values())
        self.ordinary: list[bytes | None] = [
            None if i in reserved else token for i, token in enumerate(self.tokens)
        ]
        known = {t for t in self.ordinary if t is not None}
        missing = [b for b in range(256) if bytes([b]) not in known]
        if missing:
            raise InputError(
                f"tokens lacks {len(missing)} single bytes, the first 0x{missing[0]:02x}; "
                "a byte-level vocabulary must hold all 256"
            )
        self.merges = np.array(merges, np.int32).reshape(-1, 3)  # (0,) -> (0, 3) where none
        self.pattern = check_pattern(pattern)
        self.whole_words = whole_words
        self.normalize = normalize
        self._cache = cache

    @classmethod
    def from_ranks(
        cls,
        ranks: dict[bytes, int],
        pattern: str = "gpt4",
        special: dict[str, int] | None = None,
    ) -> "BPE":
        """A tokenizer that gives tiktoken's ids for the same ranks.

        tiktoken keeps no list of merges: any two neighbours whose joined bytes are a token may be
        joined, lowest rank first. So each token gives one merge for every way to split it into two
        tokens.

        Raises:
            InputError: an id that is not a whole number in range, or as for the class.
        """
        special = special or {}
        size = vocabulary_size([*ranks.values(), *special.values()], "the rank table")
        tokens: list[bytes | None] = [None] * size
        for token, number in ranks.items():
            tokens[number] = token
        merges = [
            (ranks[token[:cut]], ranks[token[cut:]], number)
            for token, number in sorted(ranks.items(), key=lambda item: item[1])
            for cut in range(1, len(token))
            if token[:cut] in ranks and token[cut:] in ranks
        ]
        return cls(tokens, merges, pattern, special, whole_words=True)

    @functools.cached_property
    def _encoder(self) -> Any:
        from minilm.tokenizers.fast_encode import Encoder  # loads Numba

        code = PATTERNS[self.pattern]
        return Encoder(
            self.ordinary, self.merges, code, class_table(), self.whole_words, self._cache
        )

    def _encode_segment(self, text: str) -> np.ndarray:
        if self.normalize:
            text = unicodedata.normalize(self.normalize, check_text(text))
        return self._encoder.encode(text)

    def save(self, path: str | os.PathLike) -> None:
        """Write a Hugging Face `tokenizer.json`; `saving` writes the other kinds of file."""
        save_hugging_face(self, path)

    def __getstate__(self) -> dict[str, Any]:
        """All but the compiled tables, which hold what belongs to single threads."""
        return {k: v for k, v in self.__dict__.items() if k != "_encoder"}


def train_bpe(
    text: str | Iterable[str],
    vocab_size: int,
    pattern: str = "gpt4",
    special: Iterable[str] = (),
    fewer: bool = False,
) -> BPE:
    """Learn a vocabulary: 256 bytes, then merges, then special tokens.

    The merges are those of Hugging Face's trainer: the most frequent pair first, ties going to the
    smaller pair of ids.

    Args:
        text: plain text, or several texts; no word spans two of them.
        vocab_size: number of ids wanted, special tokens included.
        pattern: how text is cut into words, see `pretokenize`.
        special: names of special tokens; where one occurs in the text, words end.
        fewer: where the text does not allow so many ids, give it those that it does.

    Raises:
        InputError: empty or binary text, or a vocabulary smaller than its fixed part or larger
            than the text allows.
    """
    code = PATTERNS[check_pattern(pattern)]
    special = [special] if isinstance(special, str) else list(special)
    texts = [text] if isinstance(text, (str, bytes)) else list(text)
    for item in texts:
        check_text(item)
    fixed = 256 + len(special)
    if not isinstance(vocab_size, (int, np.integer)) or not fixed <= vocab_size <= MOST_IDS:
        raise InputError(
            f"vocab_size is {vocab_size!r}; it must be a whole number from {fixed} (256 bytes and "
            f"{len(special)} special tokens) to {MOST_IDS}"
        )
    texts = [check_training_text(item) for item in texts if item]
    if not texts:
        check_training_text("")
    if special:
        cut = special_pattern(special)
        texts = [part for item in texts for part in cut.split(item)[::2] if part]
    wanted = int(vocab_size) - fixed
    left = right = np.zeros(0, np.int32)
    if wanted and texts:
        from minilm.tokenizers.fast_train import train  # loads Numba

        order = byte_order()
        byte_ids = np.empty(256, np.int32)
        byte_ids[order] = np.arange(256, dtype=np.int32)
        parts = [item.encode() for item in texts]
        left, right = train(parts, wanted, code, class_table(), byte_ids)
    if len(left) < wanted and not fewer:
        raise InputError(
            f"vocab_size is {vocab_size}; this text allows at most {fixed + len(left)} (256 bytes, "
            f"{len(left)} merges, {len(special)} special tokens)"
        )
    tokens = [bytes([b]) for b in byte_order()]
    for a, b in zip(left.tolist(), right.tolist()):
        tokens.append(tokens[a] + tokens[b])
    merges = np.stack([left, right, 256 + np.arange(len(left), dtype=np.int32)], axis=1)
    numbered = numbered_specials(special, len(tokens))
    return BPE(tokens + [None] * len(special), merges, pattern, numbered)
