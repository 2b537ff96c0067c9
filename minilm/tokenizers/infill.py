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
    for name, value in (("rate", rate), ("spm_rate", spm_rate)):
        if not 0 <= value <= 1:
            raise InputError(f"{name} is {value}; it must be from 0 to 1")
    for marker in FIM_TOKENS:
        if marker in document:
            raise InputError(f"document holds the marker {marker!r}; it must be ordinary text")
    if rng.random() >= rate:
        return document
    first, last = sorted(rng.integers(0, len(document) + 1, 2).tolist())
    return _arrange(
        document[:first], document[first:last], document[last:], rng.random() < spm_rate
    )


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


def fim_prompt(tokenizer: Tokenizer, prefix: str, suffix: str) -> np.ndarray:
    """The ids, int32 (T,), after which a model writes what belongs between two texts (PSM).

    Raises:
        InputError: a tokenizer without the three markers.
    """
    parts = ((PREFIX, prefix), (SUFFIX, suffix), (MIDDLE, ""))
    ids = [np.zeros(0, np.int32)]
    for marker, text in parts:
        ids.append(np.array([tokenizer.special_id(marker)], np.int32))
        ids.append(tokenizer.encode_array(text, (), (), add_special_tokens=False))
    return np.concatenate(ids)
