"""Forms in small print: coloured boxes, each with a number of two digits, and an oracle.

A page has 3 by 3 places of 8 by 8 dots. A box fills a place with its colour; its number is printed
in black, 3 by 5 dots a digit, not always at the same spot. Someone names a colour and asks for the
number. Seen at fewer pixels the colours stay and the print goes, which is the question: how many
pixels does reading need?

The oracle compares every place with every box at the resolution of the picture, so what is still
in the pixels is known exactly, whatever a model makes of them.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minilm.backend import rng
from minilm.data.images.font import write
from minilm.data.images.resize import area_weights
from minilm.errors import InputError

PLACES, PLACE = 3, 8  # places along a side, dots along a place
SIDE = PLACES * PLACE
COLOURS = {  # of the paper in a box; black print can be read on all of them
    "red": (1.0, 0.35, 0.3),
    "green": (0.3, 0.9, 0.3),
    "blue": (0.4, 0.55, 1.0),
    "yellow": (1.0, 1.0, 0.2),
    "orange": (1.0, 0.65, 0.1),
    "pink": (1.0, 0.55, 0.85),
    "cyan": (0.3, 0.95, 0.95),
    "grey": (0.65, 0.65, 0.65),
}
NAMES = tuple(COLOURS)
DOWN, RIGHT = (1, 2), (0, 1)  # where in a box the print may begin, in dots
NUMBERS = 100


class Box(NamedTuple):
    """A colour and a number in a place; row 0 is at the top, column 0 on the left."""

    colour: str
    number: int  # 0 to 99, printed with two digits
    row: int
    column: int
    down: int = 1  # where the print begins, in dots from the box's top
    right: int = 0  # and from its left


class Forms(NamedTuple):
    """Pages, and one question each."""

    images: np.ndarray  # (N, 3, 24, 24) float32, 0 to 1, white paper
    boxes: list[tuple[Box, ...]]
    asked: np.ndarray  # (N,) int64, index into the colours
    numbers: np.ndarray  # (N,) int64, what stands in the box of that colour
    places: np.ndarray  # (N,) int64, the place of that box in reading order


def forms(count: int, seed: int = 0, boxes: int = 4) -> Forms:
    """Random pages with a question each; no two boxes of a page have one colour.

    Args:
        count: how many, N.
        seed: of all that is random.
        boxes: on a page, 1 to 8.

    Raises:
        InputError: a count below 1, a number of boxes out of range, a seed below 0.
    """
    if count < 1:
        raise InputError(f"count is {count}; it must be 1 or more")
    if not 1 <= boxes <= len(NAMES):
        raise InputError(f"boxes is {boxes}; it must be from 1 to {len(NAMES)}")
    random = rng(seed, "forms")
    pages = []
    for _ in range(count):
        colours = random.permutation(len(NAMES))[:boxes]
        places = random.permutation(PLACES**2)[:boxes]
        numbers = random.integers(0, NUMBERS, boxes)
        down, right = random.integers(DOWN[0], DOWN[1] + 1, boxes), random.integers(0, 2, boxes)
        pages.append(
            tuple(
                Box(NAMES[c], int(n), *divmod(int(p), PLACES), int(d), int(r))
                for c, n, p, d, r in zip(colours, numbers, places, down, right, strict=True)
            )
        )
    asked = random.integers(0, boxes, count)  # the colours of a page are in random order
    chosen = [page[i] for page, i in zip(pages, asked, strict=True)]
    return Forms(
        np.stack([draw(page) for page in pages]),
        pages,
        np.array([NAMES.index(box.colour) for box in chosen]),
        np.array([box.number for box in chosen]),
        np.array([PLACES * box.row + box.column for box in chosen]),
    )


def draw(boxes: Sequence[Box]) -> np.ndarray:
    """The page with these boxes: (3, 24, 24) float32.

    Raises:
        InputError: a box that is not of this world, or two in one place.
    """
    image = np.ones((3, SIDE, SIDE), np.float32)
    for box in boxes:
        if not (0 <= box.row < PLACES and 0 <= box.column < PLACES):
            raise InputError(
                f"place is {(box.row, box.column)}; row and column must be below {PLACES}"
            )
        image[:, _dots(box.row), _dots(box.column)] = draw_box(box)
    if len({(box.row, box.column) for box in boxes}) < len(boxes):
        raise InputError("two boxes are in one place; each needs its own")
    return image


def draw_box(box: Box) -> np.ndarray:
    """One box by itself: (3, 8, 8) float32.

    Raises:
        InputError: another colour, a number that does not have two digits, print that leaves the
            box.
    """
    if box.colour not in COLOURS:
        raise InputError(f"colour is {box.colour!r}; it must be one of {', '.join(NAMES)}")
    if not 0 <= box.number < NUMBERS:
        raise InputError(f"number is {box.number}; it must be from 0 to {NUMBERS - 1}")
    if not (DOWN[0] <= box.down <= DOWN[1] and RIGHT[0] <= box.right <= RIGHT[1]):
        raise InputError(
            f"print begins at {(box.down, box.right)}; down must be {DOWN[0]} or {DOWN[1]}, right "
            f"{RIGHT[0]} or {RIGHT[1]}"
        )
    paper = np.ones((PLACE, PLACE), np.float32)
    ink = write(f"{box.number:02d}")  # (5, 7)
    paper[box.down : box.down + ink.shape[0], box.right : box.right + ink.shape[1]] -= ink
    return np.array(COLOURS[box.colour], np.float32)[:, None, None] * paper


def _dots(index: int) -> slice:
    return slice(PLACE * index, PLACE * (index + 1))


def scan(images: np.ndarray, noise: float, seed: int = 0) -> np.ndarray:
    """Pages with what a scanner adds: (N, 3, H, W) float32, normal noise on every number.

    Whoever looks at fewer pixels looks at the scan made smaller (`resize`), where the noise is
    weaker too, but not as much weaker as the print.

    Raises:
        InputError: noise or seed below 0.
    """
    if noise < 0:
        raise InputError(f"noise is {noise:g}; it must be 0 or more")
    drawn = rng(seed, "scanner").standard_normal(images.shape, dtype=np.float32)
    return (images + np.float32(noise) * drawn).astype(np.float32, copy=False)


# ------------------------------------------------------------------------------------ the oracle


class _Known(NamedTuple):
    """Every way a place can look at one resolution."""

    boxes: tuple[Box, ...]  # the empty place is not among them: it is the last row
    rows: tuple[slice, ...]  # pixels that show one place only, for each of its three positions
    looks: tuple[tuple[np.ndarray, ...], ...]  # [row][column] -> (boxes + 1, 3 h w)


@lru_cache(maxsize=8)
def _known(side: int) -> _Known:
    boxes = tuple(
        Box(colour, number, 0, 0, down, right)
        for colour in NAMES
        for number in range(NUMBERS)
        for down in range(DOWN[0], DOWN[1] + 1)
        for right in range(RIGHT[0], RIGHT[1] + 1)
    )
    pictures = np.stack([*(draw_box(box) for box in boxes), np.ones((3, PLACE, PLACE), np.float32)])
    weights = area_weights(SIDE, side)  # (side, 24)
    rows, parts = [], []
    for place in range(PLACES):
        inside = weights[:, _dots(place)].sum(1) > 1 - 1e-9  # pixels that see nothing else
        found = np.flatnonzero(inside)
        if not len(found):
            raise InputError(f"side is {side}; a place must have a pixel of its own, from 8 on")
        rows.append(slice(int(found[0]), int(found[-1]) + 1))
        parts.append(weights[rows[-1], _dots(place)].astype(np.float32))
    looks = tuple(
        tuple((down @ pictures @ along.T).reshape(len(pictures), -1) for along in parts)
        for down in parts
    )
    return _Known(boxes, tuple(rows), looks)


def read(image: np.ndarray, tolerance: float = 0.005) -> tuple[Box, ...] | None:
    """The boxes of a page in reading order, or None where it is not legible.

    At fewer pixels than dots two numbers may look the same; then it is not legible either.

    Args:
        image: (3, side, side), 0 to 1, of 8 pixels a side or more.
        tolerance: most mean squared difference of a place from the nearest box or from paper.

    Raises:
        InputError: an image of another shape.
    """
    known = _check_side(image[None])
    n, found = len(known.boxes), []
    for row in range(PLACES):
        for column in range(PLACES):
            part = image[:, known.rows[row], known.rows[column]].reshape(-1)
            error = ((known.looks[row][column] - part) ** 2).mean(1)  # (boxes + 1,)
            best = int(error.argmin())
            if not error[best] <= tolerance:  # nan is not legible either
                return None
            alike = {
                known.boxes[i][:2] for i in np.flatnonzero(error <= error[best] + 1e-6) if i < n
            }
            if len(alike) > 1:  # two numbers look the same at so few pixels
                return None
            if best < n:
                found.append(known.boxes[best]._replace(row=row, column=column))
    return tuple(found)


def best_numbers(images: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The number in the box of the asked colour, as the most similar look says: (N,) int64.

    A reader that learns nothing and knows every look: what it reads is in the pixels, and where it
    fails they hardly tell. It uses the pixels that show one place only.

    Args:
        images: (N, 3, side, side), with noise or without.
        asked: (N,) index into the colours.

    Raises:
        InputError: images of another shape, or another number of questions.
    """
    known = _check_side(images)
    if len(asked) != len(images):
        raise InputError(f"asked has {len(asked)} colours for {len(images)} images; one for each")
    numbers = np.array([box.number for box in known.boxes])
    per = len(numbers) // len(NAMES)  # boxes of one colour stand together
    said = np.zeros(len(images), np.int64)
    for colour in np.unique(asked):
        ours, which = slice(per * colour, per * (colour + 1)), asked == colour
        least = np.full(which.sum(), np.inf)
        best = np.zeros(which.sum(), np.int64)
        for row, column in np.ndindex(PLACES, PLACES):
            part = images[which][:, :, known.rows[row], known.rows[column]]
            part = part.reshape(len(part), -1)  # (n, d)
            looks = known.looks[row][column][ours]  # (boxes of the colour, d)
            error = (part**2).sum(1)[:, None] - 2 * part @ looks.T + (looks**2).sum(1)
            error /= looks.shape[1]  # places may have more or fewer pixels of their own
            nearer = error.min(1) < least
            best[nearer] = numbers[ours][error[nearer].argmin(1)]
            least = np.minimum(least, error.min(1))
        said[which] = best
    return said


def _check_side(images: np.ndarray) -> _Known:
    shape = images.shape
    if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3] or not 8 <= shape[2] <= SIDE:
        raise InputError(
            f"images are {shape}; they must be (N, 3, side, side) of 8 to {SIDE} pixels a side"
        )
    return _known(shape[2])
