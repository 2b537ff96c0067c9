"""What lesson 07g runs beside its page: linear coders, errors of an order, three short trainings."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.backend import rng
from minilm.data.images.video_captions import SLOTS
from minilm.data.images.videos import videos
from minilm.data.worlds import countdown as C
from minilm.models import Transformer
from minilm.studies.recorded import Recorded
from minilm.vision.frame_reader import FrameReader
from minilm.vision.spacetime import keyframe_interp_schedule

from .studies import captions, counting, selftrain
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
        per seed; "mean" and "draw": one per seed, of four together with the largest size; "film":
        a test video of the first seed, (3, T, 12, 12), as it is and as both kinds of the largest
        size give it back.
    """
    found: dict[str, Any] = {name: [] for name in (*KINDS, "still", "mean", "draw")}
    film: dict[str, np.ndarray] = {}
    for seed in seeds:
        known, true = videos(600, seed, paper=PAPER).frames, held(seed)
        still = np.broadcast_to(true.mean(2, keepdims=True), true.shape)
        found["still"].append(coders.measures(still, true))
        for name, frames in KINDS.items():
            coder = LinearCoder(known, frames)
            if seed == seeds[0]:
                film.setdefault("true", true[0])
                film[name] = coder.rebuilt(true[:1], SIZES[-1])[0]
            found[name].append([coders.measures(coder.rebuilt(true, each), true) for each in SIZES])
        found["mean"].append(found[name][-1][-1])
        drawn = coder.rebuilt(true, SIZES[-1], rng(seed, "draw"))
        found["draw"].append(coders.measures(drawn, true))
    return {**found, "film": film}


def foreteller_error(seed: int) -> dict[str, float]:
    """Mean squared error of next frames, by the record's reader of raw video and two that cost nothing."""
    reader = FrameReader(counting.CONFIG, seed)
    raw = videos(counting.RAW, 40_000 + seed, ("one",)).frames
    counting.foretelling(reader, raw, 160, 2e-3, seed)
    new = videos(200, 12, ("one",)).frames
    told, wanted = reader.foretold(new)[:, :, :-1], new[:, :, 1:]
    mean = raw[:, :, 1:].mean((0, 2), keepdims=True)  # (1, 3, 1, 12, 12)
    return {
        "the reader": float(((told - wanted) ** 2).mean()),
        "the mean of all frames": float(((mean - wanted) ** 2).mean()),
        "the last frame again": float(((new[:, :, :-1] - wanted) ** 2).mean()),
    }


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


def in_words(ids: Sequence[int]) -> str:
    """A caption in words: ids into `SLOTS`, (4,), 0 is not said."""
    return " ".join(words[i] for words, i in zip(SLOTS, ids, strict=True) if i)


def first_drawn(record: Recorded) -> dict[str, np.ndarray]:
    """What each model of the study drew for the first caption of seed 0: name -> (3, T, 12, 12)."""
    names = {"word": "one word", "recaptioned": "recaptioned", "true": "true captions"}
    return {
        name: captions.read_drawn(record.run(way, 0)["drawn"])[0] for way, name in names.items()
    }


def reader(seed: int) -> tuple[FrameReader, np.ndarray, np.ndarray]:
    """The record's reader of 64 looks, the videos it learned from, (N, 3, T, 12, 12), and counts."""
    known, counts = counting.world(1200, seed)
    return counting.trained("wide", seed, 3e-3, 160, 1200), known.frames, counts[:, 0]


def one_round(teach: Callable[..., Any], seed: int) -> dict[str, float]:
    """One round of self-training: what was kept, and shares of new tasks solved before and after.

    Args:
        teach: (write, tasks, execute, tries) -> (task, program) pairs.
        seed: of weights and tasks.
    """
    first, open_tasks, tests = selftrain.drawn_tasks(seed)
    model = Transformer(selftrain.CONFIG, seed)
    selftrain.learn(model, first, 100, 3e-3, seed, 0)
    before = first_try(model, tests, seed)
    kept = teach(selftrain.writer(model, seed), open_tasks[:OPEN], C.execute, TRIES)
    selftrain.learn(model, [*first, *kept], 80, 3e-3, seed, 1)
    return {"kept": len(kept), "before": before, "after": first_try(model, tests, seed)}


def first_try(model: Transformer, tests: Sequence[C.Task], seed: int) -> float:
    """Share of tasks that the likeliest program solves."""
    written = selftrain.writer(model, seed, 0.0)(tests, 1)
    return float(np.mean([C.execute(task, one[0]) for task, one in zip(tests, written)]))
