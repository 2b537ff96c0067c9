"""Questions about the scenes of `scenes`, their answers, and the words of both as ids.

`answer` is the oracle: it reads a question and a scene. A question that a scene leaves open, as
one about "the ring" where there are two, is asked by nobody.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minilm.backend import rng
from minilm.data.images import scenes as world
from minilm.data.images.scenes import KINDS, NAMES, NUMBERS, Scene, Thing
from minilm.data.images.sprites import COLOURS
from minilm.errors import InputError

ABOUT = ("colour", "kind", "count", "where", "cell", "relation")
RELATIONS = ("left of", "right of", "above", "below")
PAD, START = "", "<start>"
WORDS = (
    *(PAD, START),
    *("?", ".", ","),
    *COLOURS,
    *KINDS,
    *NAMES,
    *NUMBERS,
    *("a at and are colour how is many nothing of the there thing things what where").split(),
    *("left right above below yes no").split(),
)
LONGEST = 8  # words of a question: "is the ring left of the 7 ?"
_IDS = {word: i for i, word in enumerate(WORDS)}


class Exam(NamedTuple):
    """Pictures with one question each."""

    images: np.ndarray  # (N, 3, 20, 20) float32
    scenes: list[Scene]
    questions: list[str]
    answers: list[str]  # one word each
    about: list[str]  # of `ABOUT`


def answer(scene: Sequence[Thing], question: str) -> str | None:
    """The answer in one word, or None where the scene leaves the question open.

    Raises:
        InputError: a question outside the grammar (`ask` shows all of it).
    """
    match question.split():
        case ["what", "colour", "is", "the", kind, "?"] if kind in KINDS:
            found = _only(scene, kind)
            return found and found.colour
        case ["what", "is", "the", colour, "thing", "?"] if colour in COLOURS:
            found = [thing for thing in scene if thing.colour == colour]
            return found[0].kind if len(found) == 1 else None
        case ["how", "many", "things", "are", "there", "?"]:
            return NUMBERS[len(scene)]
        case ["how", "many", colour, "things", "are", "there", "?"] if colour in COLOURS:
            return NUMBERS[sum(thing.colour == colour for thing in scene)]
        case ["where", "is", "the", kind, "?"] if kind in KINDS:
            found = _only(scene, kind)
            return found and found.cell
        case ["what", "is", "at", cell, "?"] if cell in NAMES:
            return next((thing.kind for thing in scene if thing.cell == cell), "nothing")
        case ["is", "the", one, *relation, "the", other, "?"] if (
            one in KINDS and other in KINDS and " ".join(relation) in RELATIONS
        ):
            a, b = _only(scene, one), _only(scene, other)
            if a is None or b is None or one == other:
                return None
            return "yes" if _holds(" ".join(relation), a, b) else "no"
    raise InputError(f"question {question!r} is outside the grammar of this world")


def _only(scene: Sequence[Thing], kind: str) -> Thing | None:
    """The thing of a kind where there is exactly one."""
    found = [thing for thing in scene if thing.kind == kind]
    return found[0] if len(found) == 1 else None


def _holds(relation: str, a: Thing, b: Thing) -> bool:
    return {
        "left of": a.column < b.column,
        "right of": a.column > b.column,
        "above": a.row < b.row,
        "below": a.row > b.row,
    }[relation]


def ask(scene: Sequence[Thing], about: str, random: np.random.Generator) -> str | None:
    """A random question that the scene answers, or None where it has none of this sort.

    Args:
        scene: what is asked about.
        about: one of `ABOUT`.
        random: chooses.

    Raises:
        InputError: another `about`.
    """

    def one(words: Sequence[str]) -> str:
        return words[random.integers(len(words))]

    kinds, colours = [t.kind for t in scene], [t.colour for t in scene]
    if about == "colour":
        asked = f"what colour is the {one(kinds)} ?"
    elif about == "kind":
        asked = f"what is the {one(colours)} thing ?"
    elif about == "count":  # half of them of one colour, which may be there or not
        which = random.integers(4)
        colour = one(colours) if which == 0 else one(tuple(COLOURS))
        asked = f"how many {colour} things are there ?" if which < 2 else (
            "how many things are there ?"
        )  # fmt: skip
    elif about == "where":
        asked = f"where is the {one(kinds)} ?"
    elif about == "cell":  # most are of a cell that is not empty
        cell = one([t.cell for t in scene]) if random.integers(4) else one(NAMES)
        asked = f"what is at {cell} ?"
    elif about == "relation":
        asked = f"is the {one(kinds)} {one(RELATIONS)} the {one(kinds)} ?"
    else:
        raise InputError(f"about is {about!r}; it must be one of {', '.join(ABOUT)}")
    return asked if answer(scene, asked) is not None else None


def exam(
    count: int,
    seed: int = 0,
    about: Sequence[str] = ABOUT,
    most: int = world.MOST,
    kinds: Sequence[str] = KINDS,
) -> Exam:
    """Random scenes with one random question each; the sorts of questions take turns.

    Args:
        count: how many, N.
        seed: of all that is random.
        about: the sorts of questions, of `ABOUT`.
        most, kinds: of the scenes, as in `scenes.scenes`.

    Raises:
        InputError: no sort, an unknown one, or one that none of 1,000 scenes can be asked about
            (relations need two things); as `scenes.scenes`.
    """
    if not about:
        raise InputError("about is empty; it must name at least one sort of question")
    world.check_world(count, most, kinds)
    random = rng(seed, "asking")
    made, questions = [], []
    sorts = [about[i % len(about)] for i in range(count)]
    for sort in sorts:
        for _ in range(1000):
            scene = world.one_scene(random, most, kinds)
            question = ask(scene, sort, random)
            if question is not None:
                break
        else:
            raise InputError(
                f"about has {sort!r}; scenes of at most {most} things of {len(kinds)} kinds cannot "
                "be asked about that"
            )
        made.append(scene)
        questions.append(question)
    answers = [str(answer(scene, asked)) for scene, asked in zip(made, questions, strict=True)]
    return Exam(world.draw_all(made), made, questions, answers, sorts)


def encode(texts: Sequence[str], length: int | None = None) -> np.ndarray:
    """Texts as ids into `WORDS`, padded with 0 on the right: int64 (N, length).

    Args:
        texts: words and marks with spaces between.
        length: None takes that of the longest.

    Raises:
        InputError: no text; a word outside `WORDS`; a text that is longer.
    """
    if not len(texts):
        raise InputError("texts is empty; there must be at least one")
    rows = [text.split() for text in texts]
    longest = max(map(len, rows))
    length = longest if length is None else length
    if longest > length:
        raise InputError(f"a text has {longest} words; length is {length}")
    ids = np.zeros((len(rows), length), np.int64)
    for row, words in zip(ids, rows, strict=True):
        for i, word in enumerate(words):
            if word not in _IDS:
                raise InputError(f"{word!r} is no word of this world; WORDS has them all")
            row[i] = _IDS[word]
    return ids


def decode(ids: np.ndarray) -> list[str]:
    """The texts of `encode`'s rows."""
    return [" ".join(WORDS[i] for i in row if i) for row in np.atleast_2d(ids)]
