"""A plan carried out: the smaller sizes first, then a forecast, and only then the largest."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from minilm.analysis import accounting
from minilm.analysis.ngram import KneserNey
from minilm.data import documents, split
from minilm.errors import InputError
from minilm.models import model_of
from minilm.studies.driver import carry_out, shared
from minilm.studies.forecast import foresee, judge
from minilm.studies.plan import Plan
from minilm.studies.pledge import pledge
from minilm.studies.record import Record, now
from minilm.studies.runs import TUNING_SEED, stable_then_decay, tune, whole
from minilm.tensor import no_grad
from minilm.train import Diverged, default_optimizer, train

TUNE_SHARE = 1 / 3  # of a run's FLOPs that a run of the search for a rate takes
WINDOWS = 128  # of held-out text
ORDERS = {"bytes counted": 1, "pairs counted": 2, "triples counted": 3}


class Bench:
    """What a plan needs to train and test: its own functions, and ours where it has none.

    Args:
        plan: the study.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.own = plan, plan.functions

    def build(self, model: str, size: Any, seed: int) -> Any:
        """A model with fresh weights."""
        if "build" in self.own:
            return self.own["build"](model, size, seed)
        return model_of(self.own["config"](model, size), seed)

    def step_flops(self, model: str, size: Any) -> float:
        """FLOPs of one step."""
        if "flops" in self.own:
            return float(self.own["flops"](model, size))
        config = self.own["config"](model, size)
        return float(accounting.training_flops(config, self.plan.context, 0, self.plan.batch))

    def test(self, model: Any) -> float:
        """The loss on held-out data."""
        if "test" in self.own:
            return float(self.own["test"](model))
        ids = texts(self.plan.text)[1]
        starts = np.linspace(0, len(ids) - self.plan.context - 1, WINDOWS).astype(int)
        rows = ids[starts[:, None] + np.arange(self.plan.context + 1)]  # (windows, T + 1)
        with no_grad():
            return float(model.loss(rows[:, :-1], rows[:, 1:]).item())

    def train(self, model: str, size: Any, seed: int, lr: float, flops: float) -> dict[str, Any]:
        """One run within a budget.

        Raises:
            Diverged: the rate is too high.
            InputError: the budget is less than one step, or the plan's own `train` gives no loss.
        """
        if "train" in self.own:
            return self._whole(self.own["train"](model, size, seed, lr, flops))
        step = self.step_flops(model, size)
        steps = round(flops / step)
        if steps < 1:
            raise InputError(
                f"BUDGET gives {model} at size {size} {flops:.3g} FLOPs; one step takes {step:.3g}"
            )
        made = self.build(model, size, seed)
        data = self.own["batches"](seed) if "batches" in self.own else texts(self.plan.text)[0]
        began, points, testing = time.process_time(), [], 0.0
        at = {round(steps * share) for share in (0.25, 0.5, 1.0)}

        def report(number: int, log: Any) -> Sequence[str]:
            nonlocal testing
            if number in at:
                start = time.process_time()
                made.eval()
                points.append({"step": number, "flops": step * number, "loss": self.test(made)})
                made.train()
                testing += time.process_time() - start
            return ()

        run = train(
            made,
            data,
            steps,
            batch=self.plan.batch,
            context=self.plan.context,
            optimizer=default_optimizer(made, lr, weight_decay=0.05),
            schedule=stable_then_decay(steps, warmup=min(30, max(1, steps // 10))),
            seed=seed,
            report=report,
            report_every=1,
            progress=False,
        )
        whole(run)
        loss = points[-1]["loss"]
        if not math.isfinite(loss):
            raise Diverged(f"the loss is {loss}")
        spent = time.process_time() - began - testing
        return {
            "parameters": made.num_parameters(),
            "flops": step * steps,
            "steps": steps,
            "cpu_seconds": spent,
            "points": points,
        }

    def _whole(self, made: Any) -> dict[str, Any]:
        """What a plan's own `train` returned, in the form of a run."""
        numbers = isinstance(made, dict) and {"loss", "flops"} <= made.keys()
        if not numbers or not all(isinstance(made[k], (int, float)) for k in ("loss", "flops")):
            raise InputError(
                f"train returned {made!r:.80}; it must return a dict with its loss and flops"
            )
        point = {"step": int(made.get("steps", 1)), "flops": made["flops"], "loss": made["loss"]}
        rest = {k: v for k, v in made.items() if k not in ("loss", "points")}
        return {"cpu_seconds": 0.0, **rest, "steps": point["step"], "points": [point]}

    def tune(self, model: str, size: Any) -> dict[str, Any]:
        """The rate of a model at a size, by shorter runs on a seed of their own."""
        plan = self.plan
        flops = plan.flops_of(size) * TUNE_SHARE
        narrow = plan.sizes[0] / size if isinstance(size, (int, float)) else 1.0

        def final_loss(lr: float) -> float:
            return self.train(model, size, TUNING_SEED, lr, flops)["points"][-1]["loss"]

        found = tune(plan.lr * math.sqrt(narrow), final_loss)
        return {**found, "seed": TUNING_SEED, "flops": flops}


@cache
def texts(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Bytes to learn from and bytes to be tested on."""
    known, unseen = split(documents(name))
    return tuple(
        np.frombuffer("\n\n".join(part).encode(), np.uint8).astype(np.int32)
        for part in (known, unseen)
    )


def yardsticks(plan: Plan) -> dict[str, float]:
    """What counting gives on the plan's text, in nats per byte; nothing for data of its own."""
    if {"train", "test", "batches"} & set(plan.functions):
        return {}
    known, unseen = (part[:400_000].astype(np.int64) for part in texts(plan.text))
    return {
        name: float(KneserNey(known, order).bits(unseen[:20_000]).mean() * math.log(2))
        for name, order in ORDERS.items()
    }


def study_of(plan: Plan, out: str | None = None) -> Callable[..., dict[str, Any]]:
    """A plan as a study of the driver.

    Args:
        plan: the study.
        out: the file where none is named; None: it must be named.
    """

    def study(
        out: str,
        seeds: Sequence[int] = plan.seeds,
        command: str = "",
        say: Callable[[str], Any] = print,
    ) -> dict[str, Any]:
        """Tune, train and test every model at every size; go on with a file that exists.

        Args:
            out: JSON file to write or to go on with.
            seeds: of weights and data; the verdict counts those that the file promises.
            command: kept in the file.
            say: gets one line per run.

        Returns:
            The file's data.
        """
        return carry_plan(plan, out, seeds, command, say)

    study.__doc__ = (study.__doc__ or "").replace("Tune, train and test every model", plan.about, 1)
    if out is not None:
        study.__defaults__ = (out, *study.__defaults__)
    return study


def carry_plan(
    plan: Plan,
    out: str,
    seeds: Sequence[int],
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Run a plan's grid and judge it.

    Its promise is written down before the first run; the forecast of the held-back size before the
    first run of that size.

    Args:
        plan: the study.
        out: JSON file to write or to go on with.
        seeds: of weights and data.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The record's data.
    """
    bench = Bench(plan)
    settings = {
        "batch": plan.batch,
        "context": plan.context,
        "budget": plan.budget,
        "sizes": plan.sizes,
        "unit": plan.unit,
        "text": plan.text,
        "tune_share": TUNE_SHARE,
    }
    record = Record(out, plan.name, settings, command)
    pledge(record, plan.promise(), say)

    def run(model: str, size: Any, seed: int, lr: float) -> dict[str, Any]:
        made = bench.train(model, size, seed, lr, plan.flops_of(size))
        return {"seed": seed, "lr": lr, **made}

    def cover(sizes: Sequence[Any]) -> None:
        cases = [{"size": size, "model": model} for size in sizes for model in plan.models]
        carry_out(record, cases, seeds, bench.tune, run, show, say)

    cover(plan.sizes[:-1])
    if "yardsticks" not in record.data:
        made = shared(record, "yardsticks", lambda: yardsticks(plan))
        record.keep("yardsticks", made)
    if "forecast" not in record.data:
        found = shared(record, "forecast", lambda: {**foresee(record.data), "time": now()})
        record.keep("forecast", found)
        say(f"forecast for size {plan.held_back}: {words_of(found)}")
    cover(plan.sizes[-1:])
    record.keep("verdict", judge(record.data))
    for model, found in record.data["verdict"].items():
        say(f"{model}: {found['verdict']}, {gain_words(found)} {plan.unit}")
    return record.data


def show(made: dict[str, Any]) -> str:
    """A run in a few words."""
    return f"loss {made['points'][-1]['loss']:.4f}"


def words_of(found: dict[str, Any]) -> str:
    """A forecast in a few words."""
    return ", ".join(
        f"{name} {ends['middle']:.3f} ({ends['low']:.3f} to {ends['high']:.3f})"
        for name, ends in found["models"].items()
    )


def gain_words(found: dict[str, Any]) -> str:
    """A gain with its interval."""
    mean = float(np.mean(found["gains"]))
    if found["interval"] is None:
        return f"gain {mean:.4f} on one seed"
    low, _, high = found["interval"]
    return f"gain {mean:.4f} ({low:.4f} to {high:.4f})"
