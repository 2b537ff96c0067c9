"""The verdicts of lesson 00c: thresholds set before the runs, sentences made of what came out."""

from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

from minilm.course.show.claims import Verdict, claim
from minilm.studies.recorded import Recorded
from minilm.studies.until import right_after, steps_to

Rows = Sequence[float]


def written(marks: dict[str, Rows], sure: Rows, seeds: Sequence[int]) -> Verdict:
    erased = max(marks["without layer 1"] + marks["without layer 2"])
    free = max(marks["any word seen"] + marks["longest ago"])
    return claim(
        "a GPT-2 written by hand goes on as the text did before, and needs both layers for it",
        source="this lesson; the two heads are Elhage et al.'s (2021)",
        measure="texts of which the likeliest next word is the one that followed before, %",
        expected="both layers 99 or more; without one of them below 50",
        measured=marks,
        holds=lambda m: (
            m["both layers"] >= 99 and max(m["without layer 1"], m["without layer 2"]) < 50
        ),
        seeds=seeds,
        kind="package",
        says=f"with both layers at least {min(marks['both layers']):.0f} % of the texts come out "
        f"right, with one of them erased {erased:.0f} % at most; a guess that costs nothing gets "
        f"{free:.0f} %",
        note=f"With both layers the right word has a probability of {fmean(sure):.2f}.",
    )


def same(apart: float) -> Verdict:
    return claim(
        "page and package compute the same GPT-2",
        source="Radford et al. 2019; minilm.models",
        measure="largest difference of the logits on the written weights, float64",
        expected="at most 1e-10",
        measured=apart,
        holds=lambda d: d <= 1e-10,
        exact=True,
        kind="identity",
        says=f"the logits differ by {apart:.0e} at most",
    )


def pairs(
    surer: dict[str, Rows], single: Rows, sure: dict[str, Rows], seeds: Sequence[int]
) -> Verdict:
    return claim(
        "a second head tells apart what one head cannot, and loses nothing",
        source="this lesson",
        measure="texts right, %, where the last word stood twice and the pair once; and on the "
        "texts of section 6",
        expected="pairs: two heads 99 or more, one head below 75; single words: two heads 99 or more",
        measured={**surer, "two heads, single words": single},
        holds=lambda m: (
            m["two heads"] >= 99 and m["one head"] < 75 and m["two heads, single words"] >= 99
        ),
        seeds=seeds,
        kind="package",
        says=f"one head is right in {fmean(surer['one head']):.0f} %, two in "
        f"{fmean(surer['two heads']):.0f} %; where only the single word helps, two heads are right "
        f"in {fmean(single):.0f} %",
        note="The right word has a probability of "
        f"{fmean(sure['one head']):.2f} with one head and {fmean(sure['two heads']):.2f} with two.",
    )


def slope(apart: float) -> Verdict:
    return claim(
        "the gradient of the loss by the logits is the probabilities, less 1 at the word that came",
        source="the derivative of −log softmax",
        measure="largest difference between tape and formula, 200 random rows of 16, float64",
        expected="at most 1e-12",
        measured=apart,
        holds=lambda d: d <= 1e-12,
        exact=True,
        kind="identity",
        says=f"tape and formula differ by {apart:.0e} at most",
    )


def _said(steps: Rows, most: int) -> str:
    middle = median(steps)
    return f"{middle:,.0f} steps" if middle <= most else f"more than {most:,} steps"


def layers(record: Recorded) -> Verdict:
    most, names = record.settings["steps"], list(record.cases)
    needed = {name: [steps_to(record.run(name, seed)) for seed in record.seeds] for name in names}
    counted = {name: [min(steps, 2 * most) for steps in rows] for name, rows in needed.items()}
    single = [name for name in names if name != "two layers"]
    counted["quickest single"] = [min(rows) for rows in zip(*(counted[n] for n in single))]
    best = max(
        100 * right_after(record.run(name, seed), most) for name in single for seed in record.seeds
    )
    return claim(
        "two layers of attention learn to go on as the text did before, one does not",
        source="Olsson et al., arXiv 2209.11895",
        measure="steps until 95 % of the asked words are right; "
        f"{2 * most:,} stands for never within {most:,}",
        expected="the quickest single layer needs more than 4 times as many",
        measured=counted,
        holds=lambda m: m["quickest single"] > 4 * m["two layers"],
        partly=lambda m: m["quickest single"] > m["two layers"],
        seeds=record.seeds,
        recorded=True,
        kind="paper",
        says=f"two layers need {_said(needed['two layers'], most)} (the middle seed); a single one "
        f"is right in {best:.0f} % at most after {most:,}",
    )


def opened(looks: Sequence[dict[str, Any]], seeds: Sequence[int]) -> Verdict:
    first = [look["before"][0] for look in looks]
    second = [look["followed"][1] for look in looks]
    return claim(
        "trained models do it in the two steps that we wrote",
        source="Elhage et al. 2021; Olsson et al., arXiv 2209.11895",
        measure="share of attention: layer 1 on the word before, layer 2 on the word that followed "
        "the same word earlier",
        expected="above 0.5 both; partly: above 0.3 both",
        measured={"layer 1, before": first, "layer 2, followed": second},
        holds=lambda m: min(m.values()) > 0.5,
        partly=lambda m: min(m.values()) > 0.3,
        seeds=seeds,
        kind="paper",
        says=f"layer 1 gives {fmean(first):.0%} to the word before, layer 2 {fmean(second):.0%} to "
        "what followed the same word earlier; equal shares would give "
        f"{fmean(look['evenly'][1] for look in looks):.0%}",
    )
