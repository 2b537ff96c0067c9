"""The seven tasks of the multi-task world: how a segment is drawn, and its exact entropy.

A generator draws n segments of one task as rows padded on the right, with a mask of the tokens
that the task tests (the rest is prompt). An entropy is exact, in nats, for a reader who knows the
rules and the segment so far: the best loss that any model can reach.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from math import log

import numpy as np

from minilm.data.worlds.lexicon import Lexicon

WIDTH = 16  # room for the longest segment, grammar with three distractors (14)


@dataclass
class Segments:
    """n segments of one task, right-padded."""

    rows: np.ndarray  # (n, WIDTH) int16
    scored: np.ndarray  # (n, WIDTH) bool
    lengths: np.ndarray  # (n,) int64

    def __getitem__(self, index: slice | np.ndarray) -> Segments:
        return Segments(self.rows[index], self.scored[index], self.lengths[index])

    @classmethod
    def of(cls, columns: list[np.ndarray | int], scored: list[int], n: int) -> Segments:
        """Segments from one column per position; `scored` lists positions."""
        rows = np.zeros((n, WIDTH), np.int16)
        for position, column in enumerate(columns):
            rows[:, position] = column
        mask = np.zeros((n, WIDTH), bool)
        mask[:, scored] = True
        return cls(rows, mask, np.full(n, len(columns)))

    @classmethod
    def join(cls, parts: list[Segments]) -> Segments:
        """All segments of the parts, in order."""
        return cls(*(np.concatenate([getattr(p, f) for p in parts]) for f in cls.__annotations__))


@dataclass(frozen=True)
class Entropy:
    """Mean entropy and length of the segments of one task."""

    length: float  # tokens per segment
    scored_tokens: float  # of these, how many are scored
    total: float  # nats per segment, without the choice of the task
    scored: float  # nats of all scored tokens of a segment


def choose(r: np.random.Generator, ids: np.ndarray, shape: int | tuple[int, ...]) -> np.ndarray:
    """Uniform draws from an array of ids."""
    return ids[r.integers(0, len(ids), shape)]


def grammar(w: Lexicon, r: np.random.Generator, n: int, distractors: int | None = None) -> Segments:
    """the NOUN (near the NOUN){0..3} is/are ADJECTIVE . -- the verb agrees with the first noun."""
    depth = r.integers(0, 4, n) if distractors is None else np.full(n, distractors)
    number = r.integers(0, 2, n)
    parts, places = [], []
    for d in np.unique(depth):
        here = np.flatnonzero(depth == d)
        m = len(here)
        columns: list[np.ndarray | int] = [w.THE, w.number[number[here], r.integers(0, 10, m)]]
        for _ in range(d):
            columns += [w.NEAR, w.THE, w.number[r.integers(0, 2, m), r.integers(0, 10, m)]]
        columns += [w.verbs[number[here]], choose(r, w.adjectives, m), w.END]
        parts.append(Segments.of(columns, [2 + 3 * int(d)], m))
        places.append(here)
    if not parts:
        return Segments.of([w.END], [], 0)
    order = np.argsort(np.concatenate(places))
    return Segments.join(parts)[order]


def grammar_entropy(w: Lexicon) -> Entropy:
    """After d distractors the verb follows with probability 1 / (4 - d): that choice is scored."""
    verb = sum(log(4 - d) for d in range(4)) / 4
    # All choices along the way together are one draw of d, log 4 nats; those at `near` are prompt.
    nouns = log(20) * (1 + 1.5)
    return Entropy(9.5, 1, log(4) + nouns + log(len(w.adjectives)), verb)


def lexical(w: Lexicon, r: np.random.Generator, n: int) -> Segments:
    """list A B C . -- three different words of one category."""
    categories, words = w.nouns.shape
    category = r.integers(0, categories, n)
    picks = r.random((n, words)).argsort(axis=1)[:, :3]
    items = w.nouns[category[:, None], picks]
    return Segments.of([w.LIST, *items.T, w.END], [3], n)


def lexical_entropy(w: Lexicon) -> Entropy:
    """The third item is one of the category's remaining words."""
    categories, words = w.nouns.shape
    last = log(words - 2)
    return Entropy(5, 1, log(categories) + log(words) + log(words - 1) + last, last)


def facts(w: Lexicon, r: np.random.Generator, n: int, ranks: np.ndarray | None = None) -> Segments:
    """SYLLABLE SYLLABLE emblem VALUE . -- a fixed table, queried with Zipf frequencies."""
    if ranks is None:
        cumulative = np.cumsum(w.fact_probability)
        ranks = np.searchsorted(cumulative, r.random(n) * cumulative[-1], side="right")
    first, second = w.fact_names[ranks].T
    return Segments.of([first, second, w.EMBLEM, w.fact_values[ranks], w.END], [3], n)


def facts_entropy(w: Lexicon) -> Entropy:
    """A name carries the entropy of its Zipf rank; its value carries none."""
    p = w.fact_probability
    return Entropy(5, 1, float(-(p * np.log(p)).sum()), 0.0)


