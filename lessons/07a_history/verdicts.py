"""The verdicts of lesson 07a: their thresholds, and sentences made of what came out."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from minilm.analysis.curves import Interval, at_matched_loss, t_interval
from minilm.course.show.claims import Verdict, claim
from minilm.studies.recorded import Recorded

from .studies.matched import LEVEL, POINTS, STEPS, abilities

TALK = "Ding, CS25 V4"
CHANCE = (3 / 2 + 2 / 12) / 5  # of a right word: three holes have two candidates, two have twelve
FOUR = ("BERT", "GPT", "T5", "GLM")
TASKS = ("grammar", "lexical", "facts", "sentiment", "translation", "spatial", "arithmetic")


# --------------------------------------------------------------------------- reading and writing


def scores(record: Recorded, name: str, point: int = -1) -> dict[str, list[float]]:
    """One number per seed: `holes` (mean of the kinds), `judged` (likewise), `sentences`, `nats`."""
    points = [record.run(name, seed)["points"][point] for seed in record.seeds]
    return {
        "holes": [fmean(p["holes"].values()) for p in points],
        "judged": [fmean(p["judged"].values()) for p in points],
        "sentences": [p["sentences"] for p in points],
        "nats": [p["nats"] for p in points],
    }


def one_format(example: float, page: float, whole: float, causal: bool) -> Verdict:
    return claim(
        "GLM holds masked words and next words in one format: with the whole text as its span it is "
        "a GPT",
        source=f"{TALK}, 05:39-06:27; Du et al., arXiv 2103.10360",
        measure="places where the page's rows differ from the paper's example and from the package's "
        "on 50 random texts; with one span over all: input that is not the text one place later, and "
        "whether part B sees what a decoder sees",
        expected="0, 0, 0 and yes",
        measured={"example": [example], "package": [page], "whole text": [whole],
                  "causal": [int(causal)]},
        holds=lambda m: m["example"] == m["package"] == m["whole text"] == 0 and m["causal"] == 1,
        exact=True,
        says="the page gives the paper's arrays and the package's; with one span over the whole text, "
        "part B is a decoder's training text, behind one mask",
    )  # fmt: skip


def belief(record: Recorded) -> Verdict:
    bert, gpt = scores(record, "BERT"), scores(record, "GPT")
    learnt = fmean(bert["holes"]) >= CHANCE + 0.05
    return claim(
        "masked words teach understanding and next words teach writing",
        source=f"{TALK}, 03:50-05:01 (the belief of the time, in our words)",
        measure="share of holes filled right (five kinds, mean) and of beginnings continued with a "
        "right sentence, at equal texts read",
        expected="BERT ahead of GPT by 0.05 in holes, GPT ahead of BERT by 0.05 in writing",
        measured={
            "holes, BERT": bert["holes"],
            "holes, GPT": gpt["holes"],
            "writing, BERT": bert["sentences"],
            "writing, GPT": gpt["sentences"],
        },
        holds=lambda m: (
            m["holes, BERT"] >= m["holes, GPT"] + 0.05
            and m["writing, GPT"] >= m["writing, BERT"] + 0.05
        ),
        partly=lambda m: m["writing, GPT"] >= m["writing, BERT"] + 0.05,
        seeds=record.seeds,
        recorded=True,
        note=""
        if learnt
        else f"BERT fills holes hardly better than chance, {CHANCE:.0%}, so that half is no test",
        says=f"after {record.settings['steps']:,} steps BERT fills {fmean(bert['holes']):.0%} of the holes and GPT {fmean(gpt['holes']):.0%}; "
        f"of the beginnings BERT continues {fmean(bert['sentences']):.0%} with a right sentence and "
        f"GPT {fmean(gpt['sentences']):.0%}",
    )


def glm_does_both(record: Recorded) -> Verdict:
    all_four = {name: scores(record, name) for name in FOUR}

    def ranks(what: str) -> list[int]:
        table = np.array([all_four[name][what] for name in FOUR])  # (4, seeds)
        return [int((table[:, s] >= table[3, s]).sum()) for s in range(table.shape[1])]

    glm = all_four["GLM"]
    return claim(
        "GLM, one network with one objective, does both",
        source=f"{TALK}, 05:39-06:27; Du et al., arXiv 2103.10360",
        measure="place of GLM among BERT, GPT, T5 and GLM in holes and in writing, 1 is best",
        expected=f"in neither the fourth, and holes {CHANCE + 0.05:.2f} or more",
        measured={
            "place in holes": ranks("holes"),
            "place in writing": ranks("sentences"),
            "holes": glm["holes"],
        },
        holds=lambda m: (
            max(m["place in holes"], m["place in writing"]) < 4 and m["holes"] >= CHANCE + 0.05
        ),
        partly=lambda m: min(m["place in holes"], m["place in writing"]) < 4,
        seeds=record.seeds,
        recorded=True,
        note="the last condition came after a first record of 500 steps, in which BERT, T5 and GLM filled "
        f"holes hardly better than chance, {CHANCE:.0%}",
        says=f"GLM fills {fmean(glm['holes']):.0%} of the holes, the best of the others "
        f"{max(fmean(all_four[n]['holes']) for n in FOUR[:3]):.0%}; it continues "
        f"{fmean(glm['sentences']):.0%} of the beginnings rightly, the best of the others "
        f"{max(fmean(all_four[n]['sentences']) for n in FOUR[:3]):.0%}",
    )


# ----------------------------------------------------------------------------------- loss, not size


def at_level(record: Recorded, size: str, task: str, level: float = LEVEL) -> list[float]:
    """Share right, one number per seed, where a size's loss first falls to the level."""
    found = []
    for seed in record.seeds_of(size):
        points = [p for p in record.run(size, seed)["points"] if not p["annealed"]]
        right = [abilities(p)[task] for p in points]
        found.append(at_matched_loss([p["loss"] for p in points], right, level))
    return found


