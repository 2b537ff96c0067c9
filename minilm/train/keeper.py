"""What happens around the steps of a run: its folder, its log, its checkpoints and its reports."""

from pathlib import Path
from typing import Any

from minilm.errors import InputError
from minilm.train import checkpoints
from minilm.train.engine import Engine
from minilm.train.plan import Keep
from minilm.train.watch import Log, say


class Keeper:
    """Keeps a run: it knows what was saved last, and when the next save or report is due.

    Args:
        keep: what is wanted.
        engine: whose model, optimizers and averages are saved.
    """

    def __init__(self, keep: Keep, engine: Engine) -> None:
        self.keep, self.engine = keep, engine
        self.folder = None if keep.out is None else Path(keep.out)
        self.saved: int | None = None  # the step of the last checkpoint

    def restore(self) -> tuple[int, float]:
        """The step and the seconds to go on from; model, optimizers and averages are brought there.

        Raises:
            InputError: no checkpoint to resume, one of another model, or one where a new run is to
                begin.
        """
        if self.folder is None:
            return 0, 0.0
        if not self.keep.resume:
            checkpoints.refuse_taken(self.folder)
            return 0, 0.0
        engine = self.engine
        facts = checkpoints.restore(self.folder, engine.model, engine.optimizers, engine.ema)
        if engine.loss_scale.patience is not None and "loss_scale" in facts:
            engine.loss_scale.restore(facts["loss_scale"])
        self.saved = facts["step"]
        return facts["step"], facts["seconds"]

    def begin(self, step: int) -> Log:
        """Write what does not change during the run; returns its log.

        Raises:
            InputError: the folder cannot be written.
        """
        if self.folder is not None and not self.keep.resume:
            config = getattr(self.engine.model, "config", None)
            checkpoints.begin(self.folder, config, self.keep.tokenizer, self.keep.recipe or {})
        return Log(self.folder, step)

    def save(self, step: int, seconds: float) -> None:
        """Save, unless this step is saved; where that fails, say which checkpoint is still whole.

        Raises:
            InputError: the disk is full or the folder is not writable.
        """
        if self.folder is None or self.saved == step:
            return
        engine = self.engine
        facts: dict[str, Any] = {"step": step, "seconds": seconds}
        if engine.loss_scale.patience is not None:
            facts["loss_scale"] = engine.loss_scale.state()
        try:
            checkpoints.save(self.folder, engine.model, engine.optimizers, facts, engine.ema)
        except InputError as error:
            if self.saved is None:
                raise
            raise InputError(f"{error}{self.whole()}; resume it once there is room") from None
        self.saved = step

    def whole(self) -> str:
        """What is safe, to end a sentence about trouble with."""
        if self.saved is None:
            return ""
        return f"; the checkpoint of step {self.saved} in {self.folder} is whole"

    def after(self, step: int, seconds: float, before: float, now: float, log: Log, bar: Any):
        """Save and report, where a step that took the run from `before` to `now` makes it due."""
        if is_due(self.keep.save_every, 10, step, before, now):
            self.save(step, seconds)
        if self.keep.report is not None and is_due(self.keep.report_every, 8, step, before, now):
            say(bar, self.keep.report(step, log))


def is_due(every: int | None, parts: int, step: int, before: float, now: float) -> bool:
    """Whether it is time: every so many steps, or at each part of the run; always at its end."""
    if now >= 1:
        return True
    return step % every == 0 if every else int(before * parts) < int(now * parts)
