"""The twelve verdicts of lesson 01: thresholds set before the runs, sentences made of what came out."""

from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

import numpy as np

from minilm.course.show.claims import Verdict, claim
from minilm.studies.recorded import Recorded
from minilm.studies.until import right_after, steps_to

from .studies import copying, lengths, thinking
from .studies.remembering import BANDS, percent, sureness

Rows = Sequence[float]


def reached(record: Recorded, case: Any) -> list[float]:
    """Steps until the task was learnt, one number per seed; infinite where it never was."""
    return [steps_to(record.run(case, seed)) for seed in record.seeds]


def after(record: Recorded, case: Any, step: int) -> list[float]:
    """Per cent right after so many steps, one number per seed."""
    return [100 * right_after(record.run(case, seed), step) for seed in record.seeds]


def surely(record: Recorded, case: Any) -> float:
    """Probability of a right answer where the runs of a case ended, mean over the seeds."""
    ends = [record.run(case, seed)["points"][-1] for seed in record.seeds]
    return fmean(end["probability"] for end in ends)


def said(steps: Sequence[float], most: int) -> str:
    """The middle one of some seeds' steps, in words."""
    middle = median(steps)
    return f"{middle:,.0f}" if np.isfinite(middle) else f"more than {most:,}"


def company(correlation: Rows, seeds: Sequence[int]) -> Verdict:
    return claim(
        "word vectors trained on neighbours hold the table of which words keep company",
        source="Talk 1, 08:48; the formula is Levy and Goldberg's (2014)",
        measure="Pearson r of u · v with pmi − log 5 over frequent pairs",
        expected="above 0.9; wrong below 0.7",
        measured=correlation,
        holds=lambda r: r > 0.9,
        partly=lambda r: r >= 0.7,
        seeds=seeds,
        says=f"the dot products follow the counted table with r = {min(correlation):.2f} or more",
        note="A step sums over its pairs, so at a fixed rate of 0.05 the commonest word overshoots "
        "and 3 of 20 texts diverge. The rate is now bounded by that word; all 20 give 0.95 or more.",
    )


def vanishing(
    plain: np.ndarray, large: np.ndarray, attention: Rows, level: float, seeds: Sequence[int]
) -> Verdict:
    plain, large = plain.ravel(), large.ravel()
    return claim(
        "a recurrent net's gradient vanishes or explodes; attention's does neither",
        source="Talk 1, 15:57 and 16:17",
        measure="gradient 50 steps back, as a share of that 1 step back",
        expected="U × 1 below 0.001, U × 4 above 1,000, attention between 0.1 and 10",
        measured={"U × 1": plain, "U × 4": large, "attention": attention},
        holds=lambda m: m["U × 1"] < 1e-3 and m["U × 4"] > 1e3 and 0.1 < m["attention"] < 10,
        seeds=seeds,
        says=f"50 steps back the plain net's gradient is {fmean(plain):.0e} (U × 1) or "
        f"{fmean(large):.0e} (U × 4) of what it was, attention's {fmean(attention):.1f}; "
        f"of the gains from 0.5 to 4, {level:.0%} keep it within a factor of ten",
        note="One layer before training. The LSTM with an open gate stays level as well.",
    )


def bottleneck(record: Recorded) -> Verdict:
    cap = record.settings["steps"]
    needed = {name: reached(record, name) for name in copying.MODELS}
    counted = {name: np.minimum(steps, 2 * cap) for name, steps in needed.items()}
    counted["best vector"] = np.min(list(counted.values())[1:], axis=0)
    return claim(
        "one hidden vector is a bottleneck; attention removes it",
        source="Talk 1, 09:40 and 16:00",
        measure="steps until 95 % of the letters of 12-letter strings are right; "
        f"{2 * cap:,} stands for never within {cap:,}",
        expected="the quickest single vector, up to 4 times as wide, needs 3 times as many or more",
        measured=counted,
        holds=lambda m: m["best vector"] >= 3 * m["attention"],
        partly=lambda m: m["best vector"] > m["attention"],
        seeds=record.seeds,
        recorded=True,
        says="attention learns to copy in "
        + "; ".join(
            f"{said(steps, cap)} steps" + ("" if name == "attention" else f" through {name}")
            for name, steps in needed.items()
        ),
        note="Each has a learning rate tuned for it. The widest has "
        f"{record.parameters['one vector of 128'] / record.parameters['attention']:.0f} times "
        "the weights of the net with attention. Where the runs end, a right letter has a "
        f"probability of {surely(record, 'attention'):.2f} with attention and "
        + ", ".join(f"{surely(record, name):.2f}" for name in list(needed)[1:])
        + " through the vectors.",
    )


