"""Train until a model can do its task, and count the steps.

The rate rises over 20 steps and is then constant, so that a test at step s is what a run of s
steps would have given. A run ends when the share of right answers has been `ENOUGH` in two tests
one after the other, or when its steps are used up.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from minilm.nn import Module
from minilm.optim import AdamW, clip_grad_norm
from minilm.studies.runs import TUNING_SEED, tune

ENOUGH = 0.95  # share of right answers that counts as learnt
Draw = Callable[[int, int], Sequence[Any]]  # seed and step -> what a model's loss takes
Exam = Callable[[Module], dict[str, float]]  # has an entry "right", from 0 to 1


class Trainable(Protocol):
    """What descends: a `Module`, or a model together with what it is asked."""

    def parameters(self) -> list[Any]:
        """What a step changes."""

    def loss(self, *batch: Any) -> Any:
        """Nats, a Tensor."""


def descend(
    model: Trainable, draw: Draw, seed: int, lr: float, falls: float = math.inf
) -> Iterator[float]:
    """Steps of AdamW without end; gives the loss of each, in nats.

    The rate falls to 0 over the last fifth of `falls` steps.
    """
    optimizer, step = AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01), 0
    while True:
        loss = model.loss(*draw(seed, step))
        loss.backward()
        clip_grad_norm(model.parameters(), 1.0)
        fall = 1.0 if math.isinf(falls) else min(1.0, (falls - step) / (falls / 5))
        optimizer.step(min(1.0, (step + 1) / 20) * fall)
        optimizer.zero_grad()
        step += 1
        yield loss.item()


def run_until(
    build: Callable[[int], Module],
    draw: Draw,
    exam: Exam,
    seed: int,
    lr: float,
    steps: int,
    every: int,
    go_on: bool = False,
    falls: float = math.inf,
) -> dict[str, Any]:
    """One run, tested every so many steps.

    Args:
        build: seed -> model.
        draw: the batches.
        exam: the test.
        seed: of the model and the batches.
        lr: learning rate.
        steps: the most that the run takes.
        every: steps between two tests.
        go_on: when the task is learnt as well.
        falls: as for `descend`.

    Returns:
        Seed, rate, parameters, processor seconds, the points, and `reached`: steps until the task
        was learnt, None where it was not.
    """
    model, points, losses = build(seed), [], []
    began, reached = time.process_time(), math.inf
    for step, loss in enumerate(descend(model, draw, seed, lr, falls), 1):
        losses.append(loss)
        if step % every == 0:
            found = exam(model)
            able = found["right"] >= ENOUGH
            before = bool(points) and points[-1]["right"] >= ENOUGH
            points.append({"step": step, "loss": float(np.mean(losses[-every:])), **found})
            if able and before:
                reached = min(reached, step - every)
        if step == steps or (math.isfinite(reached) and not go_on):
            break
    return {
        "seed": seed,
        "lr": lr,
        "parameters": model.num_parameters(),
        "reached": None if math.isinf(reached) else reached,
        "cpu_seconds": time.process_time() - began,
        "points": points,
    }


def tuned(
    build: Callable[[int], Trainable],
    draw: Draw,
    start: float,
    steps: int,
    factor: float = 3.0,
    slack: float = 0.005,
    runs: int = 1,
) -> dict[str, Any]:
    """The best rate on a grid around `start`: least mean loss over the last fifth of a run.

    Args:
        build, draw: as for `run_until`.
        start, factor, slack: as for `minilm.studies.runs.tune`. Slack is 0 where a tuning run may
            learn nothing: the smallest of rates that all stay at chance is a poor choice.
        steps: of a tuning run.
        runs: seeds for each rate, whose losses are averaged.
    """

    def loss_of(lr: float, seed: int) -> float:
        run = descend(build(seed), draw, seed, lr)
        losses = [next(run) for _ in range(steps)]
        return float(np.nan_to_num(np.mean(losses[-(steps // 5) :]), nan=math.inf))

    def final_loss(lr: float) -> float:
        return float(np.mean([loss_of(lr, TUNING_SEED + i) for i in range(runs)]))

    return tune(start, final_loss, factor=factor, widest=5, slack=slack)


def right_after(run: dict[str, Any], step: int) -> float:
    """Share right at the last test up to a step; a run that ended early keeps its own."""
    return [point["right"] for point in run["points"] if point["step"] <= step][-1]


def steps_to(run: dict[str, Any]) -> float:
    """Steps until the task was learnt, infinite where it was not."""
    return math.inf if run["reached"] is None else float(run["reached"])


def shown(run: dict[str, Any]) -> str:
    """A run in a few words."""
    last = run["points"][-1]
    return f"learnt after {run['reached']}, right {last['right']:.3f} at step {last['step']}"
