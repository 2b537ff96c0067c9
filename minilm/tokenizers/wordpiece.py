"""WordPiece, as BERT uses it: the longest token that begins a word, then the longest that goes on.

Source: Devlin et al., arXiv 1810.04805; the algorithm is Schuster and Nakajima's (2012).
"""

from collections.abc import Iterator, Sequence
from typing import Any

from minilm.errors import InputError
from minilm.tokenizers.added import AddedToken
from minilm.tokenizers.base import Frame
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

    def _placed(self, word: str) -> Iterator[tuple[int, int, int]]:
        ids = self._encode_word(word)
        if len(ids) == 1:  # perhaps the unknown piece, which spells something else
            yield ids[0], 0, len(word)
            return
        start = 0
        for number in ids:
            stop = start + len(self.pieces[number] or "") - (len(self.prefix) if start else 0)
            yield number, start, stop
            start = stop

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
