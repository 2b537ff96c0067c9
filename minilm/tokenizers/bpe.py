"""Byte-pair encoding: the class to use, over the compiled encoder."""

import functools
import os
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.backend import MOST_IDS
from minilm.errors import InputError
from minilm.tokenizers.added import AddedToken, refuse_alike, without
from minilm.tokenizers.base import Frame, Tokenizer
from minilm.tokenizers.checks import (
    check_bytes,
    check_text,
    refuse_shared_ids,
    utf8,
    vocabulary_size,
)
from minilm.tokenizers.pretokenize import PATTERNS, check_pattern, split, split_led, table_of
from minilm.tokenizers.saving import save_hugging_face


class BPE(Tokenizer):
    """A byte-level BPE tokenizer, as GPT-2, GPT-4, Llama 3 and Qwen 2 use it.

    Args:
        tokens: bytes by id, None where an id is not used; every single byte has to be among them.
        merges: pairs of ids in the order in which they are joined, with the id that they make:
            (left, right, joined).
        pattern: how text is cut into words, one of `pretokenize.PATTERNS`.
        special: special token texts and their ids.
        whole_words: a word that is itself a token becomes that token, whatever the merges say
            (tiktoken, and `ignore_merges` of Hugging Face).
        normalize: a Unicode form ("NFC") to which text is converted first, or None.
        cache: remember encoded words; False only to measure what that gains.
        prefix_space: text that does not begin with a blank gets one, so that its first word is
            spelled as it is within a text (`add_prefix_space` of Hugging Face). There, and so here,
            "gpt2" cuts the text with its blank; for "starcoder" each digit and each text between
            digits gets a blank, for the other patterns each word, and plain Python cuts them.
        added: added tokens with options, see `AddedToken`.
        frame: ids that `encode` puts before and after a text.

    Raises:
        InputError: too many ids, a byte without an id, an unknown pattern, or an added token that
            is a single byte or part of a merge.
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
        prefix_space: bool = False,
        added: Sequence[AddedToken] = (),
        frame: Frame = ((), ()),
    ) -> None:
        special = special or {}
        every = [*(AddedToken(*item) for item in special.items()), *added]
        # A single byte stays: it would be missed, and the check of added tokens names it.
        longer = [token for token in every if len(utf8(token.text)) > 1]
        self.ordinary: list[bytes | None] = without(tokens, longer)
        super().__init__(self.ordinary, special, added, frame)
        if len(self.tokens) > MOST_IDS:
            raise InputError(f"tokens has {len(self.tokens)} ids; it must have at most {MOST_IDS}")
        known = {t for t in self.ordinary if t is not None}
        missing = [b for b in range(256) if bytes([b]) not in known]
        if missing:
            raise InputError(
                f"tokens lacks {len(missing)} single bytes, the first 0x{missing[0]:02x}; "
                "a byte-level vocabulary must hold all 256"
            )
        self.merges = np.array(merges, np.int32).reshape(-1, 3)  # (0,) -> (0, 3) where none
        for token in self.added:
            if (self.merges == token.number).any():
                raise InputError(
                    f"special gives {token.text!r} the id {token.number}, which takes part in a "
                    "merge; a special token must have an id of its own"
                )
        self.pattern = check_pattern(pattern)
        self.whole_words = whole_words
        self.normalize = normalize
        self.prefix_space = prefix_space
        self._cache = cache
        refuse_alike(self.added, self._normalize)

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
            InputError: an id that is not a whole number in range or that two tokens have, or as
                for the class.
        """
        special = special or {}
        size = vocabulary_size([*ranks.values(), *special.values()], "the rank table")
        refuse_shared_ids(ranks, "the rank table")
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

    def encode_bytes(self, content: bytes) -> list[int]:
        """The ids of bytes that need not be UTF-8; decoded, they are these bytes again.

        UTF-8 gives the ids of its text, in which special tokens mean nothing. Otherwise all from
        the last word before the first wrong byte on is taken for one word, as tiktoken does.

        Raises:
            InputError: not bytes, or a tokenizer that changes its texts.
        """
        content = check_bytes(content)
        if self.normalize or self.prefix_space:
            raise InputError(
                f"normalize is {self.normalize!r} and prefix_space is {self.prefix_space}; to "
                "encode bytes as they are, a tokenizer must change nothing"
            )
        try:
            return self.encode_ordinary(content.decode())
        except UnicodeDecodeError as error:
            text = content[: error.start].decode()
        words = split(text, self.pattern)
        last = words.pop() if words else ""
        if last and not last.strip(" \n\t"):
            while words and not words[-1].strip(" \n\t"):
                last = words.pop() + last
        sure = text[: len(text) - len(last)]
        rest = content[len(sure.encode()) :]
        return self.encode_ordinary(sure) + self._encoder.encode_word(rest).tolist()

    @functools.cached_property
    def _encoder(self) -> Any:
        from minilm.tokenizers.fast_encode import Encoder  # loads Numba

        code, table = PATTERNS[self.pattern], table_of(self.pattern)
        return Encoder(self.ordinary, self.merges, code, table, self.whole_words, self._cache)

    def _normalize(self, text: str) -> str:
        return unicodedata.normalize(self.normalize, check_text(text)) if self.normalize else text

    def _grown(self, special: dict[str, int]) -> "BPE":
        room = self.vocab_size + len(special) - len(self.ordinary)
        return BPE(
            [*self.ordinary, *[None] * room],
            self.merges,
            self.pattern,
            special,
            self.whole_words,
            self.normalize,
            self._cache,
            self.prefix_space,
            self.added,
            self.frame,
        )

    def _encode_segment(self, text: str, begins: bool) -> np.ndarray:
        if not self.prefix_space or not text:
            return self._encoder.encode(text)
        if self.pattern == "gpt2":
            return self._encoder.encode(text if text[0] == " " else " " + text)
        ids = map(self._led_word, split_led(check_text(text), self.pattern))
        return np.concatenate([np.zeros(0, np.int32), *ids])

    @functools.cached_property
    def _led_word(self) -> Any:
        kept = functools.lru_cache(maxsize=1 << 16)
        return kept(lambda word: self._encoder.encode_word(word.encode()))

    def save(self, path: str | os.PathLike) -> None:
        """Write a Hugging Face `tokenizer.json`; `saving` writes the other kinds of file."""
        save_hugging_face(self, path)

    def __getstate__(self) -> dict[str, Any]:
        """All but the compiled tables, which hold what belongs to single threads."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_encoder", "_led_word")}
