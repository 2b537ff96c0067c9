"""What WordPiece and Unigram share: tokens are texts, and words are cut one by one."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from minilm.files import write_atomically
from minilm.tokenizers.added import AddedToken, refuse_alike, without
from minilm.tokenizers.base import Frame, Specials, Tokenizer
from minilm.tokenizers.checks import check_text
from minilm.tokenizers.frames import post_processor
from minilm.tokenizers.normalizers import normalizer_of
from minilm.tokenizers.pieces_out import shown_by
from minilm.tokenizers.saving import added_entries
from minilm.tokenizers.words import led_by, words_by

_MOST_KEPT = 1 << 16  # words whose ids are remembered


class PieceTokenizer(Tokenizer):
    """A vocabulary of texts, and Hugging Face's description of all that is around it.

    A subclass defines `_encode_word`, `_placed` and `_model`.

    Args:
        pieces: texts by id, None where an id is not used.
        added: added tokens, whose texts may be among the pieces.
        parts: "normalizer", "pre_tokenizer" and "decoder" as `tokenizer.json` has them.
        frame: ids that `encode` puts before and after a text.
        source: where this is from, for error messages.

    Raises:
        InputError: a part that is not known, or as for `Tokenizer`.
    """

    def __init__(
        self,
        pieces: Sequence[str | None],
        added: Sequence[AddedToken],
        parts: dict[str, Any],
        frame: Frame = ((), ()),
        source: str = "parts",
    ) -> None:
        self.parts = {name: parts.get(name) for name in ("normalizer", "pre_tokenizer", "decoder")}
        self._normalizer = normalizer_of(self.parts["normalizer"], source)
        self._words = words_by(self.parts["pre_tokenizer"], source)
        shown = shown_by(self.parts["decoder"], source)
        spelled = [None if piece is None else piece.encode() for piece in pieces]
        super().__init__(without(spelled, added), {}, added, frame)
        refuse_alike(self.added, self._normalize)
        # What a token adds to a text that it begins, and to one that it does not.
        texts = [None if token is None else token.decode() for token in self.tokens]
        self._first = [None if t is None else shown(t, True).encode() for t in texts]
        self.tokens = [None if t is None else shown(t, False).encode() for t in texts]
        self.pieces = texts
        self.numbers = {piece: i for i, piece in enumerate(pieces) if piece is not None}
        self._kept: dict[str, list[int]] = {}

    def decode_bytes(self, ids: Iterable[int] | np.ndarray, begins: bool = True) -> bytes:
        """The bytes of the text of some ids; see `Tokenizer.decode_bytes`."""
        rest = self.check_ids(ids)
        first = b""
        if begins and rest.size:
            first, rest = self._first[int(rest[0])], rest[1:]
            if first is None:
                return super().decode_bytes(ids)  # which says that it is not used
        return first + super().decode_bytes(rest)

    def encode_with_offsets(
        self, text: str, allowed_special: Specials = (), disallowed_special: Specials = "all"
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids of a text and the characters that each comes from; see `Tokenizer`.

        Raises:
            InputError: as for `encode`; a text that is not normalized character by character.
        """
        ids: list[int] = []
        spans: list[tuple[int, int]] = []
        text = check_text(text)
        wanted = self._allowed(text, allowed_special, disallowed_special) | self._plain
        parts = self._cutter(wanted).spans(text)
        for i, ((first, last, number), part, source) in enumerate(parts):
            if number is not None:
                ids.append(number)
                spans.append((first, last))
                continue
            for word in self._words(part, i == 0):
                led, first = led_by(word), word[1]  # a mark lies where the next character does
                for number, start, stop in self._placed(word[0]):
                    ids.append(number)
                    start, stop = first + max(start - led, 0), first + max(stop - 1 - led, 0)
                    spans.append((int(source[start]), int(source[stop]) + 1))
        return ids, spans

    def save(self, path: str | os.PathLike) -> None:
        """Write a `tokenizer.json`."""
        content = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": added_entries(self.added),
            "normalizer": self.parts["normalizer"],
            "pre_tokenizer": self.parts["pre_tokenizer"],
            "post_processor": post_processor(self.frame, dict(enumerate(self.pieces))),
            "decoder": self.parts["decoder"],
            "model": self._model(),
        }
        write_atomically(path, json.dumps(content, ensure_ascii=False).encode())

    def _normalize(self, text: str) -> str:
        return self._normalizer(check_text(text))

    def _encode_segment(self, text: str, begins: bool) -> np.ndarray:
        ids: list[int] = []
        for word, _, _ in self._words(check_text(text), begins):
            found = self._kept.get(word)
            if found is None:
                if len(self._kept) >= _MOST_KEPT:
                    self._kept = {}  # threads share it, so it is never read twice
                found = self._kept[word] = self._encode_word(word)
            ids += found
        return np.array(ids, np.int32)

    def _spelled(self, ids: list[int]) -> list[bytes]:
        return [self.decode_bytes([number], begins=i == 0) for i, number in enumerate(ids)]

    def _encode_word(self, word: str) -> list[int]:
        raise NotImplementedError

    def _placed(self, word: str) -> Iterator[tuple[int, int, int]]:
        """The ids of a word, each with the first character that it stands for and the one after."""
        raise NotImplementedError

    def _model(self) -> dict[str, Any]:
        raise NotImplementedError
