"""An oracle that reads a video of one thing: of all scenes it could be, the one that fits best.

It needs no training. A thing that moves and bounces is given by colour, shape, place and speed;
every path is compared with every frame, so whether a drawn video shows what it was asked for is
known exactly.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from minilm.data.images.sprites import CELL, PAIRS, SIDE, _known
from minilm.data.images.video_captions import SLOTS, slots
from minilm.data.images.videos import FASTEST, SPAN, Mover, Scene, _folded
from minilm.errors import InputError

TOLERANCE = 0.5  # of a scene's own power: the most that a legible video may differ from it


class Reading(NamedTuple):
    """What the oracle reads in a video."""

    scene: Scene
    error: float  # mean squared difference of the video from that scene's
    power: float  # mean square of that scene's video

    @property
    def legible(self) -> bool:
        """Whether the scene is drawn well enough to be believed; black paper shows nothing."""
        return self.error <= TOLERANCE * self.power


@cache
def _paths(frames: int, straight: bool) -> tuple[np.ndarray, np.ndarray]:
    """Every motion (P, 4), row, column, down, right, and its places (P, T), row by row."""
    speeds, places = range(-FASTEST, FASTEST + 1), range(SPAN + 1)
    axis = [
        (p, v) for p in places for v in speeds if not ((v < 0 and p == 0) or (v > 0 and p == SPAN))
    ]
    times = np.arange(frames)
    walks = np.stack([_folded(p, v, times, SPAN) for p, v in axis])  # (A, T)
    pairs = [
        (i, j)
        for i, (_, down) in enumerate(axis)
        for j, (_, right) in enumerate(axis)
        if not straight or (down == 0) != (right == 0)
    ]
    i, j = np.array(pairs).T
    motions = np.array([(axis[a][0], axis[b][0], axis[a][1], axis[b][1]) for a, b in pairs])
    return motions, walks[i] * (SPAN + 1) + walks[j]


@cache
def _things() -> tuple[np.ndarray, np.ndarray]:
    """All things as columns (48, 64), and the square of each, (64,)."""
    flat = _known()[1:].reshape(len(PAIRS), -1).astype(np.float64)
    return flat.T, (flat**2).sum(1)


def read_video(video: np.ndarray, straight: bool = True) -> Reading:
    """The scene of one thing on black paper that is nearest to a video.

    Args:
        video: (3, T, 12, 12), 0 to 1.
        straight: only motions along a row or a column count.

    Raises:
        InputError: another shape, or numbers that are not finite.
    """
    if video.ndim != 4 or video.shape[0] != 3 or video.shape[2:] != (SIDE, SIDE) or not video.size:
        raise InputError(f"video is {video.shape}; it must be (3, T, {SIDE}, {SIDE})")
    if not np.isfinite(video).all():
        raise InputError("video holds nan or inf; every number must be finite")
    frames = video.shape[1]
    video = video.astype(np.float64)
    seen = np.lib.stride_tricks.sliding_window_view(video, (CELL, CELL), (2, 3))
    seen = seen.transpose(1, 2, 3, 0, 4, 5).reshape(frames, (SPAN + 1) ** 2, -1)  # (T, 81, 48)
    columns, squares = _things()
    # |video|^2 less |video - thing|^2: what a thing at a place explains of a frame
    gain = 2 * seen @ columns - squares  # (T, 81, 64)
    pair = int(gain.max(1).sum(0).argmax())
    motions, places = _paths(frames, straight)
    explained = gain[np.arange(frames), places, pair].sum(1)  # (P,)
    best = int(explained.argmax())
    scene = Scene((Mover(*PAIRS[pair], *(int(n) for n in motions[best])),))
    error = ((video**2).sum() - explained[best]) / video.size
    return Reading(scene, float(error), float(squares[pair] * frames / video.size))


def judge_video(video: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Whether a video shows each thing asked for: bool (4,), colour, shape, direction and speed.

    Nothing is shown by a video that is not legible.

    Args:
        video: (3, T, 12, 12), 0 to 1, of one thing that moves straight.
        wanted: ids into `SLOTS`, (4,); 0 asks for nothing and is always shown.

    Raises:
        InputError: other shapes, ids out of range, or what `read_video` refuses.
    """
    wanted = np.asarray(wanted)
    sizes = np.array([len(words) for words in SLOTS])
    if wanted.shape != (4,) or wanted.dtype.kind not in "iu" or (wanted < 0).any():
        raise InputError(f"wanted is {wanted.dtype} {wanted.shape}; it must be 4 ids from 0 on")
    if (wanted >= sizes).any():
        raise InputError(f"wanted is {wanted.tolist()}; ids must be below {sizes.tolist()}")
    found = read_video(video)
    if not found.legible:
        return wanted == 0
    return (slots(found.scene) == wanted) | (wanted == 0)
