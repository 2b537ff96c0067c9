"""Loss against size and compute on the seven-task world, the learning rate tuned per size.

    minilm study run 02/scaling --out study.json

Eight decoder-only models, 10 k to 3 M parameters, see the same number of tokens. After warm-up the
learning rate stays constant (so a point early in a run is what a shorter run would have given),
then falls linearly to 0 over the last fifth; points from that part are marked as annealed.

`scaling.json` and `sums.json` are older than the habit of keeping a run's commit. The cheapest run,
1x16 with seed 0, was made again with the code of 1 December 2026: it ends at 1.787 nats where the
record has 1.798. Rounding grows to that over 1600 steps, so single runs are to be read no finer.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minilm.analysis import metrics, probes
from minilm.data.worlds.world import MIXTURE, TaskWorld
from minilm.errors import InputError
from minilm.models.transformer import Transformer
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record, rounded
from minilm.studies.runs import (
    SIZES,
    TUNING_SEED,
    config_of,
    exam_steps,
    predictor,
    train_and_test,
    tune,
)

Test = Callable[[Transformer], dict[str, Any]]

CONTEXT = 32
STEPS, TUNE_STEPS = 1600, 320  # those of data/scaling.json
MIXTURES = {
    "even": MIXTURE,
    "sums": {
        "grammar": 0.15,
        "lexical": 0.06,
        "facts": 0.19,
        "sentiment": 0.05,
        "translation": 0.05,
        "spatial": 0.20,
        "arithmetic": 0.30,
    },
}
NAMES = ("1x16", "2x16", "2x32", "2x48", "2x64", "3x96", "4x128", "4x256")


class Exam:
    """What every model is tested on: a held-out stream and the probes of all tasks.

    Args:
        world: the world that the model was trained in.
        windows: windows of the stream; 512 are 16 384 scored tokens.
        prompts: prompts per probe.
        mixture: of the stream.
    """

    def __init__(
        self,
        world: TaskWorld,
        windows: int = 512,
        prompts: int = 128,
        mixture: Mapping[str, float] = MIXTURE,
    ) -> None:
        held = world.sample(windows * CONTEXT + 1, seed=4242, mixture=mixture)
        parts, self.names = held.parts()
        self.ids = held.tokens[:-1].reshape(windows, CONTEXT)
        self.next = held.tokens[1:].reshape(windows, CONTEXT)
        self.parts = parts[1:].reshape(windows, CONTEXT)
        self.probes = world.probes(prompts, CONTEXT, mixture=mixture)
        self.weights = metrics.per_task_loss(np.zeros(self.parts.shape), self.parts, self.names)[1]

    def loss(self, model: Transformer) -> metrics.TaskLoss:
        """Mean nats per token and its exact split over tasks, prompt and scored tokens apart."""
        predict, logp = predictor(model), []
        for start in range(0, len(self.ids), 64):
            logits = predict(self.ids[start : start + 64])
            right = self.next[start : start + 64, :, None]
            logp.append(np.take_along_axis(probes.log_softmax(logits), right, axis=-1)[..., 0])
        return metrics.per_task_loss(np.concatenate(logp), self.parts, self.names)

    def short(self, model: Transformer) -> dict[str, Any]:
        """The mean loss alone."""
        return {"loss": self.loss(model).total}

    def sit(self, model: Transformer) -> dict[str, Any]:
        """All of it, ready for JSON."""
        split = self.loss(model)
        rebuilt = sum(split.weights[k] * split.losses[k] for k in split.losses)
        scores = {p.name: probes.score(predictor(model), p) for p in self.probes}
        scores = rounded(scores, 4)  # their standard error is some hundredths
        return {
            "loss": split.total,
            "losses": split.losses,
            "identity_error": abs(rebuilt - split.total),
            "probes": scores,
        }


def run_one(
    name: str,
    seed: int,
    lr: float,
    steps: int,
    batch: int,
    world: TaskWorld,
    test: Test,
    count: int = 12,
    mixture: Mapping[str, float] = MIXTURE,
) -> dict[str, Any]:
    """Train one model on a stream of its own and test it along the way; see `train_and_test`."""
    config = config_of(SIZES[name], world.vocab_size, CONTEXT)
    tokens = world.sample(steps * batch * CONTEXT + 1, 1000 + seed, mixture).tokens
    at = exam_steps(steps, count)
    return train_and_test(config, tokens, test, at, steps=steps, batch=batch, lr=lr, seed=seed)


def study(
    out: str,
    sizes: Sequence[str] = NAMES,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = STEPS,
    tune_steps: int = TUNE_STEPS,
    batch: int = 32,
    windows: int = 512,
    prompts: int = 128,
    mixture: str = "even",
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
        windows: held-out windows of the exam.
        prompts: per probe of the exam.
        mixture: "even", or "sums" with three times as much arithmetic.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("sizes", sizes, SIZES)
    for name, value in (("steps", steps), ("tune_steps", tune_steps)):
        if value < 10:
            raise InputError(f"{name} is {value}; it must be 10 or more")
    refuse_unknown("mixture", [mixture], MIXTURES)
    world, shares = TaskWorld(), MIXTURES[mixture]
    exam = Exam(world, windows, prompts, shares)
    settings = {
        "steps": steps,
        "tune_steps": tune_steps,
        "batch": batch,
        "context": CONTEXT,
        "windows": windows,
        "prompts": prompts,
        "mixture": shares,
        "floors": {task: floor._asdict() for task, floor in world.floors(shares).items()},
        "vocab_size": world.vocab_size,
        "weights": exam.weights,
    }

    def train(size: str, seed: int, lr: float, steps: int, test: Test, count: int) -> Any:
        return run_one(size, seed, lr, steps, batch, world, test, count, shares)

    def tuned(size: str) -> dict[str, Any]:
        def final_loss(lr: float) -> float:
            made = train(size, TUNING_SEED, lr, tune_steps, exam.short, 1)
            return made["points"][-1]["loss"]

        return tune(SIZES[size].lr, final_loss)

    def run(size: str, seed: int, lr: float) -> dict[str, Any]:
        return train(size, seed, lr, steps, exam.sit, 12)

    return carry_out(
        Record(out, "scaling", settings, command),
        [{"size": size} for size in sizes],
        seeds,
        tuned,
        run,
        lambda made: f"loss {made['points'][-1]['loss']:.4f}",
        say,
    )
