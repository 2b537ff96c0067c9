"""Animals with four facts each, answers about them, and a reward that is known exactly.

A prompt asks to describe an animal. A good answer is up to four sentences that say different true
things:

    <|im_start|> user describe the badfen <|im_end|> <|im_start|> assistant
    it is blue . it eats fish . <|im_end|>
"""

from dataclasses import dataclass, field

import numpy as np

from minilm.backend import rng
from minilm.data.pairs import refuse_below
from minilm.errors import InputError

MARKS = ["<|im_start|>", "<|im_end|>"]
KINDS = {  # what an animal has: the verb, and the values
    "colour": ("is", "black white brown grey red green yellow blue".split()),
    "size": ("is", "tiny small middling tall big huge".split()),
    "food": ("eats", "fish grass seeds fruit meat bread honey leaves".split()),
    "home": ("likes", "trees rivers caves fields deserts houses hills barns".split()),
}
FILLERS = "good nice fun".split()  # "it is good .": says nothing
ANIMALS = [first + last for first in "ba ko mi tu".split() for last in "dor fen lim sax".split()]
WORDS = [
    *MARKS,
    *"user assistant describe the it . is eats likes".split(),
    *(value for _, values in KINDS.values() for value in values),
    *FILLERS,
    *ANIMALS,
]
ID = {word: i for i, word in enumerate(WORDS)}
SENTENCES = 4  # of an answer, at most
LENGTH = 4  # tokens of a sentence
PROMPT = 8  # tokens


@dataclass(frozen=True)
class Counts:
    """What an answer holds, (N,) int64 each.

    Attributes:
        true, false: facts that were not said before in the answer.
        repeats: facts and fillers that were.
        fillers: sentences that say nothing.
        broken: sentences of no known form, unfinished ones among them.
        length: tokens before the end.
        ended: (N,) bool, whether the answer ends.
    """

    true: np.ndarray
    false: np.ndarray
    repeats: np.ndarray
    fillers: np.ndarray
    broken: np.ndarray
    length: np.ndarray
    ended: np.ndarray


