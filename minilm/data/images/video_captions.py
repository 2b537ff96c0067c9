"""Words for videos, at four levels of detail; what they say is read back; questions with answers.

    1   "ring"                                       one word, as the names of files are
    2   "red ring"                                   what there is
    3   "red ring moves down right fast"             and how it moves
    4   "red ring from row 3 column 5 going 2 down 1 right"      all there is to know

Two things stand in one caption, the farther one "behind" the nearer; those of a lane stand
"against" each other. A caption of level 4 is the scene: `parse` gives it back.
"""

import re
from typing import NamedTuple

import numpy as np

from minilm.data.images.sprites import COLOURS, SHAPES
from minilm.data.images.videos import FRAMES, Mover, Scene, check_scene, tell
from minilm.errors import InputError

LEVELS = (1, 2, 3, 4)
SLOW = 1  # pixels a frame; what is faster is "fast"
WAYS = ("down", "up", "right", "left")
_FULL = re.compile(
    r"(\w+) (\w+) from row (\d+) column (\d+) going (\d+) (down|up) (\d+) (right|left)"
)
SLOTS = (  # of `slots`: what each may say; 0 is nothing
    ("", *COLOURS),
    ("", *SHAPES),
    ("", *WAYS),
    ("", "slowly", "fast"),
)


def motion(mover: Mover) -> tuple[str, str]:
    """Direction and speed in words: ("down right", "fast"); ("", "") where it rests."""
    words = []
    if mover.down:
        words.append("down" if mover.down > 0 else "up")
    if mover.right:
        words.append("right" if mover.right > 0 else "left")
    size = max(abs(mover.down), abs(mover.right))
    return " ".join(words), ("slowly" if size <= SLOW else "fast") if size else ""


def caption(scene: Scene, level: int = 4) -> str:
    """What a scene shows, in words.

    Args:
        scene: of this world.
        level: 1 to 4, from one word to everything.

    Raises:
        InputError: another level; what `check_scene` refuses.
    """
    if level not in LEVELS:
        raise InputError(f"level is {level}; it must be 1, 2, 3 or 4")
    check_scene(scene)
    if level == 1:
        return scene.movers[-1].shape
    joint = " against " if scene.solid else " behind "
    return joint.join(_one(mover, level) for mover in scene.movers)


def _one(m: Mover, level: int) -> str:
    if level == 2:
        return m.name
    if level == 3:
        way, speed = motion(m)
        return f"{m.name} moves {way} {speed}" if way else f"{m.name} rests"
    vertical = f"{abs(m.down)} {'up' if m.down < 0 else 'down'}"
    level_ = f"{abs(m.right)} {'left' if m.right < 0 else 'right'}"
    return f"{m.name} from row {m.row} column {m.column} going {vertical} {level_}"


def parse(text: str) -> Scene:
    """The scene that a caption of level 4 tells: `caption` undone.

    Raises:
        InputError: another text; a scene that is not of this world.
    """
    solid = " against " in text
    movers = []
    for part in re.split(" against | behind ", text):
        found = _FULL.fullmatch(part)
        if not found:
            raise InputError(
                f"caption has {part!r}; each thing must read like 'red ring from row 3 column 5 "
                "going 2 down 1 right'"
            )
        colour, shape, row, column, down, vertical, right, level = found.groups()
        signs = (-1 if vertical == "up" else 1), (-1 if level == "left" else 1)
        movers.append(
            Mover(colour, shape, int(row), int(column), signs[0] * int(down), signs[1] * int(right))
        )
    scene = Scene(tuple(movers), solid)
    check_scene(scene)
    return scene


def slots(scene: Scene) -> np.ndarray:
    """Colour, shape, direction and speed of the first thing as ids into `SLOTS`: int64 (4,).

    Raises:
        InputError: it moves along a row and a column at once, for which there is no one word.
    """
    mover = scene.movers[0]
    way, speed = motion(mover)
    if " " in way:
        raise InputError(
            f"{mover.name} moves {way}; slots have room for one direction: draw `straight` videos"
        )
    words = (mover.colour, mover.shape, way, speed)
    return np.array([known.index(word) for known, word in zip(SLOTS, words, strict=True)])


class Question(NamedTuple):
    """A question on a video and its answer, a word."""

    text: str
    answer: str


def questions(scene: Scene, frames: int = FRAMES) -> list[Question]:
    """What can be asked of a scene, with the answers that are true.

    Raises:
        InputError: what `check_scene` refuses.
    """
    story = tell(scene, frames)
    asked = [Question("how many things are there?", str(len(scene.movers)))]
    for mover, count in zip(scene.movers, story.bounces, strict=True):
        name = mover.name
        if len({m.name for m in scene.movers}) == len(scene.movers):
            asked.append(Question(f"how often does the {name} bounce off a wall?", str(count)))
            asked.append(
                Question(f"which way does the {name} start?", motion(mover)[0] or "nowhere")
            )
    if scene.solid:
        asked.append(Question("how often do they collide?", str(story.collisions)))
    elif len(scene.movers) == 2:
        far, near = scene.movers
        passed = f"{far.name} behind {near.name}" if any(story.hidden) else "nothing"
        asked.append(Question("what passes behind what?", passed))
    return asked
