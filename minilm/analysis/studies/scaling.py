"""Loss against size and compute on the seven-task world, the learning rate tuned per size.

    python -m minilm.analysis.studies.scaling --out study.json

Eight decoder-only models, 10 k to 3 M parameters, see the same number of tokens. After warm-up the
learning rate stays constant (so a point early in a run is what a shorter run would have given),
then falls linearly to 0 over the last fifth; points from that part are marked as annealed.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.analysis import metrics, probes
from minilm.analysis.studies.record import Record, command_line
from minilm.analysis.studies.runs import (
    SIZES,
    TUNING_SEED,
    config_of,
    exam_steps,
    predictor,
    train_and_test,
    tune,
)
from minilm.data.worlds import MIXTURE, TaskWorld
from minilm.errors import InputError
from minilm.models.transformer import Transformer

CONTEXT = 32
NAMES = ("1x16", "2x16", "2x32", "2x48", "2x64", "3x96", "4x128", "4x256")


class Exam:
    """What every model is tested on: a held-out stream and the probes of all tasks.

    Args:
        world: the world that the model was trained in.
        windows: windows of the stream; 512 are 16 384 scored tokens.
        prompts: prompts per probe.
    """

    def __init__(self, world: TaskWorld, windows: int = 512, prompts: int = 320) -> None:
        held = world.sample(windows * CONTEXT + 1, seed=4242)
        parts, self.names = held.parts()
        self.ids = held.tokens[:-1].reshape(windows, CONTEXT)
        self.next = held.tokens[1:].reshape(windows, CONTEXT)
        self.parts = parts[1:].reshape(windows, CONTEXT)
        self.probes = world.probes(prompts, CONTEXT)
        self.weights = metrics.per_task_loss(np.zeros(self.parts.shape), self.parts, self.names)[1]

    def loss(self, model: Transformer) -> metrics.TaskLoss:
        """Mean nats per token and its exact split over tasks, prompt and scored tokens apart."""
        predict, logp = predictor(model), []
        for start in range(0, len(self.ids), 64):
            logits = predict(self.ids[start : start + 64])
            right = self.next[start : start + 64, :, None]
            logp.append(np.take_along_axis(probes.log_softmax(logits), right, axis=-1)[..., 0])
        return metrics.per_task_loss(np.concatenate(logp), self.parts, self.names)

    def sit(self, model: Transformer) -> dict[str, Any]:
        """All of it, ready for JSON."""
        split = self.loss(model)
        rebuilt = sum(split.weights[k] * split.losses[k] for k in split.losses)
        scores = {p.name: probes.score(predictor(model), p) for p in self.probes}
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
    exam: Exam,
    count: int = 14,
) -> dict[str, Any]:
    """Train one model on a stream of its own and test it along the way; see `train_and_test`."""
    config = config_of(SIZES[name], world.vocab_size, CONTEXT)
    tokens = world.sample(steps * batch * CONTEXT + 1, seed=1000 + seed).tokens
    at = exam_steps(steps, count)
    run = train_and_test(config, tokens, exam.sit, at, steps=steps, batch=batch, lr=lr, seed=seed)
    return {"size": name, **run}


def study(
    out: str,
    sizes: Sequence[str] = NAMES,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 3000,
    tune_steps: int = 600,
    batch: int = 64,
    windows: int = 512,
    prompts: int = 320,
    modular: float = 0.0,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Tune, train and test every size with every seed; go on with a file that exists.

    Args:
        out: the JSON file.
        sizes: names from `SIZES`.
        seeds: of weights, data and order.
        steps: of each run, batch x 32 tokens each.
        tune_steps: of each tuning run.
        batch: windows of 32 tokens per step.
        windows, prompts: size of the exam.
        modular: share of arithmetic that is modular.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    unknown = [name for name in sizes if name not in SIZES]
    if unknown:
        raise InputError(f"sizes names {unknown[0]!r}; the sizes are {', '.join(SIZES)}")
    for name, value in (("steps", steps), ("tune_steps", tune_steps)):
        if value < 10:
            raise InputError(f"{name} is {value}; it must be 10 or more")
    world = TaskWorld(modular=modular)
    exam = Exam(world, windows, prompts)
    floors = {task: floor._asdict() for task, floor in world.floors().items()}
    settings = {
        "steps": steps,
        "tune_steps": tune_steps,
        "batch": batch,
        "context": CONTEXT,
        "windows": windows,
        "prompts": prompts,
        "modular": modular,
        "mixture": MIXTURE,
        "floors": floors,
        "vocab_size": world.vocab_size,
        "weights": exam.weights,
    }
    record = Record(out, "scaling", settings, command)
    for name in sizes:
        if name not in record.data["tuning"]:
            began = time.perf_counter()

            def final_loss(lr: float, name: str = name) -> float:
                run = run_one(name, TUNING_SEED, lr, tune_steps, batch, world, exam, count=1)
                return run["points"][-1]["loss"]

            found = tune(SIZES[name].lr, final_loss)
            record.tuned(name, found)
            say(f"{name} lr {found['lr']:g} after {time.perf_counter() - began:.0f} s of tuning")
        lr = record.data["tuning"][name]["lr"]
        for seed in seeds:
            if record.done(size=name, seed=seed):
                continue
            run = run_one(name, seed, lr, steps, batch, world, exam)
            record.add(run)
            last = run["points"][-1]
            say(f"{name} seed {seed}: loss {last['loss']:.4f} in {run['seconds']:.0f} s")
    return record.data


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m minilm.analysis.studies.scaling")
    parser.add_argument("--out", required=True, help="JSON file to write or to go on with")
    parser.add_argument("--sizes", nargs="+", default=list(NAMES), help=", ".join(SIZES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=3000, help="of each run (2048 tokens each)")
    parser.add_argument("--tune-steps", type=int, default=600, help="of each tuning run")
    parser.add_argument("--batch", type=int, default=64, help="windows of 32 tokens per step")
    parser.add_argument("--windows", type=int, default=512, help="held-out windows")
    parser.add_argument("--prompts", type=int, default=320, help="per probe")
    parser.add_argument("--modular", type=float, default=0.0, help="share of modular arithmetic")
    given = vars(parser.parse_args(arguments))
    command = command_line("scaling", sys.argv[1:] if arguments is None else arguments)
    try:
        study(**given, command=command, say=lambda line: print(line, flush=True))
    except InputError as error:
        print(f"minilm: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
