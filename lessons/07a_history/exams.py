"""The exams that every objective sits: fill holes, judge sentences, go on writing."""

from functools import cache
from typing import Any

import numpy as np

from minilm.models.language_model import LanguageModel

from .objectives import bets, fillings, states, write
from .texts import (
    LONGEST,
    MIXTURE,
    WORDS,
    WORLD,
    Holes,
    Judged,
    beginnings,
    holes,
    is_sentence,
    judged,
    stream,
)

Array = np.ndarray
COUNT = 100  # texts of each exam; of sentences to judge five times as many, half of them to learn


def right_of(weights: Array, h: Holes) -> tuple[float, float]:
    """Share right, and mean probability of the right word among those that compete."""
    p = np.exp(weights - weights.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    hidden = h.candidates == h.ids[:, h.place, None]
    return float(hidden[np.arange(len(p)), p.argmax(1)].mean()), float(p[hidden].mean())


def separable(features: Array, right: Array, ridge: float = 1.0) -> float:
    """Share right of a linear judge: fitted to one half of the texts, asked about the other."""
    half = len(right) // 2
    mean, spread = features[:half].mean(0), features[:half].std(0) + 1e-6
    x = np.concatenate([(features - mean) / spread, np.ones((len(right), 1))], axis=1)
    learn, y = x[:half].astype(np.float64), np.where(right[:half], 1.0, -1.0)
    w = np.linalg.solve(learn.T @ learn + ridge * np.eye(learn.shape[1]), learn.T @ y)
    return float(((x[half:] @ w > 0) == right[half:]).mean())


def first_sentences(written: Array) -> list[Array]:
    """What was written up to the first full stop; all of it where there is none."""
    ends = [np.flatnonzero(row == WORLD.END) for row in written]
    return [row[: end[0] + 1] if len(end) else row for row, end in zip(written, ends)]


def share_of_sentences(written: Array) -> float:
    """How many begin with a right sentence."""
    return float(np.mean([is_sentence(row) for row in first_sentences(written)]))


def paid(name: str, model: LanguageModel, prompt: Array, rest: Array) -> float:
    """Nats per word for what really followed, word by word."""
    nats = []
    for t in range(rest.shape[1]):
        told = bets(name, model, prompt, rest[:, :t])
        nats.append(-np.take_along_axis(told, rest[:, t : t + 1], 1).mean())
    return float(np.mean(nats))


def sit(name: str, model: LanguageModel, seed: int, count: int = COUNT) -> dict[str, Any]:
    """All exams: `holes`, `sure` and `judged` by name; `nats` and `sentences` for writing."""
    filled = {
        h.name: right_of(fillings(name, model, h.ids, h.place, h.candidates), h)
        for h in holes(count)
    }
    texts = beginnings(count)
    return {
        "holes": {k: v[0] for k, v in filled.items()},
        "sure": {k: v[1] for k, v in filled.items()},
        "judged": {
            j.name: separable(states(name, model, j.ids)[:, j.sentence].mean(1), j.right)
            for j in judged(5 * count)
        },
        "nats": paid(name, model, texts.prompt, texts.rest),
        "sentences": share_of_sentences(write(name, model, texts.prompt, LONGEST, seed)),
    }


# ------------------------------------------------------------------- yardsticks that cost nothing


@cache
def pairs(words: int = 200_000) -> Array:
    """How often each word followed each in the stream, (WORDS, WORDS), plus a hundredth."""
    text = stream(words, 1000)
    counts = np.full((WORDS, WORDS), 0.01)
    np.add.at(counts, (text[:-1], text[1:]), 1.0)
    return counts


def counted(count: int = COUNT) -> dict[str, Any]:
    """The same exams for pairs of neighbouring words and for bags of words."""
    follow = pairs() / pairs().sum(1, keepdims=True)

    def between(h: Holes) -> Array:
        before, after = h.ids[:, h.place - 1, None], h.ids[:, h.place + 1, None]
        return np.log(follow[before, h.candidates] * follow[h.candidates, after])

    def bag(j: Judged) -> Array:
        return (j.ids[:, j.sentence, None] == np.arange(WORDS)).sum(1)

    filled = {h.name: right_of(between(h), h) for h in holes(count)}
    texts = beginnings(count)
    r, last, written = np.random.default_rng(0), texts.prompt[:, -1], []
    for _ in range(LONGEST):
        last = (follow[last].cumsum(1) < r.random((count, 1))).sum(1).clip(max=WORDS - 1)
        written.append(last)
    before = np.concatenate([texts.prompt[:, -1:], texts.rest[:, :-1]], axis=1)
    return {
        "holes": {k: v[0] for k, v in filled.items()},
        "judged": {j.name: separable(bag(j), j.right) for j in judged(5 * count)},
        "nats": float(-np.log(follow[before, texts.rest]).mean()),
        "sentences": share_of_sentences(np.stack(written, axis=1)),
    }


def floor() -> float:
    """The best possible nats per word of writing: the entropy of the world."""
    return WORLD.floors(MIXTURE)["total"].all
