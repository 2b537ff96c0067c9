"""Looking again: cropping and zooming as an action that a model names, and then sees the result of.

Chain of manipulations (Qi et al. 2024, arXiv 2402.04236): before it answers, a model may mark,
read, count, or cut out a part of the picture and look at it enlarged. Here it may zoom: a token
names one box of a grid, the box is cut out of the picture and shown at the size of a whole view,
and the model goes on from there. Boxes count from the last view, so a zoom into a zoom is possible;
each is cut from the picture itself, so nothing is lost on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from minilm.data.images.resize import resize_part
from minilm.errors import InputError

Box = tuple[float, float, float, float]  # top, left, bottom, right, in pixels


def crop_zoom(picture: np.ndarray, box: Box, size: int) -> np.ndarray:
    """A box of a picture, enlarged or made smaller to size by size pixels.

    Every new pixel is the mean of what it covers, so the mean of the box stays.

    Args:
        picture: (..., H, W) floats.
        box: (top, left, bottom, right) in pixels, edges at whole numbers or between.
        size: pixels along each axis of the result.

    Returns:
        (..., size, size), of the picture's dtype.

    Raises:
        InputError: other pictures, a size below 1, a box that is empty or reaches outside.
    """
    if len(box) != 4:
        raise InputError(f"box is {tuple(box)}; it must be (top, left, bottom, right)")
    return resize_part(picture, box, size)


@dataclass(frozen=True)
class ZoomWords:
    """The tokens that name boxes: the cells of a grid in reading order.

    Attributes:
        first: id of the token that names the top left cell.
        grid: cells along each axis.

    Raises:
        InputError: an id below 0, fewer than 2 cells.
    """

    first: int
    grid: int

    def __post_init__(self) -> None:
        if self.first < 0 or self.grid < 2:
            raise InputError(
                f"first is {self.first} and grid {self.grid}; they must be 0 and 2 or more"
            )

    def __len__(self) -> int:
        return self.grid**2

    def __contains__(self, token: int) -> bool:
        return self.first <= token < self.first + len(self)

    def token(self, row: int, column: int) -> int:
        """The token of a cell.

        Raises:
            InputError: a cell outside the grid.
        """
        if not (0 <= row < self.grid and 0 <= column < self.grid):
            raise InputError(f"cell is {(row, column)}; both must be below {self.grid}")
        return self.first + self.grid * row + column

    def box(self, token: int, view: Box) -> Box:
        """What a token names in a view.

        Raises:
            InputError: a token that names no box.
        """
        if token not in self:
            last = self.first + len(self) - 1
            raise InputError(f"token is {token}; boxes are named by {self.first} to {last}")
        row, column = divmod(token - self.first, self.grid)
        high, wide = (view[2] - view[0]) / self.grid, (view[3] - view[1]) / self.grid
        top, left = view[0] + row * high, view[1] + column * wide
        return top, left, top + high, left + wide


class Chain(NamedTuple):
    """What was seen and said.

    `views` has one picture more than there are zooms; `boxes` says what each shows.
    """

    views: list[np.ndarray]  # (colours, size, size) each
    boxes: list[Box]
    tokens: list[int]  # all that was said, zooms too
    answer: list[int]  # what was said and is no zoom


Say = Callable[[Sequence[np.ndarray], Sequence[int]], int]


def run_chain(
    picture: np.ndarray, say: Say, words: ZoomWords, size: int, answers: int = 1, most: int = 8
) -> Chain:
    """Let a model look, zoom and answer.

    Args:
        picture: (colours, H, W) floats.
        say: the views and tokens so far -> the next token.
        words: which tokens are zooms; all others belong to the answer.
        size: pixels along each axis of every view, the first too.
        answers: tokens of the answer, after which the chain ends.
        most: tokens in all, after which it ends too, so that no model zooms for ever.

    Raises:
        InputError: numbers below 1, a picture of other axes.
    """
    if picture.ndim != 3:
        raise InputError(f"picture is {picture.shape}; it must be (colours, H, W)")
    if min(answers, most) < 1:
        raise InputError(f"answers is {answers} and most {most}; both must be 1 or more")
    whole = (0.0, 0.0, float(picture.shape[1]), float(picture.shape[2]))
    chain = Chain([crop_zoom(picture, whole, size)], [whole], [], [])
    while len(chain.tokens) < most and len(chain.answer) < answers:
        token = int(say(chain.views, chain.tokens))
        chain.tokens.append(token)
        if token in words:
            box = words.box(token, chain.boxes[-1])
            chain.boxes.append(box)
            chain.views.append(crop_zoom(picture, box, size))
        else:
            chain.answer.append(token)
    return chain
