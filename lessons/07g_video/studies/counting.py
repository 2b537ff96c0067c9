"""Counting bounces: what a reader of videos counts, what it never saw, and what raw video teaches.

    minilm study run 07g/counting --out counting.json

After Ming Ding (CS25 V4, 59:33-62:35 and 77:07): models of video hallucinate and miscount, data
must cover what is asked, and nothing is learnt from raw video yet. A reader takes 8 frames, one
token each, and says how often the thing bounced, 0 to 5. "wide" saw things of all 64 looks,
"narrow" as many videos of 4 looks, "one frame" all looks but only one frame; all saw every count
alike often. "few" learns from 200 videos with answers; "raw" first foretells frames of 1,200 videos
without any, then learns from the same 200; "few, longer" has as many operations as "raw" but no raw
video. One learning rate for all, tuned on "wide".
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.backend import rng
from minilm.data.images.videos import Mover, Videos, videos
from minilm.diffusion.training import fit
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune
from minilm.vision.frame_reader import FrameReader, FrameReaderConfig

COUNTS = tuple(range(6))
LOOKS = ("red", "white"), ("square", "ring")  # colours and shapes that "narrow" has seen
FEW, RAW, TEST = 200, 1200, 480
BATCH, EMA = 64, 0.99
CONFIG = FrameReaderConfig(answers=(len(COUNTS),))
MODELS = ("wide", "narrow", "one frame", "few", "few, longer", "raw")


def world(count: int, seed: int, narrow: bool = False) -> tuple[Videos, np.ndarray]:
    """Videos of one thing, all counts alike often, and the counts, (N, 1)."""
    looks = dict(zip(("colours", "shapes"), LOOKS)) if narrow else {}
    made = videos(count, seed, ("one",), bounces=COUNTS, **looks)
    return made, np.array([[story.bounces[0]] for story in made.stories])


def things(made: Videos) -> list[Mover]:
    """The one thing of each video."""
    return [scene.movers[0] for scene in made.scenes]


def seen_by(model: str, frames: np.ndarray) -> np.ndarray:
    """What a model is shown of videos (N, C, T, H, W)."""
    if model == "one frame":
        return frames[:, :, 4:5]
    return frames


def by_rule(frames: np.ndarray) -> np.ndarray:
    """Count without learning: (N, C, T, H, W) -> (N,).

    The ink's middle moves by steps of one size along each axis. A shorter step has a wall inside it;
    two full ones in opposite directions have it between them.
    """
    ink, found = frames.sum(1), 0  # (N, T, H, W)
    for axis in (2, 3):
        places = np.arange(ink.shape[axis])
        middle = (ink.sum(5 - axis) * places).sum(-1) / ink.sum((2, 3))  # (N, T)
        found = found + np.array([_walls(np.diff(row).round()) for row in middle])
    return found


def _walls(steps: np.ndarray) -> int:
    full = np.abs(steps) == np.abs(steps).max()
    turned = full[1:] & full[:-1] & (steps[1:] == -steps[:-1]) & (steps[1:] != 0)
    return int((~full).sum() + turned.sum())


def answering(
    reader: FrameReader, shown: np.ndarray, counts: np.ndarray, steps: int, lr: float, seed: int
) -> None:
    """Learn to count from videos with answers."""

    def draw(step: int) -> tuple[np.ndarray, np.ndarray]:
        rows = rng(seed, "counting", step).integers(0, len(shown), BATCH)
        return shown[rows], counts[rows]

    loss = lambda model, batch: model.answer_loss(*batch)  # noqa: E731
    fit(reader, draw, steps, lr=lr, ema=EMA, loss=loss, progress=False)


def foretelling(reader: FrameReader, raw: np.ndarray, steps: int, lr: float, seed: int) -> None:
    """Learn to foretell frames of videos without answers."""
    draw = lambda step: raw[rng(seed, "raw", step).integers(0, len(raw), BATCH)]  # noqa: E731
    loss = lambda model, batch: model.next_loss(batch)  # noqa: E731
    fit(reader, draw, steps, lr=lr, ema=EMA, loss=loss, progress=False)


def trained(model: str, seed: int, lr: float, steps: int, count: int) -> FrameReader:
    """One of `MODELS`."""
    reader = FrameReader(CONFIG, seed)
    few = model in ("few", "few, longer", "raw")
    made, counts = world(FEW if few else count, seed, model == "narrow")
    if model == "raw":
        foretelling(reader, videos(RAW, 40_000 + seed, ("one",)).frames, steps, 2e-3, seed)
    rounds = steps // 2 if few else steps
    rounds += steps if model == "few, longer" else 0
    answering(reader, seen_by(model, made.frames), counts, rounds, lr, seed)
    return reader


def exam(reader: FrameReader, model: str, seed: int) -> dict[str, Any]:
    """Share of right counts, mean distance, share right for each true count."""
    held, counts = world(TEST, 50_000 + seed)
    said = reader.answers(seen_by(model, held.frames))[:, 0]
    true = counts[:, 0]
    known, its_counts = world(TEST // 2, 70_000 + seed, narrow=True)
    right = reader.answers(seen_by(model, known.frames)) == its_counts
    new = np.array([m.colour not in LOOKS[0] or m.shape not in LOOKS[1] for m in things(held)])
    return {
        "right": float((said == true).mean()),
        "known_looks": float(right.mean()),
        "new_looks": float((said == true)[new].mean()),
        "apart": float(np.abs(said - true).mean()),
        "each": {str(c): float((said == true)[true == c].mean()) for c in COUNTS},
        "said": {str(c): float(said[true == c].mean()) for c in COUNTS},
    }


def final_loss(model: str, lr: float, steps: int, count: int) -> float:
    """Share of wrong counts after a shorter run, on counts of the kind it learned from."""
    reader = trained(model, TUNING_SEED, lr, steps, count)
    held, counts = world(300, 60_000, model == "narrow")
    shown = seen_by(model, held.frames)
    return 0.01 + float((reader.answers(shown) != counts).mean())


def run_one(model: str, seed: int, lr: float, steps: int, count: int) -> dict[str, Any]:
    """Train and test one of `MODELS`."""
    began = time.process_time()
    reader = trained(model, seed, lr, steps, count)
    spent = time.process_time() - began
    held, counts = world(TEST, 50_000 + seed)
    return {
        "seed": seed,
        "lr": lr,
        "parameters": reader.num_parameters(),
        "cpu_seconds": spent,
        "rule": float((by_rule(held.frames) == counts[:, 0]).mean()),
        "points": [{"step": steps, **exam(reader, model, seed)}],
    }


def study(
    out: str,
    models: Sequence[str] = MODELS,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 160,
    count: int = 1200,
    tuning: int = 40,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train every reader; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `MODELS`.
        seeds: of weights and videos.
        steps: of training on answers, batch 64; with few answers half as many.
        count: videos with answers, where they are not few.
        tuning: steps of a run that tries a learning rate.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {"steps": steps, "count": count, "few": FEW, "raw": RAW, "batch": BATCH}

    def shown(made: dict[str, Any]) -> str:
        last = made["points"][-1]
        return f"right {last['right']:.2f}, apart {last['apart']:.2f}, by rule {made['rule']:.3f}"

    return carry_out(
        Record(out, "counting", settings, command),
        [{"model": model} for model in models],
        seeds,
        lambda model: tune(
            3e-3, lambda lr: final_loss("wide", lr, tuning, 600), widest=4, slack=0.02
        ),
        lambda model, seed, lr: run_one(model, seed, lr, steps, count),
        shown,
        say,
        tuned_as=lambda case: "wide",  # one network and one task: one rate for all, tuned on "wide"
    )
