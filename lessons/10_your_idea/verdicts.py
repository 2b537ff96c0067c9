"""The verdicts of lesson 10: thresholds set before the runs, sentences made of what came out."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np

from minilm.course.show.claims import Verdict, claim
from minilm.studies import forecast, rubric

CARELESS = 0.4  # false wins that "one seed" must have for the warning to be right
CAREFUL = 0.06  # and the most that the careful way may have; by construction it is 0.025


def fooled(found: Sequence[dict[str, float]], seeds: Sequence[int]) -> Verdict:
    names = {name.replace("\n", " "): [one[name] for one in found] for name in found[0]}
    one, untuned = names["one seed"], names["tuned against untuned"]
    busy, patient = names["eight ideas, best shown"], names["more seeds until it wins"]
    careful = names["three seeds, both tuned"]
    return claim(
        "the usual ways to compare find a winner where there is none; three seeds on two tuned "
        "sides, with an interval, rarely do",
        source="ours, after the talk's empty slot",
        measure="share of comparisons of a model with itself that call one side better; twelve "
        "runs, drawn again and again",
        expected="one seed 40 % or more, tuned against untuned 90 % or more, the careful way 6 % "
        "or less and less than half of eight ideas and of more seeds",
        measured=names,
        holds=lambda m: (
            m["one seed"] >= CARELESS
            and m["tuned against untuned"] >= 0.9
            and m["three seeds, both tuned"] <= CAREFUL
            and 2 * m["three seeds, both tuned"]
            < min(m["eight ideas, best shown"], m["more seeds until it wins"])
        ),
        seeds=seeds,
        kind="ours",
        says=f"one seed finds a winner in {fmean(one):.0%}, a tuned side against an untuned one in "
        f"{fmean(untuned):.0%}, the best of eight ideas in {fmean(busy):.0%}, more seeds until it "
        f"wins in {fmean(patient):.0%}, and the careful way in {fmean(careful):.1%}",
    )


def straight_line(
    rows: Sequence[tuple[str, float, float, float]], came: Sequence[float]
) -> Verdict:
    name, low, middle, high = rows[0]
    _, floor_low, floor_middle, floor_high = rows[-1]
    mean = fmean(came)
    inside = "inside" if floor_low <= mean <= floor_high else "outside"
    return claim(
        "a straight line through the smaller sizes foretells the largest",
        source="Kaplan et al., arXiv 2001.08361, figure 1, at our size",
        measure="last loss of the largest of eight sizes, nats per token, and the interval that a "
        "line through the seven others gives for 90 % of new runs",
        expected=f"from {low:.3f} to {high:.3f}",
        measured=list(came),
        holds=lambda loss: low <= loss <= high,
        seeds=range(len(came)),
        recorded=True,
        kind="paper",
        says=f"the line says {middle:.3f} and {mean:.3f} came; a line with a floor says "
        f"{floor_middle:.3f} ({floor_low:.3f} to {floor_high:.3f}), and the mean is {inside}",
    )


def gate_pays(data: dict[str, Any]) -> Verdict:
    found, fields = forecast.judge(data)["gated"], forecast.promised(data)
    low, mean, high = found["interval"]
    at_word = found["verdict"]
    return claim(
        "a gated feed-forward pays for itself at equal FLOPs",
        source="Shazeer, arXiv 2002.05202, at our size",
        measure="loss without less loss with the gate at the largest size, nats per byte, both "
        f"sides tuned; {fields['budget'][-1]:.0e} FLOPs a run",
        expected=f"{fields['gain']:g} or more in the mean, and an interval above 0",
        measured=found["gains"],
        holds=lambda gain: at_word == forecast.WINS,
        partly=lambda gain: at_word == forecast.PARTLY,
        seeds=found["seeds"],
        recorded=True,
        kind="paper",
        says=f"it gains {mean:.4f} nats per byte at size {fields['held_back']}, 95 % interval "
        f"{low:.4f} to {high:.4f}; {fields['gain']:g} was promised",
    )


def forecast_holds(data: dict[str, Any]) -> Verdict:
    fields, told = forecast.promised(data), data["forecast"]["models"]
    runs = forecast.table(data)
    losses = {
        model: [forecast.final(runs[model, fields["held_back"], seed]) for seed in fields["seeds"]]
        for model in fields["models"]
    }
    said = [
        f"{model} {ends['middle']:.3f} ({ends['low']:.3f} to {ends['high']:.3f}) and came "
        f"{np.mean(losses[model]):.3f}"
        for model, ends in told.items()
    ]
    return claim(
        "the smaller sizes foretell the largest, sealed before its first run",
        source="ours, after Chung 42:00",
        measure="last loss at the held-back size, nats per byte, and the sealed forecast for 90 % "
        "of new runs",
        expected="both models inside their intervals",
        measured=losses,
        holds=lambda m: all(told[n]["low"] <= loss <= told[n]["high"] for n, loss in m.items()),
        seeds=fields["seeds"],
        recorded=True,
        kind="ours",
        says=f"foretold {'; '.join(said)}",
    )


MUST_LOSE = {
    "as it was done": set(),
    "peeking": {"held-back size"},
    "untuned baseline": {"tuned baseline"},
    "one seed": {"three seeds", "honest verdict"},
    "moved goalposts": {"falsifier before the run"},
}


def marks_fit(studies: dict[str, dict[str, Any]]) -> Verdict:
    totals, right = {}, []
    for name, data in studies.items():
        found = rubric.grade(data)
        totals[name] = [rubric.total(found)]
        lost = {mark.part for mark in found if mark.points < mark.most}
        right.append(lost == MUST_LOSE[name])
    return claim(
        "the rubric takes from each spoiled study the points of what was spoiled, and no others",
        source="this lesson",
        measure="points of 20 for the recorded study and four spoiled copies of it",
        expected="20 for the study; each copy loses the parts that were spoiled",
        measured=totals,
        holds=lambda m: all(right),
        exact=True,
        kind="package",
        says="; ".join(f"{name} {points[0]}" for name, points in totals.items()),
    )
