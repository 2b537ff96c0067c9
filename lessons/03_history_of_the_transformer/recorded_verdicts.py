"""Verdicts of lesson 03 that rest on recorded runs: what crosses, and who learns sooner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.analysis.curves import t_interval
from minilm.course.show.budget import factor
from minilm.course.show.claims import Verdict, claim
from minilm.studies.recorded import Recorded

from .studies import mastery

Values = Sequence[float] | np.ndarray


def mean(values: Values) -> float:
    return float(np.mean(values))


def interval(values: Values, form: str = ".2f") -> str:
    """A mean and its 95 % t interval in words."""
    low, middle, high = t_interval(values)
    return f"{middle:{form}} (95 % interval {low:{form}} to {high:{form}})"


def one_stack_knows(record: Recorded, elimination: float) -> Verdict:
    crossed = {m: crossing(record, m) for m in ("S0 L3", "S4m L7")}
    chance = {m: _end(record, m, ("told, then asked",), "probability") for m in crossed}
    soon = {m: mean(as_soon_as_learnt(record, m)) for m in crossed}
    two, one = crossed
    return claim(
        "two stacks keep knowledge in two places; one stack knows on one side what it learnt on "
        "the other",
        source="after Chung 58:30–58:59",
        kind="ours",
        measure="facts only told, then asked for the first time: % right at the end of training",
        expected="two stacks of 3 layers below 25, decoder-only above 50",
        measured={"two stacks": crossed[two], "decoder-only": crossed[one]},
        seeds=record.seeds_of(("facts", two), ("facts", one)),
        holds=lambda m: m["two stacks"] < 25 and m["decoder-only"] > 50,
        says=f"told, then asked: two stacks {mean(crossed[two]):.0f} % right, decoder-only "
        f"{interval(crossed[one], '.0f')}, with probabilities of {mean(chance[two]):.2f} and "
        f"{mean(chance[one]):.2f}; elimination alone gives {elimination:.0f} %",
        recorded=True,
        note="In the forms that were trained the worst seed has "
        f"{min(_end(record, m, TRAINED).min() for m in crossed):.1f} % right. As soon as they were "
        f"learnt, about half-way, the two had crossed with {soon[two]:.0f} and {soon[one]:.0f} %.",
    )


def layer_by_layer(longer: Recorded) -> Verdict:
    """`longer` has four times the steps of the first record; a quarter of it is that one."""
    called = {"S2 L7": "last layer", "S3 L7": "layer by layer"}
    form = ("told, then asked",)
    crossed = {name: _end(longer, m, form) for m, name in called.items()}
    last, by_layer = crossed.values()
    sure = [mean(_end(longer, m, form, "probability")) for m in called]
    soon = [mean(as_soon_as_learnt(longer, m)) for m in called]
    return claim(
        "it is reading layer by layer that lets knowledge cross, not one softmax",
        source="after Chung 62:05–63:12",
        kind="ours",
        measure="facts only told, then asked: % right after 2,000 steps, one stack, two softmaxes",
        expected="reading the last layer: below 25; layer by layer: above 50; partly: ahead of "
        "the last layer in every seed",
        measured=crossed,
        seeds=longer.seeds_of(*[facts(longer, m) for m in called]),
        holds=lambda m: m["last layer"] < 25 and m["layer by layer"] > 50,
        partly=lambda m: m["layer by layer"] > m["last layer"],
        says=f"where the target reads the last layer {last.min():.0f} to {last.max():.0f} % cross, "
        f"where it reads layer by layer {by_layer.min():.0f} to {by_layer.max():.0f}; the right "
        f"answer has a probability of {sure[0]:.2f} and {sure[1]:.2f}",
        recorded=True,
        note="In the forms that were trained the worst seed has "
        f"{min(_end(longer, m, TRAINED).min() for m in called):.1f} % right. As soon as they were "
        f"learnt, {soon[0]:.0f} and {soon[1]:.0f} % had crossed. The rule was first judged after "
        "500 steps, where one seed of three missed it, and written down again before the longer "
        "runs. It named one softmax too, which was not run for longer.",
    )


def facts(record: Recorded, model: str) -> Any:
    """The case of a model on facts; a record of nothing but facts tells models apart alone."""
    return ("facts", model) if "task" in record.keys else model


TRAINED = mastery.TASKS["facts"].trained


def crossing(record: Recorded, model: str) -> np.ndarray:
    """(seeds,): % told, then asked, at the end; with a smaller budget as soon as it was learnt."""
    soon = factor() < 1
    return as_soon_as_learnt(record, model) if soon else _end(record, model, ("told, then asked",))


def as_soon_as_learnt(record: Recorded, model: str) -> np.ndarray:
    """(seeds,): % told, then asked, at the first test with 95 % of the trained forms right."""
    found = []
    for seed in record.seeds_of(facts(record, model)):
        points = record.run(facts(record, model), seed)["points"]
        first = next(p for p in points if mastery.worst(p, TRAINED) >= mastery.LEARNT)
        found.append(100 * mastery.worst(first, ("told, then asked",)))
    return np.array(found)


def _end(record: Recorded, model: str, forms: Sequence[str], what: str = "accuracy") -> np.ndarray:
    times = 100 if what == "accuracy" else 1
    at = [facts(record, model)]
    return record.final(lambda p: times * mastery.worst(p, forms, what), at)[:, 0]


def steps_to_learn(record: Recorded, task: str, model: str) -> np.ndarray:
    """(seeds,): steps until the trained forms are learnt, nan where they never were."""
    runs = [record.run((task, model), seed)["learnt"] for seed in record.seeds_of((task, model))]
    return np.array([np.nan if steps is None else steps for steps in runs], float)


def both_ways(record: Recorded) -> Verdict:
    cases = ("facts", "S3 L7"), ("facts", "S4 L7")
    both, causal = (steps_to_learn(record, *case) for case in cases)
    ratio = causal / both
    return claim(
        "whether the input is read both ways hardly matters",
        source="Chung 64:01–64:14",
        measure="steps to learn the facts in both forms: causal input over an input read both "
        "ways, same weights, each at its tuned rate",
        expected="between 0.8 and 1.25 in every seed",
        measured=ratio,
        seeds=record.seeds_of(*cases),
        holds=lambda r: 0.8 < r < 1.25,
        says=f"both ways the facts take {both.mean():.0f} steps, with a causal input "
        f"{causal.mean():.0f}, {interval(ratio)} times as many",
        recorded=True,
        until_learnt=True,
        note="The talk says this of large models; these have 86,016 weights. The source has three "
        "tokens, so there is little to read both ways. The rule was cut from two tasks to the one "
        "that was recorded.",
    )


def translation(record: Recorded) -> Verdict:
    two, one = (steps_to_learn(record, "translation", m) for m in ("S0 L3", "S4m L7"))
    ratio = two / one
    high = t_interval(ratio).high
    return claim(
        "for translation, separate parameters for the two sides make sense",
        source="Chung 58:10–58:28",
        measure="steps to 95 % of the words: two stacks over decoder-only, equal weights",
        expected="the 95 % interval ends at 1.25 or below; partly: the mean does",
        measured=ratio,
        seeds=record.seeds_of(("translation", "S0 L3"), ("translation", "S4m L7")),
        recorded=True,
        until_learnt=True,
        holds=lambda _: high <= 1.25,
        partly=lambda _: ratio.mean() <= 1.25,
        says=f"two stacks of 3 layers need {two.mean():.0f} steps and one of 7 needs "
        f"{one.mean():.0f}, a ratio of {interval(ratio)}",
        note="Equal weights; the two stacks then do half the work a step. The first rule asked "
        "that the interval reach down to 1, which a wide one does by itself; this one was set "
        "before seeds 3 to 7 were run.",
    )


def lengths(record: Recorded) -> Verdict:
    tasks = {"long input": "30:2", "long target": "2:30"}
    ratio = {
        name: steps_to_learn(record, task, "S0 L3") / steps_to_learn(record, task, "S4m L7")
        for name, task in tasks.items()
    }
    first, second = ratio.values()
    return claim(
        "two stacks do best where inputs are long and targets short",
        source="Chung 60:16–60:56 (a guess there)",
        measure="steps to 95 % of the tokens, two stacks over decoder-only, equal weights: 30 "
        "tokens to read and 2 to write, and 2 to read and 30 to write",
        expected="the first ratio below the second",
        measured=ratio,
        seeds=record.seeds_of(*[(t, m) for t in tasks.values() for m in ("S0 L3", "S4m L7")]),
        recorded=True,
        until_learnt=True,
        holds=lambda m: m["long input"] < m["long target"],
        says=f"two stacks need {interval(first)} times the steps of one where the input is long, "
        f"and {interval(second)} times where the target is",
        note="The guess is about instruction tuning of models with billions of weights; these "
        "learn one toy task from nothing.",
    )
