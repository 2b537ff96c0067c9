"""A world of moving things whose state is known exactly at every frame.

Things of `sprites` move a whole number of pixels a frame and bounce off the walls. Two things lie
either in planes of their own, so that the nearer hides the other, or in one lane, where they
collide. What happened is computed and not looked for: how often each bounced, how often they met,
what was hidden. `video_captions` tells it in words and reads them back; `video_oracle` reads
pictures.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minilm.backend import rng
from minilm.data.images.sprites import CELL, COLOURS, PAIRS, SHAPES, SIDE, _sprite
from minilm.errors import InputError

FRAMES = 8
SPAN = SIDE - CELL  # places of a thing along an axis: 0 to SPAN
FASTEST = 3  # pixels a frame
KINDS = ("one", "pass", "collide")
FINE = 120  # parts of a frame: all that can happen in a lane happens at a whole even one
PATIENCE = 1000  # draws in a row that do not fit what is asked for


class Mover(NamedTuple):
    """A thing with its place at the first frame and its speed, in pixels and pixels a frame."""

    colour: str
    shape: str
    row: int
    column: int
    down: int
    right: int

    @property
    def name(self) -> str:
        """The thing without its motion: "red ring"."""
        return f"{self.colour} {self.shape}"


class Scene(NamedTuple):
    """Things, the farthest first; `solid`: two in one lane, which collide."""

    movers: tuple[Mover, ...]
    solid: bool = False


class Story(NamedTuple):
    """Where things are and what happens to them."""

    places: np.ndarray  # (M, T, 2) int64, row and column of the upper left corner
    bounces: tuple[int, ...]  # of each thing, off all walls, within the frames
    collisions: int
    hidden: tuple[bool, ...]  # for each frame: whether ink of the first thing lies behind another


class Videos(NamedTuple):
    """Videos and all that is true of them."""

    frames: np.ndarray  # (N, 3, T, 12, 12) float32, 0 to 1
    scenes: list[Scene]
    stories: list[Story]


def check_scene(scene: Scene, frames: int = FRAMES) -> None:
    """Refuse what is not of this world.

    Raises:
        InputError: no thing or more than two; a colour, shape, place or speed that there is not;
            a solid scene that is not two things side by side in one row, moving along it; fewer
            than one frame.
    """
    if frames < 1:
        raise InputError(f"frames is {frames}; it must be 1 or more")
    if not 1 <= len(scene.movers) <= 2:
        raise InputError(f"scene has {len(scene.movers)} things; it must have one or two")
    for m in scene.movers:
        if (m.colour, m.shape) not in PAIRS:
            raise InputError(f"thing is {m.name!r}; it must be a colour and a shape")
        if not (0 <= m.row <= SPAN and 0 <= m.column <= SPAN):
            raise InputError(
                f"{m.name} starts at {(m.row, m.column)}; row and column must be from 0 to {SPAN}"
            )
        if max(abs(m.down), abs(m.right)) > FASTEST:
            raise InputError(
                f"{m.name} moves by {(m.down, m.right)} a frame; at most {FASTEST} is allowed"
            )
    if scene.solid:
        a, b = scene.movers if len(scene.movers) == 2 else (scene.movers[0],) * 2
        level = a.row == b.row and a.down == b.down == 0
        if len(scene.movers) < 2 or not level or a.column + CELL > b.column:
            raise InputError(
                "scene is solid; it must be two things in one row, the left one first, apart, "
                "moving along the row"
            )


def _folded(start: int, speed: int, times: np.ndarray, span: int) -> np.ndarray:
    """Between two walls at 0 and `span`: the straight path, folded."""
    return span - np.abs(span - (start + speed * times) % (2 * span))


def _walls(start: int, speed: int, frames: int, span: int) -> int:
    """Walls met between the first frame and the last; a wall touched at an end does not count."""
    low, high = sorted((start, start + speed * (frames - 1)))
    return max(0, -(-high // span) - 1 - low // span)  # multiples of the span strictly between


def tell(scene: Scene, frames: int = FRAMES) -> Story:
    """What happens in a scene.

    Raises:
        InputError: what `check_scene` refuses.
    """
    check_scene(scene, frames)
    if scene.solid:
        return _lane(scene, frames)
    times, places, bounces = np.arange(frames), [], []
    for m in scene.movers:
        axes = ((m.row, m.down), (m.column, m.right))
        places.append(np.stack([_folded(p, v, times, SPAN) for p, v in axes], axis=-1))
        bounces.append(sum(_walls(p, v, frames, SPAN) for p, v in axes))
    placed = np.stack(places)  # (M, T, 2)
    return Story(placed, tuple(bounces), 0, _hidden(scene, placed))


def _lane(scene: Scene, frames: int) -> Story:
    """Two equal masses in a lane: they change speeds where they meet.

    So they move as two ghosts would that pass through each other, and change names there. A thing
    is CELL wide: take that much out of the lane, and the two are points.
    """
    left, right = scene.movers
    span, times = SPAN - CELL, np.arange(FINE * (frames - 1) + 1)
    one = _folded(FINE * left.column, left.right, times, FINE * span)
    two = _folded(FINE * (right.column - CELL), right.right, times, FINE * span)
    low, high = np.minimum(one, two), np.maximum(one, two)
    ahead = np.sign(two - one)[1::2]  # between events: who is on the right
    met = int((ahead[1:] * ahead[:-1] < 0).sum())
    columns = np.stack([low, high + FINE * CELL])[:, ::FINE] // FINE  # (2, T)
    rows = np.full_like(columns, left.row)
    placed = np.stack([rows, columns], axis=-1)
    # Only the left one can be at the left wall, whoever's ghost it is.
    walls = [0, 0]
    for start, speed in ((left.column, left.right), (right.column - CELL, right.right)):
        a, b = sorted((start, start + speed * (frames - 1)))
        for k in range(a // span, b // span + 1):
            if a < k * span < b:
                walls[k % 2] += 1
    return Story(placed, tuple(walls), met, (False,) * frames)


def _unclear(scene: Scene, frames: int) -> bool:
    """Whether the two of a lane meet at a wall, or go on as one: nobody could say who hit what."""
    left, right = scene.movers
    span, times = FINE * (SPAN - CELL), np.arange(FINE * (frames - 1) + 1)
    one = _folded(FINE * left.column, left.right, times, span)
    two = _folded(FINE * (right.column - CELL), right.right, times, span)
    as_one = (one == two)[1::2].any()
    return bool(as_one or ((one == two) & ((one == 0) | (one == span))).any())


def _ink(shape: str) -> np.ndarray:
    return np.array([[int(dot) for dot in row] for row in SHAPES[shape].split()], bool)


def _hidden(scene: Scene, placed: np.ndarray) -> tuple[bool, ...]:
    """For each frame, whether the nearer thing lies on ink of the farther one."""
    if len(scene.movers) < 2:
        return (False,) * placed.shape[1]
    found = []
    for far, near in zip(*placed, strict=True):
        masks = [np.zeros((SIDE, SIDE), bool) for _ in range(2)]
        for mask, mover, (row, column) in zip(masks, scene.movers, (far, near), strict=True):
            mask[row : row + CELL, column : column + CELL] = _ink(mover.shape)
        found.append(bool((masks[0] & masks[1]).any()))
    return tuple(found)


def draw_video(scene: Scene, frames: int = FRAMES, paper: np.ndarray | None = None) -> np.ndarray:
    """The video of a scene: (3, T, 12, 12) float32, 0 to 1.

    Args:
        scene: what there is; later things hide earlier ones.
        frames: T.
        paper: (3, 12, 12), what lies behind all things; None: black.

    Raises:
        InputError: what `check_scene` refuses.
    """
    story = tell(scene, frames)
    blank = np.zeros((3, SIDE, SIDE), np.float32) if paper is None else paper
    video = np.repeat(np.asarray(blank, np.float32)[:, None], frames, 1)  # (3, T, H, W)
    for mover, places in zip(scene.movers, story.places, strict=True):
        ink, colour = _ink(mover.shape), _sprite(mover.colour, "square")
        for t, (row, column) in enumerate(places):
            cell = video[:, t, row : row + CELL, column : column + CELL]
            cell[...] = np.where(ink, colour, cell)
    return video


def texture(random: np.random.Generator, strength: float) -> np.ndarray:
    """Paper of soft random colours that does not move: (3, 12, 12) float32, 0 to `strength`."""
    coarse = random.random((3, 5, 5))
    at = np.linspace(0, 4, SIDE)
    low = np.minimum(at.astype(int), 3)
    share = at - low
    for axis in (1, 2):
        a, b = coarse.take(low, axis), coarse.take(low + 1, axis)
        shape = [1, 1, 1]
        shape[axis] = SIDE
        coarse = a + (b - a) * share.reshape(shape)
    return (strength * coarse).astype(np.float32)


def videos(
    count: int,
    seed: int = 0,
    kinds: Sequence[str] = KINDS,
    frames: int = FRAMES,
    colours: Sequence[str] = tuple(COLOURS),
    shapes: Sequence[str] = tuple(SHAPES),
    straight: bool = False,
    bounces: Sequence[int] | None = None,
    paper: float = 0.0,
) -> Videos:
    """Random videos.

    Args:
        count: how many, N.
        seed: of all that is random.
        kinds: to draw from: "one" thing, two that "pass" in planes of their own, two in a lane that
            "collide" at least once.
        frames: T.
        colours, shapes: to draw from.
        straight: things move along a row or a column, never both.
        bounces: numbers of bounces of the first thing to draw from, all alike often; None: as they
            come.
        paper: strength of a still texture behind the things, 0 to 1.

    Raises:
        InputError: a count below 1, an unknown kind, colour or shape, a paper out of range, numbers
            of bounces that do not occur.
    """
    if count < 1:
        raise InputError(f"count is {count}; it must be 1 or more")
    for name, given, allowed in (
        ("kinds", kinds, KINDS), ("colours", colours, COLOURS), ("shapes", shapes, SHAPES)
    ):  # fmt: skip
        wrong = [one for one in given if one not in allowed]
        if wrong or not given:
            raise InputError(
                f"{name} is {list(given)!r}; it must hold some of {', '.join(allowed)}"
            )
    if not 0 <= paper <= 1:
        raise InputError(f"paper is {paper}; it must be from 0 to 1")
    if frames < 1:
        raise InputError(f"frames is {frames}; it must be 1 or more")
    random = rng(seed, "videos")
    scenes, stories, pictures = [], [], []
    for i in range(count):
        wanted = None if bounces is None else bounces[i % len(bounces)]
        scene, story = _draw(random, kinds, frames, colours, shapes, straight, wanted)
        scenes.append(scene)
        stories.append(story)
        behind = texture(random, paper) if paper else None
        pictures.append(draw_video(scene, frames, behind))
    return Videos(np.stack(pictures), scenes, stories)


def _draw(
    random: np.random.Generator,
    kinds: Sequence[str],
    frames: int,
    colours: Sequence[str],
    shapes: Sequence[str],
    straight: bool,
    wanted: int | None,
) -> tuple[Scene, Story]:
    for _ in range(PATIENCE):
        kind = kinds[random.integers(len(kinds))]
        pairs = [
            (colours[random.integers(len(colours))], shapes[random.integers(len(shapes))])
            for _ in range(1 if kind == "one" else 2)
        ]
        scene = (
            _two_in_a_lane(random, pairs) if kind == "collide" else _free(random, pairs, straight)
        )
        if scene.solid and _unclear(scene, frames):
            continue
        story = tell(scene, frames)
        if kind == "collide" and not story.collisions and frames > 2:
            continue
        if wanted is None or story.bounces[0] == wanted:
            return scene, story
    raise InputError(
        f"bounces holds {wanted}; in {frames} frames of {', '.join(kinds)} it does not occur"
    )


def _speed(random: np.random.Generator, start: int, span: int) -> int:
    """1 to FASTEST either way, away from a wall that it starts at."""
    speed = int(random.integers(1, FASTEST + 1))
    way = {0: 1, span: -1}.get(start, int(random.choice((-1, 1))))
    return speed * way


def _free(random: np.random.Generator, pairs: list[tuple[str, str]], straight: bool) -> Scene:
    movers = []
    for pair in pairs:
        row, column = (int(p) for p in random.integers(0, SPAN + 1, 2))
        down, right = _speed(random, row, SPAN), _speed(random, column, SPAN)
        still = int(random.integers(2)) if straight else int(random.integers(4))
        if still < 2:
            down, right = (0, right) if still else (down, 0)
        movers.append(Mover(*pair, row, column, down, right))
    return Scene(tuple(movers))


def _two_in_a_lane(random: np.random.Generator, pairs: list[tuple[str, str]]) -> Scene:
    row, span = int(random.integers(0, SPAN + 1)), SPAN - CELL
    a, b = sorted(int(p) for p in random.choice(span + 1, 2, replace=False))
    speeds = _speed(random, a, span), _speed(random, b, span)
    return Scene(
        (
            Mover(*pairs[0], row, a, 0, speeds[0]),
            Mover(*pairs[1], row, b + CELL, 0, speeds[1]),
        ),
        solid=True,
    )
