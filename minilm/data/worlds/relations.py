"""A graph of facts, and questions of several hops whose answers are known.

    ann chief bob .        bob tutor carl .        ask coach boss ann : carl .

Every person has one chief, one friend and so on: a relation maps people to people, no two of them
to the same one. A fact is told with the relation's own word. A question uses other words for it,
and what they mean is nowhere said: it must be learnt from answers. The word next to the person is
followed first, so "coach boss ann" is the tutor of the chief of ann. All facts may be known and yet
no question of two hops answered: nobody wrote down where two facts meet.

The same question can be answered by its answer alone, or by a worked chain, which names each fact
on the way: "ask coach boss ann : ann chief bob . bob tutor carl . so carl ."
"""

from dataclasses import dataclass, field
from itertools import product

import numpy as np

from minilm.backend import rng
from minilm.data.pairs import refuse_below
from minilm.errors import InputError

Array = np.ndarray
NAMES = [a + b for a, b in product("ba ko mi tu re lo sa ne".split(), "dor fen lim sax".split())]
_MORE = "dor fen lim sax nel rup wyn tas"
NAMES += [a + b for a, b in product("ha ju vi po".split(), _MORE.split())]
KINDS = {  # the word of facts: two words of questions
    "chief": ("boss", "head"),
    "friend": ("pal", "mate"),
    "tutor": ("coach", "mentor"),
    "rival": ("foe", "enemy"),
    "heir": ("scion", "successor"),
    "guest": ("visitor", "lodger"),
}
MARKS = ["ask", ":", ".", "so"]
ASK, GIVES, DOT, SO = range(4)
WORDINGS = 2  # of a relation in questions


