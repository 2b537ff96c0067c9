"""What a study is worth, by a rule that a program applies to its record.

Six parts, 20 points. A part is there or it is not, and each that is missing says why: what was
promised before the first run, seeds, equal compute, a baseline that was tuned as well as its
rivals, a size that was foretold, and a verdict that follows from the runs. Nothing here asks
whether the idea was right: "not reproduced" earns all 20 points.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from minilm.errors import InputError
from minilm.studies import forecast
from minilm.studies.pledge import digest, seal
from minilm.studies.runs import TUNING_SEED

SEEDS_NEEDED = 3
RATES_NEEDED = 3
APART = 0.02  # share by which the FLOPs of two models at one size may differ
Data = dict[str, Any]


class Mark(NamedTuple):
    """What one part of a study earned, and why it earned no more."""

    part: str
    points: int
    most: int
    why: str


class Missing(Exception):
    """A part is missing; the text says what."""


def grade(data: Data) -> list[Mark]:
    """Score a record, part by part.

    Raises:
        InputError: it holds no runs.
    """
    if not data.get("runs"):
        raise InputError(
            f"the record of {data.get('study')!r} holds no runs; there is no study yet"
        )
    return [_mark(part, most, check, data) for part, most, check in PARTS]


def total(marks: list[Mark]) -> int:
    """The sum of the points."""
    return sum(mark.points for mark in marks)


def _mark(part: str, most: int, check: Callable[[Data], str], data: Data) -> Mark:
    try:
        return Mark(part, most, most, check(data))
    except Missing as error:
        return Mark(part, 0, most, str(error))
    except (KeyError, TypeError, ValueError, IndexError, InputError) as error:
        return Mark(part, 0, most, f"the record lacks what this part needs ({error})")


def _check_that(good: bool, why: str) -> None:
    if not good:
        raise Missing(why)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def falsifier_first(data: Data) -> str:
    """The promise was sealed before the first run, and is the one that the runs were made under."""
    _check_that("pledge" in data, "no promise was written down before the runs")
    told = data["pledge"]
    fields = told["fields"]
    for name in ("hypothesis", "falsifier"):
        _check_that(bool(str(fields.get(name, "")).strip()), f"the promise has no {name}")
    whole = told["hash"] == digest(fields)
    whole &= told["seal"] == seal(told["hash"], told["time"], told["commit"])
    _check_that(whole, "the hash does not fit the promise: it was edited after it was sealed")
    first = min(run["began"] for run in data["runs"])
    _check_that(
        _time(told["time"]) <= _time(first),
        f"the promise is of {told['time']}, and the first run began at {first}",
    )
    others = [run for run in data["runs"] if run.get("pledge") != told["seal"]]
    _check_that(not others, f"{len(others)} runs were made under another promise")
    for change in data.get("changes", ()):
        what = ", ".join(change["fields"])
        raise Missing(f"the goalposts moved: {what} changed after {change['runs']} runs")
    return f"sealed {told['time']}, first run {first}"


def enough_seeds(data: Data) -> str:
    """Every model has three seeds or more at every size."""
    seeds: dict[tuple[Any, Any], set[int]] = {}
    for run in data["runs"]:
        seeds.setdefault((run["model"], run["size"]), set()).add(run["seed"])
    for fewest in seeds.values():
        _check_that(
            TUNING_SEED not in fewest, f"seed {TUNING_SEED} tuned the rates and tests nothing"
        )
    (model, size), found = min(seeds.items(), key=lambda item: len(item[1]))
    few = f"{model} at size {size} has {len(found)} seed{'s' * (len(found) != 1)}"
    _check_that(len(found) >= SEEDS_NEEDED, f"{few}; {SEEDS_NEEDED} are needed to know the spread")
    return f"{len(found)} seeds or more of every model at every size"


def matched_compute(data: Data) -> str:
    """At every size all models took the same FLOPs, within 2 %."""
    flops: dict[Any, dict[str, float]] = {}
    for run in data["runs"]:
        flops.setdefault(run["size"], {})[run["model"]] = float(run["flops"])
    worst = 0.0
    for size, found in flops.items():
        least, most = min(found.values()), max(found.values())
        _check_that(least > 0 and len(found) > 1, f"size {size} has but one model to compare")
        _check_that(
            most <= least * (1 + APART),
            f"at size {size} one model took {most / least - 1:.0%} more FLOPs than another",
        )
        worst = max(worst, most / least - 1)
    return f"FLOPs of the models differ by {worst:.1%} at most"


def tuned_baseline(data: Data) -> str:
    """The baseline has a rate of its own at every size, searched as widely as its rivals'."""
    fields = forecast.promised(data)
    base = fields["baseline"]
    tried: dict[str, int] = {}
    for size in fields["sizes"]:
        for model in fields["models"]:
            found = data["tuning"].get(f"{size} {model}")
            name = f"{model} at size {size}"
            _check_that(found is not None, f"{name} was never tuned")
            count = len(found["losses"])
            tried[model] = tried.get(model, 0) + count
            if model != base:
                continue
            few = f"{name} tried {count} rate{'s' * (count != 1)}"
            _check_that(count >= RATES_NEEDED, f"{few}; {RATES_NEEDED} is the least")
            _check_that(
                not found["at_edge"], f"the best rate of {name} lies at the edge of its search"
            )
            used = {
                run["lr"] for run in data["runs"] if run["model"] == base and run["size"] == size
            }
            _check_that(
                used == {found["lr"]}, f"{name} did not run at the rate that its search chose"
            )
    for model, count in tried.items():
        _check_that(
            count <= 2 * tried[base],
            f"{model} tried {count} rates and the baseline {tried[base]}: not the same care",
        )
    return f"{tried[base]} rates tried for the baseline, {max(tried.values())} at most for a rival"


