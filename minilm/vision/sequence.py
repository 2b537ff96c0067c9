"""Text and picture in one sequence, as DALL-E and CogView lay it out, and a loop that writes it.

    start, text (padded), picture         T = 1 + texts + codes

(Ramesh et al. 2021, arXiv 2102.12092; Ding et al. 2021, arXiv 2105.13290: 1 + 64 + 1024 = 1089.)
One vocabulary holds both: ids of the picture first, then the words, then the start. A model that
has learned the sequence draws what a text says. Pixels are tokens too, of as many ids as there are
grey levels (iGPT, Chen et al. 2020), only more of them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm.backend import IGNORE, to_numpy
from minilm.errors import InputError
from minilm.inference.following import make_cache
from minilm.tensor import no_grad


@dataclass(frozen=True)
class Layout:
    """Where text and picture stand in a sequence, and which ids they have.

    Attributes:
        codes: K, ids of the picture: 0 to K - 1.
        words: W, ids of the text: K to K + W - 1.
        text: tokens of the text, padded.
        picture: tokens of the picture.
    """

    codes: int
    words: int
    text: int
    picture: int

    def __post_init__(self) -> None:
        for name, least in (("codes", 1), ("words", 0), ("text", 0), ("picture", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; it must be {least} or more")

    @property
    def start(self) -> int:
        """The id of the token that every sequence begins with."""
        return self.codes + self.words

    @property
    def vocabulary(self) -> int:
        """How many ids there are."""
        return self.start + 1

    @property
    def length(self) -> int:
        """T, tokens of a sequence."""
        return 1 + self.text + self.picture

    @property
    def of_text(self) -> slice:
        """The places of the text."""
        return slice(1, 1 + self.text)

    @property
    def of_picture(self) -> slice:
        """The places of the picture."""
        return slice(1 + self.text, self.length)

    def rows(self, words: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Sequences of texts and pictures: (N, text) from 0, (N, picture) -> int64 (N, T).

        Raises:
            InputError: other shapes, or an id that is out of range.
        """
        words, codes = np.asarray(words), np.asarray(codes)
        if words.shape != (len(codes), self.text) or codes.shape[1:] != (self.picture,):
            raise InputError(
                f"words are {words.shape} and codes {codes.shape}; they must be (N, {self.text}) "
                f"and (N, {self.picture})"
            )
        for name, ids, most in (("words", words, self.words), ("codes", codes, self.codes)):
            if ids.dtype.kind not in "iu":
                raise InputError(f"{name} are {ids.dtype}; they must be integers")
            if ids.size and not 0 <= ids.min() <= ids.max() < most:
                raise InputError(
                    f"{name} are {ids.min()} to {ids.max()}; they must be from 0 to {most - 1}"
                )
        start = np.full((len(codes), 1), self.start)
        return np.concatenate([start, words + self.codes, codes], axis=1).astype(np.int64)

    def allowed(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each place, the first id that may stand there and the first that may not: (T,) twice.

        A model that is half trained gives every id some share; a word in a picture has no pixels.
        """
        first, end = np.full(self.length, self.start), np.full(self.length, self.vocabulary)
        first[self.of_text], end[self.of_text] = self.codes, self.start
        first[self.of_picture], end[self.of_picture] = 0, self.codes
        return first, end


def next_token(rows: np.ndarray, scored: slice) -> tuple[np.ndarray, np.ndarray]:
    """What `Transformer.loss` takes: ids (N, T - 1) and targets, those outside `scored` ignored."""
    targets = np.full(rows.shape, IGNORE)
    targets[:, scored] = rows[:, scored]
    return rows[:, :-1], targets[:, 1:]


def pick(
    logits: np.ndarray, random: np.random.Generator, temperature: float = 1.0, top: int = 0
) -> np.ndarray:
    """One id for each row of logits (N, V), by its probability: int64 (N,).

    Args:
        logits: (N, V).
        random: where the draws come from.
        temperature: what logits are divided by; 0 takes the likeliest.
        top: only so many of the likeliest take part; 0: all.

    Raises:
        InputError: a temperature that is negative or nan, a top below 0.
    """
    if not temperature >= 0:
        raise InputError(f"temperature is {temperature}; it must be 0 or more")
    if top < 0:
        raise InputError(f"top is {top}; it must be 0 or more")
    if temperature == 0:
        return logits.argmax(-1)
    logits = np.asarray(logits, np.float64) / temperature
    if 0 < top < logits.shape[-1]:
        least = np.partition(logits, -top, axis=-1)[:, -top, None]  # (N, 1)
        logits = np.where(logits >= least, logits, -np.inf)
    # The largest of logits with Gumbel noise is a draw by their softmax.
    return (logits + random.gumbel(size=logits.shape)).argmax(-1)


def write(
    model: Any,
    layout: Layout,
    words: np.ndarray,
    random: np.random.Generator,
    temperature: float = 1.0,
    top: int = 0,
) -> np.ndarray:
    """Draw what texts say, one token after the other: (N, text) -> codes int64 (N, picture).

    The text is read at once, then each token of the picture takes a pass of its own through the
    model, with the keys and values of all before it kept.

    Args:
        model: a decoder `Transformer` over the layout's ids.
        layout: of the sequence.
        words: from 0, (N, text).
        random, temperature, top: as for `pick`.

    Raises:
        InputError: what `Layout.rows` and `pick` refuse.
    """
    blank = np.zeros((len(words), layout.picture), np.int64)
    rows = layout.rows(words, blank)
    begin = layout.of_picture.start
    cache = make_cache(model, len(rows), layout.length)
    model.eval()
    with no_grad():
        given = rows[:, :begin]
        for place in range(begin, layout.length):
            logits = to_numpy(model(given, cache=cache).data[:, -1, : layout.codes])  # (N, K)
            rows[:, place] = pick(logits, random, temperature, top)
            given = rows[:, place : place + 1]
    return rows[:, layout.of_picture]


def grey_levels(pictures: np.ndarray, levels: int, low: float = 0, high: float = 1) -> np.ndarray:
    """Pixels as tokens: the nearest of `levels` equal steps from low to high, int64 of one shape.

    Raises:
        InputError: fewer than two levels; a high that is not above low; pixels beyond them.
    """
    _check_levels(levels, low, high)
    if pictures.size and not (low <= pictures.min() and pictures.max() <= high):
        raise InputError(
            f"pixels are {pictures.min():g} to {pictures.max():g}; they must be from {low:g} to "
            f"{high:g}"
        )
    return np.rint((pictures - low) * ((levels - 1) / (high - low))).astype(np.int64)


def of_grey_levels(tokens: np.ndarray, levels: int, low: float = 0, high: float = 1) -> np.ndarray:
    """`grey_levels` undone, up to rounding: float32 of the same shape.

    Raises:
        InputError: as `grey_levels`; a token that is no level.
    """
    _check_levels(levels, low, high)
    if tokens.size and not 0 <= tokens.min() <= tokens.max() < levels:
        raise InputError(
            f"tokens are {tokens.min()} to {tokens.max()}; they must be from 0 to {levels - 1}"
        )
    return (low + tokens * ((high - low) / (levels - 1))).astype(np.float32)


def _check_levels(levels: int, low: float, high: float) -> None:
    if levels < 2:
        raise InputError(f"levels is {levels}; it must be 2 or more")
    if not low < high:
        raise InputError(f"low is {low} and high {high}; low must be below high")