def gaps(record: Recorded) -> dict[str, Interval]:
    """Task -> the large model's share right less the small one's at equal loss, with its interval."""
    small, large = STEPS
    return {
        task: t_interval(
            np.subtract(at_level(record, large, task), at_level(record, small, task))
        )
        for task in TASKS
    }  # fmt: skip


def differ(found: Mapping[str, Interval]) -> list[str]:
    """The tasks that differ by the rule that was fixed before the run."""
    return [
        task for task, gap in found.items()
        if abs(gap.middle) >= POINTS and (gap.low > 0 or gap.high < 0)
    ]  # fmt: skip


def loss_decides(record: Recorded) -> Verdict:
    found = gaps(record)
    apart = differ(found)
    largest = max(found, key=lambda task: abs(found[task].middle))
    small, large = STEPS
    return claim(
        "what a model can do depends on its loss, and not on its size",
        source=f"{TALK}, 11:00-12:47; Du et al., arXiv 2403.15796",
        measure=f"of seven abilities, those in which {record.parameters[small]:,} and "
        f"{record.parameters[large]:,} weights differ at a loss of {LEVEL} nats: by 5 points or more, "
        "with a 95 % t interval over the paired seeds that leaves out 0",
        expected="at most one",
        measured=[len(apart)],
        holds=lambda n: n <= 1,
        exact=True,
        recorded=True,
        note="the rule was fixed before lesson 2's runs were read in this way; the level was then "
        "lowered from 1.85, which one of its small runs never reaches, and the runs here came after. "
        "Weak evidence: several abilities are near chance at this loss, and some intervals are wide",
        says=f"{len(apart)} of seven abilities differ"
        + (f" ({', '.join(apart)})" if apart else "")
        + f"; the largest gap is {100 * found[largest].middle:+.0f} points for the larger model in "
        f"{largest} (interval {100 * found[largest].low:+.0f} to {100 * found[largest].high:+.0f})",
    )


# ------------------------------------------------------------------------------------------ norms


def gradients(
    last: Mapping[str, np.ndarray], depths: Sequence[int], seeds: Sequence[int]
) -> Verdict:
    """`last`: position -> (seeds, depths), the gradient in the last block."""
    ratio = last["post"][:, -1] / last["pre"][:, -1]
    shrinks = last["pre"][:, 0] / last["pre"][:, -1]
    stays = last["post"][:, 0] / last["post"][:, -1]
    return claim(
        "before training, norms behind the sub-layers give the last layers large gradients, at any "
        "depth; with norms before, they shrink as the stack gets deeper",
        source=f"Xiong et al., arXiv 2002.04745, theorem 1; a change named by {TALK}, 13:24-16:11",
        measure=f"gradient in the last block at {depths[-1]} layers, post over pre; and from "
        f"{depths[0]} to {depths[-1]} layers, shallow over deep",
        expected="at least 3; for pre 1.5 to 2.7 (the theory says 2), for post 0.8 to 1.25",
        measured={"post over pre": ratio, "pre shrinks": shrinks, "post shrinks": stays},
        holds=lambda m: (
            m["post over pre"] >= 3
            and 1.5 <= m["pre shrinks"] <= 2.7
            and 0.8 <= m["post shrinks"] <= 1.25
        ),
        partly=lambda m: m["post over pre"] >= 1.5 and m["pre shrinks"] > m["post shrinks"],
        seeds=seeds,
        kind="paper",
        says=f"at {depths[-1]} layers the last block's gradient is {ratio.mean():.1f} times as large "
        f"with norms behind; from {depths[0]} layers to {depths[-1]} it falls by a factor of "
        f"{shrinks.mean():.2f} with norms before and of {stays.mean():.2f} with norms behind",
    )


