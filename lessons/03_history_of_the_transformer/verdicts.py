"""The verdicts of lesson 03: what was said, what would prove it wrong, and what the run gave.

Every threshold stands here, outside the cells that measure, and was set before them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minilm.analysis import costs
from minilm.analysis.curves import t_interval
from minilm.course.show.claims import Verdict, claim
from minilm.studies.recorded import Recorded

from .pictures import best_losses
from .recorded_verdicts import (
    both_ways,
    layer_by_layer,
    lengths,
    mean,
    one_stack_knows,
    translation,
)
from .studies import mastery

__all__ = ["both_ways", "layer_by_layer", "lengths", "one_stack_knows", "translation"]


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
