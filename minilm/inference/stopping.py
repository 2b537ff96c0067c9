"""What ends a text: a token, or a text, which may span several tokens or end within one."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.tokenizers.streaming import StreamDecoder


class TextStream:
    """The text of ids that arrive one by one, up to the first stop text in it.

    Of what may be the beginning of a stop text nothing is shown before it is known to be none.

    Args:
        tokenizer: one of `minilm.tokenizers`.
        stop: the texts at which it ends, none of which is shown; none at all if empty.

    Attributes:
        ended: a stop text has been met.
    """

    def __init__(self, tokenizer: Any, stop: Iterable[str] = ()) -> None:
        self._stop = tuple(stop)
        self._decoder = StreamDecoder(tokenizer)
        self._held = ""
        self.ended = False

    def feed(self, ids: int | Iterable[int]) -> str:
        """The text that these ids complete and that is certain to belong to the result."""
        return "" if self.ended else self._take(self._decoder.feed(ids))

    def finish(self) -> str:
        """What was held back, if no stop text came."""
        if self.ended:
            return ""
        text = self._take(self._decoder.finish())
        held, self._held = self._held, ""
        return text + ("" if self.ended else held)

    def _take(self, text: str) -> str:
        text = self._held + text
        places = [place for place in map(text.find, self._stop) if place >= 0]
        if places:
            self.ended, self._held = True, ""
            return text[: min(places)]
        keep = max((_overlap(text, stop) for stop in self._stop), default=0)
        cut = len(text) - keep
        text, self._held = text[:cut], text[cut:]
        return text


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of a text may be the beginning of a stop text."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)


class Stops:
    """What ends the rows of a batch.

    Args:
        stop: ids, texts, or both; one text may come alone.
        tokenizer: says what ids spell; needed where there are texts.
        rows: how many.

    Raises:
        InputError: something that is neither an id nor a text, an empty text, or texts without a
            tokenizer.
    """

    def __init__(self, stop: Sequence[int | str] | str, tokenizer: Any, rows: int) -> None:
        given = [stop] if isinstance(stop, str) else list(stop)
        texts = [item for item in given if isinstance(item, str)]
        for item in given:
            if not isinstance(item, (str, int, np.integer)):
                raise InputError(f"stop holds {item!r}; it must hold ids and texts")
        if "" in texts:
            raise InputError("stop holds an empty text, which ends everything at once; it must not")
        if texts and tokenizer is None:
            raise InputError(
                f"stop holds the text {texts[0]!r} and tokenizer is None; with texts it must be "
                "the model's tokenizer"
            )
        self.texts = tuple(texts)
        self._ids = frozenset(int(item) for item in given if not isinstance(item, str))
        self._streams = [TextStream(tokenizer, texts) for _ in range(rows)] if texts else []

    def __bool__(self) -> bool:
        return bool(self._ids or self._streams)

    def ends(self, row: int, token: int) -> bool:
        """Whether a row ends with this token, the next one that it has written."""
        if self._streams and token not in self._ids:
            self._streams[row].feed(token)
            return self._streams[row].ended
        return token in self._ids
