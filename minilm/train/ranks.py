"""Training over many ranks: the loop of `train`, taken by all ranks together.

Each rank draws the same batches and works on its share. So a run over ranks has the loss of a run
in one process, to rounding, whatever the layout; and the rows of its log are the same.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minilm.interrupt import Interrupt
from minilm.models import model_of
from minilm.optim import AdamW
from minilm.parallel.communicator import Communicator
from minilm.parallel.layout import Layout
from minilm.parallel.model import ParallelModel
from minilm.parallel.shards import load_shards, save_shards
from minilm.train import checkpoints
from minilm.train.engine import Diverged
from minilm.train.keeper import is_due
from minilm.train.loop import Run
from minilm.train.plan import Keep, Plan, sort_settings
from minilm.train.watch import Log, make_bar, peak_memory, say


@dataclass(frozen=True)
class Spread:
    """How a training is spread over ranks.

    Attributes:
        layout: who shares what.
        zero: stage of ZeRO.
        schedule, micro: of the pipeline, and the batches that a step is cut into.
        recompute: what is computed again in backward; see `Share`.
        ahead, overlap, offload: as for `Zero`.
    """

    layout: Layout = Layout()
    zero: int = 0
    schedule: str = "1f1b"
    micro: int = 1
    recompute: str = "none"
    ahead: int = 1
    overlap: bool = False
    offload: str | Path | None = None


class _Job:
    """One rank of a training: its model, its plan, and what is shown and kept."""

    def __init__(
        self, comm: Communicator, model: Any, spread: Spread, plan: Plan, keep: Keep
    ) -> None:
        layout, rows = spread.layout, plan.batch * plan.accumulate
        layout.check_fit(comm.size, model.config, rows, plan.context, spread.micro)
        self.comm, self.plan, self.keep, self.config = comm, plan, keep, model.config
        self.first = comm.rank == 0
        self.folder = None if keep.out is None else Path(keep.out)
        self.whole: Any = None  # a plain model on the first rank, made when it is first needed
        self.saved: int | None = None

        def optimizer(groups: list[dict[str, Any]]) -> AdamW:
            decay = plan.weight_decay
            return AdamW(groups, lr=plan.lr, betas=(0.9, 0.95), weight_decay=decay)

        self.model = ParallelModel(
            layout.on(comm),
            model,
            optimizer,
            spread.zero,
            schedule=spread.schedule,
            micro=spread.micro,
            recompute=spread.recompute,
            settings=lambda p: {} if p.ndim >= 2 else {"weight_decay": 0.0},
            ahead=spread.ahead,
            overlap=spread.overlap,
            offload=spread.offload,
        )

    def restore(self) -> tuple[int, float]:
        """The step and the seconds to go on from."""
        if self.folder is None:
            return 0, 0.0
        if not self.keep.resume:
            if self.first:
                checkpoints.refuse_taken(self.folder)
            return 0, 0.0
        facts = load_shards(self.folder, self.model.kept())
        self.saved = facts["step"]
        return facts["step"], facts["seconds"]

    def begin(self, step: int) -> Log:
        """Write what does not change; the log of the first rank is on the disk."""
        if self.first and self.folder is not None and not self.keep.resume:
            recipe = self.keep.recipe or {}
            checkpoints.begin(self.folder, self.config, self.keep.tokenizer, recipe)
        return Log(self.folder if self.first else None, step)

    def save(self, step: int, seconds: float) -> None:
        """Save the ranks' shares, unless this step is saved."""
        if self.folder is not None and self.saved != step:
            facts = {"step": step, "seconds": seconds}
            save_shards(self.comm, self.folder, self.model.kept(), facts)
            self.saved = step

    def gather(self) -> Any:
        """The whole model on the first rank, None on others."""
        state = self.model.state()
        if not self.first:
            return None
        if self.whole is None:
            self.whole = model_of(self.config, allocate=False)
        self.whole.load_state_dict(state)
        return self.whole.eval()

    def agree(self, asked: bool, seconds: float) -> tuple[bool, float]:
        """Whether any rank was asked to stop, and the clock of the slowest: the same on all."""
        asked, seconds = self.comm.all_reduce(np.array([float(asked), seconds]), "max").tolist()
        return bool(asked), seconds


