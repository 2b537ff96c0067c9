"""Labelled synthetic worlds: text in which every token carries the task that it belongs to.

`TaskWorld` writes a stream of seven tasks, after the claim that next-word prediction is massively
multi-task learning (Jason Wei, CS25 V4, 04:14-08:45). The label is never shown to a model. The
rules are known, so the best possible loss of every task is known too.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from minilm.backend import rng
from minilm.data.worlds.lexicon import Lexicon
from minilm.data.worlds.tasks import ENTROPIES, GENERATORS, WIDTH, Entropy, Segments, facts, grammar
from minilm.errors import InputError

TASKS = tuple(GENERATORS)
MIXTURE = {
    "grammar": 0.30,
    "lexical": 0.10,
    "facts": 0.22,
    "sentiment": 0.10,
    "translation": 0.10,
    "spatial": 0.08,
    "arithmetic": 0.10,
}
RANKS = ((1, 10), (11, 100), (101, 1000), (1001, 5000))


@dataclass(frozen=True)
class Corpus:
    """A token stream with its labels."""

    tokens: np.ndarray  # (n,) int32
    labels: np.ndarray  # (n,) uint8, index into `tasks`
    scored: np.ndarray  # (n,) bool, True for tokens that test their task; the others are prompt
    tasks: tuple[str, ...]
    words: tuple[str, ...]  # the vocabulary; words[id] is the text of a token

    def __len__(self) -> int:
        return len(self.tokens)

    def histogram(self) -> dict[str, float]:
        """Share of the tokens of each task."""
        counts = np.bincount(self.labels, minlength=len(self.tasks))
        return dict(zip(self.tasks, (counts / len(self)).tolist(), strict=True))

    def digest(self) -> str:
        """SHA-256 of tokens, labels and marks: equal parameters give equal ones on any machine."""
        hashed = hashlib.sha256()
        for array, kind in ((self.tokens, "<i4"), (self.labels, "u1"), (self.scored, "u1")):
            hashed.update(np.ascontiguousarray(array, dtype=kind).tobytes())
        return hashed.hexdigest()

    def text(self, start: int = 0, stop: int | None = None) -> str:
        """The words of a stretch, with spaces between them."""
        return " ".join(self.words[i] for i in self.tokens[start:stop])

    def parts(self) -> tuple[np.ndarray, list[str]]:
        """Finer labels, which separate prompt from scored tokens: (n,) ints and their names."""
        names = [f"{task} {part}" for task in self.tasks for part in ("prompt", "scored")]
        return 2 * self.labels.astype(np.int64) + self.scored, names


@dataclass(frozen=True)
class Probe:
    """Test prompts for one skill: windows of equal length that end in a scored segment."""

    name: str
    tokens: np.ndarray  # (n, length) int32
    scored: np.ndarray  # (n, length) bool, the same number of tokens in every row
    choices: tuple[int, ...] | None = None  # the answers that compete; None: the whole vocabulary
    other: np.ndarray | None = None  # (n,) int32, a rival answer at the last scored token

    @property
    def targets(self) -> np.ndarray:
        """The scored tokens, (n, k) int32."""
        return self.tokens[self.scored].reshape(len(self.tokens), -1)  # (n k,) -> (n, k)


class Floor(NamedTuple):
    """The least mean loss that any model can reach, nats per token."""

    all: float  # over all tokens of the task
    scored: float  # over its scored tokens
    prompt: float  # over the others


@dataclass(frozen=True)
class TaskWorld(Lexicon):
    """Grammar, word categories, facts, sentiment, translation, places and sums, in one stream.

    Args:
        categories, words: number of noun categories and of words in each, at most 12 and 12.
        facts: number of facts, each a two-syllable name with one of the nouns as its value.
        zipf: the fact of rank k is asked with probability proportional to k**-zipf.
        modular: share of arithmetic segments that are `a * b + c mod 97` in place of `a + b`.
        seed: of the facts; the corpus has a seed of its own.

    Raises:
        InputError: a number outside its range.
    """

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return len(self.vocabulary)

    def encode(self, text: str) -> np.ndarray:
        """Words with spaces between them -> (n,) int32 ids.

        Raises:
            InputError: a word that this world does not have.
        """
        index = {word: i for i, word in enumerate(self.vocabulary)}
        unknown = [word for word in text.split() if word not in index]
        if unknown:
            raise InputError(f"text holds {unknown[0]!r}, which is not a word of this world")
        return np.array([index[word] for word in text.split()], dtype=np.int32)

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """Ids -> words with spaces between them."""
        return " ".join(self.vocabulary[i] for i in ids)

    def _mixture(self, mixture: Mapping[str, float] | None) -> dict[str, float]:
        mixture = dict(MIXTURE if mixture is None else mixture)
        unknown = [task for task in mixture if task not in TASKS]
        if unknown:
            raise InputError(f"mixture names {unknown[0]!r}; the tasks are {', '.join(TASKS)}")
        if min(mixture.values(), default=-1) < 0 or not math.isclose(
            sum(mixture.values()), 1, abs_tol=1e-6
        ):
            raise InputError(
                f"mixture is {mixture}; its shares must be 0 or more and sum to 1 (over tokens)"
            )
        return {task: mixture.get(task, 0.0) for task in TASKS}

    def _entropy(self, task: str) -> Entropy:
        return ENTROPIES[task](self)

    def sample(
        self, tokens: int, seed: int = 0, mixture: Mapping[str, float] | None = None
    ) -> Corpus:
        """A stream of short segments of all tasks, in random order.

        Args:
            tokens: length of the stream; the last segment may be cut.
            seed: of the draws.
            mixture: share of the tokens per task; sums to 1. From 4096 tokens on, the labels
                match it within 1 % of all tokens; from 100 000 on, within 1 % of each share that
                is 0.05 or more.

        Raises:
            InputError: tokens below 1, an unknown task, or shares that do not sum to 1.
        """
        if tokens < 1:
            raise InputError(f"tokens is {tokens}; it must be 1 or more")
        shares = self._mixture(mixture)
        drawn, labels, spare = [], [], []
        left = tokens
        for label, (task, share) in enumerate(shares.items()):
            if share == 0:
                continue
            quota = share * tokens
            r = rng(seed, "worlds", task)
            enough = int(quota / self._entropy(task).length * 1.1) + 40
            made: Segments = GENERATORS[task](self, r, enough)
            kept = int(np.searchsorted(np.cumsum(made.lengths), quota, side="right"))
            used = int(made.lengths[:kept].sum())
            left -= used
            drawn.append(made[:kept])
            labels.append(np.full(kept, label, np.uint8))
            spare.append((quota - used, label, made[kept : kept + 1]))
        for _, label, segment in sorted(spare, key=lambda s: -s[0]):  # the largest gap first
            if left <= 0:
                break
            drawn.append(segment)
            labels.append(np.full(1, label, np.uint8))
            left -= int(segment.lengths[0])
        segments, names = Segments.join(drawn), np.concatenate(labels)
        order = rng(seed, "worlds", "order").permutation(len(names))
        segments, names = segments[order], names[order]
        inside = np.arange(WIDTH) < segments.lengths[:, None]  # (segments, WIDTH)
        return Corpus(
            tokens=segments.rows[inside][:tokens].astype(np.int32),
            labels=np.repeat(names, segments.lengths)[:tokens],
            scored=segments.scored[inside][:tokens],
            tasks=TASKS,
            words=self.vocabulary,
        )

    def floors(self, mixture: Mapping[str, float] | None = None) -> dict[str, Floor]:
        """The entropy of each task and, as "total", of the stream, in nats per token.

        It is exact for a reader who knows all rules and sees the whole stream so far. The first
        token of each segment tells which task it is, and is charged for that choice.
        """
        shares = {task: share for task, share in self._mixture(mixture).items() if share > 0}
        entropies = {task: self._entropy(task) for task in shares}
        rates = {task: share / entropies[task].length for task, share in shares.items()}
        segments = sum(rates.values())
        floors, total, scored, marked = {}, 0.0, 0.0, 0.0
        for task, e in entropies.items():
            choice = -math.log(rates[task] / segments)
            prompt = (e.total - e.scored + choice) / (e.length - e.scored_tokens)
            floors[task] = Floor((e.total + choice) / e.length, e.scored / e.scored_tokens, prompt)
            total += rates[task] * (e.total + choice)
            scored += rates[task] * e.scored
            marked += rates[task] * e.scored_tokens
        floors["total"] = Floor(total, scored / marked, (total - scored) / (1 - marked))
        return floors

    def probes(
        self,
        count: int = 320,
        length: int = 32,
        seed: int = 5,
        mixture: Mapping[str, float] | None = None,
    ) -> list[Probe]:
        """Held-out prompts: a random stream, then one whole segment whose answer is scored.

        Grammar comes once per number of distractors (0..3; only `is` and `are` compete), facts
        once per band of ranks (1-10, 11-100, 101-1000, 1001-5000, cut at the number of facts),
        arithmetic once per operation in use.

        Args:
            count: prompts per probe.
            length: tokens per window, at least 16.
            seed: of the draws.
            mixture: of the stream before the segment.

        Raises:
            InputError: a count below 1 or a length below 16.
        """
        if count < 1 or length < WIDTH:
            raise InputError(
                f"count is {count} and length {length}; they must be at least 1 and {WIDTH}"
            )
        probes = []

        def add(name: str, made: Segments, choices: tuple[int, ...] | None = None) -> None:
            size = int(made.lengths[0])
            before = length - size
            stream = self.sample(max(4096, count * length), seed, mixture).tokens
            shift = rng(seed, "worlds", "probe", name).permutation(len(stream) - before)[:count]
            context = stream[shift[:, None] + np.arange(before)]
            if before:
                context[:, -1] = self.END
            tokens = np.concatenate([context, made.rows[:, :size]], axis=1).astype(np.int32)
            scored = np.zeros_like(tokens, dtype=bool)
            scored[:, before:] = made.scored[:, :size]
            probes.append(Probe(name, tokens, scored, choices))

        for task, generate in GENERATORS.items():
            r = rng(seed, "worlds", "probe", task)
            if task == "grammar":
                for depth in range(4):
                    verbs = (int(self.verbs[0]), int(self.verbs[1]))
                    add(f"grammar {depth}", grammar(self, r, count, depth), verbs)
            elif task == "facts":
                for low, high in RANKS:
                    high = min(high, self.facts)
                    if low <= high:
                        ranks = r.integers(low - 1, high, count)
                        add(f"facts {low}-{high}", facts(self, r, count, ranks))
            elif task == "arithmetic":
                for kind, used in (("sum", self.modular < 1), ("modular", self.modular > 0)):
                    if used:
                        name = "arithmetic" if kind == "sum" else "modular arithmetic"
                        add(name, generate(self, r, count, kind))
            else:
                add(task, generate(self, r, count))
        return probes
