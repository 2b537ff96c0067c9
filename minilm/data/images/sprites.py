"""A world of two things in nine cells, with captions, and an oracle that reads pictures back.

8 colours x 8 shapes, places and relations. The oracle needs no training: it compares every cell
with every thing, so whether a picture shows what its caption says is known exactly.
"""

from collections.abc import Collection, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from minilm.backend import rng
from minilm.errors import InputError

CELLS, CELL = 3, 4  # cells along a side, pixels along a cell
SIDE = CELLS * CELL
COLOURS = {
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 0.7, 0.0),
    "blue": (0.2, 0.3, 1.0),
    "yellow": (1.0, 1.0, 0.0),
    "orange": (1.0, 0.5, 0.0),
    "pink": (1.0, 0.4, 0.8),
    "cyan": (0.0, 0.9, 0.9),
    "white": (1.0, 1.0, 1.0),
}
SHAPES = {
    "square": "1111 1111 1111 1111",
    "ring": "1111 1001 1001 1111",
    "cross": "1001 0110 0110 1001",
    "bar": "0000 1111 1111 0000",
    "post": "0110 0110 0110 0110",
    "disc": "0110 1111 1111 0110",
    "stairs": "1000 1100 1110 1111",
    "check": "1010 0101 1010 0101",
}
RELATIONS = ("left of", "right of", "above", "below")
PLACES = (  # reading order
    *("top left", "top", "top right"),
    *("left", "centre", "right"),
    *("bottom left", "bottom", "bottom right"),
)
GRAMMAR = "'COLOUR SHAPE left of|right of|above|below COLOUR SHAPE' or 'COLOUR SHAPE at PLACE'"
PAIRS = tuple((colour, shape) for colour in COLOURS for shape in SHAPES)
PAD = ""
WORDS = (PAD, *COLOURS, *SHAPES, *"left right of above below at top bottom centre".split())
LONGEST = 6  # words of a caption


class Thing(NamedTuple):
    """A colour and a shape in a cell; row 0 is at the top, column 0 on the left."""

    colour: str
    shape: str
    row: int
    column: int

    @property
    def name(self) -> str:
        """The thing without its place: "red ring"."""
        return f"{self.colour} {self.shape}"


class Sprites(NamedTuple):
    """Pictures with one true caption each."""

    images: np.ndarray  # (N, 3, 12, 12) float32, 0 to 1, black paper
    captions: list[str]
    scenes: list[tuple[Thing, ...]]


class Verdict(NamedTuple):
    """What the oracle says about a picture and a caption."""

    legible: bool  # exactly two things, each in its cell, on clean paper
    things: float  # share of the caption's things that are there
    whole: bool  # the caption is true


def sprites(
    count: int,
    seed: int = 0,
    held: Collection[tuple[str, str]] = (),
    only_held: bool = False,
) -> Sprites:
    """Random scenes, each with one of its true captions.

    Args:
        count: how many, N.
        seed: of all that is random.
        held: pairs of colour and shape that no scene shows.
        only_held: instead, every caption names a pair of `held`.

    Raises:
        InputError: a count below 1 or a seed below 0; a pair that is not of this world; every
            pair held; `only_held` without a pair.
    """
    if count < 1:
        raise InputError(f"count is {count}; it must be 1 or more")
    allowed = _allowed(held)
    if only_held and not held:
        raise InputError("only_held is True and held is empty; held must name at least one pair")
    random = rng(seed, "sprites")
    scenes, captions = [], []
    for _ in range(count):
        names = [allowed[i] for i in random.integers(0, len(allowed), 2)]
        if only_held:
            names[0] = sorted(held)[random.integers(len(held))]
        cells = random.permutation(CELLS**2)[:2].tolist()
        scene = tuple(Thing(*name, *divmod(cell, CELLS)) for name, cell in zip(names, cells))
        named = scene[0].name if only_held else ""
        true = [caption for caption in true_captions(scene) if named in caption]
        scenes.append(scene)
        captions.append(true[random.integers(len(true))])
    return Sprites(np.stack([draw(scene) for scene in scenes]), captions, scenes)


