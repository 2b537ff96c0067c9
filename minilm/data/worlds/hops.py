"""Facts in separate documents, and questions that need one of them or two.

    ann has cup        cup in attic        bob has hat        hat in hall   ...

"what ann ?" is answered by one document, which holds the word "ann". "where ann ?" needs two, and
the second, "cup in attic", shares no word with the question: no search for the question's words
finds it. Documents are in random order; those of other people are distractors. Every answer is
known, and so is every document that it needs.
"""

from dataclasses import dataclass

import numpy as np

from minilm import backend
from minilm.errors import InputError

Array = np.ndarray
PEOPLE = (
    "ann bob carl dora eve fred gina hank iris jack kate liam mona nick olga paul quin rosa sam "
    "tess udo vera walt xena yuri zoe abe bea cleo dirk ella finn greta hugo inga jean kurt lena "
    "mark nora"
).split()
THINGS = (
    "cup hat pen key coin book ring lamp rope drum fork bell mask comb kite shoe sock belt harp "
    "bowl vase jar pot fan map flag toy doll ball bike saw axe nail brush soap clock chain scarf "
    "glove purse"
).split()
PLACES = (
    "attic hall cellar garden kitchen barn shed porch garage tower study bath loft stable yard gate"
).split()
FEW = ["has", "in", "where", "what", "?", "."]
WORDS = [*FEW, *PEOPLE, *THINGS, *PLACES]
ID = {word: i for i, word in enumerate(WORDS)}
HAS, IN, WHERE, WHAT, ASK, NONE = range(6)
KINDS = ("where person", "what person", "where thing")  # two hops, one hop, one hop
MOST = len(PEOPLE)  # people of one text


def words_of(ids: Array) -> str:
    """Ids (...) as words with spaces between."""
    return " ".join(WORDS[i] for i in np.ravel(ids))


@dataclass(frozen=True)
class Asked:
    """Questions about documents, one a row.

    Attributes:
        documents: (B, N, 3) int32 ids, in random order.
        question: (B, 3) int32 ids.
        answer: (B,) int64 id.
        needed: (B, N) bool, the documents that the answer follows from.
        kind: (B,) int64 places in `KINDS`.
    """

    documents: Array
    question: Array
    answer: Array
    needed: Array
    kind: Array


@dataclass(frozen=True)
class Hops:
    """Texts of people who have things that are in places; a place may hold several.

    Attributes:
        documents: (B, N, 3) int32 ids; N is twice the people.
        people, things, places: (B, C) int64 ids, one chain a column.
        first, second: (B, C) int64, which document tells of the person, and which of the thing.
    """

    documents: Array
    people: Array
    things: Array
    places: Array
    first: Array
    second: Array

    def ask(self, chain: Array, kind: Array) -> Asked:
        """One question for each text: (B,) which chain, (B,) which of `KINDS`."""
        rows = np.arange(len(self.documents))
        person, thing, place = (x[rows, chain] for x in (self.people, self.things, self.places))
        what, of_thing = kind == 1, kind == 2
        question = np.stack(
            [
                np.where(what, WHAT, WHERE),
                np.where(of_thing, thing, person),
                np.full(len(rows), ASK),
            ],
            axis=1,
        ).astype(np.int32)
        needed = np.zeros(self.documents.shape[:2], bool)
        needed[rows, self.first[rows, chain]] |= ~of_thing
        needed[rows, self.second[rows, chain]] |= ~what
        return Asked(self.documents, question, np.where(what, thing, place), needed, kind)


def draw_hops(count: int, distractors: int, seed: int = 0, step: int = 0) -> Hops:
    """`count` texts of 2 + distractors documents.

    Args:
        count: B.
        distractors: documents that no question about the first chain needs; an even number.
        seed, step: of the draw.

    Raises:
        InputError: no text, or distractors that are odd, negative or more than there are names for.
    """
    if count < 1:
        raise InputError(f"count is {count}; it must be 1 or more")
    most = 2 * MOST - 2
    if distractors < 0 or distractors % 2 or distractors > most:
        raise InputError(f"distractors is {distractors}; it must be even and from 0 to {most}")
    chains, rng = 1 + distractors // 2, backend.rng(seed, "hops", step)

    def some(words: list[str]) -> Array:
        return np.argsort(rng.random((count, len(words))), axis=1)[:, :chains] + ID[words[0]]

    people, things = some(PEOPLE), some(THINGS)  # (B, C), all different in a row
    places = rng.integers(0, len(PLACES), (count, chains)) + ID[PLACES[0]]
    told = np.concatenate(
        [
            np.stack([people, np.full_like(people, HAS), things], -1),
            np.stack([things, np.full_like(people, IN), places], -1),
        ],
        axis=1,
    )  # (B, 2 C, 3)
    order = np.argsort(rng.random((count, 2 * chains)), axis=1)
    at = np.argsort(order, axis=1)  # where each document went
    documents = np.take_along_axis(told, order[..., None], axis=1).astype(np.int32)
    return Hops(documents, people, things, places, at[:, :chains], at[:, chains:])
