"""Unigram, as T5 uses it: of all ways to cut a word into tokens, the one of the highest score.

A token's score is the logarithm of its probability, so the best cut is the likeliest; Viterbi's
algorithm finds it from left to right. Source: Kudo, arXiv 1804.10959.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from minilm.errors import InputError
from minilm.tokenizers.added import AddedToken
from minilm.tokenizers.base import Frame
from minilm.tokenizers.pieces import PieceTokenizer

_UNKNOWN_PENALTY = 10.0  # an unknown character scores this much below the worst token


class Unigram(PieceTokenizer):
    """T5's tokenizer.

    Args:
        pieces: texts by id.
        scores: of each piece, its log-probability.
        added: added tokens, whose texts may be among the pieces.
        parts: "normalizer", "pre_tokenizer" and "decoder" as `tokenizer.json` has them.
        frame: ids that `encode` puts before and after a text.
        unknown: the id of characters that no piece holds, or None.
        byte_fallback: such characters become their bytes, where the pieces "<0x00>" ... exist.
        source: where this is from, for error messages.

    Raises:
        InputError: an unknown id out of range, a part that is not known, or as for `Tokenizer`.
    """

    def __init__(
        self,
        pieces: Sequence[str],
        scores: Sequence[float],
        added: Sequence[AddedToken],
        parts: dict[str, Any],
        frame: Frame = ((), ()),
        unknown: int | None = None,
        byte_fallback: bool = False,
        source: str = "parts",
    ) -> None:
        if unknown is not None and not 0 <= unknown < len(scores):
            raise InputError(
                f"{source} gives unknown characters the id {unknown}; it must be one of the "
                f"{len(scores)} pieces"
            )
        super().__init__(pieces, added, parts, frame, source)
        self.unknown, self.byte_fallback = unknown, byte_fallback
        self.scores = list(map(float, scores))
        self._worst = min(self.scores) - _UNKNOWN_PENALTY
        self._scored = {
            piece: self.scores[i] for piece, i in self.numbers.items() if i < len(self.scores)
        }
        self._beginnings = {p[:n] for p in self._scored for n in range(1, len(p) + 1)}

    def _encode_word(self, word: str) -> list[int]:
        return [number for number, _, _ in self._placed(word)]

    def _placed(self, word: str) -> Iterator[tuple[int, int, int]]:
        start = 0
        for piece in self._cut(word):
            stop = start + len(piece)
            for number in self._ids(piece):
                yield number, start, stop
            start = stop

    def _ids(self, piece: str) -> list[int]:
        """One id, or those of the bytes of a piece that is none."""
        number = self.numbers.get(piece)
        if number is not None:
            return [number]
        spelled = [self.numbers.get(f"<0x{byte:02X}>") for byte in piece.encode()]
        if self.byte_fallback and None not in spelled:
            return spelled
        if self.unknown is None:
            raise InputError(
                f"text holds {piece!r}, which no piece of this vocabulary holds; it has no token "
                "for unknown characters"
            )
        return [self.unknown]

    def _cut(self, word: str) -> list[str]:
        """The pieces of the best cut; neighbouring unknown characters are one piece."""
        size = len(word)
        best, begins = [0.0] * (size + 1), [-1] * (size + 1)
        known = [True] * (size + 1)
        for start in range(size):
            here, single = best[start], False
            for end in range(start + 1, size + 1):
                piece = word[start:end]
                if piece not in self._beginnings:
                    break
                score = self._scored.get(piece)
                if score is None:
                    continue
                if begins[end] < 0 or here + score > best[end]:
                    best[end], begins[end], known[end] = here + score, start, True
                single = single or end == start + 1
            if not single:
                end, score = start + 1, here + self._worst
                if begins[end] < 0 or score > best[end]:
                    best[end], begins[end], known[end] = score, start, False
        pieces: list[str] = []
        end, strange = size, False
        while end > 0:
            piece = word[begins[end] : end]
            is_unknown = not known[end] or self.numbers.get(piece) == self.unknown
            if is_unknown and strange:
                pieces[-1] = piece + pieces[-1]
            else:
                pieces.append(piece)
            strange = is_unknown and self.unknown is not None
            end = begins[end]
        return pieces[::-1]

    def _model(self) -> dict[str, Any]:
        vocabulary = [[self.pieces[i], score] for i, score in enumerate(self.scores)]
        return {
            "type": "Unigram",
            "unk_id": self.unknown,
            "vocab": vocabulary,
            "byte_fallback": self.byte_fallback,
        }
