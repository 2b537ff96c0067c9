"""A world of one to four coloured shapes and digits on a board of 4 by 4 cells, with an oracle.

Cells have names as on a chess board: letters a to d are columns from the left, numbers 1 to 4 rows
from the top. Captions come at three levels of detail, and `parse` reads every one back;
`minilm.data.images.asking` asks about a scene and knows the answers.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from minilm.backend import rng
from minilm.data.images.sprites import COLOURS
from minilm.data.images.sprites import SHAPES as SPRITES
from minilm.errors import InputError

CELLS, CELL = 4, 5  # cells along a side, pixels along a cell
SIDE = CELLS * CELL
MOST = 4  # things of a scene
SHAPES = tuple(SPRITES)
DIGITS = {
    "0": "111 101 101 101 111",
    "1": "010 110 010 010 111",
    "2": "111 001 111 100 111",
    "3": "111 001 011 001 111",
    "4": "101 101 111 001 001",
    "5": "111 100 111 001 111",
    "6": "111 100 111 101 111",
    "7": "111 001 010 010 010",
    "8": "111 101 111 101 111",
    "9": "111 101 111 001 111",
}
KINDS = (*SHAPES, *DIGITS)
NAMES = tuple(f"{letter}{number}" for number in range(1, CELLS + 1) for letter in "abcd")
NUMBERS = ("zero", "one", "two", "three", "four")
LEVELS = ("count", "names", "places")
GRAMMAR = "'two things .', 'a red ring , a blue 7 .' or 'a red ring at b3 , a blue 7 at d1 .'"


class Thing(NamedTuple):
    """A colour and a kind in a cell; row 0 is at the top, column 0 on the left."""

    colour: str
    kind: str
    row: int
    column: int

    @property
    def name(self) -> str:
        """The thing without its place: "red ring"."""
        return f"{self.colour} {self.kind}"

    @property
    def cell(self) -> str:
        """The name of its cell, such as "b3"."""
        return NAMES[CELLS * self.row + self.column]


Scene = tuple[Thing, ...]  # in reading order


class Said(NamedTuple):
    """What a caption says."""

    level: str  # of `LEVELS`
    count: int
    names: tuple[str, ...] | None  # "red ring", ... in reading order, unless only counted
    scene: Scene | None  # where places are told


def scenes(
    count: int, seed: int = 0, most: int = MOST, kinds: Sequence[str] = KINDS
) -> list[Scene]:
    """Random scenes of one to `most` things, each number as often as the others.

    Args:
        count: how many, N.
        seed: of all that is random.
        most: things of a scene, 1 to 4.
        kinds: the shapes and digits that occur.

    Raises:
        InputError: a count below 1, a seed below 0, another `most`, no kind or an unknown one.
    """
    check_world(count, most, kinds)
    random = rng(seed, "scenes")
    return [one_scene(random, most, kinds) for _ in range(count)]


def check_world(count: int, most: int, kinds: Sequence[str]) -> None:
    """Refuse what `scenes` refuses."""
    if count < 1:
        raise InputError(f"count is {count}; it must be 1 or more")
    if not 1 <= most <= MOST:
        raise InputError(f"most is {most}; it must be from 1 to {MOST}")
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"kinds has {kind!r}; allowed are {', '.join(KINDS)}")
    if not kinds:
        raise InputError("kinds is empty; it must name at least one shape or digit")


def one_scene(random: np.random.Generator, most: int, kinds: Sequence[str]) -> Scene:
    """A random scene; arguments as in `scenes`, unchecked."""
    colours = tuple(COLOURS)
    cells = sorted(random.permutation(CELLS**2)[: random.integers(1, most + 1)].tolist())
    return tuple(
        Thing(
            colours[random.integers(len(colours))],
            kinds[random.integers(len(kinds))],
            *divmod(cell, CELLS),
        )
        for cell in cells
    )


def draw(scene: Sequence[Thing]) -> np.ndarray:
    """The picture of a scene: (3, 20, 20) float32, 0 to 1, black paper.

    Raises:
        InputError: a thing that is not of this world, or two in one cell.
    """
    image = np.zeros((3, SIDE, SIDE), np.float32)
    for thing in scene:
        if thing.colour not in COLOURS or thing.kind not in KINDS:
            raise InputError(f"thing is {thing.name!r}; it must be a colour and a shape or digit")
        if not (0 <= thing.row < CELLS and 0 <= thing.column < CELLS):
            raise InputError(
                f"cell is {(thing.row, thing.column)}; row and column must be from 0 to {CELLS - 1}"
            )
        image[:, _cell(thing.row), _cell(thing.column)] = _picture(thing.colour, thing.kind)
    if len({(thing.row, thing.column) for thing in scene}) < len(scene):
        raise InputError("two things are in one cell; each needs its own")
    return image


def draw_all(given: Sequence[Scene]) -> np.ndarray:
    """The pictures of scenes: (N, 3, 20, 20) float32."""
    return np.stack([draw(scene) for scene in given])


def _cell(index: int) -> slice:
    return slice(CELL * index, CELL * (index + 1))


@cache
def _picture(colour: str, kind: str) -> np.ndarray:
    """(3, 5, 5)"""
    rows = (SPRITES.get(kind) or DIGITS[kind]).split()
    ink = np.zeros((CELL, CELL), np.float32)
    left = 1 if kind in DIGITS else 0  # digits are 3 pixels wide
    ink[: len(rows), left : left + len(rows[0])] = [[int(dot) for dot in row] for row in rows]
    return np.array(COLOURS[colour], np.float32)[:, None, None] * ink


@cache
def _known() -> tuple[list[tuple[str, str]], np.ndarray]:
    """Every colour and kind, and their pictures after the paper's: (1 + N, 3, 5, 5)."""
    pairs = [(colour, kind) for colour in COLOURS for kind in KINDS]
    return pairs, np.stack([np.zeros((3, CELL, CELL)), *(_picture(*pair) for pair in pairs)])


