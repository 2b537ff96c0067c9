"""Text to test on that does not occur in the training text: held-out documents, decontaminated."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from minilm import backend
from minilm.data.corpora import split
from minilm.errors import InputError

PHRASE = 8  # words; GPT-3 looked for 13 (arXiv 2005.14165, appendix C), docstrings are shorter
_WORD = re.compile(r"\w+")
_PIECE = 1 << 20  # characters whose words are in memory at a time


def hold_out(
    documents: Sequence[str],
    share: float = 0.05,
    seed: int = 0,
    repeated: float = 0.05,
    told: Callable[[int], Any] = lambda characters: None,
) -> tuple[list[str], list[str]]:
    """Documents to train on, and others to test on that the first do not give away.

    Documentation repeats itself: whole pages occur in two places. A test on such a page measures
    memory. So a document is held out only if few of its phrases, runs of 8 words, occur in any
    other document.

    Args:
        documents: texts. Where there are too few to choose from, `split` divides them instead.
        share: of all characters, to hold out; above 0 and below 1. Less where little is unique.
        seed: chooses the documents.
        repeated: the largest share of a held-out document's phrases that may occur elsewhere.
        told: called with the length of each document once it is compared, to show progress.

    Returns:
        Both lists, each in the order given.

    Raises:
        InputError: a share out of range, or too little text to split.
    """
    if not 0 < share < 1:
        raise InputError(f"share is {share}; it must be above 0 and below 1")
    if not 0 <= repeated <= 1:
        raise InputError(f"repeated is {repeated}; it must be from 0 to 1")
    wanted = share * sum(map(len, documents))
    order = backend.rng(seed, "hold out").permutation(len(documents)).tolist()
    candidates: dict[int, set[int]] = {}
    size = 0
    for i in order:
        if len(documents[i]) <= wanted / 4 and size < 4 * wanted:
            phrases = set(_phrases(documents[i]))
            if len(phrases) >= 4 * PHRASE:  # a shorter one says little about a model
                candidates[i] = phrases
                size += len(documents[i])
    if not candidates:  # one text, say: nothing to compare, however long it is
        return split(tuple(documents), share, seed)
    elsewhere = _shared(documents, candidates, told)
    chosen: set[int] = set()
    size = 0
    for i, phrases in candidates.items():
        if size >= wanted:
            break
        if sum(p in elsewhere for p in phrases) <= repeated * len(phrases):
            chosen.add(i)
            size += len(documents[i])
    if not chosen:
        return split(tuple(documents), share, seed)
    train = [text for i, text in enumerate(documents) if i not in chosen]
    return train, [documents[i] for i in sorted(chosen)]


def _shared(
    documents: Sequence[str], candidates: dict[int, set[int]], told: Callable[[int], Any]
) -> set[int]:
    """The candidates' phrases that occur in another document."""
    owner: dict[int, int] = {}
    shared: set[int] = set()
    for i, phrases in candidates.items():
        for phrase in phrases:
            if owner.setdefault(phrase, i) != i:
                shared.add(phrase)
    for i, text in enumerate(documents):
        for phrase in _phrases(text):
            if owner.get(phrase, i) != i:
                shared.add(phrase)
        told(len(text))
    return shared


def _phrases(text: str) -> Iterator[int]:
    """A number for each run of words; in one process, equal runs have equal numbers."""
    words: list[str] = []
    begin = 0
    while begin < len(text):
        end = begin + _PIECE
        while end < len(text) and _WORD.match(text, end):  # not inside a word
            end += 1
        words = words[1 - PHRASE :] + _WORD.findall(text[begin:end].lower())
        yield from map(hash, zip(*(words[k:] for k in range(PHRASE))))
        begin = end
