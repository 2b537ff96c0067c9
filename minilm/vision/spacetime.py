"""Videos as tokens, how much they flicker, and the order in which frames can be drawn."""

from typing import NamedTuple

import numpy as np

from minilm.errors import InputError
from minilm.tensor import Tensor


def spacetime_patchify(videos: Tensor, frames: int, size: int) -> Tensor:
    """Cut videos into blocks of frames and pixels: (B, C, T, H, W) -> (B, N, C f p p).

    One token is f frames of a square of p by p pixels; there are N = (T / f)(H / p)(W / p) of them,
    the earliest first and each moment in reading order. Inside a token, the numbers are in the
    order (C, f, p, p), so that a linear map of the tokens is a convolution with that window and
    stride (Brooks et al. 2024, Sora; ViViT, Arnab et al. 2021, arXiv 2103.15691, section 3.2).

    Args:
        videos: (B, C, T, H, W).
        frames: f, frames of a patch.
        size: p, pixels of a patch along each axis.

    Raises:
        InputError: other than five axes; a size below 1, or one that does not divide its axis.
    """
    if len(videos.shape) != 5:
        raise InputError(f"videos are {tuple(videos.shape)}; they must be (B, C, T, H, W)")
    b, c, t, h, w = videos.shape
    _check_sizes(frames, size, t, h, w)
    x = videos.reshape(b, c, t // frames, frames, h // size, size, w // size, size)
    x = x.permute(0, 2, 4, 6, 1, 3, 5, 7)  # -> (B, T/f, H/p, W/p, C, f, p, p)
    return x.reshape(b, -1, c * frames * size**2)  # -> (B, N, C f p p)


def spacetime_unpatchify(
    tokens: Tensor, frames: int, size: int, shape: tuple[int, int, int]
) -> Tensor:
    """Put blocks together again, `spacetime_patchify` undone: (B, N, C f p p) -> (B, C, T, H, W).

    Args:
        tokens: (B, N, C f p p).
        frames, size: f and p.
        shape: (T, H, W) of the videos.

    Raises:
        InputError: other than three axes; a size below 1, or one that does not divide its axis;
            tokens that are not N of a multiple of f p p numbers.
    """
    t, h, w = shape
    _check_sizes(frames, size, t, h, w)
    grid = t // frames, h // size, w // size
    if len(tokens.shape) != 3:
        raise InputError(f"tokens are {tuple(tokens.shape)}; they must be (B, N, C f p p)")
    b, n, numbers = tokens.shape
    each = frames * size**2
    if n != grid[0] * grid[1] * grid[2] or numbers % each:
        raise InputError(
            f"tokens are {tuple(tokens.shape)}; {shape} in patches of {frames} frames of {size} "
            f"needs {grid[0] * grid[1] * grid[2]} tokens of a multiple of {each} numbers"
        )
    x = tokens.reshape(b, *grid, numbers // each, frames, size, size)
    x = x.permute(0, 4, 1, 5, 2, 6, 3, 7)  # -> (B, C, T/f, f, H/p, p, W/p, p)
    return x.reshape(b, numbers // each, t, h, w)


def _check_sizes(frames: int, size: int, t: int, h: int, w: int) -> None:
    for name, value in (("frames", frames), ("size", size)):
        if value < 1:
            raise InputError(f"{name} is {value}; it must be 1 or more")
    if min(t, h, w) < 1 or t % frames or h % size or w % size:
        raise InputError(
            f"videos are {t} frames of {h} by {w}; frames {frames} must divide {t}, and size "
            f"{size} both sides"
        )


def flicker(made: np.ndarray, true: np.ndarray, axis: int = 2) -> float:
    """Mean |change of `made` - change of `true`| from each frame to the next.

    0 where both change alike, whatever constant picture lies between them: a wrong colour that
    stays wrong does not flicker.

    Args:
        made, true: videos of one shape, such as (N, C, T, H, W).
        axis: of time.

    Raises:
        InputError: other shapes; an axis that is not there; fewer than two frames.
    """
    made, true = np.asarray(made, np.float64), np.asarray(true, np.float64)
    if made.shape != true.shape:
        raise InputError(f"made is {made.shape} and true {true.shape}; they must be alike")
    if not -made.ndim <= axis < made.ndim:
        raise InputError(f"axis is {axis}; the videos have {made.ndim} axes")
    if made.shape[axis] < 2 or not made.size:
        raise InputError(f"the videos are {made.shape}; flicker needs two frames along axis {axis}")
    return float(np.abs(np.diff(made, axis=axis) - np.diff(true, axis=axis)).mean())


class Drawn(NamedTuple):
    """A frame, and the frames on either side that are there when it is drawn."""

    frame: int
    before: int | None  # None for a key frame, which rests on the text and on earlier key frames
    after: int | None


def keyframe_interp_schedule(frames: int, keys: int | None = None) -> list[list[Drawn]]:
    """Rounds of drawing: key frames first, then again and again the frame in each gap's middle.

    CogVideo draws a video in this way (Hong et al. 2022, arXiv 2205.15868). Frames of a round do
    not wait for each other, so a video takes about log2 of its frames in rounds, and an error at
    one end has few rounds in which to grow.

    Args:
        frames: how many frames the video has.
        keys: key frames, spread evenly from the first to the last; None: those two.

    Returns:
        The rounds; every frame from 0 to `frames` - 1 is in exactly one of them.

    Raises:
        InputError: fewer than one frame; keys that are not from 1 to `frames`, or 1 of several
            frames, of which the last must be a key too.
    """
    if frames < 1:
        raise InputError(f"frames is {frames}; it must be 1 or more")
    keys = min(2, frames) if keys is None else keys
    if not min(2, frames) <= keys <= frames:
        raise InputError(f"keys is {keys}; it must be from {min(2, frames)} to {frames}")
    at = [round(i * (frames - 1) / (keys - 1)) for i in range(keys)] if keys > 1 else [0]
    rounds = [[Drawn(frame, None, None) for frame in at]]
    gaps = list(zip(at, at[1:]))
    while gaps := [(a, b) for a, b in gaps if b - a > 1]:
        rounds.append([Drawn((a + b) // 2, a, b) for a, b in gaps])
        gaps = [half for a, b in gaps for half in ((a, (a + b) // 2), ((a + b) // 2, b))]
    return rounds
