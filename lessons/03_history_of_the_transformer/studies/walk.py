"""The walk from encoder-decoder to decoder-only, one switch at a time, on tasks of two sides.

    minilm study run 03/walk --out walk.json

Hyung Won Chung (CS25 V4, 54:36-61:39): take away cross-attention's own weights (S1), the
separate stacks (S2), reading the last layer only (S3), the bidirectional input (S4); `m` merges
the two softmaxes into one, so that S3m is a prefix-LM and S4m a decoder-only model. "S0 L3" and
"S4m L7" have equally many weights, "S0 L6" and "S4m L7" equally many FLOPs. The learning rate is
tuned per task and model, on runs of full length with seeds of their own.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilm.analysis import accounting
from minilm.analysis.probes import log_softmax
from minilm.backend import IGNORE
from minilm.data import toys
from minilm.data.pairs import Pairs
from minilm.data.toys.facts import SharedFacts
from minilm.errors import InputError
from minilm.models import EncoderDecoder, EncoderDecoderConfig
from minilm.nn import Module
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, train_and_test, tune
from minilm.tensor import Tensor, no_grad

CHANNELS, HEADS, LR = 32, 4, 3e-3
SHARED = {"share_cross": True, "share_stacks": True}
STEPS = {
    "S0": {},
    "S0s": {"same_layer": True},  # step 3 alone
    "S1": {"share_cross": True},
    "S2": SHARED,
    "S2m": {**SHARED, "merged_softmax": True},
    "S3": {**SHARED, "same_layer": True},
    "S3m": {**SHARED, "same_layer": True, "merged_softmax": True},
    "S4": {**SHARED, "same_layer": True, "causal_input": True},
    "S4m": {**SHARED, "same_layer": True, "merged_softmax": True, "causal_input": True},
}
COMPARED = ("S0 L3", "S0 L6", "S3m L7", "S4m L7")
LADDER = ("S1 L3", "S2 L7", "S2m L7", "S3 L7")  # with S0 L3, S3m L7, S4m L7: equal weights but S1
BY_FLOPS = ("S1 L6", "S2 L6")  # with S0 L6, S3m L7, S4m L7: equal FLOPs
MODELS = (*COMPARED, *LADDER, *BY_FLOPS, "S2 L3", "S2m L3", "S3 L3", "S3m L3", "S4m L3")


class Task(NamedTuple):
    """A task: its pairs by number and seed, its tests, steps of a run at scale 1, tuning runs."""

    draw: Callable[[int, int], Pairs]
    tests: Callable[[int], dict[str, Pairs]]  # by the most examples of each
    steps: int
    tuning_runs: int = 1  # seeds per learning rate


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
    # A model learns these facts early or late, by luck: one seed would choose the rate by luck.
    "facts": Task(lambda n, seed: SharedFacts().sample(n, seed), _facts_tests, 700, tuning_runs=2),
    "long": _plain(lambda n, seed: toys.expand(n, seed=seed), 250),
    "120:8": _ratio(120, 8),
    "64:64": _ratio(64, 64),
    "8:120": _ratio(8, 120),
    "30:2": _ratio(30, 2),
    "16:16": _ratio(16, 16),
    "2:30": _ratio(2, 30),
}
SIDES = ("translation", "facts", "long")


def config_of(model: str, vocab_size: int = 8, length: int = 8) -> EncoderDecoderConfig:
    """The config of "S0 L3" and the like; `length` is source plus target."""
    step, layers = model.split(" L")
    return EncoderDecoderConfig(
        vocab_size=vocab_size,
        context=length,
        layers=int(layers),
        heads=HEADS,
        channels=CHANNELS,
        norm_affine=False,
        bias=False,
        tie=False,
        joint_positions=True,
        init_std=0.5 / CHANNELS**0.5,
        **STEPS[step],
    )


def build(
    model: str, vocab_size: int, length: int, seed: int = 0, channels: int = CHANNELS
) -> EncoderDecoder:
    """The model of "S0 L3" and the like; sizes as for `config_of`."""
    config = config_of(model, vocab_size, length)
    return EncoderDecoder(
        config.replace(channels=channels, init_std=0.5 / channels**0.5), seed=seed
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

    def __init__(self, model: EncoderDecoder, source: int) -> None:
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


def grade(model: EncoderDecoder, pairs: Pairs) -> dict[str, float]:
    """Per scored target token: loss (nats), accuracy, and the probability of the right answer."""
    losses, right = [], []
    for start in range(0, len(pairs), 128):
        part = pairs[slice(start, start + 128)]
        with no_grad():
            logp = log_softmax(model(part.source, part.fed).numpy())
        scored = part.target != IGNORE
        answer, logp = part.target[scored], logp[scored]
        losses.append(-logp[np.arange(len(answer)), answer])
        right.append(logp.argmax(axis=-1) == answer)
    loss = np.concatenate(losses)
    return {
        "loss": float(loss.mean()),
        "accuracy": float(np.concatenate(right).mean()),
        "probability": float(np.exp(-loss).mean()),
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
        build=lambda config, seed: Joined(EncoderDecoder(config, seed=seed), source),
        lengths=(source, target),
    )
    return {**cost(model, source, target)._asdict(), **run}


def study(
    out: str,
    tasks: Sequence[str] = SIDES,
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
        out: JSON file to write or to go on with.
        tasks: names from `TASKS`.
        models: names from `MODELS`, a step of the walk and its layers.
        seeds: of weights and data.
        scale: factor on the steps of all tasks.
        batch: examples per step.
        examples: most examples per test.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("tasks", tasks, TASKS)
    refuse_unknown("models", models, MODELS)
    if scale <= 0:
        raise InputError(f"scale is {scale}; it must be above 0")
    settings = {"scale": scale, "batch": batch, "examples": examples, "channels": CHANNELS}

    def steps_of(task: str) -> int:
        return max(2, round(TASKS[task].steps * scale))

    def tuned(task: str, model: str) -> dict[str, Any]:
        # At full length: shorter runs choose rates at which facts are never learnt as well.
        return tune(LR, lambda lr: _tuning_loss(task, model, lr, steps_of(task), batch, examples))

    def run(task: str, model: str, seed: int, lr: float) -> dict[str, Any]:
        return run_one(task, model, seed, lr, steps_of(task), batch, examples)

    def show(made: dict[str, Any]) -> str:
        scores = made["points"][-1]["scores"].items()
        return ", ".join(f"{k} {s['loss']:.3f} {s['accuracy']:.2f}" for k, s in scores)

    return carry_out(
        Record(out, "walk", settings, command),
        [{"task": task, "model": model} for task, model in itertools.product(tasks, models)],
        seeds,
        tuned,
        run,
        show,
        say,
    )


def _tuning_loss(task: str, model: str, lr: float, steps: int, batch: int, examples: int) -> float:
    """Mean test loss of the task's tuning runs over the forms that were trained.

    A swap test must not choose the learning rate.
    """

    def loss(seed: int) -> float:
        run = run_one(task, model, seed, lr, steps, batch, examples, points=1)
        scores = run["points"][-1]["scores"]
        return float(np.mean([s["loss"] for name, s in scores.items() if "then" not in name]))

    return float(np.mean([loss(TUNING_SEED + i) for i in range(TASKS[task].tuning_runs)]))