def twenty_lines(apart: float) -> Verdict:
    return claim(
        "the twenty lines above compute what the package's attention computes",
        source="Vaswani et al. 2017, equation 1",
        measure="largest difference of the outputs, float64",
        expected="at most 1e-12",
        measured=apart,
        holds=lambda d: d <= 1e-12,
        exact=True,
        kind="identity",
        says=f"ten words, four heads, causal: the outputs differ by {apart:.1g} at most",
    )


def heads(alike: Rows, random: Rows, seeds: Sequence[int]) -> Verdict:
    return claim(
        "heads learn different things because they start at random",
        source="Talk 1, 12:42",
        measure="distance of two heads' gradients, as a share of one's length",
        expected="alike: below 1e-9; at random: above 0.5",
        measured={"alike": alike, "at random": random},
        holds=lambda m: m["alike"] < 1e-9 and m["at random"] > 0.5,
        seeds=seeds,
        says="two heads that start alike get the same gradient and stay alike for ever; two that "
        f"start at random get gradients {min(random):.1f} lengths apart or more",
    )


def one_screen(apart: float) -> Verdict:
    return claim(
        "the one screen of NumPy is the package's GPT-2",
        source="Radford et al. 2019; minilm.models",
        measure="largest difference of the logits, float64",
        expected="at most 1e-12",
        measured=apart,
        holds=lambda d: d <= 1e-12,
        exact=True,
        kind="identity",
        says=f"three layers, four heads, 24 tokens: the logits differ by {apart:.1g} at most",
    )


def waiting(chains: dict[str, Sequence[int]]) -> Verdict:
    growth = {name: steps[-1] / steps[0] for name, steps in chains.items()}
    return claim(
        "recurrence waits for every token; a transformer's depth does not grow with the text",
        source="Talk 1, 09:36 and 16:14",
        measure="longest chain on the tape at 256 tokens over that at 8",
        expected="recurrent 32, transformer 1",
        measured={name: [times] for name, times in growth.items()},
        holds=lambda m: m["recurrent"] > 25 and m["transformer"] == 1,
        exact=True,
        says=f"with 32 times the text the recurrent chain grows by a factor of "
        f"{growth['recurrent']:.0f}, the transformer's by {growth['transformer']:.0f}",
    )


