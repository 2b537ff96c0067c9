"""The training loop: `train` sets up once, `take_step` is the step, and around it is the log.

Where a step is computed is the engine's matter (`engine`), what is saved and when the keeper's
(`keeper`), how far it moves the plan's (`plan`).
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from minilm.backend import LossScale
from minilm.errors import InputError
from minilm.interrupt import Interrupt
from minilm.optim import AdamW, Optimizer
from minilm.train.ema import EMA
from minilm.train.engine import (
    Diverged,
    EndOfBatches,
    Engine,
    Loss,
    Source,
    Weigh,
    choose_engine,
)
from minilm.train.keeper import Keeper
from minilm.train.plan import Plan, sort_settings
from minilm.train.watch import Log, make_bar, peak_memory, stopped_runs


@dataclass
class Run:
    """What came of a call of `train`.

    Attributes:
        step: steps taken, those of earlier calls included.
        log: every step's loss and every evaluation.
        interrupted: Ctrl-C (or the notebook's stop button) was pressed, and the run ended with
            that step. The model is half trained: what is measured on it says nothing about a
            whole training, and a verdict must not rest on it.
        exhausted: the batches ended before the steps were done.
        seconds: spent in steps, those of earlier calls included.
        loss_scale: what the loss is multiplied by; always 1 but for float16 weights.
        ema: the averaged weights, where they were asked for.
    """

    step: int = 0
    log: Log = field(default_factory=lambda: Log(None))
    interrupted: bool = False
    exhausted: bool = False
    seconds: float = 0.0
    loss_scale: LossScale = field(default_factory=lambda: LossScale(1.0, patience=None))
    ema: EMA | None = None

    @property
    def losses(self) -> list[float]:
        """The loss of every step; a language model's is in nats per token."""
        return self.log.column("loss")[1]


def default_optimizer(model: Any, lr: float = 3e-3, weight_decay: float = 0.1) -> AdamW:
    """AdamW as language models use it: matrices decay, vectors (norms, biases) do not.

    Nor does a parameter with `decays` False, such as the rates of a state space.
    """
    params = [p for p in model.parameters() if p.requires_grad]
    decay = {id(p) for p in params if p.ndim >= 2 and getattr(p, "decays", True)}
    groups = [
        {"params": [p for p in params if id(p) in decay]},
        {"params": [p for p in params if id(p) not in decay], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return AdamW(groups, lr=lr, betas=(0.9, 0.95), weight_decay=weight_decay)


def train(
    model: Any,
    tokens: Any,
    steps: int,
    *,
    loss: Loss | None = None,
    weigh: Weigh | None = None,
    optimizer: Optimizer | Sequence[Optimizer] | None = None,
    ema: float | None = None,
    after_step: Callable[[Run], Any] | None = None,
    **settings: Any,
) -> Run:
    """Train a model: on a stream of token ids, or on any batches with any loss.

        train(model, tokens, 800, batch=8, lr=5e-3)
        train(model, pictures, 800, loss=denoising, weigh=examples, ema=0.999)

    A large step's batch is split over `backend.threads()` threads, each with its own tape; so
    results are the same bit for bit for the same number of threads. On a GPU the next batch is
    copied while the step runs. Ctrl-C finishes the step, saves and returns.

    The model's type decides what is computed in: weights of bfloat16 or float16 (on a GPU) have
    float32 masters in the optimizer, and float16 a loss scale that finds its size by trial; a step
    whose gradients overflow is left out.

    Args:
        model: anything with `parameters()`, `named_parameters()`, `train()`, `eval()` and, without
            a `loss` of your own, `loss(ids, targets) -> Tensor`.
        tokens: (N,) ids, an array or a `TokenFile`. Or a function from the number of a batch,
            from 0, to a batch, which is all that a resumed run needs. Or an iterator of batches,
            which then is where this call's first step begins; it may end, and the run with it.
        steps: how many there are in all, those before a resume included.
        loss: (model, batch) -> a Tensor of one number, a mean over the batch; None:
            `model.loss(*batch)`. What it draws at random must come with the batch.
        weigh: batch -> how many things its loss is a mean over, such as `train.examples`: then
            accumulated batches weigh by it, and a batch may be split over threads. None: a language
            model's scored targets; with a `loss` of your own, all batches weigh the same and none
            is split, as where its examples know of each other.
        optimizer: one or several, each over its share of the parameters; None: AdamW.
        ema: keep averages of the weights with this decay; `run.ema.applied()` puts them into the
            model, and they are what `load` finds in `out`.
        after_step: called with the run after every step, before it is saved; True ends the run.
        settings: of the run, `batch`, `context`, `accumulate`, `lr`, `weight_decay`, `warmup`,
            `schedule`, `clip`, `minutes`, `seed`: see `train.Plan`. Of what is shown and kept,
            `out`, `tokenizer`, `recipe`, `resume`, `save_every`, `report`, `report_every`,
            `progress`: see `train.Keep`.

    Returns:
        What happened. `interrupted` says that it is only a part.

    Raises:
        Diverged: a loss or gradient that is not finite; names the step and the parameter.
        InputError: an argument out of range; a step that does not fit into memory; a disk that is
            full (the last checkpoint is whole).
    """
    plan, keep = sort_settings(steps, settings)
    plan = plan.fitted(model)
    optimizer = optimizer or default_optimizer(model, plan.lr, plan.weight_decay)
    engine = choose_engine(model, optimizer, loss, weigh, plan.accumulate, plan.seed, ema)
    keeper = Keeper(keep, engine)
    first, seconds = keeper.restore()
    source = engine.feed(*plan.batches(tokens, first))
    run = Run(
        step=first,
        log=keeper.begin(first),
        seconds=seconds,
        loss_scale=engine.loss_scale,
        ema=engine.ema,
    )
    model.train()
    bar = make_bar(plan.steps if plan.minutes is None else None, first, keep.progress)
    try:
        with Interrupt() as interrupt:
            keeper.save(first, seconds)  # from here on there is always one to go back to
            done = plan.done(first, seconds)
            while done < 1 and not interrupt.asked:
                try:
                    _take(engine, source, plan, run, bar)
                except EndOfBatches:
                    run.exhausted = True
                    break
                except Diverged as error:
                    raise Diverged(_stopped(run.step, error, keeper)) from None
                ended = after_step is not None and after_step(run) is True
                before, done = done, 1.0 if ended else plan.done(run.step, run.seconds)
                keeper.after(run.step, run.seconds, before, done, run.log, bar)
            run.interrupted = interrupt.asked
            keeper.save(run.step, run.seconds)
    finally:
        bar.close()
        run.log.close()
        model.eval()
    if run.exhausted and run.step == first:
        raise InputError("tokens is an iterator that has ended; it must have a batch left")
    if run.interrupted or run.exhausted:
        print(_what_ended(run, plan, keeper), flush=True)
    if run.interrupted:
        stopped_runs.append(f"a training was interrupted after step {run.step:,}")
    return run


def take_step(
    engine: Engine, source: Source, step: int, share: float = 1.0, clip: float = 1.0
) -> tuple[float, float]:
    """One training step of any model, batch and loss.

    Args:
        engine: from `choose_engine`.
        source: what `engine.feed` returned.
        step: its number, from 0; it tells dropout's draws from those of other steps.
        share: of the learning rate, what a schedule gives.
        clip: largest norm of all gradients together.

    Returns:
        The loss, and the norm before clipping; a norm that is not finite says that the step was
        left out and the loss scale of 16-bit training lowered.

    Raises:
        Diverged: a loss or gradient that is not finite; names the parameter.
        EndOfBatches: the source has ended.
    """
    loss = engine.gradients(source, step)
    norm = engine.clip(clip)
    if engine.good(loss, norm):
        engine.update(share)
    return loss, norm


def _take(engine: Engine, source: Source, plan: Plan, run: Run, bar: Any) -> None:
    """Take one step, timed, and write it down."""
    began = time.perf_counter()
    share = plan.share(run.step, run.seconds)
    try:
        loss, norm = take_step(engine, source, run.step, share, plan.clip)
    except MemoryError:
        raise InputError(_no_room(plan)) from None
    run.step += 1
    seconds = time.perf_counter() - began
    run.seconds += seconds
    speed = engine.count / seconds
    run.log.add(
        step=run.step,
        loss=round(loss, 6),
        norm=round(norm, 6) if math.isfinite(norm) else None,  # None: the step was left out
        lr=engine.optimizers[0].groups[0]["lr"] * share,
        **{f"{engine.unit}_per_second": round(speed)},
        seconds=round(run.seconds, 3),
        **engine.notes(),
    )
    _show(bar, loss, f"{engine.unit}/s", speed)


def _show(bar: Any, loss: float, unit: str, speed: float) -> None:
    bar.update()
    memory = peak_memory()
    room = {} if memory is None else {"memory": f"{memory / 1e6:,.0f} MB"}
    bar.set_postfix({"loss": f"{loss:.3f}", unit: f"{speed:,.0f}", **room}, refresh=False)


def _what_ended(run: Run, plan: Plan, keeper: Keeper) -> str:
    """One line about a run that ended before its time."""
    why = "interrupted" if run.interrupted else "the batches ended"
    goal = f" of {plan.steps:,}"
    if plan.minutes is not None:
        goal = f", {run.seconds / 60:.1f} of {plan.minutes:g} minutes"
    kept = "the model is only partly trained"
    if keeper.folder is not None:
        kept = f"everything is saved in {keeper.folder}"
    return f"{why} after step {run.step:,}{goal}; {kept}"


def _stopped(step: int, error: Diverged, keeper: Keeper) -> str:
    """One sentence: at which step, in which parameter, and what is safe."""
    cure = "a smaller lr or clip is the usual cure"
    return f"training stopped at step {step + 1}: {error}{keeper.whole()}; {cure}"


def _no_room(plan: Plan) -> str:
    size = f" of {plan.context} tokens" if plan.context else ""
    return (
        f"a step of {plan.batch} sequences{size} does not fit into memory; batch "
        f"{max(1, plan.batch // 2)} with accumulate {2 * plan.accumulate} does the same in less"
    )
