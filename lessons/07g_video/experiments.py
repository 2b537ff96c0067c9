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


def held(seed: int, count: int = 64) -> np.ndarray:
    """Videos that no coder has seen: (N, 3, T, 12, 12)."""
    return videos(count, coders.HELD + seed, paper=PAPER).frames


def linear_coder(known: np.ndarray, true: np.ndarray, frames: int, numbers: int) -> np.ndarray:
    """The best that a linear map can do: principal components of pieces of so many frames.

    Args:
        known: videos whose components are taken.
        true: videos that are coded and decoded.
        frames: of a piece.
        numbers: components kept of a piece.

    Returns:
        As `true`, after coding and decoding.
    """
    rows, back = _pieces(known, frames), _pieces(true, frames)
    mean = rows.mean(0)
    _, axes = np.linalg.eigh((rows - mean).T @ (rows - mean))
    kept = axes[:, ::-1][:, :numbers]
    made = (back - mean) @ kept @ kept.T + mean
    n, c, t, h, w = true.shape
    return made.reshape(n, t // frames, c, frames, h, w).swapaxes(1, 2).reshape(true.shape)


def _pieces(v: np.ndarray, frames: int) -> np.ndarray:
    """(N, C, T, H, W) -> (N T/f, C f H W)."""
    n, c, t, h, w = v.shape
    apart = v.reshape(n, c, t // frames, frames, h, w).swapaxes(1, 2)  # (N, T/f, C, f, H, W)
    return apart.reshape(n * t // frames, -1)


def linear_coders(seeds: Sequence[int]) -> dict[str, dict[str, list[float]]]:
    """PSNR and flicker of linear coders with 144 numbers a video, per seed."""
    found: dict[str, dict[str, list[float]]] = {}
    for seed in seeds:
        known, true = videos(500, seed, paper=PAPER).frames, held(seed)
        for name, frames, numbers in (("frame by frame", 1, 18), ("four together", 4, 72)):
            made = coders.measures(linear_coder(known, true, frames, numbers), true)
            row = found.setdefault(name, {"psnr": [], "flicker": []})
            row["psnr"].append(made["psnr"])
            row["flicker"].append(made["flicker"])
    return found


def small_coders(seed: int, steps: int = 120) -> dict[str, VideoAE]:
    """Both autoencoders after a short training."""
    known, made = videos(500, seed, paper=PAPER).frames, {}
    for name in ("frames", "causal"):
        network = VideoAE(coders.MODELS[name], seed)
        draw = coders.ae_batches(known, seed)
        fit(network, draw, steps, lr=4e-3, ema=0.95, loss=VideoAE.loss, progress=False)
        made[name] = network
    return made


def foreteller(seed: int, steps: int = 250) -> FrameReader:
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
