"""WordPiece, as BERT uses it: the longest token that begins a word, then the longest that goes on.

Source: Devlin et al., arXiv 1810.04805; the algorithm is Schuster and Nakajima's (2012).
"""

from collections.abc import Sequence
from typing import Any

from minilm.errors import InputError
from minilm.tokenizers.added import AddedToken
from minilm.tokenizers.base import Frame, Specials
from minilm.tokenizers.checks import check_text
from minilm.tokenizers.pieces import PieceTokenizer


class WordPiece(PieceTokenizer):
    """BERT's tokenizer.

    Args:
        pieces: texts by id; those that go on with a word begin with `prefix`.
        added: added tokens, whose texts may be among the pieces.
        parts: "normalizer", "pre_tokenizer" and "decoder" as `tokenizer.json` has them.
        frame: ids that `encode` puts before and after a text.
        unknown: the piece of a word that no pieces spell.
        prefix: what pieces within a word begin with.
        longest: words of more characters are unknown.
        source: where this is from, for error messages.

    Raises:
        InputError: no such unknown piece, a part that is not known, or as for `Tokenizer`.
    """

    def __init__(
        self,
        pieces: Sequence[str | None],
        added: Sequence[AddedToken],
        parts: dict[str, Any],
        frame: Frame = ((), ()),
        unknown: str = "[UNK]",
        prefix: str = "##",
        longest: int = 100,
        source: str = "parts",
    ) -> None:
        super().__init__(pieces, added, parts, frame, source)
        if unknown not in self.numbers:
            raise InputError(f"{source} has no piece {unknown!r} for unknown words; it must have")
        self.unknown, self.prefix, self.longest = unknown, prefix, longest
        self._most = max(map(len, self.numbers))

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
        for (first, last, number), part, source in self._cutter(wanted).spans(text):
            if number is not None:
                ids.append(number)
                spans.append((first, last))
                continue
            place = 0
            for word in self._words(part, True):
                place = part.index(word, place)  # what lies between words is blank
                found = self._encode_word(word)
                for k, length in enumerate(self._lengths(word, found)):
                    ids.append(found[k])
                    spans.append((int(source[place]), int(source[place + length - 1]) + 1))
                    place += length
        return ids, spans

    def _lengths(self, word: str, ids: list[int]) -> list[int]:
        """Characters of a word that each of its ids stands for."""
        if len(ids) == 1:  # perhaps the unknown piece, which spells something else
            return [len(word)]
        skipped = len(self.prefix)
        return [len(self.pieces[n] or "") - skipped * (i > 0) for i, n in enumerate(ids)]

    def _encode_word(self, word: str) -> list[int]:
        if len(word) > self.longest:
            return [self.numbers[self.unknown]]
        ids, start = [], 0
        while start < len(word):
            lead = self.prefix if start else ""
            for end in range(min(len(word), start + self._most), start, -1):
                number = self.numbers.get(lead + word[start:end])
                if number is not None:
                    ids.append(number)
                    start = end
                    break
            else:
                return [self.numbers[self.unknown]]
        return ids

    def _model(self) -> dict[str, Any]:
        return {
            "type": "WordPiece",
            "unk_token": self.unknown,
            "continuing_subword_prefix": self.prefix,
            "max_input_chars_per_word": self.longest,
            "vocab": self.numbers,
        }
