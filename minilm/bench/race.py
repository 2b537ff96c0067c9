"""A race for readers: the same GPT, data, seed and schedule in minilm and in PyTorch.

`python -m minilm.bench.race --out race.json --figure race.png` trains both on the Python
documentation and draws the validation loss against the time spent in steps. The two take turns,
lap by lap, so that a busy moment of the machine affects both; validation stops the clock.
"""

import argparse
import dataclasses
import importlib.util
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minilm import backend, data, optim
from minilm.bench import machine
from minilm.bench.peers import find_torch, gpt, twin
from minilm.data.held_out import hold_out
from minilm.errors import InputError, install
from minilm.files import write_atomically
from minilm.models import Transformer
from minilm.optim import cosine
from minilm.tensor import no_grad
from minilm.tokenizers import train_bpe
from minilm.train import train

LEARNING_RATE, DECAY, BETAS, CLIP = 3e-3, 0.1, (0.9, 0.95), 1.0


@dataclass(frozen=True)
class Course:
    """What both have to run: the sizes, the steps, and how often the loss is measured."""

    layers: int = 4
    heads: int = 4
    channels: int = 128
    context: int = 128
    vocab_size: int = 2048
    batch: int = 16
    steps: int = 1500
    lap: int = 50
    warmup: int = 50
    validation: int = 128  # windows
    seed: int = 0
    threads: int = 2


class Ours:
    """minilm's side: its own training loop, called once per lap."""

    def __init__(self, model: Transformer, course: Course, tokens: np.ndarray) -> None:
        self.model, self.course = model, course
        self.batches = data.batches(tokens, course.batch, course.context, course.seed)
        self.optimizer = optim.AdamW(
            model.parameters(), lr=LEARNING_RATE, betas=BETAS, weight_decay=DECAY
        )

    def lap(self, first: int, count: int) -> float:
        """Take some steps; returns the seconds that they took."""
        share = _schedule(self.course)
        outcome = train(
            self.model,
            iter(self.batches),
            count,
            context=self.course.context,
            optimizer=self.optimizer,
            schedule=lambda step: share(first + step),
            clip=CLIP,
            seed=self.course.seed,
            progress=False,
        )
        return outcome.seconds

    def loss(self, ids: np.ndarray, targets: np.ndarray) -> float:
        """Mean nats per token."""
        with no_grad():
            return self.model.loss(ids, targets).item()


class Theirs:
    """PyTorch's side: the loop as its tutorials write it."""

    def __init__(self, model: Transformer, course: Course, tokens: np.ndarray) -> None:
        import torch

        torch.set_num_threads(course.threads)
        self.torch, self.model, self.course = torch, twin(model), course
        self.batches = data.batches(tokens, course.batch, course.context, course.seed)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=LEARNING_RATE, betas=BETAS, weight_decay=DECAY, fused=True
        )

    def lap(self, first: int, count: int) -> float:
        """Take some steps; returns the seconds that they took."""
        share, begin = _schedule(self.course), time.perf_counter()
        for step in range(first, first + count):
            x, y = (self.torch.from_numpy(part.astype(np.int64)) for part in next(self.batches))
            for group in self.optimizer.param_groups:
                group["lr"] = LEARNING_RATE * share(step)
            loss = self.model(x, y)
            loss.backward()
            self.torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            loss.item()
        return time.perf_counter() - begin

    def loss(self, ids: np.ndarray, targets: np.ndarray) -> float:
        """Mean nats per token."""
        with self.torch.no_grad():
            x, y = (self.torch.from_numpy(part.astype(np.int64)) for part in (ids, targets))
            return self.model(x, y).item()


def _schedule(course: Course) -> Any:
    return lambda step: cosine(step, course.steps, course.warmup)


