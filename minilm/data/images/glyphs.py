"""Digits and letters drawn from the fonts that matplotlib ships, each with its own hand.

A letter is kept as distances to the edge of its ink, in which a stroke grows or shrinks by adding
a number. A picture samples them on a grid that is turned, sheared, grown, shifted and waved, so one
seed gives the same pictures at every size.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minilm.backend import rng
from minilm.errors import InputError, install

FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    *("cmr10", "cmb10", "cmss10", "cmtt10"),
)
DIGITS = "0123456789"
PAGE = 128  # pixels of the page on which a letter is drawn once
SMALLEST, LARGEST = 8, 64  # sides of a picture
FINE = 2  # samples to a pixel, along each axis

TURN, SHEAR, SHIFT = 0.2, 0.15, 1 / 16  # most: radians, slope, share of the side
GROW = (0.85, 1.2)  # least and most
STROKE = (-0.004, 0.024)  # what is added on each side of a stroke, share of the side
WAVE = 0.02  # most that one of four waves moves a point, share of the side


class Glyphs(NamedTuple):
    """Pictures of letters."""

    images: np.ndarray  # (N, side, side) float32, 0 (paper) to 1 (ink)
    labels: np.ndarray  # (N,) int64, index into the letters
    fonts: np.ndarray  # (N,) int64, index into the fonts


def glyphs(
    count: int,
    side: int = 16,
    letters: str = DIGITS,
    seed: int = 0,
    fonts: Sequence[str] = FONTS,
) -> Glyphs:
    """Pictures of random letters in random fonts, with random strokes and warps.

    Args:
        count: how many, N.
        side: pixels of a picture along each axis, 8 to 64. The same seed gives the same pictures
            at every side, finer or coarser.
        letters: the digits and letters to draw, of ASCII; every font must have them.
        seed: of all that is random.
        fonts: names of files that matplotlib ships, without ".ttf".

    Raises:
        InputError: a count below 1, a side out of range, a seed below 0; no letter, or one that is
            not of ASCII or that a font does not have; no font, or one that matplotlib does not
            ship; matplotlib is not installed.
    """
    if count < 1:
        raise InputError(f"count is {count}; it must be 1 or more")
    if not SMALLEST <= side <= LARGEST:
        raise InputError(f"side is {side}; it must be from {SMALLEST} to {LARGEST}")
    if not letters or not fonts:
        raise InputError(
            f"letters is {letters!r} and fonts {fonts!r}; there must be at least one of each"
        )
    faces = [_face(name) for name in fonts]
    _check_letters(letters, fonts, faces)
    random = rng(seed, "glyphs")
    labels = random.integers(0, len(letters), count)
    which = random.integers(0, len(fonts), count)
    hands = [_hand(random) for _ in range(count)]
    images = np.empty((count, side, side), np.float32)
    for label, font in set(zip(labels.tolist(), which.tolist())):
        page = _edge_distance(faces[font], letters[label])
        for i in np.flatnonzero((labels == label) & (which == font)):
            images[i] = _picture(page, side, hands[i])
    return Glyphs(images, labels, which)


def _face(name: str):  # noqa: ANN202, an FT2Font
    try:
        import matplotlib
        from matplotlib.ft2font import FT2Font
    except ImportError:
        raise InputError(
            f"glyphs need matplotlib, which is not installed: {install('course')}"
        ) from None
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    if not path.is_file():
        raise InputError(f"font is {name!r}; it must be one that matplotlib ships, as {FONTS[0]!r}")
    return FT2Font(str(path))


def _check_letters(letters: str, fonts: Sequence[str], faces: list) -> None:
    for letter in letters:
        # TeX's fonts have other signs at the places of ASCII's, an em dash for a bar.
        if not (letter.isascii() and letter.isalnum()):
            raise InputError(f"letters has {letter!r}; allowed are 0 to 9, A to Z and a to z")
        for name, face in zip(fonts, faces):
            if not face.get_char_index(ord(letter)):
                raise InputError(f"letters has {letter!r}; {name} does not, and every font must")


def _edge_distance(face, letter: str) -> np.ndarray:  # noqa: ANN001, an FT2Font
    """Distance of every pixel of a page to the edge of the ink, above 0 in it: (PAGE, PAGE)."""
    from scipy.ndimage import distance_transform_edt

    face.set_size(0.7 * PAGE, 72)  # at 72 dots per inch a point is a pixel
    face.set_text(letter, 0.0)
    face.draw_glyphs_to_bitmap(antialiased=True)
    drawn = _trimmed(np.asarray(face.get_image()) > 127)[:PAGE, :PAGE]
    page = np.zeros((PAGE, PAGE), bool)
    height, width = drawn.shape
    top, left = (PAGE - height) // 2, (PAGE - width) // 2
    page[top : top + height, left : left + width] = drawn
    inside, outside = distance_transform_edt(page), distance_transform_edt(~page)
    return np.where(page, inside - 0.5, 0.5 - outside)  # the edge runs between two pixels


def _trimmed(ink: np.ndarray) -> np.ndarray:
    """Without the empty rows and columns around the ink."""
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


class _Hand(NamedTuple):
    """How one picture differs from the page, in shares of the side."""

    linear: np.ndarray  # (2, 2), from places in the picture to places on the page
    shift: np.ndarray  # (2,), down and right
    waves: np.ndarray  # (4, 5): move down and right, waves to a side down and right, start
    gain: float  # what is added on each side of a stroke


def _hand(random: np.random.Generator) -> _Hand:
    turn, shear = random.uniform(-TURN, TURN), random.uniform(-SHEAR, SHEAR)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = turned @ [[1, shear], [0, 1]] / random.uniform(*GROW)
    shift = random.uniform(-SHIFT, SHIFT, 2)
    waves = np.column_stack(
        [
            random.uniform(-WAVE, WAVE, (4, 2)),
            random.uniform(-1, 1, (4, 2)),
            random.uniform(0, 2 * np.pi, 4),
        ]
    )
    return _Hand(linear, shift, waves, random.uniform(*STROKE))


def _picture(page: np.ndarray, side: int, hand: _Hand) -> np.ndarray:
    """The letter on the grid of one hand: (side, side)."""
    from scipy.ndimage import map_coordinates

    samples = FINE * side
    line = (np.arange(samples) + 0.5) / samples - 0.5  # the middle of the page is 0
    grid = np.stack(np.meshgrid(line, line, indexing="ij"))  # (2, S, S)
    place = np.einsum("ij,jyx->iyx", hand.linear, grid) + hand.shift[:, None, None]
    for down, right, *often, start in hand.waves:
        wave = np.sin(2 * np.pi * np.einsum("j,jyx->yx", often, grid) + start)
        place = place + np.array([down, right])[:, None, None] * wave
    distance = map_coordinates(page, (place + 0.5) * PAGE - 0.5, order=1, cval=page.min())
    # Ink covers a sample whose distance is half a sample or more, and fades over one sample.
    ink = np.clip(0.5 + (distance / PAGE + hand.gain) * samples, 0, 1)
    return ink.reshape(side, FINE, side, FINE).mean((1, 3))
