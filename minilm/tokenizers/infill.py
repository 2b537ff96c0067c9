"""Fill-in-the-middle: a document is cut into three parts and its middle is moved to the end.

A model trained on such documents can write what belongs between two given texts, although it still
only predicts the next token. Source: Bavarian et al., "Efficient Training of Language Models to
Fill in the Middle", arXiv 2207.14255; SPM is its second form, in which P and M stay joined.
"""

import numpy as np

from minilm.errors import InputError
from minilm.tokenizers.base import Tokenizer

PREFIX, MIDDLE, SUFFIX = "<fim_prefix>", "<fim_middle>", "<fim_suffix>"
FIM_TOKENS = (PREFIX, MIDDLE, SUFFIX)
ORDERS = ("psm", "spm")


def fim_permute(
    document: str, rng: np.random.Generator, rate: float = 0.5, spm_rate: float = 0.5
) -> str:
    """The document, or with probability `rate` its three parts in another order.

    Args:
        document: text without the marker tokens.
        rng: the source of randomness.
        rate: share of documents that are rearranged, 0 to 1.
        spm_rate: share of those in suffix-prefix-middle order; the others are
            prefix-suffix-middle.

    Returns:
        PSM: `<fim_prefix>P<fim_suffix>S<fim_middle>M`;
        SPM: `<fim_prefix><fim_suffix>S<fim_middle>PM`, so that P and M stay joined.

    Raises:
        InputError: a rate outside 0 to 1, or a document that holds a marker.
    """
    _check_rates(rate, spm_rate)
    for marker in FIM_TOKENS:
        if marker in document:
            raise InputError(f"document holds the marker {marker!r}; it must be ordinary text")
    cut = _cut(document, rng, rate, spm_rate)
    return document if cut is None else _arrange(*cut)


def fim_encode(
    tokenizer: Tokenizer,
    document: str,
    rng: np.random.Generator,
    rate: float = 0.5,
    spm_rate: float = 0.5,
) -> np.ndarray:
    """The ids, int32 (T,), of what `fim_permute` makes of a document with the same draws.

    Each part is encoded by itself, and the markers are special tokens. So a document may hold the
    text of a marker, and a cut in the middle of a word gives the tokens that a prompt has there.

    Args:
        tokenizer: one with the three markers among its special tokens.
        document, rng, rate, spm_rate: as for `fim_permute`.

    Raises:
        InputError: a rate outside 0 to 1, or a tokenizer without the markers.
    """
    _check_rates(rate, spm_rate)
    cut = _cut(document, rng, rate, spm_rate)
    if cut is None:
        return _plain(tokenizer, document)
    prefix, middle, suffix, spm = cut
    if spm:
        return _marked(tokenizer, (PREFIX, ""), (SUFFIX, suffix), (MIDDLE, prefix), (None, middle))
    return _marked(tokenizer, (PREFIX, prefix), (SUFFIX, suffix), (MIDDLE, middle))


def _check_rates(rate: float, spm_rate: float) -> None:
    for name, value in (("rate", rate), ("spm_rate", spm_rate)):
        if not 0 <= value <= 1:
            raise InputError(f"{name} is {value}; it must be from 0 to 1")


def _cut(
    document: str, rng: np.random.Generator, rate: float, spm_rate: float
) -> tuple[str, str, str, bool] | None:
    """Prefix, middle, suffix and whether the order is SPM; None for a document left as it is."""
    if rng.random() >= rate:
        return None
    first, last = sorted(rng.integers(0, len(document) + 1, 2).tolist())
    return document[:first], document[first:last], document[last:], rng.random() < spm_rate


def _plain(tokenizer: Tokenizer, text: str) -> np.ndarray:
    return tokenizer.encode_array(text, (), (), add_special_tokens=False)


def _marked(tokenizer: Tokenizer, *parts: tuple[str | None, str]) -> np.ndarray:
    """Markers, each with the text behind it, as ids; None stands for no marker."""
    ids = [np.zeros(0, np.int32)]
    for marker, text in parts:
        if marker is not None:
            ids.append(np.array([tokenizer.special_id(marker)], np.int32))
        if text:
            ids.append(_plain(tokenizer, text))
    return np.concatenate(ids)


def _arrange(prefix: str, middle: str, suffix: str, spm: bool) -> str:
    if spm:
        return f"{PREFIX}{SUFFIX}{suffix}{MIDDLE}{prefix}{middle}"
    return f"{PREFIX}{prefix}{SUFFIX}{suffix}{MIDDLE}{middle}"


def fim_restore(text: str) -> str:
    """The document that `fim_permute` was given.

    Raises:
        InputError: markers in an order it never writes.
    """
    if not any(marker in text for marker in FIM_TOKENS):
        return text
    counts = [text.count(marker) for marker in FIM_TOKENS]
    places = [text.find(marker) for marker in (PREFIX, SUFFIX, MIDDLE)]
    if counts != [1, 1, 1] or places[0] != 0 or places != sorted(places):
        raise InputError(
            f"text has its markers in a wrong order or number; it must have {PREFIX}, {SUFFIX} and "
            f"{MIDDLE} once each, in this order, the first at its start"
        )
    prefix, rest = text[len(PREFIX) :].split(SUFFIX)
    suffix, end = rest.split(MIDDLE)
    # In SPM order there is nothing between the first two markers, and `end` is prefix + middle.
    return prefix + end + suffix


def fim_prompt(tokenizer: Tokenizer, prefix: str, suffix: str, order: str = "psm") -> np.ndarray:
    """The ids, int32 (T,), after which a model writes what belongs between two texts.

    Args:
        tokenizer: one with the three markers among its special tokens.
        prefix, suffix: the texts on both sides of the hole.
        order: "psm" or "spm".

    Raises:
        InputError: another order, or a tokenizer without the three markers.
    """
    if order not in ORDERS:
        raise InputError(f"order is {order!r}; it must be {' or '.join(ORDERS)}")
    if order == "spm":
        return _marked(tokenizer, (PREFIX, ""), (SUFFIX, suffix), (MIDDLE, prefix))
    return _marked(tokenizer, (PREFIX, prefix), (SUFFIX, suffix), (MIDDLE, ""))