def turns(page: float, moved: float, longer: float, last: float) -> Verdict:
    return claim(
        "rotary positions make a score depend on the distance alone",
        source=f"{TALK}, 13:24-16:11; Su et al., arXiv 2104.09864",
        measure="page less package; change of all scores when a text is moved by 1,000 places; change "
        "of a vector's length; positions until the last pair of a head of 128 has turned once",
        expected="each at most 1e-9; 54,410 to 0.1 %",
        measured={"page": [page], "moved": [moved], "length": [longer], "last turn": [last]},
        holds=lambda m: (
            max(m["page"], m["moved"], m["length"]) <= 1e-9
            and abs(m["last turn"] / 54410 - 1) < 1e-3
        ),
        exact=True,
        says=f"moved by 1,000 places, no score changes by more than {moved:.0e}; the slowest pair of a "
        f"head of 128 takes {last:,.0f} positions for one turn",
    )


# ------------------------------------------------------------------------------------------ board


def worth(record: Recorded, name: str, point: int = -1) -> np.ndarray:
    """(seeds,): nats per token of a row above the Llama's."""
    return np.array([
        record.run(name, s)["points"][point]["loss"] - record.run("Llama", s)["points"][point]["loss"]
        for s in record.seeds
    ])  # fmt: skip


def six_together(record: Recorded) -> Verdict:
    six = [name for name in record.settings["widths"]
           if name not in ("Llama", "with experts", "all six out")]  # fmt: skip
    alone = {name: worth(record, name) for name in six}
    clear = [name for name, cost in alone.items() if cost.mean() >= 0.01 and (cost > 0).all()]
    better = [name for name, cost in alone.items() if cost.mean() <= -0.01 and (cost < 0).all()]
    together = worth(record, "all six out")
    tried = record.data["tuning"]["all six out"]["losses"].values()
    flat = sum(loss <= 1.005 * min(tried) for loss in tried) > 2
    return claim(
        "the few changes since 2017, together, make a better model of the same work",
        source=f"{TALK}, 13:24-16:11",
        measure="nats per held-out token that a small Llama loses when all six are taken out, at equal "
        "products per token, rates tuned on both sides",
        expected="at least 0.01, with a rate that tuning could tell from others",
        measured=together,
        holds=lambda cost: cost >= 0.01 and not flat,
        partly=lambda cost: cost > 0,
        seeds=record.seeds,
        recorded=True,
        note="the condition on tuning came after the runs: several rates of the row without all six did "
        "equally little in 40 steps, and the smallest was taken" if flat else "",
        says=f"without all six the loss is higher by {together.mean():.3f} nats; taken out alone, "
        + (f"{', '.join(f'{n} costs {alone[n].mean():.3f}' for n in clear)}" if clear else "none costs "
           "0.01 in every seed")
        + "".join(f", {n} gains {-alone[n].mean():.3f}" for n in better)
        + f", {len(six) - len(clear) - len(better)} of six are not clear",
    )  # fmt: skip


def experts_gain(record: Recorded) -> Verdict:
    gain = -worth(record, "with experts")
    first = record.run("Llama", record.seeds[0])["parameters"]
    mixed = record.run("with experts", record.seeds[0])["parameters"]
    return claim(
        "a mixture of experts is better at the same FLOPs",
        source=f"{TALK}, 13:24-16:11",
        measure="nats per held-out token that eight experts, two at work, gain over one feed-forward "
        "of the same products",
        expected="at least 0.01",
        measured=gain,
        holds=lambda g: g >= 0.01,
        partly=lambda g: g > 0,
        seeds=record.seeds,
        recorded=True,
        says=f"with {mixed:,} weights in place of {first:,} and the same products per token, experts "
        f"gain {gain.mean():+.3f} nats",
    )


def table(rows: Sequence[Sequence[Any]], head: Sequence[str]) -> str:
    """Rows of a table as Markdown."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)
