"""What lesson 07g runs beside its page: linear coders, two small autoencoders, errors of an order."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.align.self_training import self_train_round
from minilm.backend import rng
from minilm.data.images.videos import videos
from minilm.data.worlds import countdown as C
from minilm.diffusion.training import fit
from minilm.models import Transformer
from minilm.vision.frame_reader import FrameReader
from minilm.vision.spacetime import keyframe_interp_schedule
from minilm.vision.video_ae import VideoAE

from .studies import counting, selftrain
from .studies import flicker as coders

PAPER = coders.PAPER
KINDS = {"frame by frame": 1, "four together": 4}  # frames of a piece
SIZES = (9, 18, 36, 72)  # numbers a frame


def held(seed: int, count: int = 64) -> np.ndarray:
    """Videos that no coder has seen: (N, 3, T, 12, 12)."""
    return videos(count, coders.HELD + seed, paper=PAPER).frames


class LinearCoder:
    """The best that a linear map can do: principal components of pieces of so many frames.

    Args:
        known: videos whose components are taken, (N, C, T, H, W).
        frames: of a piece; 1 codes every frame for itself.
    """

    def __init__(self, known: np.ndarray, frames: int) -> None:
        rows = _pieces(known, frames).astype(np.float64)
        self.frames, self.mean = frames, rows.mean(0)
        values, axes = np.linalg.eigh((rows - self.mean).T @ (rows - self.mean) / len(rows))
        self.variance, self.axes = np.maximum(values[::-1], 0), axes[:, ::-1]

    def rebuilt(
        self, videos: np.ndarray, each: int, random: np.random.Generator | None = None
    ) -> np.ndarray:
        """Videos after coding in `each` numbers a frame, and decoding.

        Args:
            videos: (N, C, T, H, W).
            each: numbers kept of a frame; a piece of four has four times as many.
            random: where given, what was dropped is drawn from its Gaussian and not left out.
        """
        kept = each * self.frames
        rows = _pieces(videos, self.frames) - self.mean
        made = rows @ self.axes[:, :kept] @ self.axes[:, :kept].T + self.mean
        if random is not None:
            spread = np.sqrt(self.variance[kept:])
            made += (
                random.standard_normal((len(rows), len(spread))) * spread @ self.axes[:, kept:].T
            )
        n, c, t, h, w = videos.shape
        apart = made.reshape(n, t // self.frames, c, self.frames, h, w)
        return apart.swapaxes(1, 2).reshape(videos.shape)


def _pieces(v: np.ndarray, frames: int) -> np.ndarray:
    """(N, C, T, H, W) -> (N T/f, C f H W)."""
    n, c, t, h, w = v.shape
    apart = v.reshape(n, c, t // frames, frames, h, w).swapaxes(1, 2)  # (N, T/f, C, f, H, W)
    return apart.reshape(n * t // frames, -1)


def linear_coders(seeds: Sequence[int]) -> dict[str, Any]:
    """What linear coders lose, for each kind and size; a video that stands still; two decoders.

    Returns:
        "frame by frame" and "four together": measures, lists per seed over `SIZES`; "still": one
        per seed; "mean" and "draw": one per seed, of four together with the largest size.
    """
    found: dict[str, Any] = {name: [] for name in (*KINDS, "still", "mean", "draw")}
    for seed in seeds:
        known, true = videos(600, seed, paper=PAPER).frames, held(seed)
        still = np.broadcast_to(true.mean(2, keepdims=True), true.shape)
        found["still"].append(coders.measures(still, true))
        for name, frames in KINDS.items():
            coder = LinearCoder(known, frames)
            found[name].append([coders.measures(coder.rebuilt(true, each), true) for each in SIZES])
        found["mean"].append(found[name][-1][-1])
        drawn = coder.rebuilt(true, SIZES[-1], rng(seed, "draw"))
        found["draw"].append(coders.measures(drawn, true))
    return found


def small_coders(seed: int, steps: int = 60) -> dict[str, VideoAE]:
    """Both autoencoders after a short training."""
    known, made = videos(500, seed, paper=PAPER).frames, {}
    for name in ("frames", "causal"):
        network = VideoAE(coders.MODELS[name], seed)
        draw = coders.ae_batches(known, seed)
        fit(network, draw, steps, lr=4e-3, ema=0.95, loss=VideoAE.loss, progress=False)
        made[name] = network
    return made


def foreteller(seed: int, steps: int = 150) -> FrameReader:
    """A reader that has foretold frames of raw videos for a while."""
    reader = FrameReader(counting.CONFIG, seed)
    raw = videos(1500, 40_000 + seed, ("one",)).frames
    counting.foretelling(reader, raw, steps, 3e-3, seed)
    return reader


def errors_of_order(frames: int, runs: int = 4000, keys: int = 2) -> dict[str, np.ndarray]:
    """Spread of each frame's error where every drawn frame adds one of its own, of spread 1.

    A frame after the other takes over all errors before it; a frame between two others takes over
    the mean of theirs.
    """
    random = rng(0, "errors")
    chain = np.cumsum(random.standard_normal((frames, runs)), axis=0)
    error = random.standard_normal((frames, runs))
    for one in keyframe_interp_schedule(frames, keys)[1:]:
        for frame, a, b in one:
            share = (frame - a) / (b - a)
            error[frame] += (1 - share) * error[a] + share * error[b]
    return {"one after the other": chain.std(1), "key frames first": error.std(1)}


def one_round(seed: int) -> dict[str, Any]:
    """A writer before and after one round in which it teaches itself."""
    first, open_tasks, tests = selftrain.drawn_tasks(seed)
    network = Transformer(selftrain.CONFIG, seed)
    selftrain.learn(network, first, 150, 3e-3, seed, 0)
    before = selftrain.exam(network, tests, seed)["pass1"]
    made = self_train_round(selftrain.writer(network, seed), open_tasks[:600], C.execute, 8)
    selftrain.learn(network, [*first, *made.kept], 100, 3e-3, seed, 1)
    return {
        "before": before,
        "round": made,
        "after": selftrain.exam(network, tests, seed)["pass1"],
        "chance": selftrain.chance(seed),
    }
