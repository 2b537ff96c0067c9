"""What the smaller sizes say about the largest, and what the largest says about the hypothesis.

Both are written down as rules, so that a report cannot choose: a line through the logarithms of
loss and FLOPs for every model, Student's t for the gain. With several ideas against one baseline
each interval is as much wider as Bonferroni asks, so that the chance of a false win stays that of
one.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.analysis.curves import t_interval
from minilm.analysis.scaling import Interval, power_fit
from minilm.errors import InputError

LEVEL = 0.95  # of the interval of a gain
FORECAST = 0.9  # of new runs that a forecast is meant to hold
WINS, PARTLY, FAILS = "reproduced", "partly", "not reproduced"

Data = dict[str, Any]


def final(run: dict[str, Any]) -> float:
    """The loss at the end of a run."""
    return float(run["points"][-1]["loss"])


def table(data: Data) -> dict[tuple[str, Any, int], dict[str, Any]]:
    """(model, size, seed) -> run."""
    return {(run["model"], run["size"], run["seed"]): run for run in data["runs"]}


def promised(data: Data) -> dict[str, Any]:
    """What was promised before the first run.

    Raises:
        InputError: nothing was.
    """
    if "pledge" not in data:
        raise InputError(f"the record of {data['study']!r} holds no promise made before its runs")
    return data["pledge"]["fields"]


def new_run(flops: Sequence[float], losses: Sequence[float], at: float) -> Interval:
    """Where the loss of one more run will lie, by a line through the logarithms of loss and FLOPs.

    It is the prediction interval of a regression line: Student's t with n - 2 degrees of freedom
    times s sqrt(1 + 1/n + (x - mean)^2 / sum of squares), for 90 % of new runs.

    Args:
        flops, losses: (n,) of the known runs, n at least 3, at least two different FLOPs.
        at: FLOPs of the new one.
    """
    from scipy.special import stdtrit

    x, y, n = np.log(flops), np.log(losses), len(flops)
    k, p, _ = power_fit(flops, losses)
    s = math.sqrt(float(((y - math.log(k) - p * x) ** 2).sum()) / (n - 2))
    far = (math.log(at) - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
    reach = float(stdtrit(n - 2, (1 + FORECAST) / 2)) * s * math.sqrt(1 + 1 / n + far)
    middle = math.log(k) + p * math.log(at)
    return Interval(math.exp(middle - reach), math.exp(middle), math.exp(middle + reach))


def foresee(data: Data) -> dict[str, Any]:
    """The loss of every model at the held-back size, from its smaller sizes alone.

    Returns:
        `models`: name -> interval of a new run (low, middle, high), exponent of the line; `gains`:
        name of each idea -> gain where the two lines end; `sizes` and `runs` that were used.

    Raises:
        InputError: too few runs.
    """
    fields, runs = promised(data), table(data)
    known = [size for size in fields["sizes"] if size != fields["held_back"]]
    at = fields["budget"][-1]
    models: dict[str, Any] = {}
    for model in fields["models"]:
        own = [run for (name, size, seed), run in runs.items()
               if name == model and size in known and seed in fields["seeds"]]  # fmt: skip
        flops = [run["flops"] for run in own]
        losses = [final(run) for run in own]
        if len(own) < 4:
            raise InputError(
                f"{model} has {len(own)} runs at the sizes before the largest; a forecast needs 4"
            )
        low, middle, high = new_run(flops, losses, at)
        models[model] = {"low": low, "middle": middle, "high": high}
        models[model]["exponent"] = -power_fit(flops, losses)[1]
    base = models[fields["baseline"]]["middle"]
    gains = {m: base - models[m]["middle"] for m in models if m != fields["baseline"]}
    return {"models": models, "gains": gains, "sizes": known, "flops": at}


def gains_at(data: Data, size: Any, model: str, seeds: Sequence[int]) -> list[float]:
    """By how much a model's loss lies below the baseline's, seed by seed."""
    runs, base = table(data), promised(data)["baseline"]
    return [final(runs[base, size, seed]) - final(runs[model, size, seed]) for seed in seeds]


def seeds_at(data: Data, size: Any) -> list[int]:
    """The seeds that every model has at a size, the promised ones first."""
    fields, runs = promised(data), table(data)
    sets = [{s for name, z, s in runs if name == model and z == size} for model in fields["models"]]
    common = set.intersection(*sets)
    first = [seed for seed in fields["seeds"] if seed in common]
    return first + sorted(common - set(first))


def judge(data: Data) -> dict[str, Any]:
    """The verdict on every idea, from the promise and the runs alone.

    An idea wins if its mean gain over the promised seeds at the held-back size is at least what was
    promised and its interval lies above 0; "partly" if it lies above 0 only.

    Returns:
        name of each idea -> verdict, gains seed by seed, and their interval (low, mean, high);
        without an interval where there is but one seed.

    Raises:
        InputError: no promise, or no seed that every model has at the held-back size.
    """
    fields = promised(data)
    size = fields["held_back"]
    seeds = [seed for seed in seeds_at(data, size) if seed in fields["seeds"]]
    if not seeds:
        raise InputError(
            f"the record of {data['study']!r} has no promised seed that every model has at the "
            f"held-back size {size}"
        )
    ideas = [model for model in fields["models"] if model != fields["baseline"]]
    level = 1 - (1 - LEVEL) / len(ideas)
    found = {}
    for model in ideas:
        gains = gains_at(data, size, model, seeds)
        mean = float(np.mean(gains))
        ends = list(t_interval(gains, level)) if len(gains) > 1 else None
        word = verdict_of(mean, ends, fields["gain"])
        found[model] = {"verdict": word, "gains": gains, "interval": ends, "seeds": seeds}
    return found


def verdict_of(mean: float, ends: Sequence[float] | None, least: float) -> str:
    """The word for a gain: no interval, no win."""
    if ends is None or ends[0] <= 0:
        return FAILS
    return WINS if mean >= least else PARTLY
