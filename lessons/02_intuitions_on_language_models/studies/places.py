"""Places, scored where the lazy reader fails: does half of the text about places teach them?

    minilm study run 02/places --out places.json

The last room named is the answer in 57 of 100 questions, so a model that scores 55 may have
learnt that and nothing else. Here half of the text is about places, six times the share of
`scaling`, and the questions are told apart: those that the last room answers, and those that it
does not.

A rule, set before any run: a model tracks people if it is right, where the last room is wrong, at
least 10 points more often than the best answer there that costs nothing; in every seed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.analysis import probes
from minilm.data.worlds.world import MIXTURE, Probe, TaskWorld
from minilm.errors import InputError
from minilm.models.transformer import Transformer
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import SIZES, TUNING_SEED, predictor, tune

from .scaling import CONTEXT, Exam, run_one

OTHERS = 1 - MIXTURE["spatial"]
SHARES = {task: share * 0.5 / OTHERS for task, share in MIXTURE.items()} | {"spatial": 0.5}
ROOMS = (-11, -9, -7, -5)  # where the four rooms of a story stand, from the end of a window


def asked(world: TaskWorld, prompts: int) -> tuple[Probe, np.ndarray, np.ndarray]:
    """The questions, the four rooms that each story names, (n, 4), and the answers, (n,)."""
    every = world.probes(prompts, CONTEXT, mixture=SHARES)
    probe = next(probe for probe in every if probe.name == "spatial")
    return probe, probe.tokens[:, ROOMS], probe.targets[:, 0]


def shortcuts(rooms: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """% right of what costs nothing: the last room named; and the best of the others where not."""
    hits = rooms == answers[:, None]  # (n, 4)
    fails = ~hits[:, -1]
    return {
        "all": 100 * float(hits[:, -1].mean()),
        "where it fails": 100 * float(hits[fails].mean(axis=0).max()),
    }


def score(model: Transformer, probe: Probe, fails: np.ndarray) -> dict[str, Any]:
    """Share right and probability of the right room: of all questions, and where the habit fails.

    The probability is the geometric mean, so that one hopeless answer counts as what it is.
    """
    logp = probes.answer_logp(predictor(model), probe)[:, 0]  # (n, 1, V) -> (n, V)
    answers = probe.targets[:, 0].astype(np.int64)  # (n,)
    right = logp.argmax(-1) == answers
    sure = np.take_along_axis(logp, answers[:, None], -1)[:, 0]  # (n,)
    parts = {"all": np.full(len(fails), True), "fails": fails, "works": ~fails}
    return {
        "right": {name: float(right[part].mean()) for name, part in parts.items()},
        "p": {name: float(np.exp(sure[part].mean())) for name, part in parts.items()},
    }


def study(
    out: str,
    sizes: Sequence[str] = ("2x64",),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 1600,
    tune_steps: int = 320,
    batch: int = 32,
    prompts: int = 1024,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Tune, train and test every size with every seed; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        sizes: names from `SIZES`.
        seeds: of weights, data and order.
        steps: of each run, batch x 32 tokens each.
        tune_steps: of each tuning run.
        batch: windows of 32 tokens per step.
        prompts: questions of the exam.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("sizes", sizes, SIZES)
    for name, value in (("steps", steps), ("tune_steps", tune_steps)):
        if value < 10:
            raise InputError(f"{name} is {value}; it must be 10 or more")
    world = TaskWorld()
    probe, rooms, answers = asked(world, prompts)
    fails = rooms[:, -1] != answers  # (n,) the habit is wrong
    short = Exam(world, 128, 1, SHARES).short
    settings = {"steps": steps, "tune_steps": tune_steps, "batch": batch, "prompts": prompts}
    settings |= {"mixture": SHARES, "shortcuts": shortcuts(rooms, answers)}

    def tuned(size: str) -> dict[str, Any]:
        def final_loss(lr: float) -> float:
            args = size, TUNING_SEED, lr, tune_steps, batch, world, short
            return run_one(*args, count=1, mixture=SHARES)["points"][-1]["loss"]

        return tune(SIZES[size].lr, final_loss)

    def run(size: str, seed: int, lr: float) -> dict[str, Any]:
        def test(model: Transformer) -> dict[str, Any]:
            return score(model, probe, fails)

        return run_one(size, seed, lr, steps, batch, world, test, 12, SHARES)

    def show(made: dict[str, Any]) -> str:
        right = made["points"][-1]["right"]
        return f"right {right['all']:.3f}, where the habit fails {right['fails']:.3f}"

    cases = [{"size": size} for size in sizes]
    return carry_out(Record(out, "places", settings, command), cases, seeds, tuned, run, show, say)