def read(image: np.ndarray, tolerance: float = 0.02) -> Scene | None:
    """The scene of a picture, or None where it is not legible.

    Args:
        image: (3, 20, 20), 0 to 1.
        tolerance: most mean squared difference of a cell from the nearest thing or from paper.

    Raises:
        InputError: an image of another shape.
    """
    if image.shape != (3, SIDE, SIDE):
        raise InputError(f"image is {image.shape}; it must be (3, {SIDE}, {SIDE})")
    pairs, known = _known()
    found = []
    for cell in range(CELLS**2):
        row, column = divmod(cell, CELLS)
        error = ((image[:, _cell(row), _cell(column)] - known) ** 2).mean((1, 2, 3))
        best = int(error.argmin())
        if not error[best] <= tolerance:  # NaN is not legible either
            return None
        if best:
            found.append(Thing(*pairs[best - 1], row, column))
    return tuple(found) if 1 <= len(found) <= MOST else None


# --- captions -----------------------------------------------------------------------------------


def caption(scene: Sequence[Thing], level: str = "places") -> str:
    """A true caption, things in reading order.

    Args:
        scene: one to four things.
        level: "count" says how many things there are, "names" which, "places" also where.

    Raises:
        InputError: another level; no thing, or more than four.
    """
    if level not in LEVELS:
        raise InputError(f"level is {level!r}; it must be one of {', '.join(LEVELS)}")
    if not 1 <= len(scene) <= MOST:
        raise InputError(f"scene has {len(scene)} things; it must have from 1 to {MOST}")
    ordered = sorted(scene, key=lambda thing: (thing.row, thing.column))
    if level == "count":
        return f"{NUMBERS[len(scene)]} thing{'s' * (len(scene) > 1)} ."
    told = (f"a {t.name} at {t.cell}" if level == "places" else f"a {t.name}" for t in ordered)
    return " , ".join(told) + " ."


def parse(text: str) -> Said:
    """What a caption says: `caption` read back.

    Raises:
        InputError: a text outside the grammar.
    """
    words = text.split()
    if words[-1:] == ["."] and len(words) > 1:
        if len(words) == 3 and words[0] in NUMBERS[1:] and words[1] in ("thing", "things"):
            return Said("count", NUMBERS.index(words[0]), None, None)
        parts = [part.split() for part in " ".join(words[:-1]).split(" , ")]
        level = {3: "names", 5: "places"}.get(len(parts[0]))
        if level and len(parts) <= MOST and all(_is_thing(part, level) for part in parts):
            names = tuple(f"{part[1]} {part[2]}" for part in parts)
            if level == "names":
                return Said(level, len(parts), names, None)
            cells = [NAMES.index(part[4]) for part in parts]
            if cells == sorted(set(cells)):
                told = zip(parts, cells, strict=True)
                scene = tuple(Thing(part[1], part[2], *divmod(c, CELLS)) for part, c in told)
                return Said(level, len(parts), names, scene)
    raise InputError(f"caption {text!r} is outside the grammar: it must be like {GRAMMAR}")


def _is_thing(words: list[str], level: str) -> bool:
    names = len(words) >= 3 and words[0] == "a" and words[1] in COLOURS and words[2] in KINDS
    if level == "names":
        return names and len(words) == 3
    return names and len(words) == 5 and words[3] == "at" and words[4] in NAMES
