"""The small world that four kinds of model read: its sentences, who judges them, and its exams.

Four tasks of the seven-task world (`minilm.data.worlds`), so that every text can be checked: a
sentence is right if its rules could have written it. Windows of 32 words are cut from one stream.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from minilm import backend
from minilm.data.worlds.tasks import GENERATORS, Segments, grammar
from minilm.data.worlds.world import TaskWorld

WORLD = TaskWorld(categories=2, words=6, facts=1)
MIXTURE = {"grammar": 0.3, "lexical": 0.2, "sentiment": 0.25, "translation": 0.25}
WINDOW, PROMPT = 32, 16  # words of a text; of the beginning that a model goes on from
WORDS = WORLD.vocab_size
MASK, START, END = WORDS, WORDS + 1, WORDS + 2
SENTINELS = tuple(range(WORDS + 3, WORDS + 9))  # 15 % of 32 words are 5: at most five spans
VOCABULARY = WORDS + 9
LONGEST = 14  # words of the longest sentence, with its full stop


def stream(count: int, seed: int) -> np.ndarray:
    """Words of the world, (count,)."""
    return WORLD.sample(count, seed, MIXTURE).tokens.astype(np.int64)


# ------------------------------------------------------------------------------ the oracle


def is_sentence(ids: Sequence[int]) -> bool:
    """Whether a rule of the world could have written these words, full stop included."""
    w, ids = WORLD, [int(i) for i in ids]
    if len(ids) < 2 or ids[-1] != w.END or w.END in ids[:-1]:
        return False
    first, rest = ids[0], ids[1:-1]
    if first == w.THE:
        return _agrees(rest)
    if first == w.LIST:
        return len(set(rest)) == 3 == len(rest) and any(
            set(rest) <= set(row) for row in w.nouns.tolist()
        )
    if first == w.REVIEW:
        return _judged(rest)
    return first == w.TRANSLATE and _translated(rest)


def _agrees(rest: list[int]) -> bool:
    """NOUN (near the NOUN){0..3} is/are ADJECTIVE: the verb agrees with the first noun."""
    w, nouns = WORLD, WORLD.number.tolist()  # one row of singulars, one of plurals
    if len(rest) % 3 or not 3 <= len(rest) <= 12:
        return False
    head, middle, (verb, adjective) = rest[0], rest[1:-2], rest[-2:]
    near = [middle[i : i + 3] for i in range(0, len(middle), 3)]
    named = all(a == w.NEAR and b == w.THE and c in sum(nouns, []) for a, b, c in near)
    number = next((n for n in (0, 1) if head in nouns[n]), None)
    return number is not None and named and verb == w.verbs[number] and adjective in w.adjectives


def _judged(rest: list[int]) -> bool:
    """Five adjectives, then the verdict of their majority."""
    w = WORLD
    words = w.adjectives.tolist()
    if len(rest) != 7 or rest[5] != w.VERDICT or not set(rest[:5]) <= set(words):
        return False
    good = sum(words.index(i) < len(words) // 2 for i in rest[:5])
    return rest[6] == (w.GOOD if good > 2 else w.BAD)


def _translated(rest: list[int]) -> bool:
    """ADJECTIVE NOUN => noun adjective, word by word."""
    w, nouns, adjectives = WORLD, WORLD.nouns.ravel().tolist(), WORLD.adjectives.tolist()
    if len(rest) != 5 or rest[2] != w.ARROW:
        return False
    if rest[0] not in adjectives or rest[1] not in nouns:
        return False
    wanted = [
        w.spanish_nouns[nouns.index(rest[1])],
        w.spanish_adjectives[adjectives.index(rest[0])],
    ]
    return rest[3:] == wanted


# ------------------------------------------------------------------------------- the exams


class Holes(NamedTuple):
    """Texts with one word hidden, which follows from the others."""

    name: str
    where: str  # of what decides it: "left" or "right"
    ids: np.ndarray  # (N, WINDOW), nothing hidden yet
    place: int
    candidates: np.ndarray  # (N, K): the words that compete, the hidden one among them


def edges(words: np.ndarray) -> np.ndarray:
    """Places where a sentence begins, each with PROMPT words before and WINDOW words after it."""
    found = np.flatnonzero(words == WORLD.END) + 1
    return found[(found >= PROMPT) & (found < len(words) - WINDOW)]


def around(made: Segments, seed: int, before: int = 12) -> np.ndarray:
    """Sentences of one length as (N, WINDOW) texts: the stream, the sentence, the stream."""
    n, size = len(made.rows), int(made.lengths[0])
    words = stream(40 * n + 2000, seed)
    r = backend.rng(seed, "around")
    ends, begins = (r.choice(edges(words), n) for _ in range(2))
    left = words[ends[:, None] + np.arange(-before, 0)]  # up to a full stop
    right = words[begins[:, None] + np.arange(WINDOW - before - size)]
    return np.concatenate([left, made.rows[:, :size], right], axis=1).astype(np.int64)


@cache
def holes(count: int, seed: int = 4242) -> tuple[Holes, ...]:
    """Five kinds of hole: three decided by what stands to the left, two by the right."""
    w, made = WORLD, []

    def add(name: str, where: str, drawn: Segments, place: int, candidates: np.ndarray) -> None:
        ids = around(drawn, seed + len(made))
        made.append(Holes(name, where, ids, 12 + place, np.broadcast_to(candidates, (count, len(
            candidates))) if candidates.ndim == 1 else candidates))  # fmt: skip

    def draw(task: str) -> Segments:
        r = backend.rng(seed, "holes", str(len(made)))
        return grammar(w, r, count, 1) if task == "grammar" else GENERATORS[task](w, r, count)

    add("verb", "left", draw("grammar"), 5, w.verbs)
    add("verdict", "left", draw("sentiment"), 7, np.array([w.GOOD, w.BAD]))
    add("translation", "left", draw("translation"), 4, w.spanish_nouns)
    add("original", "right", draw("translation"), 2, w.nouns.ravel())
    drawn = draw("grammar")
    one, many = w.number
    index = np.where(np.isin(drawn.rows[:, 1], one), 0, 1)
    at = [int(np.flatnonzero(w.number[k] == noun)[0]) for k, noun in zip(index, drawn.rows[:, 1])]
    add("number", "right", drawn, 1, np.stack([one[at], many[at]], axis=1))
    return tuple(made)


class Beginnings(NamedTuple):
    """Texts of the stream that end with a full stop, and how they went on."""

    prompt: np.ndarray  # (N, PROMPT)
    rest: np.ndarray  # (N, WINDOW - PROMPT)


@cache
def beginnings(count: int, seed: int = 777) -> Beginnings:
    """Beginnings that no model has read."""
    words = stream(60 * count + 2000, seed)
    at = backend.rng(seed, "beginnings").choice(edges(words), count, replace=False)
    rows = words[at[:, None] + np.arange(-PROMPT, WINDOW - PROMPT)]
    return Beginnings(rows[:, :PROMPT], rows[:, PROMPT:])


class Judged(NamedTuple):
    """Texts with a sentence that is right or wrong in one word."""

    name: str
    ids: np.ndarray  # (N, WINDOW)
    sentence: slice  # where it stands
    right: np.ndarray  # (N,) bool


@cache
def judged(count: int, seed: int = 99) -> tuple[Judged, ...]:
    """Sentences whose verb does not agree in half of the cases; translations likewise."""
    w, made = WORLD, []
    r = backend.rng(seed, "judged")
    right = r.random(count) < 0.5
    drawn = grammar(w, r, count, 1)
    other = w.verbs.sum() - drawn.rows[:, 5]
    drawn.rows[:, 5] = np.where(right, drawn.rows[:, 5], other)
    made.append(Judged("verb", around(drawn, seed), slice(12, 20), right))
    right = r.random(count) < 0.5
    drawn = GENERATORS["translation"](w, r, count)
    shift = r.integers(1, len(w.spanish_nouns), count)
    where = np.searchsorted(w.spanish_nouns, drawn.rows[:, 4])
    other = w.spanish_nouns[(where + shift) % len(w.spanish_nouns)]
    drawn.rows[:, 4] = np.where(right, drawn.rows[:, 4], other)
    made.append(Judged("translation", around(drawn, seed + 1), slice(12, 19), right))
    return tuple(made)
