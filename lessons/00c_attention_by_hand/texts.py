"""Random texts in which the past says what comes next.

Words are numbers from 1; word 0 starts every text, and stands nowhere else.
"""

from types import ModuleType

import numpy as np

from minilm import backend


def once(seed: int, words: int, longest: int, count: int = 500) -> list[tuple[list[int], int]]:
    """Texts whose last word stood in them once before, and the word that followed it then."""
    rng, found = backend.rng(seed, "once"), []
    while len(found) < count:
        body = rng.integers(1, words, int(rng.integers(4, longest - 1)))
        at = int(rng.integers(0, len(body) - 1))
        if (body == body[at]).sum() == 1:
            found.append(([0, *map(int, body), int(body[at])], int(body[at + 1])))
    return found


def twice(seed: int, words: int, longest: int, count: int = 500) -> list[tuple[list[int], int]]:
    """Texts that end in two words: the last stood there twice, the pair only once.

    What followed the last word differs between its two places, so only the pair tells which of
    them is meant.
    """
    rng, found = backend.rng(seed, "twice"), []
    while len(found) < count:
        size = int(rng.integers(10, longest - 3))
        body = rng.integers(1, words, size)
        first, second = sorted(map(int, rng.choice(np.arange(1, size - 1), 2, replace=False)))
        body[second] = body[first]
        followers = body[[first + 1, second + 1]]
        alone = (body == body[first]).sum() == 2 and body[first - 1] != body[second - 1]
        if second - first > 2 and alone and followers[0] != followers[1]:
            meant = (first, second)[int(rng.integers(2))]
            pair = [int(body[meant - 1]), int(body[meant])]
            if pair[0] != pair[1] and body[-1] != pair[1]:
                found.append(([0, *map(int, body), *pair], int(body[meant + 1])))
    return found


def longest_ago(text: list[int]) -> int:
    """A guess that needs no thought: of all words so far, the one not seen for the longest time."""
    last = {word: place for place, word in enumerate(text[1:])}
    return min(last, key=last.__getitem__)


def free_guesses(asked: list[list[tuple[list[int], int]]]) -> dict[str, list[float]]:
    """Two guesses that cost nothing, in % right per seed."""
    found: dict[str, list[float]] = {"any word seen": [], "longest ago": []}
    for each in asked:
        seen = [len(set(ids[1:])) for ids, _ in each]
        found["any word seen"].append(100 * float(np.mean([1 / count for count in seen])))
        hits = [longest_ago(ids) == answer for ids, answer in each]
        found["longest ago"].append(100 * float(np.mean(hits)))
    return found


def free_pieces(induction: ModuleType) -> float:
    """How often the word not seen for the longest time is right in the study's texts, in %."""
    given, target, asked = induction.texts(9_000_000, 0, 256)
    places = zip(*np.nonzero(asked), strict=True)
    hits = [longest_ago(given[row, : at + 1].tolist()) == target[row, at] for row, at in places]
    return 100 * float(np.mean(hits))
