"""Who guesses the next tokens: a smaller model, or the text itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.inference.pages import Pages, PageTable
from minilm.inference.prefix import common
from minilm.inference.rules import Rules
from minilm.inference.stepping import Share, Stepper


class Reader:
    """A model that remembers the text it has read, and reads on from where another one parts.

    Args:
        model: a decoder on the CPU.
        rules: how its distribution becomes the one that is drawn from.
        weights: "float32" or "int8".
        page: places of a page.
    """

    def __init__(self, model: Any, rules: Rules, weights: str = "float32", page: int = 16) -> None:
        config = model.config
        many = -(-config.context // page)
        self.pages = Pages(config, many, page, model.tokens.weight.data.dtype)
        self.model, self.rules = model.eval(), rules
        self._feed, self._table = Stepper(model, self.pages, weights), PageTable(self.pages)
        self._read: list[int] = []

    def probabilities(self, ids: list[int], guessed: list[int]) -> np.ndarray:
        """What follows `ids`, and each of the k guesses after them: (k + 1, V) float64."""
        text = [*ids, *guessed]
        kept = min(common(self._read, text), len(ids) - 1)  # the last one's logits are wanted
        self._table.truncate(kept)
        logits = self._feed([Share(self._table, text[kept:], len(guessed) + 1)])
        self._read = text
        seen: list[Sequence[int]] = [()] * len(logits)
        if self.rules.repetition_penalty != 1:
            seen = [text[: len(ids) + i] for i in range(len(logits))]
        return distribution(self.rules, logits, seen)


class ModelDraft(Reader):
    """Guesses of a smaller model that has the same tokens; arguments as for `Reader`."""

    def propose(
        self, ids: list[int], count: int, rng: np.random.Generator
    ) -> tuple[list[int], np.ndarray | None]:
        """`count` guesses after `ids`, or fewer where its context ends; and their distributions."""
        count = min(count, self.model.config.context - len(ids))
        guessed: list[int] = []
        rows = np.empty((max(count, 0), self.model.config.vocab_size))
        for i in range(count):
            rows[i] = self.probabilities([*ids, *guessed], [])[0]
            guessed.append(draw_one(rows[i], rng))
        return guessed, rows


class LookupDraft:
    """Guesses that what followed the latest words earlier in the text follows them again.

    Costs nothing, and does well where a text repeats itself or its prompt: code, summaries, chats.

    Args:
        longest: most tokens that are searched for; shorter runs are tried after longer ones.

    Raises:
        InputError: a length below 1.
    """

    def __init__(self, longest: int = 3) -> None:
        if longest < 1:
            raise InputError(f"longest is {longest}; it must be 1 or more")
        self.longest = longest

    def propose(
        self, ids: list[int], count: int, rng: np.random.Generator
    ) -> tuple[list[int], np.ndarray | None]:
        """At most `count` tokens that followed the last ones before; none if these are new."""
        text = np.asarray(ids)
        for size in range(min(self.longest, len(ids) - 1), 0, -1):
            windows = np.lib.stride_tricks.sliding_window_view(text[:-1], size)  # (n, size)
            found = np.flatnonzero((windows == text[-size:]).all(axis=1))
            if found.size:
                after = int(found[-1]) + size
                return [int(token) for token in text[after : after + count]], None
        return [], None


def distribution(rules: Rules, logits: np.ndarray, seen: Sequence[Sequence[int]]) -> np.ndarray:
    """What each row's token is drawn from: (N, V) logits -> (N, V) float64 probabilities.

    Args:
        rules: temperature 0 puts everything on the likeliest token.
        logits: (N, V).
        seen: per row, the ids before (for the repetition penalty).
    """
    left = rules.filtered(logits, seen).astype(np.float64)
    if rules.temperature == 0:
        sure = np.zeros(left.shape)
        sure[np.arange(len(left)), left.argmax(axis=-1)] = 1
        return sure
    weights = np.exp(left - left.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def draw_one(weights: np.ndarray, rng: np.random.Generator) -> int:
    """A token drawn in proportion to weights (V,) that are not all 0."""
    sums = weights.cumsum()
    at = int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
    return min(at, int(np.flatnonzero(weights)[-1]))
