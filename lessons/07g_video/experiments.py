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
OPEN, TRIES = 600, 8  # tasks without solutions, programs written for each


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


def small_coders(seed: int, steps: int = 40) -> dict[str, VideoAE]:
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


def readers(seeds: Sequence[int], steps: int = 120) -> dict[str, list[dict[str, Any]]]:
    """Readers that learned to count from things of 64 looks and of 4, and one that saw one frame."""
    return {
        model: [
            counting.exam(counting.trained(model, seed, 6e-3, steps, 900), model, seed)
            for seed in seeds
        ]
        for model in ("wide", "narrow", "one frame")
    }


def self_taught(seeds: Sequence[int]) -> dict[str, list[float]]:
    """Shares of new tasks solved at the first try, by what the compute went into, per seed.

    "before": after 100 steps on 150 tasks with solutions. "verified": one round of writing for 600
    tasks without, and 100 steps on what passed too. "search": the same with random programs.
    "longer": as many operations on the 150, writing included. "chance": random programs.
    """
    found: dict[str, list[float]] = {}
    writing = round(OPEN * TRIES / 3 / selftrain.BATCH)  # steps that cost as much as writing does
    for seed in seeds:
        first, open_tasks, tests = selftrain.drawn_tasks(seed)
        start = Transformer(selftrain.CONFIG, seed)
        selftrain.learn(start, first, 100, 3e-3, seed, 0)
        weights = {name: array.copy() for name, array in start.state_dict().items()}
        solved = {"before": start, "chance": None}
        for way in ("longer", "search", "verified"):
            model = Transformer(selftrain.CONFIG, seed)
            model.load_state_dict(weights)
            pool = list(first)
            if way != "longer":
                write = selftrain.writer(model, seed) if way == "verified" else None
                write = write or selftrain.searcher(seed)
                pool += self_train_round(write, open_tasks[:OPEN], C.execute, TRIES).kept
            more = writing if way == "longer" else 0
            selftrain.learn(model, pool, 100 + more, 3e-3, seed, 1)
            solved[way] = model
        for way, model in solved.items():
            share = selftrain.chance(seed) if model is None else first_try(model, tests, seed)
            found.setdefault(way, []).append(share)
    return found


def first_try(model: Transformer, tests: Sequence[C.Task], seed: int) -> float:
    """Share of tasks that the likeliest program solves."""
    written = selftrain.writer(model, seed, 0.0)(tests, 1)
    return float(np.mean([C.execute(task, one[0]) for task, one in zip(tests, written)]))
