"""The settings of a run: how it goes, and what it shows and keeps."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minilm.data import batches
from minilm.errors import InputError
from minilm.optim import cosine

Report = Callable[[int, Any], Sequence[str]]


@dataclass(frozen=True)
class Plan:
    """How a run goes: how long, how much a step reads, how far it moves.

    Attributes:
        steps: how many there are in all, those before a resume included.
        batch: sequences per batch.
        context: tokens per sequence; None: the model's context.
        accumulate: batches whose gradients make one step, as if they were one large batch.
        lr: AdamW's peak learning rate; with an optimizer of your own, its `lr` holds.
        weight_decay: AdamW's, of matrices.
        warmup: steps of the rise; None: 5 % of the steps, at most 100.
        schedule: step -> share of the learning rate; None: cosine to 0 after `warmup`.
        clip: largest norm of all gradients together.
        minutes: stop after this long even if `steps` are not done; the schedule follows the clock
            then, so such a run cannot be repeated bit for bit.
        seed: of the order of the data and of dropout.

    Raises:
        InputError: a number out of range.
    """

    steps: int
    batch: int = 16
    context: int | None = None
    accumulate: int = 1
    lr: float = 3e-3
    weight_decay: float = 0.1
    warmup: int | None = None
    schedule: Callable[[int], float] | None = None
    clip: float = 1.0
    minutes: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 1), ("accumulate", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; it must be {least} or more")
        if not self.clip > 0:
            raise InputError(f"clip is {self.clip}; it must be more than 0")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise InputError(f"minutes is {self.minutes}; it must be more than 0")
        if self.warmup is not None and not 0 <= self.warmup <= self.steps:
            raise InputError(f"warmup is {self.warmup}; it must be from 0 to steps, {self.steps}")

    def fitted(self, model: Any) -> "Plan":
        """The plan with the model's context, where it names none.

        Raises:
            InputError: a context beyond the model's.
        """
        limit = getattr(getattr(model, "config", None), "context", None)
        context = limit if self.context is None else self.context
        if context is not None and not 1 <= context <= (limit or context):
            raise InputError(f"context is {context}; it must be from 1 to the model's, {limit}")
        return dataclasses.replace(self, context=context)

    def batches(self, tokens: Any, step: int) -> tuple[Iterator[Any], bool]:
        """The batches from a step on, and whether more may be drawn than are used.

        Args:
            tokens: ids, a `TokenFile`, a function from a batch's number to a batch, or an iterator
                of batches, which is left where the run ends.
            step: the first to be taken.

        Raises:
            InputError: no context; too few tokens.
        """
        if isinstance(tokens, Iterator):
            return tokens, False
        if callable(tokens):
            return map(tokens, itertools.count(step * self.accumulate)), True
        if self.context is None:
            raise InputError("context is None; without a model's config it must be a number")
        ids = getattr(tokens, "tokens", tokens)  # those of a TokenFile
        if np.ndim(ids[:1]) != 1:
            raise InputError(
                f"tokens is {_kind(ids)}; it must be (N,) ids, an iterator of batches such as "
                "iter(...), or a function from a batch's number to a batch"
            )
        return batches(ids, self.batch, self.context, self.seed, step * self.accumulate), True

    def done(self, step: int, seconds: float) -> float:
        """How far a run is, by its steps or, where they are given, by its minutes: from 0 to 1."""
        by_time = seconds / (60 * self.minutes) if self.minutes is not None else 0.0
        return max(step / self.steps, by_time)

    def share(self, step: int, seconds: float) -> float:
        """Of the learning rate, for the step about to be taken."""
        if self.schedule is not None:
            return self.schedule(step)
        warmup = min(100, max(1, self.steps // 20)) if self.warmup is None else self.warmup
        if self.minutes is None:
            return cosine(step, self.steps, warmup)
        rise = min(1.0, (step + 1) / max(1, warmup))
        return rise * 0.5 * (1 + math.cos(math.pi * self.done(step, seconds)))


def _kind(given: Any) -> str:
    shape = getattr(given, "shape", None)
    return f"a {type(given).__name__}" if shape is None else f"of shape {shape}"


@dataclass(frozen=True)
class Keep:
    """What a run shows and what it leaves behind.

    Attributes:
        out: folder for checkpoints and the log; None keeps everything in memory.
        tokenizer: saved beside the model, once.
        recipe: JSON saved beside the model, once, for whoever resumes.
        resume: go on from the checkpoint in `out`.
        save_every: steps between checkpoints; None: 10 in all. There is always one at the end.
        report: called as `report(step, log)` now and then, returns lines to print.
        report_every: steps between reports; None: 8 in all.
        progress: show a bar.

    Raises:
        InputError: a number out of range; something to resume, and no folder.
    """

    out: str | Path | None = None
    tokenizer: Any = None
    recipe: dict[str, Any] | None = None
    resume: bool = False
    save_every: int | None = None
    report: Report | None = None
    report_every: int | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        for name in ("save_every", "report_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; it must be 1 or more, or None")
        if self.resume and self.out is None:
            raise InputError("out is None; with resume it must be the folder of a checkpoint")


def sort_settings(steps: int, settings: dict[str, Any]) -> tuple[Plan, Keep]:
    """The settings of a run by what they are about.

    Raises:
        InputError: one that is of neither; a number out of range.
    """
    names = {kind: [field.name for field in dataclasses.fields(kind)] for kind in (Plan, Keep)}
    known = [*names[Plan], *names[Keep]]
    for name in settings:
        if name not in known:
            raise InputError(f"train was given {name!r}; its settings are {', '.join(known[1:])}")
    plan, keep = ({n: v for n, v in settings.items() if n in names[kind]} for kind in names)
    return Plan(steps, **plan), Keep(**keep)