def prepare(course: Course) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Token ids of the Python documentation to train on, and held-out batches."""
    known, held_out = hold_out(data.documents("python-docs"), seed=course.seed)
    end = "<|endoftext|>"
    tokenizer = train_bpe(known, course.vocab_size, special=[end])
    ids, other = (data.encode_documents(tokenizer, texts) for texts in (known, held_out))
    batches = []
    for x, y in data.windows(other, course.batch, course.context):
        if x.shape == (course.batch, course.context):
            batches.append((x, y))
        if len(batches) * course.batch >= course.validation:
            break
    return ids, batches


def race(course: Course, sides: dict[str, Any], validation: list, say: Any = print) -> dict:
    """Let every side run the course, lap by lap.

    Args:
        course: what they run.
        sides: name -> something with `lap` and `loss`, such as `Ours` and `Theirs`.
        validation: batches of ids and targets.
        say: called with the standing after each lap.

    Returns:
        Name -> curve.
    """

    def look(side: Any) -> float:
        return float(np.mean([side.loss(x, y) for x, y in validation]))

    curves: dict[str, dict[str, list[float]]] = {
        name: {"step": [0], "seconds": [0.0], "loss": [look(side)]} for name, side in sides.items()
    }
    for turn, first in enumerate(range(0, course.steps, course.lap)):
        count = min(course.lap, course.steps - first)
        names = list(sides) if turn % 2 == 0 else list(sides)[::-1]
        for name in names:
            curve = curves[name]
            curve["seconds"].append(curve["seconds"][-1] + sides[name].lap(first, count))
            curve["step"].append(first + count)
            curve["loss"].append(look(sides[name]))
        standing = "; ".join(
            f"{name} {c['loss'][-1]:.3f} after {c['seconds'][-1]:.1f} s"
            for name, c in curves.items()
        )
        say(f"step {first + count}: {standing}")
    return curves


def seconds_to(curve: dict[str, list[float]], loss: float) -> float | None:
    """When a curve first reaches a loss, interpolated between measurements; None if never."""
    for i in range(1, len(curve["loss"])):
        before, now = curve["loss"][i - 1], curve["loss"][i]
        if now <= loss:
            share = 0.0 if before == now else (before - loss) / (before - now)
            share = min(1.0, max(0.0, share))
            begin = curve["seconds"][i - 1]
            return begin + share * (curve["seconds"][i] - begin)
    return None


def draw(record: dict[str, Any], path: Path) -> None:
    """One figure: validation loss against seconds, both curves, the finishing loss marked."""
    from minilm.course.show.style import (
        BLUE,
        MUTED,
        VERMILION,
        name_axes,
        new_figure,
        render,
        styled,
    )

    names, target = list(record["curves"]), record["target"]
    reached = {name: record["reached"][name] for name in names}
    alt = "Validation loss against seconds of training: " + ", ".join(
        f"{name} reaches {target:.2f} after {reached[name]:.0f} s"
        for name in names
        if reached[name] is not None
    )
    with styled():
        figure, axes = new_figure()
        for name, colour, marker in zip(names, (BLUE, VERMILION), ("o", "s")):
            curve = record["curves"][name]
            axes.plot(curve["seconds"], curve["loss"], color=colour, marker=marker, label=name)
            if reached[name] is not None:
                axes.annotate(
                    f"{reached[name]:.0f} s",
                    (reached[name], target),
                    textcoords="offset points",
                    xytext=(0, 12),
                    ha="center",
                    color=colour,
                )
        axes.axhline(target, color=MUTED, linewidth=1.2, linestyle="--")
        axes.legend()
        label = "validation loss (nats per token)"
        name_axes(axes, "seconds spent in training steps", label, "", "linear", "linear")
        picture = render(figure, alt)
    write_atomically(path, picture.png)


def run(course: Course, say: Any = print) -> dict[str, Any]:
    """The whole race as a record for JSON.

    Raises:
        InputError: PyTorch is not installed.
    """
    if find_torch() is None:
        raise InputError(f"the race needs PyTorch, which is not installed: {install('bench')}")
    backend.keep_freed_memory()
    backend.set_threads(course.threads)
    backend.blas_threads(1)
    tokens, validation = prepare(course)
    sizes = (course.vocab_size, course.context, course.layers, course.heads, course.channels)
    model = Transformer(gpt(*sizes), seed=course.seed)
    sides = {"PyTorch": Theirs(model, course, tokens), "minilm": Ours(model, course, tokens)}
    sides = dict(reversed(sides.items()))
    curves = race(course, sides, validation, say)
    target = max(curve["loss"][-1] for curve in curves.values())
    return {
        "machine": machine.facts(),
        "course": dataclasses.asdict(course),
        "parameters": model.num_parameters(),
        "target": target,
        "reached": {name: seconds_to(curve, target) for name, curve in curves.items()},
        "curves": curves,
    }


def main(argv: list[str] | None = None) -> int:
    """Run the race from the command line."""
    parser = argparse.ArgumentParser(prog="python -m minilm.bench.race", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON to write")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="PNG to write")
    parser.add_argument("--steps", type=int, default=Course.steps, metavar="N")
    parser.add_argument("--threads", type=int, default=Course.threads, metavar="N")
    args = parser.parse_args(argv)
    if args.steps < 1 or args.threads < 1:
        parser.error(f"--steps is {args.steps}, --threads {args.threads}; both must be 1 or more")
    if args.figure is not None and importlib.util.find_spec("matplotlib") is None:
        parser.error(f"--figure needs matplotlib, which is not installed: {install('course')}")
    lap = max(1, min(Course.lap, args.steps // 10))
    warmup = min(Course.warmup, args.steps)
    course = Course(steps=args.steps, threads=args.threads, lap=lap, warmup=warmup)
    try:
        record = run(course)
    except InputError as problem:
        parser.error(str(problem))
    write_atomically(args.out, (json.dumps(record, indent=2) + "\n").encode())
    if args.figure is not None:
        draw(record, args.figure)
    for name, when in record["reached"].items():
        print(f"{name}: validation loss {record['target']:.3f} after {when:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