def thoughts(record: Recorded) -> Verdict:
    cap, sizes = record.settings["steps"], thinking.WIDTHS
    gain, early, names = {}, {}, []
    for size in sizes:
        name = f"{record.parameters['step by step', size]:,} parameters"
        names.append(name)
        for table, steps in ((gain, cap), (early, cap // 4)):
            written, at_once = (
                after(record, (task, size), steps) for task in ("step by step", "at once")
            )
            table[name] = np.subtract(written, at_once)
    waits = [said(reached(record, ("step by step", size)), cap) for size in sizes]
    return claim(
        "writing the steps helps larger models and not smaller ones",
        source="Talk 1, 46:13 and 46:25",
        measure=f"points gained by writing the steps, after {cap:,} of training; chance is 6 %",
        expected="the largest model gains 20 points or more, the smallest less than 10",
        measured=gain,
        holds=lambda m: m[names[-1]] >= 20 and m[names[0]] < 10,
        seeds=record.seeds,
        recorded=True,
        says="writing the steps gains "
        + ", ".join(f"{fmean(points):.0f} points with {name}" for name, points in gain.items())
        + f"; to be right in 95 % they need {', '.join(waits)} steps of training (the middle seed)",
        note=f"After {cap // 4:,} steps the gains are "
        + ", ".join(f"{fmean(points):.0f}" for points in early.values())
        + ". Where the runs end, a right answer has a probability of "
        + ", ".join(f"{surely(record, ('step by step', size)):.2f}" for size in sizes)
        + " with the steps and "
        + ", ".join(f"{surely(record, ('at once', size)):.2f}" for size in sizes)
        + " without. The talk means models of words, which must know what the steps mean (47:25).",
    )


def looked_up(closed: list, opened: list, longer: Recorded, seeds: Sequence[int]) -> Verdict:
    """What `recalled` gave by heart and looked up; the record of four times the training."""
    heart, looked, hits = percent(closed, opened)  # (seeds, bands) each
    sure = sureness(closed, opened)
    lost = {"by heart": heart[:, 0] - heart[:, -1], "looked up": looked[:, 0] - looked[:, -1]}
    first, *_, last = BANDS
    later = longer.final(lambda point: 100 * (point[first] - point[last]))  # (seeds, 1)
    return claim(
        "what is looked up does not depend on how rare it is; what is known by heart does",
        source="Talk 1, 21:48 (a question there) and 36:01",
        measure="points lost from the ten most asked facts to those beyond the thousandth",
        expected="by heart 50 or more, looked up less than 10",
        measured=lost,
        holds=lambda m: m["by heart"] >= 50 and m["looked up"] < 10,
        seeds=seeds,
        says=f"by heart {fmean(lost['by heart']):.0f} points are lost on the way to rare facts, "
        f"looked up {fmean(lost['looked up']):z.0f}; the reader is right in {looked.mean():.0f} %, "
        f"the search in {hits.mean():.0f} %",
        note=f"With four times the training the memory loses {later.mean():.0f} points (recorded). "
        "From the commonest facts to the rarest, a right answer has a probability of "
        f"{sure['by heart'].mean(0)[0]:.2f} to {sure['by heart'].mean(0)[-1]:.2f} by heart, "
        f"{sure['looked up'].mean(0)[0]:.2f} to {sure['looked up'].mean(0)[-1]:.2f} looked up.",
    )


def edited(wise: Sequence[tuple[float, np.ndarray]], plain: Any, seeds: Sequence[int]) -> Verdict:
    moved = {
        "new answer off by": [error for error, _ in wise],
        "others, along C⁻¹k": [others.mean() for _, others in wise],
        "others, along k": [others.mean() for _, others in plain],
    }
    off, spared, harmed = moved
    return claim(
        "one fact can be rewritten in the weights, without training, while the others stay",
        source="Talk 1, 41:05 and 41:30; Meng et al. 2022",
        measure="share of its length by which an answer moves, mean over the other 59 facts",
        expected="the new answer to 1e-6; the others move half as far as with the plain edit",
        measured=moved,
        holds=lambda m: m[off] < 1e-6 and m[spared] <= m[harmed] / 2,
        partly=lambda m: m[off] < 1e-6 and m[spared] < m[harmed],
        seeds=seeds,
        says=f"the new answer is exact; the others move by {fmean(moved[spared]):.0%} of their "
        f"length, with the plain edit by {fmean(moved[harmed]):.0%}",
        note="One matrix alone. That facts sit in the middle layers (41:42) was not measured.",
    )


def agent(marks: dict[str, Rows], seeds: Sequence[int]) -> Verdict:
    return claim(
        "memory, a tool and reflection each make the same model better",
        source="Talk 1, 51:21, 52:20 and 52:42",
        measure="right sums of two remembered numbers, %",
        expected="the calculator gains 50 points, reflection gains in every seed",
        measured=marks,
        holds=lambda m: (
            m["+ calculator"] - m["memory"] >= 50 and m["+ reflection"] > m["+ calculator"]
        ),
        partly=lambda m: (
            m["+ calculator"] - m["memory"] >= 50 and m["+ reflection"] >= m["+ calculator"]
        ),
        seeds=seeds,
        says="the same model is right in "
        + ", ".join(f"{fmean(shares):.0f} % ({way})" for way, shares in marks.items()),
        note="An episode is right or wrong as a whole, so there is no probability to show. "
        "Reflection checks the transcript, not the truth: a number stored wrongly stays wrong. "
        "Three tries and a vote are the rival that reads nothing.",
    )


def further(record: Recorded) -> Verdict:
    """Only schemes that master the trained length are judged beyond it."""
    steps = record.settings["steps"]

    def ends(model: str, what: str, amount: int) -> list[float]:
        runs = [record.run((model, amount), seed)["points"] for seed in record.seeds]
        return [points[-1][what] for points in runs]

    def whole(model: str, size: int, amount: int) -> list[float]:
        return [100 * share for share in ends(model, f"whole {size}", amount)]

    def three(model: str, amount: int) -> str:
        return "/".join(f"{fmean(whole(model, size, amount)):.0f}" for size in (8, 10, 12))

    names = {"learned": "a table", "rope": "RoPE", "none": "no places"}
    able = [model for model in lengths.MODELS if fmean(whole(model, 8, steps)) >= 90]
    return claim(
        "a transformer that copies what it was trained on does not copy anything longer",
        source="Ours, after talk 1, 07:01 and 27:03",
        measure=f"strings without a fault after {steps:,} steps, %",
        expected="of the schemes that copy 90 % at 8 letters, none copies 20 % at 12",
        measured={
            "8 letters, worst": np.min([whole(m, 8, steps) for m in able], axis=0),
            "12 letters, best": np.max([whole(m, 12, steps) for m in able], axis=0),
        },
        holds=lambda m: m["12 letters, best"] < 20,
        seeds=record.seeds,
        recorded=True,
        kind="ours",
        says="at 8, 10 and 12 letters "
        + "; ".join(f"{three(m, steps)} % come out right with {names[m]}" for m in lengths.MODELS),
        note="At 8 and 12 letters a right letter has a probability of "
        + "; ".join(
            f"{fmean(ends(m, 'probability 8', steps)):.2f} and "
            f"{fmean(ends(m, 'probability 12', steps)):.2f} with {names[m]}"
            for m in lengths.MODELS
        )
        + ".",
    )