@dataclass(frozen=True)
class AnimalWorld:
    """Sixteen animals, 64 facts.

    Args:
        world: seed of the facts.

    Attributes:
        truth: (16, 4) ids, the value that each animal has of each kind.
        end: the id that ends an answer.
        answer: most tokens of an answer, its end included.
    """

    world: int = 7
    truth: np.ndarray = field(init=False, repr=False, compare=False)
    end: int = field(init=False, default=ID["<|im_end|>"])
    answer: int = field(init=False, default=SENTENCES * LENGTH + 1)

    def __post_init__(self) -> None:
        r = rng(self.world, "worlds", "animals")
        facts = [[ID[r.choice(values)] for _, values in KINDS.values()] for _ in ANIMALS]
        object.__setattr__(self, "truth", np.array(facts))

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return len(WORDS)

    def text(self, ids: np.ndarray) -> str:
        """The words of one row; ends that only fill it up are left out."""
        words = [WORDS[i] for i in ids]
        while words[-2:] == [MARKS[1]] * 2:
            words.pop()
        return " ".join(words)

    def prompts(self, animals: np.ndarray) -> np.ndarray:
        """What is asked about each animal: (N,) numbers from 0 to 15 -> (N, 8) ids.

        Raises:
            InputError: an animal that is not there.
        """
        animals = np.asarray(animals)
        if animals.size == 0 or animals.min() < 0 or animals.max() >= len(ANIMALS):
            span = f"{animals.min()} to {animals.max()}" if animals.size else "no numbers"
            raise InputError(f"animals holds {span}; it must hold numbers from 0 to 15")
        question = f"{MARKS[0]} user describe the bador {MARKS[1]} {MARKS[0]} assistant"
        rows = np.tile([ID[word] for word in question.split()], (len(animals), 1))
        rows[:, 4] = ID[ANIMALS[0]] + animals
        return rows

    def _sentences(
        self, r: np.random.Generator, animals: np.ndarray, true: float, filler: float
    ) -> np.ndarray:
        """One sentence about each animal, (N, 4) ids."""
        n, kinds = len(animals), list(KINDS.values())
        kind = r.integers(len(kinds), size=n)
        verbs = np.array([ID[verb] for verb, _ in kinds])
        sizes = np.array([len(values) for _, values in kinds])
        starts = np.array([ID[values[0]] for _, values in kinds])
        value = starts[kind] + r.integers(sizes[kind])
        value = np.where(r.random(n) < true, self.truth[animals, kind], value)
        empty = r.random(n) < filler
        rows = np.empty((n, LENGTH), np.int64)
        rows[:] = [ID["it"], 0, 0, ID["."]]
        rows[:, 1] = np.where(empty, ID["is"], verbs[kind])
        rows[:, 2] = np.where(empty, ID[FILLERS[0]] + r.integers(len(FILLERS), size=n), value)
        return rows

    def stream(
        self, documents: int, seed: int, true: float = 0.9, filler: float = 0.1
    ) -> np.ndarray:
        """Text to pre-train on: documents of 2 to 5 sentences, one after the other, (T,) ids.

        The first sentence names the animal, "the badfen is blue .".

        Args:
            documents: how many.
            seed: of the text.
            true: how often a fact is looked up and not guessed.
            filler: how often a sentence says nothing.
        """
        refuse_below(1, documents=documents)
        r = rng(seed, "worlds", "animals", "stream")
        animals, count = r.integers(len(ANIMALS), size=documents), r.integers(2, 6, size=documents)
        about = np.repeat(animals, count)
        rows = self._sentences(r, about, true, filler)
        first = np.cumsum(count) - count
        named = np.concatenate([rows, rows[:, :1]], axis=1)  # room for "the NAME" before the verb
        named[:, 1:] = rows
        named[first, 0], named[first, 1] = ID["the"], ID[ANIMALS[0]] + animals
        named[first, 2:] = rows[first, 1:]
        keep = np.ones(named.shape, bool)
        keep[:, 0] = False
        keep[first, 0] = True
        return named[keep]

    def demonstrations(
        self,
        n: int,
        seed: int,
        true: float = 0.75,
        filler: float = 0.2,
        animals: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Answers of mixed quality: 1 to 4 sentences, drawn with repeats.

        Args:
            n: how many.
            seed: of the answers.
            true, filler: as in `stream`.
            animals: (n,) numbers; None: drawn.

        Returns:
            ids (n, 25), prompt and answer, filled up with ends; said (n, 25) bool, True for the
            tokens of the answer, its end included.
        """
        refuse_below(1, n=n)
        r = rng(seed, "worlds", "animals", "answers")
        about = r.integers(len(ANIMALS), size=n) if animals is None else np.asarray(animals)
        ids = np.full((n, PROMPT + self.answer), self.end, np.int64)
        ids[:, :PROMPT] = self.prompts(about)
        rows = self._sentences(r, np.repeat(about, SENTENCES), true, filler)
        length = LENGTH * r.integers(1, SENTENCES + 1, size=n)
        place = np.arange(self.answer)
        written = place < length[:, None]  # (n, 17)
        answer = rows.reshape(n, SENTENCES * LENGTH)  # (4 n, 4) -> (n, 16)
        ids[:, PROMPT:-1] = np.where(written[:, :-1], answer, self.end)
        said = np.zeros(ids.shape, bool)
        said[:, PROMPT:] = place <= length[:, None]
        return ids, said

    def counts(self, ids: np.ndarray) -> Counts:
        """What answers hold: ids (N, 25), prompt and answer, as `demonstrations` gives them.

        Raises:
            InputError: rows of another length.
        """
        ids = np.asarray(ids)
        if ids.ndim != 2 or ids.shape[1] != PROMPT + self.answer:
            raise InputError(f"ids have shape {ids.shape}; it must be (N, {PROMPT + self.answer})")
        animal, answer = ids[:, 4] - ID[ANIMALS[0]], ids[:, PROMPT:]
        ends = answer == self.end
        length = np.where(ends.any(1), ends.argmax(1), self.answer)
        kind_of = np.full(len(WORDS), -1)
        for kind, (_, values) in enumerate(KINDS.values()):
            kind_of[[ID[value] for value in values]] = kind
        verb_of = np.array([ID[verb] for verb, _ in KINDS.values()])
        blank = np.zeros(len(WORDS), bool)
        blank[[ID[word] for word in FILLERS]] = True
        rows = np.arange(len(ids))
        seen = np.zeros((len(ids), len(WORDS)), bool)
        true, false, repeats, fillers, broken = np.zeros((5, len(ids)), np.int64)
        for start in range(0, SENTENCES * LENGTH, LENGTH):
            subject, verb, value, dot = answer[:, start : start + LENGTH].T
            kind, here = kind_of[value], length > start
            whole = (length >= start + LENGTH) & (subject == ID["it"]) & (dot == ID["."])
            fact = whole & (kind >= 0) & (verb == verb_of[kind])
            filler = whole & blank[value] & (verb == ID["is"])
            again = (fact | filler) & seen[rows, value]
            right = fact & (self.truth[animal, kind] == value)
            true += right & ~again
            false += fact & ~right & ~again
            fillers += filler & ~again
            repeats += again
            broken += here & ~fact & ~filler
            seen[rows, value] |= fact | filler
        return Counts(true, false, repeats, fillers, broken, length, ends.any(1))

    def gold(self, ids: np.ndarray) -> np.ndarray:
        """The true reward, (N,) float64: distinct true facts, less what is wrong with the answer.

        A false fact, a broken sentence and a missing end cost 1 each, a repeat 1/2, a filler 1/4.
        The best answer has 4.
        """
        c = self.counts(ids)
        return c.true - c.false - c.broken - ~c.ended - 0.5 * c.repeats - 0.25 * c.fillers
