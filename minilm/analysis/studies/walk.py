"""The walk from encoder-decoder to decoder-only, one switch at a time, on tasks of two sides.

    python -m minilm.analysis.studies.walk --out walk.json

Hyung Won Chung (CS25 V4, 54:36-61:39): take away cross-attention's own weights (S1), the
separate stacks (S2), reading the last layer only (S3), the bidirectional input (S4); `m` merges
the two softmaxes into one, so that S3m is a prefix-LM and S4m a decoder-only model. "S0 L3" and
"S4m L7" have equally many weights, "S0 L6" and "S4m L7" equally many FLOPs. The learning rate is
tuned per task and model.
"""

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilm.analysis import accounting
from minilm.analysis.probes import log_softmax
from minilm.analysis.studies.record import Record, command_line
from minilm.analysis.studies.runs import TUNING_SEED, train_and_test, tune
from minilm.data import toys
from minilm.data.pairs import IGNORE, Pairs
from minilm.data.toys_facts import SharedFacts
from minilm.errors import InputError
from minilm.models import Config
from minilm.models.transformer import Transformer
from minilm.nn import Module
from minilm.tensor import Tensor, no_grad

CHANNELS, HEADS, LR = 32, 4, 3e-3
SHARED = {"share_cross": True, "share_stacks": True}
STEPS = {
    "S0": {},
    "S1": {"share_cross": True},
    "S2": SHARED,
    "S2m": {**SHARED, "merged_softmax": True},
    "S3": {**SHARED, "same_layer": True},
    "S3m": {**SHARED, "same_layer": True, "merged_softmax": True},
    "S4m": {**SHARED, "same_layer": True, "merged_softmax": True, "causal_input": True},
}
MODELS = ("S0 L3", "S0 L6", "S3m L7", "S4m L7", "S1 L3", "S2 L3", "S2m L3", "S3 L3", "S3m L3")
COMPARED = MODELS[:4]


class Task(NamedTuple):
    """A task: its pairs by number and seed, its tests, and steps of a run at scale 1."""

    draw: Callable[[int, int], Pairs]
    tests: Callable[[int], dict[str, Pairs]]  # by the most examples of each
    steps: int


def _plain(draw: Callable[[int, int], Pairs], steps: int) -> Task:
    return Task(draw, lambda most: {"test": draw(most, 99)}, steps)


def _ratio(source: int, target: int) -> Task:
    return _plain(lambda n, seed: toys.lengths(n, source, target, seed=seed), 400)


def _facts_tests(most: int) -> dict[str, Pairs]:
    world = SharedFacts()
    told = np.concatenate([world.facts("both"), world.facts("told")])
    asked = np.concatenate([world.facts("both"), world.facts("asked")])
    tests = {"ask": world.ask(asked), "tell": world.tell(told, told[::-1]), **world.swapped()}
    return {name: pairs[:most] for name, pairs in tests.items()}


TASKS = {
    "translation": _plain(lambda n, seed: toys.Translation().sample(n, seed), 450),
    "facts": Task(lambda n, seed: SharedFacts().sample(n, seed), _facts_tests, 700),
    "long": _plain(lambda n, seed: toys.expand(n, seed=seed), 250),
    "120:8": _ratio(120, 8),
    "64:64": _ratio(64, 64),
    "8:120": _ratio(8, 120),
}


def config_of(model: str, vocab_size: int = 8, length: int = 8) -> Config:
    """The config of "S0 L3" and the like; `length` is source plus target."""
    step, layers = model.split(" L")
    return Config(
        vocab_size=vocab_size,
        context=length,
        layers=int(layers),
        heads=HEADS,
        channels=CHANNELS,
        kind="encoder-decoder",
        norm_affine=False,
        bias=False,
        tie=False,
        joint_positions=True,
        init_std=0.5 / CHANNELS**0.5,
        **STEPS[step],
    )


class Cost(NamedTuple):
    """What a model of the walk has and does."""

    weights: int  # inside the layers
    flops: int  # of the layers' matrices on one example, forward; scores and head left out


def cost(model: str, source: int, target: int) -> Cost:
    """Weights and FLOPs that a fair comparison holds equal."""
    config = config_of(model, length=source + target)
    size, work = (
        accounting.count_parameters(config),
        accounting.forward_flops(config, source, target),
    )
    return Cost(size.attention + size.feed_forward, work.projections + work.feed_forward)


class Joined(Module):
    """An encoder-decoder that takes source and target in one row, as `Pairs.joined` gives them.

    Args:
        model: the encoder-decoder.
        source: tokens of the source at the start of every row.
    """

    def __init__(self, model: Transformer, source: int) -> None:
        self.model = model
        self.source = source
        self.config = model.config

    def loss(self, ids: np.ndarray, targets: np.ndarray) -> Tensor:
        """Mean nats per scored target token; both (B, S + T)."""
        s = self.source
        return self.model.loss(ids[:, :s], ids[:, s:], targets[:, s:])


