"""The verdicts of lesson 07f: thresholds set before the runs, sentences made of what came out."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from minilm.course.show.claims import Verdict, claim
from minilm.studies.recorded import Recorded

from .experiments import READABLE
from .speed import Raced

Rows = Sequence[float]
USED = 60  # of 64 codes
TASKS = ("draw", "tell", "fill")


def last(record: Recorded, case: Any, name: str) -> list[float]:
    """A number of the last test of a case, one a seed."""
    return [record.run(case, seed)["points"][-1][name] for seed in record.seeds]


def percent(values: Rows) -> str:
    return f"{100 * fmean(values):.1f} %"


def pixels(record: Recorded) -> Verdict:
    amounts = sorted({amount for _, amount in record.cases})
    measured = {
        f"{model}, budget {amount}": last(record, (model, amount), "frechet")
        for amount in amounts
        for model in ("tokens", "pixels")
    }
    small, large = amounts[0], amounts[-1]
    return claim(
        "pixel by pixel the sequence is too long: at equal compute tokens draw better",
        source="Ding 44:36-45:41",
        measure="Frechet distance of 500 drawn digits to held-out ones, at both budgets; the "
        "tokens' includes the training of their VQ-VAE",
        expected="tokens nearer at both budgets; partly: at the smaller one",
        measured=measured,
        holds=lambda m: all(m[f"tokens, budget {a}"] < m[f"pixels, budget {a}"] for a in amounts),
        partly=lambda m: m[f"tokens, budget {small}"] < m[f"pixels, budget {small}"],
        seeds=record.seeds,
        recorded=True,
        says=f"with the small budget tokens come to {fmean(measured[f'tokens, budget {small}']):.1f} "
        f"and pixels to {fmean(measured[f'pixels, budget {small}']):.1f}; with {large} times as much "
        f"to {fmean(measured[f'tokens, budget {large}']):.1f} and "
        f"{fmean(measured[f'pixels, budget {large}']):.1f}",
    )


def revival(record: Recorded) -> Verdict:
    used = {name: last(record, name, "used") for name in ("averages", "revival")}
    right = [100 * x for x in last(record, "revival", "right")]
    return claim(
        "codes die unless they are revived, and a revived codebook keeps digits readable",
        source="this lesson; van den Oord et al., arXiv 1711.00937",
        measure="codes in use of 64, and reconstructions of held-out digits named right, %",
        expected=f"revived: {USED} or more in use, {100 * READABLE:.0f} % or more right; not "
        f"revived: fewer than {USED}",
        measured={**used, "right": right},
        holds=lambda m: (
            m["revival"] >= USED and m["averages"] < USED and m["right"] >= 100 * READABLE
        ),
        partly=lambda m: m["revival"] >= USED and m["right"] >= 100 * READABLE,
        seeds=record.seeds,
        recorded=True,
        kind="package",
        says=f"without revival {fmean(used['averages']):.0f} of 64 codes are in use, with it "
        f"{fmean(used['revival']):.0f}, and {fmean(right):.1f} % of the reconstructions are named "
        "right",
    )


def lost(record: Recorded) -> Verdict:
    case = record.cases[0]
    drop = {
        name: [
            100 * (a - b)
            for a, b in zip(
                last(record, case, f"vectors_{name}"),
                last(record, case, f"codes_{name}"),
                strict=True,
            )
        ]
        for name in ("digit", "font")
    }
    return claim(
        "tokens lose information, and fine detail more than coarse",
        source="Ding 48:46; coarse against fine is ours",
        measure="points of accuracy that a linear probe loses from vectors to codes",
        expected="font: 2 points or more, and more than the digit; partly: font above 0",
        measured=drop,
        holds=lambda m: m["font"] >= 2 and m["font"] > m["digit"],
        partly=lambda m: m["font"] > 0,
        seeds=record.seeds,
        recorded=True,
        says=f"from vectors to codes the font is read {fmean(drop['font']):.1f} points worse and "
        f"the digit {fmean(drop['digit']):.1f}",
    )


def draws(found: Mapping[str, Rows], seeds: Sequence[int]) -> Verdict:
    return claim(
        "text and codes in one sequence: a Transformer draws what a label says",
        source="Ding 45:52-46:22",
        measure="Frechet distance and recall of 500 drawn digits beside a Gaussian per class",
        expected="nearer than the Gaussian, with at least its recall; partly: one of the two",
        measured=found,
        holds=lambda m: m["tokens"] < m["Gaussian"] and m["recall"] >= m["its recall"],
        partly=lambda m: m["tokens"] < m["Gaussian"] or m["recall"] >= m["its recall"],
        seeds=seeds,
        says=f"drawn digits lie {fmean(found['tokens']):.2f} from held-out ones, those of a Gaussian "
        f"per class {fmean(found['Gaussian']):.2f}; they cover {fmean(found['recall']):.2f} and "
        f"{fmean(found['its recall']):.2f} of the real ones",
    )


def masks(leaks: int, apart: int) -> Verdict:
    return claim(
        "one mask holds text to image, image to text and filling in, and no target sees itself",
        source="Ding 47:04-48:10; CogView2, arXiv 2204.14217",
        measure="hidden tokens that move their own prediction; pairs that differ from the formula",
        expected="0 and 0",
        measured={"leaks": [leaks], "pairs apart": [apart]},
        holds=lambda m: m["leaks"] == 0 and m["pairs apart"] == 0,
        exact=True,
        says=f"in the three kinds {leaks} hidden tokens reach their own prediction, and the masks "
        f"differ from the formula in {apart} pairs",
    )


def _losses(record: Recorded, task: str, amount: int) -> tuple[list[float], list[float]]:
    one, own = (last(record, (m, amount), f"{task}_loss") for m in ("universal", task))
    return one, own


def universal(record: Recorded) -> Verdict:
    amounts = sorted({amount for _, amount in record.cases})
    behind = {
        f"{task}, budget {amount}": [
            a - b for a, b in zip(*_losses(record, task, amount), strict=True)
        ]
        for amount in amounts
        for task in TASKS
    }
    small = amounts[0]
    mean = {name: fmean(rows) for name, rows in behind.items()}
    return claim(
        "the universal model can do everything and is the best at nothing",
        source="Ding 48:28-49:23",
        measure="nats per hidden token by which the universal model is behind the specialist of the "
        "same shape and compute, on held-out digits",
        expected="above 0 in all three tasks at both budgets; partly: in two of three at the small",
        measured=behind,
        holds=lambda m: all(value > 0 for value in m.values()),
        partly=lambda m: sum(m[f"{task}, budget {small}"] > 0 for task in TASKS) >= 2,
        seeds=record.seeds,
        recorded=True,
        says="at equal compute the universal model is behind by "
        + ", ".join(f"{mean[f'{task}, budget {small}']:.2f} nats in {task}" for task in TASKS)
        + f"; with {amounts[-1]} times as much on both sides by "
        + ", ".join(f"{mean[f'{task}, budget {amounts[-1]}']:.2f}" for task in TASKS),
    )


def reads(record: Recorded) -> Verdict:
    large = max(amount for _, amount in record.cases)
    tokens = [100 * x for x in last(record, ("tell", large), "tell_right")]
    one = [100 * x for x in last(record, ("universal", large), "tell_right")]
    pixels = [100 * record.run(("tell", large), seed)["judge_right"] for seed in record.seeds]
    return claim(
        "for understanding, a model that reads tokens is worse than one that reads pixels",
        source="Ding 48:46-49:11",
        measure="held-out digits named right, %: the perceptron on pixels, the specialist and the "
        "universal model on tokens, at the larger budget",
        expected="pixels ahead of both",
        measured={"pixels": pixels, "specialist": tokens, "universal": one},
        holds=lambda m: m["pixels"] > max(m["specialist"], m["universal"]),
        seeds=record.seeds,
        recorded=True,
        says=f"a perceptron on pixels names {fmean(pixels):.1f} % right, the specialist on tokens "
        f"{fmean(tokens):.1f} %, the universal model {fmean(one):.1f} %",
    )


def passes(alone: Rows, together: Rows) -> Verdict:
    ratio = [a / b for a, b in zip(alone, together, strict=True)]
    return claim(
        "writing one picture at a time wastes the machine",
        source="Ding 51:17-52:05",
        measure="processor time per picture alone over that of 64 together, 16 passes each",
        expected="4 or more",
        measured=ratio,
        holds=lambda r: r >= 4,
        over="repeats",
        says=f"a picture takes {1e3 * fmean(alone):.0f} ms alone and "
        f"{1e3 * fmean(together):.1f} ms in a batch of 64",
    )


def faster(alone: Mapping[int, Mapping[str, Raced]]) -> Verdict:
    """alone: side -> way -> what drawing one picture took."""
    side = max(alone)
    found = {name: list(raced.seconds) for name, raced in alone[side].items()}
    return claim(
        "diffusion is faster: several passes against thousands of tokens",
        source="Ding 51:17-52:05, 73:05",
        measure=f"processor seconds for one picture of {side} by {side} pixels, drawn alone; models "
        "of one width and depth, diffusion over patches of 2 by 2 in 20 passes",
        expected="diffusion takes at most half as long as tokens of 2 by 2 pixels; partly: as pixels",
        measured=found,
        holds=lambda m: m["diffusion"] <= 0.5 * m["tokens"],
        partly=lambda m: m["diffusion"] <= 0.5 * m["pixels"],
        over="repeats",
        says="alone, "
        + ", ".join(
            f"{name} take {raced.passes:,} passes and {1e3 * fmean(raced.seconds):.0f} ms"
            for name, raced in alone[side].items()
        ),
    )
