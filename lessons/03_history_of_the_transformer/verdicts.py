"""The verdicts of lesson 03: what was said, what would prove it wrong, and what the run gave.

Every threshold stands here, outside the cells that measure, and was set before them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minilm.analysis import costs
from minilm.analysis.curves import t_interval
from minilm.course.show.budget import factor
from minilm.course.show.claims import Verdict, claim
from minilm.studies.recorded import Recorded

from .pictures import best_losses
from .studies import mastery

Values = Sequence[float] | np.ndarray


def mean(values: Values) -> float:
    return float(np.mean(values))


def interval(values: Values, form: str = ".2f") -> str:
    """A mean and its 95 % t interval in words."""
    low, middle, high = t_interval(values)
    return f"{middle:{form}} (95 % interval {low:{form}} to {high:{form}})"


def race(raced: Mapping[str, np.ndarray], seeds: Sequence[int]) -> Verdict:
    gap = raced["full"][..., 1] - raced["window"][..., 1]  # (seeds, tests)
    first, last = (int(step) for step in raced["full"][0, [0, -1], 0])
    return claim(
        "more structure starts better, and less structure overtakes it with more compute",
        source="Chung 42:04–42:28",
        measure="loss of full attention less that of the window, nats per token, at both ends",
        expected="above 0 at the first test of the run, below 0 at the last",
        measured={f"after {first} steps": gap[:, 0], f"after {last} steps": gap[:, -1]},
        seeds=seeds,
        holds=lambda m: list(m.values())[0] > 0 > list(m.values())[1],
        says=f"full attention is {mean(gap[:, 0]):.2f} nats behind the window after {first} steps "
        f"and {-mean(gap[:, -1]):.2f} ahead after {last}",
        note="At the last test a token has a probability of "
        f"{np.exp(-mean(raced['full'][:, -1, 1])):.2f} with full attention and "
        f"{np.exp(-mean(raced['window'][:, -1, 1])):.2f} with the window; the first guess is right "
        f"in {100 * mean(raced['full'][:, -1, 3]):.0f} and "
        f"{100 * mean(raced['window'][:, -1, 3]):.0f} %.",
    )


def amounts(record: Recorded) -> Verdict:
    losses, far = best_losses(record), best_losses(record, "far")
    gap = losses["full"] - losses["window"]  # (seeds, amounts)
    most = record.settings["context"] * max(n for n, _ in record.cases)
    return claim(
        "structure that helps on little data holds the model back on much",
        source="Chung 42:06–42:16, 43:26–43:51",
        measure="loss of full attention less that of the window on the least and the most data; "
        "loss of each on far tokens with the most, nats per token",
        expected="above 0, then below 0; far tokens: the window above 1, full attention below 0.2",
        measured={
            "least data": gap[:, 0],
            "most data": gap[:, -1],
            "window, far": far["window"][:, -1],
            "full, far": far["full"][:, -1],
        },
        seeds=record.seeds,
        holds=lambda m: (
            m["least data"] > 0 > m["most data"] and m["window, far"] > 1 and m["full, far"] < 0.2
        ),
        says=f"with 12,288 tokens to learn from the window is {mean(gap[:, 0]):.2f} nats ahead; "
        f"with {most:,} it is {-mean(gap[:, -1]):.2f} behind, since it cannot see the topic",
        recorded=True,
        note="Every amount is read for 600 steps, and a run counts at its best checkpoint. On the "
        "least data that came within the first 112 steps, so longer training would not help.",
    )


def counts(found: Mapping[str, int], layers: int, channels: int) -> Verdict:
    unit = layers * channels**2
    steps = [found[f"step {k}"] for k in range(5)]
    return claim(
        "after the four steps both models have the same number of parameters",
        source="Chung 55:04, 56:52 (the counts are ours)",
        measure="weights inside the layers of the built model over L C², L = 6 layers a side, "
        "C = 512 channels",
        expected="28, 24, 12, 12, 12; decoder-only 12",
        measured={name: n / unit for name, n in found.items()},
        holds=lambda m: (
            list(m.values()) == [28, 24, 12, 12, 12, 12]
            and steps == [costs.walk_parameters(layers, channels, k) for k in range(5)]
        ),
        says=f"{steps[0]:,} weights become {steps[1]:,} and then {steps[2]:,}, which is what a "
        f"decoder-only model of {layers} layers has",
        exact=True,
        kind="identity",
    )


def same_function(apart: Sequence[Mapping[str, Sequence[float]]], seeds: Sequence[int]) -> Verdict:
    measured = {
        "step 3 from a prefix-LM": [one["step 3, one softmax"][0] for one in apart],
        "step 4 from decoder-only": [one["step 4, one softmax"][1] for one in apart],
        "step 4, two softmaxes": [one["step 4, two"][1] for one in apart],
    }
    worst = max(*measured["step 3 from a prefix-LM"], *measured["step 4 from decoder-only"])
    return claim(
        "the last difference is the softmax: with one in place of two, they are the same function",
        source="after Chung 56:47–56:56",
        kind="identity",
        measure="largest difference of logits, same weights, float64",
        expected="one softmax: below 1e-12; two: above 0.001",
        measured=measured,
        seeds=seeds,
        holds=lambda m: (
            max(m["step 3 from a prefix-LM"], m["step 4 from decoder-only"]) < 1e-12
            and m["step 4, two softmaxes"] > 1e-3
        ),
        says=f"with one softmax the logits differ by {worst:.1g} at most, with two by "
        f"{mean(measured['step 4, two softmaxes']):.1f}",
    )


def within_noise(runs: Mapping[str, Sequence[Mapping[str, Any]]], seeds: Sequence[int]) -> Verdict:
    two, one = (np.array([r["learnt"] for r in runs[name]]) for name in ("S4 L7", "S4m L7"))
    apart, again = np.abs(two - one), again_apart(two, one)
    low, _, high = t_interval(two - one)
    return claim(
        "trained on the same task and data, the two end up within the noise",
        source="Chung 56:56–57:06",
        measure="steps to 95 % of the words: two softmaxes against one, same seed; and the same "
        "model with another seed",
        expected="the first no larger than the second on average; partly: a difference whose 95 % "
        "interval holds 0",
        measured={"other softmax, same seed": apart, "same model, other seeds": again},
        seeds=seeds,
        until_learnt=True,
        holds=lambda _: apart.mean() <= again.mean(),
        partly=lambda _: low <= 0 <= high,
        says=f"two softmaxes need {two.mean():.0f} steps, one needs {one.mean():.0f}; changing the "
        f"softmax moves this by {apart.mean():.1f} steps on average, changing the seed by "
        f"{again.mean():.1f}",
        note=f"There a right word has a probability of {sureness(runs['S4 L7']):.2f} and "
        f"{sureness(runs['S4m L7']):.2f}.",
    )


def sureness(runs: Sequence[Mapping[str, Any]]) -> float:
    """Probability of a right word where the runs ended, mean over the seeds."""
    return mean([mastery.worst(run["points"][-1], ("test",), "probability") for run in runs])


def again_apart(*models: np.ndarray) -> np.ndarray:
    """(seeds,): mean distance from the same model's other seeds, over both models."""
    each = [np.abs(m[:, None] - m[None]).sum(1) / (len(m) - 1) for m in models]
    return np.mean(each, axis=0)