def train_on_ranks(
    comm: Communicator,
    model: Any,
    tokens: Any,
    steps: int,
    spread: Spread,
    *,
    reporter: Callable[[Any], Callable[[int, Log], Any]] | None = None,
    **settings: Any,
) -> Run:
    """Train a language model on this rank, together with the others.

    Args:
        comm: all ranks.
        model: the whole model, the same on every rank; it is taken apart.
        tokens: (N,) ids, the same on every rank.
        steps: how many there are in all.
        spread: who does what.
        reporter: whole model -> what `Keep.report` is; called on the first rank.
        settings: those of `train`, less `report`. In `out` lie sharded checkpoints, which another
            number of data parallel ranks can resume, and the whole model once the run has ended.

    Returns:
        What happened, the same on every rank, but for the log's evaluations.

    Raises:
        Diverged: a loss or gradient that is not finite.
        InputError: the layout does not fit ranks, model or batch; an argument out of range.
    """
    plan, keep = sort_settings(steps, settings)
    plan = plan.fitted(model)
    job = _Job(comm, model, spread, plan, keep)
    first, seconds = job.restore()
    source, _ = plan.batches(tokens, first)
    run = Run(step=first, log=job.begin(first), seconds=seconds)
    report = None
    bar = make_bar(plan.steps if plan.minutes is None else None, first, keep.progress and job.first)
    try:
        with Interrupt() as interrupt:
            job.save(first, seconds)
            done, asked = plan.done(first, seconds), False
            while done < 1 and not asked:
                _take(job, source, run, bar)
                asked, run.seconds = job.agree(interrupt.asked, run.seconds)
                before, done = done, plan.done(run.step, run.seconds)
                if is_due(keep.save_every, 10, run.step, before, done):
                    job.save(run.step, run.seconds)
                if reporter is not None and is_due(keep.report_every, 8, run.step, before, done):
                    whole = job.gather()
                    if job.first:
                        report = report or reporter(whole)
                        say(bar, report(run.step, run.log))
            run.interrupted = asked
            job.save(run.step, run.seconds)
            whole = job.gather() if job.folder is not None else None
            if whole is not None:
                facts = {"step": run.step, "seconds": run.seconds}
                checkpoints.save_arrays(job.folder / checkpoints.MODEL, whole.state_dict(), facts)
    finally:
        bar.close()
        run.log.close()
    return run


def _take(job: _Job, source: Any, run: Run, bar: Any) -> None:
    """Take one step, timed, and write it down."""
    began, plan = time.perf_counter(), job.plan
    share = plan.share(run.step, run.seconds)
    drawn = [next(source) for _ in range(plan.accumulate)]
    ids, targets = (np.concatenate(side) for side in zip(*drawn))
    loss = job.model.gradients(ids, targets)
    norm = job.model.norm()
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise Diverged(
            f"training stopped at step {run.step + 1}: the loss is {loss:.4g} and the norm of the "
            f"gradients {norm:.4g}; a smaller lr or clip is the usual cure"
        )
    job.model.step(share, min(1.0, plan.clip / norm) if norm else 1.0)
    if hasattr(job.comm, "checked"):
        job.comm.checked = False  # a step has shown that the calls fit
    run.step += 1
    seconds = time.perf_counter() - began
    run.seconds += seconds
    run.log.add(
        step=run.step,
        loss=round(loss, 6),
        norm=round(norm, 6),
        lr=plan.lr * share,
        tokens_per_second=round(ids.size / seconds),
        seconds=round(run.seconds, 3),
    )
    memory = peak_memory()
    room = {} if memory is None else {"memory": f"{memory / 1e6:,.0f} MB"}
    bar.update()
    speed = f"{ids.size / seconds:,.0f}"
    bar.set_postfix({"loss": f"{loss:.3f}", "tokens/s": speed, **room}, refresh=False)
