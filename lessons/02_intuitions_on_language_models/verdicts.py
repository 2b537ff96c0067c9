"""The lesson's verdicts: what is asked of each seed, and the sentence that says what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minilm.analysis import curves
from minilm.course.show.claims import claim
from minilm.data.worlds.world import TASKS, TaskWorld
from minilm.studies.recorded import Recorded

from .readers import BANDS, NAMES, nats, probe, share_right, skill, tested


def seven_tasks(
    scaling: Recorded, world: TaskWorld, lazy: Mapping[str, tuple[float, float]]
) -> None:
    large = scaling.whole[-1]
    right = {t: scaling.final(share_right(world, t), [large])[:, 0] for t in TASKS}  # (seeds,)
    learnt = {t: right[t] > lazy[t][0] + 5 for t in TASKS}
    six = scaling.final(nats("lexical"), [large])[:, 0]
    learnt["lexical"] = (lazy["lexical"][1] - six) / np.log(8 / 6) > 0.1
    known = [NAMES[t] for t in TASKS if learnt[t].all()]
    claim(
        "guessing the next word teaches seven tasks that nobody names",
        source="Wei 04:17",
        measure="tasks, of seven, in which the largest model is 5 points above the lazy reader "
        "(word meaning: a tenth of the way in nats)",
        expected="7; partly: 4 or more",
        measured=np.sum([learnt[t] for t in TASKS], axis=0),
        seeds=scaling.seeds,
        holds=lambda n: n == 7,
        partly=lambda n: n >= 4,
        recorded=True,
        says=f"{scaling.parameters[large]:,} parameters learnt {', '.join(known)}; of places "
        f"{right['spatial'].mean():.0f} % are right, of which a lazy reader has "
        f"{lazy['spatial'][0]:.0f}, and of sums {right['arithmetic'].mean():.0f} %",
    )


def more_compute(edges: Sequence[tuple[np.ndarray, np.ndarray]], seeds: Sequence[int]) -> None:
    """`edges`: per seed, compute and the least loss, cheapest first."""

    def fall(C: np.ndarray, L: np.ndarray, start: float) -> float:
        """Percent that the loss falls over the decade from `start`."""
        both = np.interp(np.log([start, 10 * start]), np.log(C), np.log(L))
        return 100 * (1 - np.exp(both[1] - both[0]))

    first = np.array([fall(C, L, C[0]) for C, L in edges])
    last = np.array([fall(C, L, C[-1] / 10) for C, L in edges])
    decades = np.array([np.log10(C[-1] / C[0]) for C, _ in edges])
    claim(
        "more compute reliably lowers the loss, with no sign of an end",
        source="Wei 09:15",
        measure="fall of the least loss of tested words, %, in the first decade of compute and in "
        "the last; decades",
        expected="2.5 decades or more, the last at least half of the first; partly: above 1 %",
        measured={"first": first, "last": last, "decades": decades},
        seeds=seeds,
        holds=lambda m: m["decades"] >= 2.5 and m["last"] >= m["first"] / 2,
        partly=lambda m: m["decades"] >= 2.5 and m["last"] >= 1,
        recorded=True,
        says=f"over {decades.mean():.1f} decades of compute the first lowers the loss by "
        f"{first.mean():.0f} % and the last still by {last.mean():.0f} %",
    )


def predictable(scaling: Recorded, said: Sequence[float]) -> None:
    """`said`: per seed, the loss of the largest size, predicted from all others."""
    before, largest = scaling.whole[-2:]
    last = np.array([scaling.along(size, tested(scaling))[:, -1] for size in (before, largest)])
    missed = 100 * (np.array(said) - last[1]) / (last[0] - last[1])
    claim(
        "you can predict the loss of a language model",
        source="Wei 10:22",
        measure=f"a law of size and data, fitted to seven sizes: by how much it misses the loss of "
        f"{scaling.parameters[largest]:,} parameters, % of their gain over "
        f"{scaling.parameters[before]:,}",
        expected="less than 25 either way; partly: less than 50",
        measured=missed,
        seeds=scaling.seeds,
        holds=lambda m: abs(m) < 25,
        partly=lambda m: abs(m) < 50,
        recorded=True,
        says=f"seven sizes predict the eighth with a miss of {np.abs(missed).min():.0f} to "
        f"{np.abs(missed).max():.0f} % of what it gained",
    )


def tail(scaling: Recorded) -> None:
    bands = np.stack([100 * scaling.final(probe(f"facts {b}")) for b in BANDS])  # (B, seeds, sizes)
    gained = bands[..., -1] - bands[..., 0]
    more = curves.t_interval(gained[1:].max(axis=0) - gained[0])
    small, large = (scaling.parameters[scaling.whole[k]] for k in (0, -1))
    claim(
        "small models keep the facts that are asked most; size buys the tail",
        source="Wei 11:53",
        measure="points gained from the smallest to the largest size: the ten most asked facts, "
        "and the best of the rarer bands; whether every size knows frequent facts as well as rarer "
        "ones (5 points allowed for noise)",
        expected="in order at every size; rarer facts gain at least 20 points more than the head",
        measured={
            "head": gained[0],
            "tail": gained[1:].max(axis=0),
            "in order": (np.diff(bands, axis=0) <= 5).all(axis=(0, 2)).astype(int),
        },
        seeds=scaling.seeds,
        holds=lambda m: m["in order"] and m["tail"] - m["head"] >= 20,
        partly=lambda m: m["tail"] - m["head"] >= 20,
        recorded=True,
        says=f"from {small:,} to {large:,} parameters rarer facts gain {more.middle:.0f} points "
        f"more than the ten most asked (95 % interval {more.low:.0f} to {more.high:.0f})",
    )


def heuristics(scaling: Recorded) -> None:
    small, large = scaling.whole[0], scaling.whole[-1]
    read, steps = probe("grammar 3"), [p["step"] for p in scaling.run(small, 0)["points"]]
    quarter = max(k for k, step in enumerate(steps) if step <= steps[-1] / 4)
    verbs = {
        f"{name}, {text}": 100 * scaling.along(size, read, False)[:, k]
        for name, size in (("small", small), ("large", large))
        for text, k in (("a quarter", quarter), ("all", -1))
    }
    once, four_times, _, most = (values.mean() for values in verbs.values())
    claim(
        "small models stay with first-order heuristics where large ones compute",
        source="Wei 12:31",
        measure=f"verbs that agree over three nouns, %: {scaling.parameters[small]:,} and "
        f"{scaling.parameters[large]:,} parameters, after a quarter of the text and after all",
        expected="small below 75 both times, large 90 or more at the end",
        measured=verbs,
        seeds=scaling.seeds,
        holds=lambda m: max(m["small, a quarter"], m["small, all"]) < 75 and m["large, all"] >= 90,
        recorded=True,
        says=f"over three nouns the small model is right in {once:.0f} % of cases, and after four "
        f"times the text in {four_times:.0f} %; the large one in {most:.0f} %",
    )


def sudden(
    total: Sequence[float], task: Sequence[float], parameters: int, seeds: Sequence[int]
) -> None:
    measured = {"total": 100 * np.array(total), "translation": 100 * np.array(task)}
    claim(
        "the total improves smoothly while single tasks improve suddenly",
        source="Wei 13:08",
        measure="largest share of the whole fall of a loss within one doubling of the text, %, "
        f"{parameters:,} parameters",
        expected="translation at least 1.5 times as sudden as the total",
        measured=measured,
        seeds=seeds,
        holds=lambda m: m["translation"] >= 1.5 * m["total"],
        partly=lambda m: m["translation"] > m["total"],
        says=f"one doubling of the text brings {measured['translation'].mean():.0f} % of the fall "
        f"of translation, and never more than {measured['total'].max():.0f} % of the total's",
    )


def emergence(
    weights: Sequence[int], whole: np.ndarray, line: np.ndarray, p: np.ndarray, seeds: Sequence[int]
) -> None:
    """`whole` is (seeds, sizes) in %, `line` (seeds,), `p` (seeds, sizes)."""
    claim(
        "an ability is absent in small models, present in large ones, and the small ones do not "
        "show it",
        source="Wei 18:47",
        measure="whole translations right, %: smallest size, largest, and what a line through the "
        "smaller two says of the largest; probability of a right word (geometric mean)",
        expected="smallest below 10, largest above 80, the line at least 40 points short",
        measured={
            "smallest": whole[:, 0],
            "line": line,
            "largest": whole[:, -1],
            "p smallest": p[:, 0],
            "p largest": p[:, -1],
        },
        seeds=seeds,
        holds=lambda m: m["smallest"] < 10 and m["largest"] > 80 and m["largest"] - m["line"] >= 40,
        partly=lambda m: m["smallest"] < 10 and m["largest"] > 80,
        says=f"{weights[0]:,} parameters translate {whole[:, 0].mean():.0f} % of the pairs, "
        f"{weights[-1]:,} {whole[:, -1].mean():.0f} %; a line through the smaller two sizes says "
        f"{line.mean():.0f} %",
    )


def mirage(
    product: np.ndarray, whole: np.ndarray, answers: Any, loss: Any, seeds: Sequence[int]
) -> None:
    """`product` and `whole` are (seeds, all tests)."""
    gap = np.abs(product - whole).max(axis=1)
    measured = {
        "gap": gap,
        "on the way": ((product > 0.1) & (product < 0.9)).sum(axis=1),
        "answers": 100 * np.array(answers),
        "loss": 100 * np.array(loss),
    }
    claim(
        "a whole answer is the product of its parts, and so it jumps more than its loss",
        source="Wei 30:01, after Schaeffer et al. 2023",
        measure="largest gap between whole answers and the product of their parts, all tests; "
        "tests with that product between 0.1 and 0.9; largest share of the whole change within one "
        "doubling of the text, %: whole answers, their loss",
        expected="gap below 0.05 with a test on the way, answers more sudden than the loss; "
        "partly: one of the two",
        measured=measured,
        seeds=seeds,
        holds=lambda m: m["gap"] < 0.05 and m["on the way"] > 0 and m["answers"] > m["loss"],
        partly=lambda m: (m["gap"] < 0.05 and m["on the way"] > 0) or m["answers"] > m["loss"],
        says=f"whole answers and products differ by {gap.max():.3f} at most; one doubling brings "
        f"{measured['answers'].mean():.0f} % of the rise of the answers and "
        f"{measured['loss'].mean():.0f} % of the fall of their loss",
    )


def u_by_size(quotes: Recorded, dip: Any) -> None:
    dips = {
        "ranked first": [100 * dip(row) for row in quotes.final(skill("literal_accuracy"))],
        "probability": [100 * dip(row) for row in quotes.final(skill("literal"))],
    }
    rank, probability = (np.array(values) for values in dips.values())
    claim(
        "a task can go right, wrong and right again with size",
        source="Wei 20:47",
        measure=f"deepest dip over {len(quotes.whole)} sizes, points: misquotes ranked first, "
        "their probability",
        expected="20 or more in both; partly: in the first",
        measured=dips,
        seeds=quotes.seeds,
        holds=lambda m: min(m.values()) >= 20,
        partly=lambda m: m["ranked first"] >= 20,
        recorded=True,
        says=f"by what is ranked first the U is {rank.min():.0f} points deep or more, by "
        f"probability from {probability.min():.0f} to {probability.max():.0f}",
    )


def u_of_one(walked: Recorded, control: Recorded, dip: Any) -> None:
    (case,) = walked.cases
    dips = {
        f"{name}, {measure}": [100 * dip(row) for row in study.along(case, skill(key), False)]
        for name, study in (("corrected", walked), ("control", control))
        for measure, key in (("first", "literal_accuracy"), ("probability", "literal"))
    }
    first, probability, _, never = (np.mean(values) for values in dips.values())
    claim(
        "one model walks through the U while it trains, if its text corrects misquotes, and only "
        "then",
        source="after Wei 23:48",
        measure="deepest dip over training, points, of misquotes ranked first and of their "
        "probability, with corrections and without; proverbs that the control knows at the end, %",
        expected="20 or more in both, below 20 in both without corrections, 50 or more known; "
        "partly: by rank",
        measured=dips | {"known": 100 * control.final(skill("memory"))[:, 0]},
        seeds=walked.seeds,
        holds=lambda m: (
            min(m["corrected, first"], m["corrected, probability"]) >= 20
            and max(m["control, first"], m["control, probability"]) < 20
            and m["known"] >= 50
        ),
        partly=lambda m: m["corrected, first"] >= 20 and m["control, first"] < 20,
        kind="ours",
        recorded=True,
        says=f"{walked.parameters[case]:,} parameters fall by {first:.0f} points and rise again, in "
        f"probability by {probability:.0f}; without corrections the dip is {never:.0f}",
    )


def subtasks(quotes: Recorded) -> None:
    errors: dict[str, list[float]] = {"repeat, fix, follow": [], "with hold back": []}
    keys = ("composed", "composed_suppress", "literal", "fix")
    for k in range(len(quotes.seeds)):
        seen = {
            key: np.concatenate([quotes.along(s, skill(key), False)[k] for s in quotes.whole])
            for key in keys
        }
        for name, key in zip(errors, keys, strict=False):
            errors[name].append(np.abs(seen[key] - seen["literal"])[seen["fix"] > 0.1].mean())
    three, variant = (np.mean(values) for values in errors.values())
    claim(
        "the subtasks explain the behaviour",
        source="Wei 23:48",
        measure="mean gap between composed and measured probability, over the tests that fix more "
        "than one quote in ten",
        expected="the talk's three skills below 0.05; partly: with hold back in the place of fix",
        measured=errors,
        seeds=quotes.seeds,
        holds=lambda m: m["repeat, fix, follow"] < 0.05,
        partly=lambda m: m["with hold back"] < 0.05,
        recorded=True,
        says=f"the talk's three skills miss the task by {three:.3f} on average, with hold back in "
        f"the place of fix by {variant:.3f}",
    )


def advice(
    gains: Mapping[str, tuple[np.ndarray, np.ndarray]], worth: float, seeds: Sequence[int]
) -> None:
    """`gains`: curve -> what was seen (seeds,), what came (seeds,)."""
    seen, came = (np.array([pair[k] for pair in gains.values()]) for k in (0, 1))
    right = 100 * ((seen > worth) == (came > worth)).mean(axis=0)
    flat = 100 * ((seen <= worth) & (came > worth)).mean()
    span = curves.t_interval(right)
    claim(
        "half of the data tells whether more is worth collecting",
        source="Wei 24:56",
        measure=f"right advice, % of {len(gains)} curves; rank correlation of what was seen and "
        "what came",
        expected="80 or more; partly: ranks above 0.5",
        measured={
            "right advice": right,
            "ranks": [curves.rank_correlation(a, b) for a, b in zip(seen.T, came.T, strict=True)],
        },
        seeds=seeds,
        holds=lambda m: m["right advice"] >= 80,
        partly=lambda m: m["ranks"] > 0.5,
        recorded=True,
        says=f"the advice is right for {span.middle:.0f} % of the curves (95 % interval "
        f"{span.low:.0f} to {min(span.high, 100):.0f}); in {flat:.0f} % of all cases a flat curve "
        "was followed by a gain",
    )