def _stream(draw: Callable[[int, int], Pairs], steps: int, batch: int, seed: int) -> Iterator[Any]:
    for step in range(steps):
        yield draw(batch, 1000 + seed * 1_000_003 + step).joined()


def grade(model: Transformer, pairs: Pairs) -> dict[str, float]:
    """Loss (nats) and accuracy per scored target token."""
    losses, right = [], []
    for start in range(0, len(pairs), 128):
        part = pairs[slice(start, start + 128)]
        with no_grad():
            logp = log_softmax(model(part.source, part.fed).numpy())
        scored = part.target != IGNORE
        answer, logp = part.target[scored], logp[scored]
        losses.append(-logp[np.arange(len(answer)), answer])
        right.append(logp.argmax(axis=-1) == answer)
    return {
        "loss": float(np.concatenate(losses).mean()),
        "accuracy": float(np.concatenate(right).mean()),
    }


def run_one(
    task: str,
    model: str,
    seed: int,
    lr: float,
    steps: int,
    batch: int = 64,
    examples: int = 512,
    points: int = 5,
) -> dict[str, Any]:
    """Train one model on one task, tested a few times on the way; see `train_and_test`."""
    made = TASKS[task]
    tests, first = made.tests(examples), made.draw(2, 0)
    source, target = first.source.shape[1], first.target.shape[1]
    config = config_of(model, first.vocab_size, source + target)

    def test(joined: Joined) -> dict[str, Any]:
        return {"scores": {name: grade(joined.model, pairs) for name, pairs in tests.items()}}

    run = train_and_test(
        config,
        _stream(made.draw, steps, batch, seed),
        test,
        {round(steps * (i + 1) / points) for i in range(points)},
        steps=steps,
        batch=batch,
        lr=lr,
        seed=seed,
        build=lambda config, seed: Joined(Transformer(config, seed=seed), source),
        lengths=(source, target),
    )
    return {"task": task, "model": model, **cost(model, source, target)._asdict(), **run}


def study(
    out: str,
    tasks: Sequence[str] = tuple(TASKS),
    models: Sequence[str] = COMPARED,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    scale: float = 1.0,
    batch: int = 64,
    examples: int = 512,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Tune, train and test every model on every task; go on with a file that exists.

    Args:
        out: the JSON file.
        tasks, models: names from `TASKS` and `MODELS`.
        seeds: of weights and data.
        scale: factor on the steps of all tasks.
        batch: examples per step.
        examples: most examples per test.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    for name, given, known in (("tasks", tasks, TASKS), ("models", models, MODELS)):
        unknown = [entry for entry in given if entry not in known]
        if unknown:
            raise InputError(f"{name} names {unknown[0]!r}; allowed are {', '.join(known)}")
    if scale <= 0:
        raise InputError(f"scale is {scale}; it must be above 0")
    settings = {"scale": scale, "batch": batch, "examples": examples, "channels": CHANNELS}
    record = Record(out, "walk", settings, command)
    for task, model in itertools.product(tasks, models):
        steps = max(2, round(TASKS[task].steps * scale))
        key = f"{task} {model}"
        if key not in record.data["tuning"]:
            record.tuned(key, tune(LR, _final_loss(task, model, steps // 3, batch, examples)))
        lr = record.data["tuning"][key]["lr"]
        for seed in seeds:
            if record.done(task=task, model=model, seed=seed):
                continue
            run = run_one(task, model, seed, lr, steps, batch, examples)
            record.add(run)
            scores = run["points"][-1]["scores"].items()
            shown = ", ".join(f"{k} {s['loss']:.3f} {s['accuracy']:.2f}" for k, s in scores)
            say(f"{key} seed {seed} lr {lr:g}, {run['seconds']:.0f} s: {shown}")
    return record.data


def _final_loss(
    task: str, model: str, steps: int, batch: int, examples: int
) -> Callable[[float], float]:
    """Learning rate -> mean test loss of a short run, over the forms that were trained.

    A swap test must not choose the learning rate.
    """

    def final_loss(lr: float) -> float:
        run = run_one(task, model, TUNING_SEED, lr, max(2, steps), batch, examples, points=1)
        scores = run["points"][-1]["scores"]
        return float(np.mean([s["loss"] for name, s in scores.items() if "then" not in name]))

    return final_loss


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m minilm.analysis.studies.walk")
    parser.add_argument("--out", required=True, help="JSON file to write or to go on with")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), help=", ".join(TASKS))
    parser.add_argument("--models", nargs="+", default=list(COMPARED), help=", ".join(MODELS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the steps")
    parser.add_argument("--batch", type=int, default=64, help="examples per step")
    parser.add_argument("--examples", type=int, default=512, help="most examples per test")
    given = vars(parser.parse_args(arguments))
    command = command_line("walk", sys.argv[1:] if arguments is None else arguments)
    try:
        study(**given, command=command, say=lambda line: print(line, flush=True))
    except InputError as error:
        print(f"minilm: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
