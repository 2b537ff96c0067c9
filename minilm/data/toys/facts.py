"""Facts to be remembered, looked up, or carried from one side of a model to the other."""

from dataclasses import dataclass

import numpy as np

from minilm.backend import IGNORE, rng
from minilm.data.pairs import Pairs, at_least, make_pairs
from minilm.errors import InputError


@dataclass(frozen=True)
class FactTable:
    """Questions about a fixed table, with Zipf frequencies, with or without the fact in sight.

    A fact maps a pair of name tokens to a value. A model without the context must store the
    table in its weights, head first; with it, it can read the value there (retrieval, Lewis et
    al. 2020, arXiv 2005.11401). The source is `[context] first second`; the context holds the
    fact asked for and `distractors` others, in random order, three tokens each.
    Ids: names, values, begin.

    Args:
        facts: rows of the table.
        values: different values.
        zipf: rank k is asked with probability proportional to k**-zipf.
        world: seed of the table.
    """

    facts: int = 5000
    values: int = 64
    zipf: float = 1.0
    world: int = 7

    def __post_init__(self) -> None:
        at_least(1, facts=self.facts)
        at_least(2, values=self.values)
        if self.zipf < 0:
            raise InputError(f"zipf is {self.zipf}; it must be 0 or more")
        n, r = self.names, rng(self.world, "toys", "facts")
        pair = r.permutation(n * n)[: self.facts]
        rows = np.stack([pair // n, pair % n, n + r.integers(0, self.values, self.facts)], axis=1)
        weight = np.arange(1, self.facts + 1, dtype=np.float64) ** -self.zipf
        object.__setattr__(self, "rows", rows)  # (facts, 3): first, second, value
        object.__setattr__(self, "probability", weight / weight.sum())

    @property
    def names(self) -> int:
        """Name tokens: the least whose pairs are enough for all facts."""
        return int(np.ceil(np.sqrt(self.facts)))

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return self.names + self.values + 1

    def ask(self, ranks: np.ndarray, distractors: int | None = None, seed: int = 0) -> Pairs:
        """Questions about given facts.

        Args:
            ranks: (n,) places in the table, 0 the most frequent.
            distractors: other facts in the context; None gives no context at all.
            seed: of the context.
        """
        ranks = np.asarray(ranks)
        if ranks.size == 0 or ranks.min() < 0 or ranks.max() >= self.facts:
            raise InputError(f"ranks must lie in 0..{self.facts - 1}, at least one of them")
        n, asked = len(ranks), self.rows[ranks]
        source = asked[:, :2]
        if distractors is not None:
            at_least(0, distractors=distractors)
            if distractors >= self.facts:
                raise InputError(
                    f"distractors is {distractors}; there are {self.facts - 1} other facts"
                )
            r = rng(seed, "toys", "facts", "context")
            # A shift by 1..facts-1 never lands on the fact itself.
            shift = r.random((n, self.facts - 1)).argsort(1) if self.facts <= 64 else None
            if shift is None:
                shift = r.integers(0, self.facts - 1, (n, distractors))
            others = (ranks[:, None] + 1 + shift[:, :distractors]) % self.facts
            shown = np.concatenate([ranks[:, None], others], axis=1)
            shown = r.permuted(shown, axis=1)
            source = np.concatenate([self.rows[shown].reshape(n, -1), source], axis=1)
        return make_pairs(source, asked[:, 2:], self.vocab_size - 1, self.vocab_size)

    def sample(self, n: int, distractors: int | None = None, seed: int = 0) -> Pairs:
        """n questions with Zipf frequencies; arguments as for `ask`."""
        at_least(1, n=n)
        ranks = rng(seed, "toys", "facts", "ranks").choice(self.facts, n, p=self.probability)
        return self.ask(ranks, distractors, seed)


@dataclass(frozen=True)
class SharedFacts:
    """Facts seen as a question in the source, as a statement in the target, or as both.

    Each of `relations` relations is a permutation of the entities. Form A asks: the source is
    `ask x r`, the target `y`. Form B tells: the source is a random prompt, the target two
    statements `x r begin y` each. Some facts occur in one form only; asking them in the other
    shows whether knowledge crosses from one side of the model to the other (the talk's point on
    separate parameters, 57:42-58:55). Ids: entities, relations, ask, tell, begin.

    Args:
        entities, relations: sizes; facts are their product.
        world: seed of the permutations and of the roles.
    """

    entities: int = 96
    relations: int = 6
    world: int = 11

    def __post_init__(self) -> None:
        at_least(4, entities=self.entities)
        at_least(1, relations=self.relations)
        r = rng(self.world, "toys", "shared")
        table = np.stack([r.permutation(self.entities) for _ in range(self.relations)], axis=1)
        x, y = np.divmod(np.arange(table.size), self.relations)
        object.__setattr__(self, "rows", np.stack([x, y, table.ravel()], axis=1))
        role = r.random(table.size)
        object.__setattr__(self, "role", np.where(role < 0.6, 0, np.where(role < 0.8, 1, 2)))

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return self.entities + self.relations + 3

    def facts(self, which: str) -> np.ndarray:
        """Rows (x, r, y) of the facts of a role: "both" forms, "asked" only, or "told" only."""
        names = ("both", "asked", "told")
        if which not in names:
            raise InputError(f"which is {which!r}; allowed are {', '.join(names)}")
        return self.rows[self.role == names.index(which)]

    def ask(self, facts: np.ndarray) -> Pairs:
        """Form A of the given rows; the target has 8 places, of which the first is scored."""
        ask, _, begin = np.arange(3) + self.entities + self.relations
        n = len(facts)
        source = np.stack([np.full(n, ask), facts[:, 0], self.entities + facts[:, 1]], axis=1)
        target = np.full((n, 8), IGNORE)
        target[:, 0] = facts[:, 2]
        return make_pairs(source, target, int(begin), self.vocab_size)

    def tell(self, first: np.ndarray, second: np.ndarray, seed: int = 0) -> Pairs:
        """Form B of two rows each; only the two values are scored, at places 3 and 7."""
        _, tell, begin = np.arange(3) + self.entities + self.relations
        n = len(first)
        prompt = rng(seed, "toys", "shared", "prompt").integers(0, self.entities, (n, 2))
        source = np.concatenate([np.full((n, 1), tell), prompt], axis=1)
        said = np.empty((n, 8), np.int64)
        for start, facts in ((0, first), (4, second)):
            said[:, start], said[:, start + 1] = facts[:, 0], self.entities + facts[:, 1]
            said[:, start + 2], said[:, start + 3] = begin, facts[:, 2]
        pairs = make_pairs(source, said, int(begin), self.vocab_size)
        target = np.full_like(pairs.target, IGNORE)
        target[:, [3, 7]] = pairs.target[:, [3, 7]]
        return Pairs(pairs.source, target, pairs.fed, self.vocab_size)

    def sample(self, n: int, seed: int = 0) -> Pairs:
        """Training examples, half of each form, from the facts that may occur in it."""
        at_least(2, n=n)
        r = rng(seed, "toys", "shared", "draws")
        both = self.facts("both")
        asked = np.concatenate([both, self.facts("asked")])
        told = np.concatenate([both, self.facts("told")])
        half = n // 2
        a = self.ask(asked[r.integers(0, len(asked), half)])
        rows = r.integers(0, len(told), (2, n - half))
        b = self.tell(told[rows[0]], told[rows[1]], seed)
        order = r.permutation(n)
        arrays = (
            np.concatenate([getattr(a, f), getattr(b, f)])[order]
            for f in ("source", "target", "fed")
        )
        return Pairs(*arrays, self.vocab_size)

    def swapped(self, seed: int = 0) -> dict[str, Pairs]:
        """The swap tests: facts only told, now asked; facts only asked, now told."""
        asked = self.facts("asked")
        other = rng(seed, "toys", "shared", "swap").permutation(len(asked))
        return {
            "told, then asked": self.ask(self.facts("told")),
            "asked, then told": self.tell(asked, asked[other], seed),
        }
