"""Encoding and decoding piece by piece, with the same result as all at once."""

import codecs
import re
from collections.abc import Iterable

from minilm.tokenizers.added import AddedToken, special_pattern
from minilm.tokenizers.base import Specials, Tokenizer
from minilm.tokenizers.checks import check_text
from minilm.tokenizers.pieces import PieceTokenizer
from minilm.tokenizers.pretokenize import split

# Between a lower-case letter and a blank before another one, every pattern starts a word.
_CUT = re.compile(r"[a-z](?=[ \n][a-z])")


class StreamEncoder:
    """Encodes text that arrives in chunks; all ids together are those of the whole text.

    What a later chunk could still change is held back: the last two words, and what may be the
    beginning of a special token. Text is examined again only once it has doubled, so the work stays
    in proportion to the text however small the chunks are.

    Args:
        tokenizer: any tokenizer of this package.
        allowed_special: special tokens that become one id, or "all"; others are ordinary text.
        add_special_tokens: put the ids of the tokenizer's `frame` around the text.

    Raises:
        InputError: a special token that the tokenizer lacks.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        allowed_special: Specials = (),
        add_special_tokens: bool = True,
    ) -> None:
        self._tokenizer = tokenizer
        if isinstance(allowed_special, str) and allowed_special == "all":
            allowed_special = tokenizer.special
        self._allowed = frozenset(
            [allowed_special] if isinstance(allowed_special, str) else allowed_special
        )
        for name in self._allowed:
            tokenizer.special_id(name)
        counted = [t for t in tokenizer.added if not t.special or t.text in self._allowed]
        self._numbers = {token.text: token.number for token in counted}
        self._pattern = special_pattern(self._numbers) if counted else None
        self._overlap = max(map(len, self._numbers), default=1) - 1
        self._frame = tokenizer.frame if add_special_tokens else ((), ())
        self._waits = _needs_the_end(tokenizer, counted)
        self._held = ""
        self._half = ""
        self._looked_at = 0
        self._begun = False

    def feed(self, text: str) -> list[int]:
        """Take a chunk; returns the ids that are now certain."""
        if not isinstance(text, str):
            check_text(text)
        text = self._half + text
        cut = len(text) - (text != "" and "\ud800" <= text[-1] < "\udc00")
        text, self._half = text[:cut], text[cut:]  # the other half of a surrogate pair may follow
        self._held += check_text(text)
        if self._waits:
            return []
        return self._begin() + self._sure()

    def _begin(self) -> list[int]:
        """The ids before the text, once."""
        first, self._begun = not self._begun, True
        return list(self._frame[0]) if first else []

    def _sure(self) -> list[int]:
        """The ids that nothing can change any more."""
        if len(self._held) < 2 * self._looked_at:
            return []
        ids = self._advance(len(self._held) - self._overlap)
        cut = self._certain(self._held[: max(0, len(self._held) - self._overlap)])
        ids += self._tokenizer.encode_ordinary(self._held[:cut]) if cut else []
        self._held = self._held[cut:]
        self._looked_at = len(self._held)
        return ids

    def finish(self) -> list[int]:
        """The ids of what was held back; the encoder is then ready for another text."""
        self._held += check_text(self._half)
        ids = self._begin()
        if self._waits:
            text, allowed = self._held, self._allowed
            ids += self._tokenizer.encode(text, allowed, (), add_special_tokens=False)
        else:
            ids += self._advance(len(self._held))
            ids += self._tokenizer.encode_ordinary(self._held) if self._held else []
        self._held = self._half = ""
        self._looked_at = 0
        self._begun = False
        return ids + list(self._frame[1])

    def _advance(self, end: int) -> list[int]:
        """Encode up to the last added token that begins before `end`."""
        ids: list[int] = []
        done = 0
        for match in self._pattern.finditer(self._held) if self._pattern else ():
            if match.start() >= end:
                break
            ids += self._tokenizer.encode_ordinary(self._held[done : match.start()])
            ids.append(self._numbers[match[0]])
            done = match.end()
        self._held = self._held[done:]
        return ids

    def _certain(self, text: str) -> int:
        """Characters of the text whose words no later text can change."""
        pattern = getattr(self._tokenizer, "pattern", None)
        if pattern is None:
            return len(text)  # bytes and characters stand alone
        if getattr(self._tokenizer, "normalize", None):
            return 0  # a later accent may change the last letter, so wait for the end
        places = [match.end() for match in _CUT.finditer(text, max(0, len(text) - 1000))]
        if places:
            return places[-1]
        words = split(text, pattern)
        end, solid = len(text), 0
        while words and solid < 2:
            word = words.pop()
            end -= len(word)
            solid += not word.isspace()
        while words and words[-1].isspace():  # at the end of a text, blanks would join
            end -= len(words.pop())
        return end


def _needs_the_end(tokenizer: Tokenizer, counted: list[AddedToken]) -> bool:
    """Whether parts of a text cannot be encoded each by itself.

    So it is where the beginning of a text is treated in its own way, where words are cut and
    changed by rules of their own, and where added tokens look at what is around them or are looked
    for one kind after the other.
    """
    if getattr(tokenizer, "prefix_space", False) or isinstance(tokenizer, PieceTokenizer):
        return True
    if any(token.lstrip or token.rstrip or token.single_word for token in counted):
        return True
    later = {token.normalized for token in counted}
    return len(later) > 1 or (True in later and bool(getattr(tokenizer, "normalize", None)))


class StreamDecoder:
    """Decodes ids that arrive one by one, and never shows half a character.

    Args:
        tokenizer: any tokenizer of this package.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._begins = True

    def feed(self, ids: int | Iterable[int]) -> str:
        """The text that these ids complete; "" while a character is unfinished."""
        ids = [ids] if not isinstance(ids, Iterable) else list(ids)
        begins, self._begins = self._begins, self._begins and not ids
        return self._utf8.decode(self._tokenizer.decode_bytes(ids, begins))

    def finish(self) -> str:
        """What is left: U+FFFD if the ids ended inside a character."""
        rest = self._utf8.decode(b"", final=True)
        self._utf8.reset()
        self._begins = True
        return rest
