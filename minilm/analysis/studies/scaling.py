"""Loss against size and compute on the seven-task world, the learning rate tuned per size.

    python -m minilm.analysis.studies.scaling --out study.json

Eight decoder-only models, 10 k to 3 M parameters, see the same number of tokens. After warm-up the
learning rate stays constant (so a point early in a run is what a shorter run would have given),
then falls linearly to 0 over the last fifth; points from that part are marked as annealed.
"""

import argparse
import math
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilm.analysis import accounting, metrics, probes
from minilm.analysis.studies.record import Record
from minilm.data.worlds import MIXTURE, TaskWorld
from minilm.errors import InputError
from minilm.models import Config
from minilm.models.transformer import Transformer
from minilm.tensor import no_grad
from minilm.train import Diverged, default_optimizer, train

CONTEXT = 32


class Size(NamedTuple):
    """Shape of a model, and the learning rate around which tuning starts."""

    layers: int
    channels: int
    heads: int
    lr: float


SIZES = {
    "1x16": Size(1, 16, 1, 1e-2),
    "2x16": Size(2, 16, 1, 1e-2),
    "2x32": Size(2, 32, 2, 7e-3),
    "2x48": Size(2, 48, 3, 5e-3),
    "2x64": Size(2, 64, 4, 4e-3),
    "3x96": Size(3, 96, 3, 2.5e-3),
    "4x128": Size(4, 128, 4, 1.5e-3),
    "4x256": Size(4, 256, 8, 1e-3),
}


def config_of(size: Size, vocab_size: int) -> Config:
    """A GPT-2-shaped decoder with its own head; weights start wider where channels are few."""
    return Config(
        vocab_size=vocab_size,
        context=CONTEXT,
        layers=size.layers,
        heads=size.heads,
        channels=size.channels,
        activation="gelu_tanh",
        tie=False,
        init_std=0.5 / math.sqrt(size.channels),
    )


def predictor(model: Transformer) -> probes.Predict:
    """The model as a function from ids to logits, both NumPy."""

    def predict(ids: np.ndarray) -> np.ndarray:
        with no_grad():
            return model(ids).numpy()

    return predict


def stable_then_decay(steps: int, warmup: int = 30, tail: float = 0.2) -> Callable[[int], float]:
    """Share of the learning rate: up, constant, and down to 0 over the last part of the steps."""
    start = steps - max(1, int(tail * steps))

    def share(step: int) -> float:
        rise = min(1.0, (step + 1) / warmup)
        return rise * min(1.0, (steps - step) / (steps - start))

    return share


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


def exam_steps(steps: int, count: int = 14, first: int = 60) -> list[int]:
    """Steps at which models are tested: evenly spaced in log, the last one included."""
    first = min(first, steps)
    return sorted({round(s) for s in np.geomspace(first, steps, count)} | {steps})


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
    """Train one model and test it along the way.

    Returns:
        Its size, seed, learning rate, seconds of training, and one entry of `points` per test.

    Raises:
        Diverged: the learning rate is too high.
    """
    size = SIZES[name]
    config = config_of(size, world.vocab_size)
    model = Transformer(config, seed=seed)
    parameters = accounting.count_parameters(config)
    step_flops = accounting.training_flops(config, CONTEXT, batch=batch)
    tokens = world.sample(steps * batch * CONTEXT + 1, seed=1000 + seed).tokens
    at, points = set(exam_steps(steps, count)), []
    tail = steps - max(1, int(0.2 * steps))

    def report(step: int, log: Any) -> Sequence[str]:
        if step in at:
            seen = step * batch * CONTEXT
            model.eval()
            points.append(
                {
                    "step": step,
                    "tokens": seen,
                    "compute": accounting.six_nd(parameters.total, seen),
                    "flops": step_flops * step,
                    "annealed": step > tail,
                    **exam.sit(model),
                }
            )
            model.train()
        return ()

    run = train(
        model,
        tokens,
        steps,
        batch=batch,
        context=CONTEXT,
        optimizer=default_optimizer(model, lr, weight_decay=0.05),
        schedule=stable_then_decay(steps),
        seed=seed,
        report=report,
        report_every=1,
        progress=False,
    )
    return {
        "size": name,
        "seed": seed,
        "lr": lr,
        "layers": size.layers,
        "channels": size.channels,
        "heads": size.heads,
        "parameters": parameters.total,
        "non_embedding": parameters.non_embedding,
        "steps": run.step,
        "seconds": run.seconds,
        "points": points,
    }


def tune(
    name: str,
    steps: int,
    batch: int,
    world: TaskWorld,
    exam: Exam,
    seed: int = 77,
    factor: float = 2.0,
    widest: int = 7,
) -> dict[str, Any]:
    """The best learning rate of a size: short annealed runs on a grid that grows at its edges.

    Starts with three rates, a factor apart, and adds one beyond the edge as long as the best one
    is there (at most `widest` rates). A run that diverges counts as an infinite loss.

    Args:
        name: of the size.
        steps, batch: of each short run.
        world, exam: the data and the test; the loss on the held-out stream decides.
        seed: of the tuning runs, none of the study's own.
        factor: between neighbouring rates.
    """
    losses: dict[float, float] = {}

    def measure(lr: float) -> None:
        try:
            run = run_one(name, seed, lr, steps, batch, world, exam, count=1)
            losses[lr] = run["points"][-1]["loss"]
        except Diverged:
            losses[lr] = math.inf

    for power in (-1, 0, 1):
        measure(float(f"{SIZES[name].lr * factor**power:.3g}"))
    while len(losses) < widest:
        rates = sorted(losses)
        best = min(losses, key=losses.__getitem__)
        if best == rates[0]:
            measure(float(f"{best / factor:.3g}"))
        elif best == rates[-1]:
            measure(float(f"{best * factor:.3g}"))
        else:
            break
    best = min(losses, key=losses.__getitem__)
    if math.isinf(losses[best]):
        raise InputError(f"size {name} diverged at every learning rate from {min(losses)} on")
    ordered = {str(lr): losses[lr] for lr in sorted(losses)}
    edge = best in (min(losses), max(losses))
    return {"lr": best, "losses": ordered, "steps": steps, "seed": seed, "at_edge": edge}


def study(
    out: str,
    sizes: Sequence[str] = tuple(SIZES),
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
            found = tune(name, tune_steps, batch, world, exam)
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
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), help=", ".join(SIZES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=3000, help="of each run (2048 tokens each)")
    parser.add_argument("--tune-steps", type=int, default=600, help="of each tuning run")
    parser.add_argument("--batch", type=int, default=64, help="windows of 32 tokens per step")
    parser.add_argument("--windows", type=int, default=512, help="held-out windows")
    parser.add_argument("--prompts", type=int, default=320, help="per probe")
    parser.add_argument("--modular", type=float, default=0.0, help="share of modular arithmetic")
    given = vars(parser.parse_args(arguments))
    words = sys.argv[1:] if arguments is None else list(arguments)
    shown = ["FILE" if words[i - 1] == "--out" and i else w for i, w in enumerate(words)]
    command = shlex.join(["python", "-m", "minilm.analysis.studies.scaling", *shown])
    try:
        study(**given, command=command, say=lambda line: print(line, flush=True))
    except InputError as error:
        print(f"minilm: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