def _allowed(held: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
    for pair in held:
        if tuple(pair) not in PAIRS:
            raise InputError(f"held has {pair!r}; a pair is a colour and a shape, as {PAIRS[0]}")
    allowed = [pair for pair in PAIRS if pair not in {tuple(pair) for pair in held}]
    if not allowed:
        raise InputError("held has every pair; at least one must be left")
    return allowed


def draw(scene: Sequence[Thing]) -> np.ndarray:
    """The picture of a scene: (3, 12, 12) float32.

    Raises:
        InputError: a thing that is not of this world, or two in one cell.
    """
    image = np.zeros((3, SIDE, SIDE), np.float32)
    for thing in scene:
        if (thing.colour, thing.shape) not in PAIRS:
            raise InputError(f"thing is {thing.name!r}; it must be a colour and a shape")
        if not (0 <= thing.row < CELLS and 0 <= thing.column < CELLS):
            raise InputError(
                f"cell is {(thing.row, thing.column)}; row and column must be below {CELLS}"
            )
        image[:, _cell(thing.row), _cell(thing.column)] = _sprite(thing.colour, thing.shape)
    if len({(thing.row, thing.column) for thing in scene}) < len(scene):
        raise InputError("two things are in one cell; each needs its own")
    return image


def _cell(index: int) -> slice:
    return slice(CELL * index, CELL * (index + 1))


def _sprite(colour: str, shape: str) -> np.ndarray:
    """(3, 4, 4)"""
    ink = np.array([[int(dot) for dot in row] for row in SHAPES[shape].split()], np.float32)
    return np.array(COLOURS[colour], np.float32)[:, None, None] * ink


def true_captions(scene: Sequence[Thing]) -> list[str]:
    """Every caption that is true of a scene, sorted."""
    found = {f"{a.name} at {PLACES[CELLS * a.row + a.column]}" for a in scene}
    for a in scene:
        for b in scene:
            holds = (a.column < b.column, a.column > b.column, a.row < b.row, a.row > b.row)
            found |= {f"{a.name} {r} {b.name}" for r, true in zip(RELATIONS, holds) if true}
    return sorted(found)


def named_in(caption: str) -> list[str]:
    """The things that a caption names: "red ring left of blue bar" -> ["red ring", "blue bar"].

    Raises:
        InputError: a caption outside the grammar.
    """
    words = caption.split()
    first, middle, last = words[:2], words[2:-2], words[-2:]
    place = " ".join(words[3:])
    if _is_pair(first) and _is_pair(last) and " ".join(middle) in RELATIONS:
        return [" ".join(first), " ".join(last)]
    if _is_pair(first) and words[2:3] == ["at"] and place in PLACES:
        return [" ".join(first)]
    raise InputError(f"caption {caption!r} is outside the grammar: it must be {GRAMMAR}")


def _is_pair(words: list[str]) -> bool:
    return tuple(words) in PAIRS


def encode(captions: Sequence[str]) -> np.ndarray:
    """Captions as ids into `WORDS`, padded with 0 on the right: int64 (N, 6).

    Raises:
        InputError: a caption outside the grammar.
    """
    ids = np.zeros((len(captions), LONGEST), np.int64)
    for row, caption in zip(ids, captions):
        named_in(caption)  # refuses what is not a caption
        words = caption.split()
        row[: len(words)] = [WORDS.index(word) for word in words]
    return ids


def decode(ids: np.ndarray) -> list[str]:
    """The captions of `encode`'s rows."""
    return [" ".join(WORDS[i] for i in row if i) for row in ids]


@cache
def _known() -> np.ndarray:
    """Paper, then every thing: (65, 3, 4, 4)."""
    return np.stack([np.zeros((3, CELL, CELL)), *(_sprite(*pair) for pair in PAIRS)])


def read(image: np.ndarray, tolerance: float = 0.0625) -> tuple[Thing, ...] | None:
    """The things of a picture in reading order, or None where it is not legible.

    Args:
        image: (3, 12, 12), 0 to 1.
        tolerance: most mean squared difference of a cell from the nearest thing or from paper.

    Raises:
        InputError: an image of another shape.
    """
    if image.shape != (3, SIDE, SIDE):
        raise InputError(f"image is {image.shape}; it must be (3, {SIDE}, {SIDE})")
    scene = []
    for row in range(CELLS):
        for column in range(CELLS):
            error = ((image[:, _cell(row), _cell(column)] - _known()) ** 2).mean((1, 2, 3))  # (65,)
            best = int(error.argmin())
            if not error[best] <= tolerance:  # NaN is not legible either
                return None
            if best:
                scene.append(Thing(*PAIRS[best - 1], row, column))
    return tuple(scene) if len(scene) == 2 else None


def judge(image: np.ndarray, caption: str, tolerance: float = 0.0625) -> Verdict:
    """Whether a picture shows what its caption says; arguments as in `read`.

    Raises:
        InputError: a caption outside the grammar, or an image of another shape.
    """
    wanted = named_in(caption)
    scene = read(image, tolerance)
    if scene is None:
        return Verdict(False, 0.0, False)
    there = [thing.name for thing in scene]
    found = sum(min(wanted.count(name), there.count(name)) for name in set(wanted))
    # A caption may be written with more spaces than one.
    whole = " ".join(caption.split()) in true_captions(scene)
    return Verdict(True, found / len(wanted), whole)