def foretold(data: Data) -> str:
    """The largest size was forecast from the others before its first run."""
    _check_that("forecast" in data, "no size was held back and forecast")
    told, fields = data["forecast"], forecast.promised(data)
    size = fields["held_back"]
    _check_that(
        size == fields["sizes"][-1], f"size {size} was held back, and it is not the largest"
    )
    _check_that(size not in told["sizes"], f"the forecast of size {size} used its own runs")
    first = min(run["began"] for run in data["runs"] if run["size"] == size)
    _check_that(
        _time(told["time"]) <= _time(first),
        f"peeking: runs of the held-back size began at {first}, the forecast is of {told['time']}",
    )
    inside = []
    for model, ends in told["models"].items():
        losses = [
            forecast.final(r) for r in data["runs"] if (r["model"], r["size"]) == (model, size)
        ]
        inside.append(ends["low"] <= float(np.mean(losses)) <= ends["high"])
    return f"foretold before it was run; {sum(inside)} of {len(inside)} means inside the forecast"


def honest_verdict(data: Data) -> str:
    """The verdict is what the rule gives for the runs and the promise."""
    _check_that("verdict" in data, "there is no verdict")
    found, told = forecast.judge(data), data["verdict"]
    for model, by_rule in found.items():
        said = told[model]
        _check_that(
            said["verdict"] == by_rule["verdict"],
            f"it says {said['verdict']!r} of {model}; the promised rule gives "
            f"{by_rule['verdict']!r}",
        )
        fits = np.allclose(said["gains"], by_rule["gains"], rtol=1e-4, atol=1e-5)
        _check_that(fits, f"the gains that it gives for {model} are not those of the runs")
        _check_that(by_rule["interval"] is not None, "one seed gives no interval, so no verdict")
    words = ", ".join(f"{model} {one['verdict']}" for model, one in found.items())
    return f"{words}: as the promised rule gives"


PARTS: tuple[tuple[str, int, Callable[[Data], str]], ...] = (
    ("falsifier before the run", 4, falsifier_first),
    ("three seeds", 3, enough_seeds),
    ("equal compute", 3, matched_compute),
    ("tuned baseline", 4, tuned_baseline),
    ("held-back size", 3, foretold),
    ("honest verdict", 3, honest_verdict),
)