@dataclass(frozen=True)
class RelationWorld:
    """People, relations between them, and questions.

    A question is a row of numbers: the person, then a word for each hop, in the order in which the
    hops are taken; word w stands for the relation w // 2.

    Args:
        people: N, at most 64.
        relations: R, at most 6.
        world: seed of the facts.

    Attributes:
        table: (R, N) int64, whom each relation leads to from each person.
        words: the vocabulary; marks, relations, words of questions, people.

    Raises:
        InputError: a number out of range.
    """

    people: int = 60
    relations: int = 4
    world: int = 7
    table: Array = field(init=False, repr=False, compare=False)
    words: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        refuse_below(3, people=self.people)
        refuse_below(1, relations=self.relations)
        for name, value, most in (
            ("people", self.people, len(NAMES)),
            ("relations", self.relations, len(KINDS)),
        ):
            if value > most:
                raise InputError(f"{name} is {value}; it must be at most {most}")
        r = rng(self.world, "worlds", "relations")
        kinds = list(KINDS)[: self.relations]
        asked = [word for kind in kinds for word in KINDS[kind]]
        table = np.stack([_nobody_to_himself(self.people, r) for _ in kinds])
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "words", tuple([*MARKS, *kinds, *asked, *NAMES[: self.people]]))

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return len(self.words)

    @property
    def wordings(self) -> int:
        """W, words that questions have for relations."""
        return WORDINGS * self.relations

    @property
    def _first_asked(self) -> int:
        return len(MARKS) + self.relations

    @property
    def first_person(self) -> int:
        """The id of the first person; the others follow."""
        return self._first_asked + self.wordings

    def text(self, ids: Array) -> str:
        """The words of some ids, with spaces between them."""
        return " ".join(self.words[i] for i in np.ravel(ids))

    def graph(self) -> dict[int, list[tuple[int, int]]]:
        """The facts as edges: person -> (relation, person) pairs, in numbers."""
        return {
            n: [(r, int(self.table[r, n])) for r in range(self.relations)]
            for n in range(self.people)
        }

    def facts(self) -> Array:
        """Every fact as text, (R N, 4) ids: "ann chief bob ."."""
        relation, person = np.divmod(np.arange(self.table.size), self.people)
        return self._told(person, relation)

    def _told(self, person: Array, relation: Array) -> Array:
        """Facts about persons (...) -> (..., 4) ids."""
        other = self.table[relation, person]
        dots = np.full_like(person, DOT)
        named = self.first_person + person, len(MARKS) + relation, self.first_person + other
        return np.stack([*named, dots], axis=-1)

    def questions(self, hops: int = 2) -> Array:
        """Every question of so many hops, (N W^hops, 1 + hops) int64."""
        refuse_below(1, hops=hops)
        sizes = [self.people, *[self.wordings] * hops]
        places = np.arange(int(np.prod(sizes)))
        return np.stack(np.unravel_index(places, sizes), axis=1).astype(np.int64)

    def split(self, test: int, seed: int = 0, hops: int = 2) -> tuple[Array, Array]:
        """All questions in random order: those to learn from, and `test` others.

        A way through the graph that is tested is not learnt from in other words either: no person
        and relations of the test are among the rest.

        Args:
            test: how many to test on; ways through the graph are held out until they give so many.
            seed: of the order.
            hops: of the questions.

        Raises:
            InputError: a test that leaves nothing, or is nothing.
        """
        everything = self.questions(hops)
        if not 1 <= test < len(everything):
            raise InputError(
                f"test is {test}; it must be from 1 to {len(everything) - 1}, as there are "
                f"{len(everything)} questions"
            )
        r = rng(seed, "worlds", "relations", "split")
        everything = everything[r.permutation(len(everything))]
        ways = everything.copy()
        ways[:, 1:] //= WORDINGS
        _, way = np.unique(ways, axis=0, return_inverse=True)
        way = way.reshape(-1)  # some versions of NumPy give (M, 1)
        held = way < -1
        for one in r.permutation(way.max() + 1):
            if held.sum() >= test:
                break
            held |= way == one
        if held.all():
            raise InputError(f"test is {test}; it leaves no question to learn from")
        return everything[~held], everything[held][:test]

    def along(self, questions: Array) -> Array:
        """Who is met on the way, (M, 1 + hops): the person, then whom each hop leads to."""
        questions = self._checked(questions)
        met = [questions[:, 0]]
        for words in questions[:, 1:].T:
            met.append(self.table[words // WORDINGS, met[-1]])
        return np.stack(met, axis=1)

    def answers(self, questions: Array) -> Array:
        """Who the answer is, (M,)."""
        return self.along(questions)[:, -1]

    def prompts(self, questions: Array) -> Array:
        """Questions as text, (M, hops + 3) ids: "ask coach boss ann :"."""
        questions = self._checked(questions)
        ids = np.empty((len(questions), questions.shape[1] + 2), np.int64)
        ids[:, 0], ids[:, -1] = ASK, GIVES
        ids[:, 1:-1] = questions[:, ::-1]
        ids[:, 1:-2] += self._first_asked
        ids[:, -2] += self.first_person
        return ids

    def direct(self, questions: Array) -> Array:
        """Questions with their answers, (M, hops + 5) ids: "ask coach boss ann : carl ."."""
        prompts, answers = self.prompts(questions), self.answers(questions)
        end = np.stack([self.first_person + answers, np.full_like(answers, DOT)], axis=1)
        return np.concatenate([prompts, end], axis=1)

    def chains(self, questions: Array) -> Array:
        """Questions with each fact on the way, then the answer, (M, 5 hops + 6) ids."""
        questions = self._checked(questions)
        met = self.along(questions)
        steps = self._told(met[:, :-1], questions[:, 1:] // WORDINGS)  # (M, hops, 4)
        last = met[:, -1]
        end = np.stack([np.full_like(last, SO), self.first_person + last, np.full_like(last, DOT)])
        parts = [self.prompts(questions), steps.reshape(len(steps), -1), end.T]  # (M, 4 hops)
        return np.concatenate(parts, axis=1)

    def verify(self, questions: Array, written: Array) -> Array:
        """Whether each text behind a question is a chain that proves its answer, (M,) bool.

        Each sentence must be a fact, the first about the person asked for, each other about whom
        the one before it led to, with the relations that the question's words stand for; and the
        answer must be whom the last one led to. Only facts are looked up: the verifier follows the
        text, and does not compare it with a chain of its own.

        Args:
            questions: (M, 1 + hops).
            written: (M, T) ids, what stands behind the prompt; ids after the chain do not matter.
        """
        questions, written = self._checked(questions), np.asarray(written)
        hops = questions.shape[1] - 1
        if written.ndim != 2 or len(written) != len(questions):
            raise InputError(
                f"written has shape {written.shape}; it must be ({len(questions)}, T), a row for "
                "each question"
            )
        if written.shape[1] < 4 * hops + 3:
            return np.zeros(len(written), bool)  # too short for any chain
        right = np.ones(len(written), bool)
        here = questions[:, 0]
        for hop in range(hops):
            person, relation, other, dot = written[:, 4 * hop : 4 * hop + 4].T
            relation, led = relation - len(MARKS), other - self.first_person
            known = (relation >= 0) & (relation < self.relations)
            fact = self.table[np.where(known, relation, 0), here] == led
            right &= known & fact & (person - self.first_person == here) & (dot == DOT)
            right &= relation == questions[:, 1 + hop] // WORDINGS
            here = np.where(right, led, 0)
        so, answer, dot = written[:, 4 * hops : 4 * hops + 3].T
        return right & (so == SO) & (answer - self.first_person == here) & (dot == DOT)

    def _checked(self, questions: Array) -> Array:
        questions = np.asarray(questions)
        if questions.ndim != 2 or questions.shape[1] < 2:
            raise InputError(
                f"questions has shape {questions.shape}; it must be (M, 1 + hops), a person and a "
                "word for each hop"
            )
        for name, part, most in (
            ("people", questions[:, 0], self.people),
            ("words", questions[:, 1:], self.wordings),
        ):
            if part.size and not 0 <= part.min() <= part.max() < most:
                raise InputError(
                    f"questions name {name} {part.min()} to {part.max()}; they must be from 0 to "
                    f"{most - 1}"
                )
        return questions


def _nobody_to_himself(count: int, r: np.random.Generator) -> Array:
    """A random permutation without fixed points."""
    while True:
        found = r.permutation(count)
        if (found != np.arange(count)).all():
            return found
