"""The training loop, one step per screen: gradients, clipping, schedule, step; save and go on."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minilm.backend import LossScale, Precision, Prefetch, xp_of
from minilm.data import batches
from minilm.errors import InputError
from minilm.optim import AdamW, Optimizer, clip_grad_norm, cosine
from minilm.optim.clip import grad_norm
from minilm.train import checkpoints
from minilm.train.gradients import gradients_on_cpu, gradients_on_gpu
from minilm.train.watch import Interrupt, Log, make_bar, peak_memory, say

Report = Callable[[int, Any], Sequence[str]]


class Diverged(InputError):
    """The loss or a gradient is no longer a number."""


@dataclass
class Run:
    """What came of a call of ``train``.

    Attributes:
        step: steps taken, those of earlier calls included.
        log: every step's loss and every evaluation.
        interrupted: Ctrl-C ended it early; everything is saved.
        seconds: spent in steps, those of earlier calls included.
        loss_scale: what the loss is multiplied by; always 1 but for float16 weights.
    """

    step: int = 0
    log: Log = field(default_factory=lambda: Log(None))
    interrupted: bool = False
    seconds: float = 0.0
    loss_scale: LossScale = field(default_factory=lambda: LossScale(1.0, patience=None))

    @property
    def losses(self) -> list[float]:
        """The loss of every step, in nats per token."""
        return self.log.column("loss")[1]


def default_optimizer(model: Any, lr: float = 3e-3, weight_decay: float = 0.1) -> AdamW:
    """AdamW as language models use it: matrices decay, vectors (norms, biases) do not."""
    params = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in params if p.ndim >= 2]},
        {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return AdamW(groups, lr=lr, betas=(0.9, 0.95), weight_decay=weight_decay)


def train(
    model: Any,
    tokens: Any,
    steps: int,
    batch: int = 16,
    context: int | None = None,
    lr: float = 3e-3,
    weight_decay: float = 0.1,
    optimizer: Optimizer | Sequence[Optimizer] | None = None,
    schedule: Callable[[int], float] | None = None,
    warmup: int | None = None,
    accumulate: int = 1,
    clip: float = 1.0,
    seed: int = 0,
    minutes: float | None = None,
    out: str | Path | None = None,
    tokenizer: Any = None,
    recipe: dict[str, Any] | None = None,
    resume: bool = False,
    save_every: int | None = None,
    report: Report | None = None,
    report_every: int | None = None,
    progress: bool = True,
) -> Run:
    """Train a language model on a stream of token ids.

    A large step's batch is split over ``backend.threads()`` threads, each with its own tape; so
    results are the same bit for bit for the same number of threads. On a GPU the next batch is
    copied while the step runs. Ctrl-C finishes the step, saves and returns.

    The model's type decides what is computed in: weights of bfloat16 or float16 (on a GPU) have
    float32 masters in the optimizer, and float16 a loss scale that finds its size by trial; a step
    whose gradients overflow is left out.

    Args:
        model: anything with ``parameters()`` and ``loss(ids, targets) -> Tensor``.
        tokens: (N,) ids, an array or a ``TokenFile``; or an iterator of batches of your own, ids
            and targets (batch, context) each, which then is where this call's first step begins.
        steps: how many there are in all, those before a resume included.
        batch: sequences per step and accumulation.
        context: tokens per sequence; None: the model's context.
        lr: AdamW's peak learning rate; with an ``optimizer`` of your own, its ``lr`` holds.
        weight_decay: AdamW's, of matrices.
        optimizer: one or several, each over its share of the parameters; None: AdamW.
        schedule: step -> share of the learning rate; None: cosine to 0 after ``warmup``.
        warmup: steps of the rise; None: 5 % of the steps, at most 100.
        accumulate: gradients of this many batches are averaged for one step.
        clip: largest norm of all gradients together.
        seed: of the order of the data and of dropout.
        minutes: stop after this long even if ``steps`` are not done; the schedule follows the
            clock then, so such a run cannot be repeated bit for bit.
        out: folder for checkpoints and the log; None keeps everything in memory.
        tokenizer: saved beside the model.
        recipe: JSON saved beside the model, for whoever resumes.
        resume: go on from the checkpoint in ``out``.
        save_every: steps between checkpoints; None: 10 in all. There is always one at the end.
        report: called as ``report(step, log)`` now and then, returns lines to print.
        report_every: steps between reports; None: 8 in all.
        progress: show a bar.

    Returns:
        What happened.

    Raises:
        Diverged: a loss or gradient that is not finite; names the step and the parameter.
        InputError: an argument out of range; a step that does not fit into memory; a disk that is
            full (the last checkpoint is whole).
    """
    limit = getattr(getattr(model, "config", None), "context", None)
    context = limit if context is None else context
    _check(limit, steps, batch, context, accumulate, clip, minutes, warmup)
    optimizers = _as_list(optimizer or default_optimizer(model, lr, weight_decay))
    params = model.parameters()  # once: the walk over the modules costs as much as a small layer
    gpu = xp_of(params[0].data) is not np
    clock = _Clock(steps, minutes, min(100, max(1, steps // 20)) if warmup is None else warmup)
    folder = None if out is None else Path(out)
    run = Run(loss_scale=Precision(str(params[0].dtype)).loss_scale())
    if folder is not None and resume:
        facts = checkpoints.restore(folder, model, optimizers)
        run.step, run.seconds = facts["step"], facts["seconds"]
        if "loss_scale" in facts:
            run.loss_scale.restore(facts["loss_scale"])
    elif folder is not None:
        checkpoints.begin(folder, model.config, tokenizer, recipe or {})
    run.log = Log(folder, run.step)
    own = isinstance(tokens, Iterator)
    tokens = tokens if own else getattr(tokens, "tokens", tokens)  # those of a TokenFile
    source = tokens if own else batches(tokens, batch, context, seed, run.step * accumulate)
    if gpu:
        source = Prefetch(source, ahead=not own)
    model.train()
    bar = make_bar(steps if minutes is None else None, run.step, progress)
    saved = run.step if resume else None
    try:
        with Interrupt() as interrupt:
            if folder is not None and not resume:  # from here on there is always one to go back to
                saved = _save(folder, model, optimizers, run, None)
            while not interrupt.asked:
                began = time.perf_counter()
                done = clock.done(run)
                if done >= 1:
                    break
                share = schedule(run.step) if schedule else clock.share(run)
                scale = run.loss_scale.value
                gradients = gradients_on_gpu if gpu else gradients_on_cpu
                try:
                    loss = gradients(model, params, source, accumulate, seed, run.step, scale)
                except MemoryError:
                    raise InputError(_no_room(batch, context, accumulate)) from None
                if gpu:  # clipping costs no pass: the optimizer multiplies as it reads
                    norm = grad_norm(params) / scale
                    factor = (clip / norm if norm > clip else 1.0) / scale
                else:
                    norm, factor = clip_grad_norm(params, clip), 1.0
                finite = math.isfinite(norm)
                if not (math.isfinite(loss) and run.loss_scale.update(finite)):
                    raise Diverged(_diagnosis(model, run.step + 1, loss, folder, saved))
                for one in optimizers:
                    if finite:
                        one.step(share, factor) if gpu else one.step(share)
                    one.zero_grad()
                run.step += 1
                seconds = time.perf_counter() - began
                run.seconds += seconds
                speed = batch * context * accumulate / seconds
                rate = optimizers[0].groups[0]["lr"] * share
                scaled = {} if run.loss_scale.patience is None else {"loss_scale": scale}
                run.log.add(
                    step=run.step,
                    loss=round(loss, 6),
                    norm=round(norm, 6) if finite else None,  # None: the step was left out
                    lr=rate,
                    tokens_per_second=round(speed),
                    seconds=round(run.seconds, 3),
                    **scaled,
                )
                _show(bar, loss, speed)
                now = clock.done(run)
                if folder is not None and _due(save_every, 10, run.step, done, now):
                    saved = _save(folder, model, optimizers, run, saved)
                if report is not None and _due(report_every, 8, run.step, done, now):
                    say(bar, report(run.step, run.log))
            run.interrupted = interrupt.asked
            if folder is not None and saved != run.step:
                _save(folder, model, optimizers, run, saved)
    finally:
        bar.close()
        run.log.close()
        model.eval()
    return run


@dataclass(frozen=True)
class _Clock:
    """How far a run is, by its steps or, where they are given, by its minutes."""

    steps: int
    minutes: float | None
    warmup: int

    def done(self, run: Run) -> float:
        """From 0 to 1."""
        by_time = run.seconds / (60 * self.minutes) if self.minutes is not None else 0.0
        return max(run.step / self.steps, by_time)

    def share(self, run: Run) -> float:
        """Of the learning rate, for the step about to be taken: a cosine to 0."""
        if self.minutes is None:
            return cosine(run.step, self.steps, self.warmup)
        rise = min(1.0, (run.step + 1) / max(1, self.warmup))
        return rise * 0.5 * (1 + math.cos(math.pi * self.done(run)))


def _due(every: int | None, parts: int, step: int, before: float, now: float) -> bool:
    """Whether it is time: every so many steps, or at each part of the run; always at its end."""
    if now >= 1:
        return True
    return step % every == 0 if every else int(before * parts) < int(now * parts)


def _save(folder: Path, model: Any, optimizers: list[Optimizer], run: Run, last: int | None) -> int:
    """Save and return the step; where that fails, say which checkpoint is still whole."""
    try:
        facts: dict[str, Any] = {"step": run.step, "seconds": run.seconds}
        if run.loss_scale.patience is not None:
            facts["loss_scale"] = run.loss_scale.state()
        checkpoints.save(folder, model, optimizers, facts)
    except InputError as error:
        if last is None:
            raise
        raise InputError(
            f"{error}; the checkpoint of step {last} in {folder} is whole: resume it once that is "
            "mended"
        ) from None
    return run.step


def _show(bar: Any, loss: float, speed: float) -> None:
    bar.update()
    memory = peak_memory()
    room = {} if memory is None else {"memory": f"{memory / 1e6:,.0f} MB"}
    bar.set_postfix({"loss": f"{loss:.3f}", "tokens/s": f"{speed:,.0f}", **room}, refresh=False)


def _diagnosis(model: Any, step: int, loss: float, folder: Path | None, saved: int | None) -> str:
    """One sentence: at which step, in which parameter, and what is safe."""
    where = "in no gradient, only the loss"
    for what, pick in (("", lambda p: p.data), ("the gradient of ", lambda p: p.grad)):
        bad = [
            name
            for name, p in model.named_parameters()
            if pick(p) is not None and not bool(xp_of(p.data).isfinite(pick(p)).all())
        ]
        if bad:
            where = f"found in {what}{bad[0]!r}"
            where += f" and {len(bad) - 1} more" if len(bad) > 1 else ""
            break
    kept = f"; the checkpoint of step {saved} in {folder} is whole" if saved is not None else ""
    return (
        f"training stopped at step {step}: the loss is {loss:.4g} and a value that is no finite "
        f"number was {where}{kept}; a smaller lr or clip is the usual cure"
    )


def _no_room(batch: int, context: int, accumulate: int) -> str:
    return (
        f"a step of {batch} sequences of {context} tokens does not fit into memory; batch "
        f"{max(1, batch // 2)} with accumulate {2 * accumulate} does the same in less"
    )


def _as_list(optimizer: Optimizer | Sequence[Optimizer]) -> list[Optimizer]:
    return [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer)


def _check(
    limit: int | None,
    steps: int,
    batch: int,
    context: int | None,
    accumulate: int,
    clip: float,
    minutes: float | None,
    warmup: int | None,
) -> None:
    for name, value in (("steps", steps), ("batch", batch), ("accumulate", accumulate)):
        if value < 1:
            raise InputError(f"{name} is {value}; it must be 1 or more")
    if context is None:
        raise InputError("context is missing: the model has no config that names one")
    if not 1 <= context <= (limit or context):
        raise InputError(f"context is {context}; it must be from 1 to the model's, {limit}")
    if not clip > 0:
        raise InputError(f"clip is {clip}; it must be more than 0")
    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"minutes is {minutes}; it must be more than 0")
    if warmup is not None and not 0 <= warmup <= steps:
        raise InputError(f"warmup is {warmup}; it must be from 0 to steps, {steps}")