def sentiment(w: Lexicon, r: np.random.Generator, n: int) -> Segments:
    """review W W W W W verdict good/bad . -- the majority of five words decides."""
    picks = r.integers(0, len(w.adjectives), (n, 5))
    good = (picks < len(w.adjectives) // 2).sum(axis=1) > 2
    verdict = np.where(good, w.GOOD, w.BAD)
    return Segments.of([w.REVIEW, *w.adjectives[picks].T, w.VERDICT, verdict, w.END], [7], n)


def sentiment_entropy(w: Lexicon) -> Entropy:
    """Five free words; the verdict follows from them."""
    return Entropy(9, 1, 5 * log(len(w.adjectives)), 0.0)


def translation(w: Lexicon, r: np.random.Generator, n: int) -> Segments:
    """translate ADJECTIVE NOUN => noun adjective . -- a dictionary, and the order is reversed."""
    a = r.integers(0, len(w.adjectives), n)
    b = r.integers(0, w.nouns.size, n)
    source = [w.TRANSLATE, w.adjectives[a], w.nouns.ravel()[b], w.ARROW]
    target = [w.spanish_nouns[b], w.spanish_adjectives[a], w.END]
    return Segments.of(source + target, [4, 5], n)


def translation_entropy(w: Lexicon) -> Entropy:
    """The source is free; the target follows from it."""
    return Entropy(7, 2, log(len(w.adjectives)) + log(w.nouns.size), 0.0)


def spatial(w: Lexicon, r: np.random.Generator, n: int) -> Segments:
    """AGENT ROOM (x4) where AGENT ROOM . -- three of the agents walk; the last room counts."""
    cast = r.random((n, len(w.agents))).argsort(axis=1)[:, :3]
    who, rooms = r.integers(0, 3, (n, 4)), choose(r, w.rooms, (n, 4))
    asked = who[np.arange(n), r.integers(0, 4, n)]  # someone who was mentioned
    last = 3 - (who == asked[:, None])[:, ::-1].argmax(axis=1)
    names = w.agents[cast]
    story = [c for i in range(4) for c in (names[np.arange(n), who[:, i]], rooms[:, i])]
    question = [w.WHERE, names[np.arange(n), asked], rooms[np.arange(n), last], w.END]
    return Segments.of(story + question, [10], n)


def spatial_entropy(w: Lexicon) -> Entropy:
    """Agents are new ones or old ones, then one of them is asked about; the room follows."""
    total = 4 * log(len(w.rooms))
    for story in itertools.product(range(3), repeat=4):
        probability, known, nats = 1 / 81, [], 0.0
        for agent in story:
            if agent in known:
                nats += log(3)
            else:  # with probability (3 - k) / 3 a new one, uniform over all not yet seen
                nats += log(3 / (3 - len(known))) + log(len(w.agents) - len(known))
                known.append(agent)
        shares = [story.count(agent) / 4 for agent in known]
        total += probability * (nats - sum(s * log(s) for s in shares))
    return Entropy(12, 1, total, 0.0)


def arithmetic(w: Lexicon, r: np.random.Generator, n: int, kind: str | None = None) -> Segments:
    """a a + b b = s s s . with the sum's lowest digit first; some are a a * b b + c c mod 97.

    `kind` is "sum" or "modular"; None draws it with the world's `modular` share.
    """
    share = {"sum": 0.0, "modular": 1.0, None: w.modular}[kind]
    modular = r.random(n) < share
    a, b, c = r.integers(0, 100, (3, n))
    d, total = w.digits, a + b
    head: list[np.ndarray | int] = [d[a // 10], d[a % 10]]
    rows = Segments.of(
        [*head, w.PLUS, d[b // 10], d[b % 10], w.EQUALS]
        + [d[total % 10], d[total // 10 % 10], d[total // 100], w.END],
        [6, 7, 8],
        n,
    )
    if modular.any():
        result = (a * b + c) % 97
        other = Segments.of(
            [*head, w.TIMES, d[b // 10], d[b % 10], w.PLUS, d[c // 10], d[c % 10], w.EQUALS]
            + [d[result % 10], d[result // 10], w.END],
            [9, 10],
            n,
        )
        for field in Segments.__annotations__:
            getattr(rows, field)[modular] = getattr(other, field)[modular]
    return rows


def arithmetic_entropy(w: Lexicon) -> Entropy:
    """Four free digits (six with a product) and the choice of operation; the answer follows."""
    m = w.modular
    choice = -sum(p * log(p) for p in (m, 1 - m) if p > 0)
    return Entropy(10 + 2 * m, 3 - m, (4 + 2 * m) * log(10) + choice, 0.0)


GENERATORS = {
    "grammar": grammar,
    "lexical": lexical,
    "facts": facts,
    "sentiment": sentiment,
    "translation": translation,
    "spatial": spatial,
    "arithmetic": arithmetic,
}
ENTROPIES = {
    "grammar": grammar_entropy,
    "lexical": lexical_entropy,
    "facts": facts_entropy,
    "sentiment": sentiment_entropy,
    "translation": translation_entropy,
    "spatial": spatial_entropy,
    "arithmetic": arithmetic_entropy,
}