def translation(runs: Mapping[str, Sequence[Mapping[str, Any]]], seeds: Sequence[int]) -> Verdict:
    two, one = (np.array([r["learnt"] for r in runs[name]]) for name in ("S0 L3", "S4m L7"))
    ratio = two / one
    low = t_interval(ratio).low
    return claim(
        "for translation, separate parameters for the two sides make sense",
        source="Chung 58:10–58:28",
        measure="steps to 95 % of the words: two stacks over decoder-only, equal weights",
        expected="not above 1, by the 95 % interval; partly: below 1.25",
        measured=ratio,
        seeds=seeds,
        until_learnt=True,
        holds=lambda _: low <= 1,
        partly=lambda _: ratio.mean() < 1.25,
        says=f"two stacks of 3 layers need {two.mean():.0f} steps and one of 7 needs "
        f"{one.mean():.0f}, a ratio of {interval(ratio)}",
        note="Equal weights; the two stacks then do half the work a step. A difference below "
        f"{100 * (ratio.mean() - low):.0f} % would not show with these seeds.",
    )


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


def layer_by_layer(record: Recorded) -> Verdict:
    called = {"S2 L7": "last layer", "S3 L7": "layer by layer", "S4 L7": "and causal"}
    crossed = {name: crossing(record, m) for m, name in called.items()}
    last, by_layer, causal = crossed.values()
    sure = [mean(_end(record, m, ("told, then asked",), "probability")) for m in called]
    return claim(
        "it is reading layer by layer that lets knowledge cross, not one softmax",
        source="after Chung 62:05–63:12",
        kind="ours",
        measure="facts only told, then asked: % right at the end, one stack, two softmaxes",
        expected="reading the last layer: below 25; layer by layer, input both ways or causal: "
        "above 50; partly: ahead of the last layer in every seed",
        measured=crossed,
        seeds=record.seeds_of(*[("facts", m) for m in called]),
        holds=lambda m: m["last layer"] < 25 and min(m["layer by layer"], m["and causal"]) > 50,
        partly=lambda m: min(m["layer by layer"], m["and causal"]) > m["last layer"],
        says=f"where the target reads the last layer {mean(last):.0f} % cross, where it reads "
        f"layer by layer {by_layer.min():.0f} to {by_layer.max():.0f} %, and with a causal input "
        f"too {causal.min():.0f} to {causal.max():.0f} %; the right answer has a probability of "
        + ", ".join(f"{p:.2f}" for p in sure),
        recorded=True,
        note="In the forms that were trained the worst seed has "
        f"{min(_end(record, m, TRAINED).min() for m in called):.1f} % right. The rule but for its "
        "milder form was set before the runs; three seeds spread widely here.",
    )


