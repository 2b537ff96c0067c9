"""The words of the multi-task world: an id for each, and which noun each fact has as its value."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from minilm.backend import rng
from minilm.data.worlds.words import (
    AGENTS,
    BAD,
    CATEGORIES,
    GOOD,
    PLURAL,
    ROOMS,
    SINGULAR,
    pairs,
    syllables,
)
from minilm.errors import InputError


@dataclass(frozen=True)
class Lexicon:
    """The words of the multi-task world, their ids, and its table of facts.

    Its arguments and errors are those of `TaskWorld`.
    """

    categories: int = 8
    words: int = 8
    facts: int = 5000
    zipf: float = 1.0
    modular: float = 0.0
    seed: int = 7
    vocabulary: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, low, high in (("categories", 1, 12), ("words", 3, 12), ("facts", 1, 60_000)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name} is {value}; it must be from {low} to {high}")
        if self.zipf < 0:
            raise InputError(f"zipf is {self.zipf}; it must be 0 or more")
        if not 0 <= self.modular <= 1:
            raise InputError(f"modular is {self.modular}; it must be from 0 to 1")
        self._name_words()
        self._make_facts()

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _name_words(self) -> None:
        """Give every word its id, in a fixed order."""
        vocabulary: list[str] = []

        def ids(names: Sequence[str]) -> np.ndarray:
            start = len(vocabulary)
            vocabulary.extend(names)
            return np.arange(start, len(vocabulary))

        marks = ". the near is are list emblem good bad review verdict translate => where + * ="
        signs = "END THE NEAR IS ARE LIST EMBLEM GOOD BAD REVIEW VERDICT TRANSLATE ARROW WHERE"
        names = [*signs.split(), "PLUS", "TIMES", "EQUALS"]
        self._set(**dict(zip(names, ids(marks.split()).tolist(), strict=True)))
        nouns = [
            pair
            for text in list(CATEGORIES.values())[: self.categories]
            for pair in pairs(text)[: self.words]
        ]
        adjectives = pairs(GOOD) + pairs(BAD)
        self._set(
            digits=ids([str(i) for i in range(10)]),
            number=np.stack([ids(SINGULAR), ids(PLURAL)]),
            verbs=np.array([vocabulary.index("is"), vocabulary.index("are")]),
            nouns=ids([english for english, _ in nouns]).reshape(self.categories, self.words),
            spanish_nouns=ids([spanish for _, spanish in nouns]),
            adjectives=ids([english for english, _ in adjectives]),
            spanish_adjectives=ids([spanish for _, spanish in adjectives]),
            agents=ids(AGENTS[:6]),
            rooms=ids(ROOMS),
        )
        needed, taken = math.isqrt(self.facts - 1) + 1, set(vocabulary)
        made = [s for s in syllables(needed + 40) if s not in taken]
        self._set(syllables=ids(made[:needed]))
        self._set(vocabulary=tuple(vocabulary))

    def _make_facts(self) -> None:
        r, n = rng(self.seed, "worlds", "facts"), len(self.syllables)
        name = r.permutation(n * n)[: self.facts]
        weight = np.arange(1, self.facts + 1, dtype=np.float64) ** -self.zipf
        self._set(
            fact_names=np.stack([self.syllables[name // n], self.syllables[name % n]], axis=1),
            fact_values=self.nouns.ravel()[r.integers(0, self.nouns.size, self.facts)],
            fact_probability=weight / weight.sum(),
        )
