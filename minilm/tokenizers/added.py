"""Added tokens: texts that become one id before anything else looks at them.

A special token (`special=True`) stands for no text and is refused in a text unless allowed; the
others are ordinary text, such as runs of blanks, that the vocabulary was given later. The options
are those of Hugging Face's tokenizers, and texts are cut as they cut them: first at the tokens that
are looked for in the text as it came, then, within what is left and after normalizing, at the
others. At each place the longest token wins.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minilm.errors import InputError
from minilm.tokenizers.checks import check_text, utf8
from minilm.tokenizers.offsets import character_sources
from minilm.tokenizers.unicode_classes import LETTER, WHITE_SPACE, class_table, is_mark

Span = tuple[int, int, int | None]

_SPACES = "".join(map(chr, WHITE_SPACE))
# Alphabetic symbols that are no letters by category: circled and squared Latin letters.
_SYMBOLS = ((0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189))
_JOINERS = (0x200C, 0x200D)
_FEW = 3  # texts that are found faster one after the other than by one pattern


@dataclass(frozen=True)
class AddedToken:
    """A text with an id of its own.

    Attributes:
        text: what it is in a text.
        number: its id.
        special: it stands for no text, and has to be allowed where it occurs in one.
        lstrip, rstrip: it takes the white space before it, after it.
        single_word: it counts only where no letter, digit, mark or underscore touches it.
        normalized: it is looked for in the normalized text.
    """

    text: str
    number: int
    special: bool = True
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool = False


def check_added(tokens: Sequence[bytes | None], added: Iterable[AddedToken]) -> None:
    """Refuse added tokens that a vocabulary cannot hold.

    Raises:
        InputError: an empty text, an id out of range or taken, or a text that occurs twice.
    """
    texts: set[str] = set()
    numbers: dict[int, str] = {}
    for token in added:
        text, number = token.text, token.number
        if not text:
            raise InputError("special holds an empty text; a special token must have a text")
        if check_text(text) != text:
            raise InputError(f"special names {text!r}; it must be a text that UTF-8 can represent")
        if not 0 <= number < len(tokens):
            raise InputError(
                f"special gives {text!r} the id {number}; "
                f"ids of this vocabulary are 0 to {len(tokens) - 1}"
            )
        if tokens[number] is not None:
            raise InputError(
                f"special gives {text!r} the id {number}, which is the ordinary token "
                f"{tokens[number]!r}; a special token must have an id of its own"
            )
        if number in numbers:
            raise InputError(
                f"special gives {numbers[number]!r} and {text!r} the id {number}; each must have "
                "an id of its own"
            )
        if text in texts:
            raise InputError(f"special names {text!r} twice; it must name each token once")
        texts.add(text)
        numbers[number] = text


class Finder:
    """Says whether a text holds any of some added tokens.

    Args:
        tokens: those to look for.
        normalize: what is done to a text before `normalized` ones are looked for.
    """

    def __init__(self, tokens: Iterable[AddedToken], normalize: Callable[[str], str]) -> None:
        tokens = list(tokens)
        self._names = [token.text for token in tokens]
        self._pattern = special_pattern(self._names) if len(tokens) > _FEW else None
        self._normalize = normalize
        self._later = [normalize(token.text) for token in tokens if token.normalized]

    def holds(self, text: str) -> bool:
        """Whether one of them may be found in the text: quick, and never wrongly no."""
        if self._later:
            return True
        if self._pattern:
            return self._pattern.search(text) is not None
        return any(name in text for name in self._names)

    def refuse(self, text: str) -> None:
        """Refuse a text that holds one of them, also once it is normalized.

        Raises:
            InputError: it names the token and where it begins.
        """
        if not self.holds(text):
            return
        for names, changed in ((self._names, text), (self._later, None)):
            if changed is None and names:
                changed = self._normalize(text)
            for name in names:
                if name in changed:
                    raise InputError(
                        f"text holds the special token {name!r} at character "
                        f"{changed.index(name)}; name it in allowed_special to encode it as one "
                        "id, or pass disallowed_special=() to treat it as ordinary text"
                    )


def refuse_alike(tokens: Iterable[AddedToken], normalize: Callable[[str], str]) -> None:
    """Refuse added tokens that are one text once it is normalized: which one counts is chance.

    Raises:
        InputError: it names both.
    """
    seen: dict[str, str] = {}
    for token in tokens:
        if token.normalized:
            text = normalize(token.text)
            if text in seen:
                raise InputError(
                    f"added tokens {seen[text]!r} and {token.text!r} are both {text!r} once "
                    "normalized; they must differ"
                )
            seen[text] = token.text


def without(tokens: Sequence[bytes | None], added: Iterable[AddedToken]) -> list[bytes | None]:
    """The tokens with a gap where an added token is spelled out, so that it is no ordinary one."""
    tokens = list(tokens)
    for token in added:
        number = token.number
        if 0 <= number < len(tokens) and tokens[number] == utf8(token.text):
            tokens[number] = None
    return tokens


class Cutter:
    """Cuts texts at some added tokens.

    Args:
        added: those to look for.
        normalize: what is done to the text between them.
    """

    def __init__(self, added: Iterable[AddedToken], normalize: Callable[[str], str]) -> None:
        added = list(added)
        self._normalize = normalize
        self._raw = _Pattern({t.text: t for t in added if not t.normalized})
        self._later = _Pattern({normalize(t.text): t for t in added if t.normalized})

    def __call__(self, text: str) -> Iterator[str | int]:
        """What a text consists of, in order: normalized text to be encoded, and ids."""
        for part in self._raw(text):
            if isinstance(part, int):
                yield part
            else:
                yield from self._later(self._normalize(part))

    def spans(self, text: str) -> Iterator[tuple[Span, str, np.ndarray]]:
        """As a call, with where each part lies.

        Yields:
            The part of the text as it came and its id, or None; and where that is None, the
            normalized text and the character, counted in the whole text, that each of its
            characters comes from.

        Raises:
            InputError: a text that is not normalized character by character.
        """
        for start, stop, number in self._raw.spans(text):
            if number is not None:
                yield (start, stop, number), "", np.zeros(0, np.int64)
                continue
            changed, source = character_sources(text[start:stop], self._normalize)
            source += start
            for first, last, found in self._later.spans(changed):
                span = int(source[first]), int(source[last - 1]) + 1, found
                yield span, changed[first:last], source[first:last]


class _Pattern:
    """Added tokens that are looked for in the same text."""

    def __init__(self, tokens: dict[str, AddedToken]) -> None:
        self._tokens = {text: token for text, token in tokens.items() if text}
        self._pattern = special_pattern(self._tokens) if self._tokens else None

    def __call__(self, text: str) -> Iterator[str | int]:
        for start, stop, number in self.spans(text):
            yield text[start:stop] if number is None else number

    def spans(self, text: str) -> Iterator[Span]:
        """Where the parts of a text lie that are tokens, and those between, which have no id."""
        done = 0
        for match in self._pattern.finditer(text) if self._pattern else ():
            token = self._tokens[match[0]]
            start, stop = match.span()
            around = text[max(0, start - 1) : start], text[stop : stop + 1]
            if token.single_word and any(map(_is_word, around)):
                continue
            if token.lstrip:
                while start > done and text[start - 1] in _SPACES:
                    start -= 1
                start = max(start, done)
            while token.rstrip and stop < len(text) and text[stop] in _SPACES:
                stop += 1
            if done < start:
                yield done, start, None
            if start < stop:  # else a token before it has taken all of it as white space
                yield start, stop, token.number
            done = stop
        if done < len(text):
            yield done, len(text), None


def _is_word(character: str) -> bool:
    r"""Whether it is of the class \w of Unicode: Alphabetic, Mark, Nd, Pc or a joiner."""
    if not character:
        return False
    point = ord(character)
    if class_table()[point] == LETTER or is_mark(point) or point in _JOINERS:
        return True
    if any(first <= point <= last for first, last in _SYMBOLS):
        return True
    return unicodedata.category(character) in ("Nd", "Nl", "Pc")


def special_pattern(names: Iterable[str]) -> re.Pattern[str]:
    """A pattern that finds special tokens; where two begin alike, the longer one wins."""
    ordered = sorted(names, key=lambda name: (-len(name), name))
    return re.compile("(" + "|".join(map(re.escape, ordered)) + ")")