TRAINED = mastery.TASKS["facts"].trained


def crossing(record: Recorded, model: str) -> np.ndarray:
    """(seeds,): % told, then asked, at the end; with a smaller budget as soon as it was learnt."""
    soon = factor() < 1
    return as_soon_as_learnt(record, model) if soon else _end(record, model, ("told, then asked",))


def as_soon_as_learnt(record: Recorded, model: str) -> np.ndarray:
    """(seeds,): % told, then asked, at the first test with 95 % of the trained forms right."""
    found = []
    for seed in record.seeds_of(("facts", model)):
        points = record.run(("facts", model), seed)["points"]
        first = next(p for p in points if mastery.worst(p, TRAINED) >= mastery.LEARNT)
        found.append(100 * mastery.worst(first, ("told, then asked",)))
    return np.array(found)


def _end(record: Recorded, model: str, forms: Sequence[str], what: str = "accuracy") -> np.ndarray:
    times = 100 if what == "accuracy" else 1
    case = ("facts", model)
    return record.final(lambda p: times * mastery.worst(p, forms, what), [case])[:, 0]


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


def chat(counted: Mapping[str, Sequence[int]], user: int, answer: int) -> Verdict:
    ways = ("both ways", "causal")
    ratio = np.divide(*(counted[way] for way in ways))
    turns = len(ratio)
    formulas = [costs.chat_cost(turns, user, answer, m) for m in ("bidirectional", "causal")]
    return claim(
        "an input read both ways makes a chat of T turns (T + 1) / 2 times as much to compute",
        source="after Chung 64:23–65:27",
        kind="identity",
        measure="tokens that went through the model, both ways over causal, at 2, 5 and 10 turns",
        expected="1.5, 3, 5.5",
        measured={f"{t} turns": ratio[t - 1] for t in (2, 5, 10)},
        holds=lambda m: (
            list(m.values()) == [1.5, 3, 5.5]
            and [counted[way][-1] for way in ways] == [f.tokens for f in formulas]
        ),
        says=f"in ten turns {counted['causal'][-1]:,} tokens become {counted['both ways'][-1]:,}, "
        f"{ratio[-1]:g} times as many",
        exact=True,
    )


def stored(shift: Mapping[str, np.ndarray], seeds: Sequence[int]) -> Verdict:
    causal, both = shift["causal"].max(axis=1), shift["both ways"][:, 1:].min(axis=1)
    return claim(
        "what a causal model has stored stays true; what one that reads both ways has does not",
        source="Chung 64:47–65:22",
        measure="largest change of stored keys when a message follows, over the largest key",
        expected="causal below 1e-5 in every layer; both ways above 1e-3 from layer 2 on",
        measured={"causal": causal, "both ways": both},
        seeds=seeds,
        holds=lambda m: m["causal"] < 1e-5 and m["both ways"] > 1e-3,
        says=f"a second message changes the first one's keys by {100 * both.min():.0f} % or more "
        f"where both ways are read, and by {causal.max():.1g} of the largest where not",
    )


def open_answers(losses: np.ndarray, right: np.ndarray, seeds: Sequence[int]) -> Verdict:
    rise = (losses[:, -1] - losses[:, 0]) / np.log(8)
    return claim(
        "maximum likelihood marks down answers that are all right",
        source="after Chung 73:22–74:01",
        kind="ours",
        measure="from 1 to 8 right answers: rise of the loss over ln 8; drawn answers right, % at 8",
        expected="1 ± 0.1, and above 98",
        measured={"rise": rise, "right": right[:, -1]},
        seeds=seeds,
        holds=lambda m: abs(m["rise"] - 1) < 0.1 and m["right"] > 98,
        says=f"with eight right answers the loss is {mean(losses[:, -1]):.2f} nats and with one "
        f"{mean(losses[:, 0]):.2f}, though {mean(right[:, -1]):.1f} % of what is drawn is right",
    )
