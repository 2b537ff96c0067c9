"""The lesson's verdicts: what is asked of each seed, and the sentence that says what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from minilm.analysis import curves
from minilm.course.show.claims import claim
from minilm.data.worlds.world import TASKS, TaskWorld
from minilm.studies.recorded import Recorded

from .live_verdicts import advice, emergence, mirage
from .readers import (
    BANDS,
    NAMES,
    best_runs,
    commonest,
    how_far,
    nats,
    probe,
    roughness,
    scored,
    share_right,
    tested,
)
from .u_verdicts import subtasks, u_by_size, u_of_one

__all__ = [
    "advice",
    "emergence",
    "heuristics",
    "mirage",
    "more_compute",
    "predictable",
    "seven_tasks",
    "smooth_and_sudden",
    "subtasks",
    "tail",
    "u_by_size",
    "u_of_one",
]


def sureness(scaling: Recorded, name: str) -> tuple[float, float]:
    """Probability of a right word in a probe (geometric mean): smallest model, largest."""
    nats_of = scaling.final(probe(name, "cross_entropy")).mean(axis=0)  # (sizes,)
    return float(np.exp(-nats_of[0])), float(np.exp(-nats_of[-1]))


def seven_tasks(
    scaling: Recorded,
    world: TaskWorld,
    lazy: Mapping[str, tuple[float, float]],
    places: Recorded,
) -> None:
    large = scaling.whole[-1]
    right = {t: scaling.final(share_right(world, t), [large])[:, 0] for t in TASKS}  # (seeds,)
    learnt = {t: right[t] > lazy[t][0] + 5 for t in TASKS}
    six = scaling.final(nats("lexical"), [large])[:, 0]
    learnt["lexical"] = (lazy["lexical"][1] - six) / np.log(8 / 6) > 0.1
    known = [NAMES[t] for t in TASKS if learnt[t].all()]
    sure = {t: np.exp(-scaling.final(nats(t), [large]).mean()) for t in TASKS}
    free = {t: np.exp(-lazy[t][1]) for t in TASKS}
    (case,) = places.cases
    tracked, p = (
        places.final(lambda point, key=key: point[key]["fails"], [case])[:, 0]
        for key in ("right", "p")
    )
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
        note="Probability of a right word, lazy reader and model: "
        + ", ".join(f"{NAMES[t]} {free[t]:.2f} and {sure[t]:.2f}" for t in TASKS)
        + f". With half of the text about places (recorded, {places.parameters[case]:,} "
        f"parameters), where the lazy reader fails {100 * tracked.min():.0f} to "
        f"{100 * tracked.max():.0f} % are right, with a probability of {p.mean():.2f}; to name the "
        f"third room gives {places.settings['shortcuts']['where it fails']:.0f}.",
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
        source="Wei 09:26",
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
    sizes = np.log([scaling.parameters[size] for size in scaling.whole[-3:]])
    two = [np.log(scaling.along(s, tested(scaling))[:, -1]) for s in scaling.whole[-3:-1]]
    line = np.exp(two[1] + (two[1] - two[0]) * (sizes[2] - sizes[1]) / (sizes[1] - sizes[0]))
    rival = 100 * np.abs(line - last[1]) / (last[0] - last[1])
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
        note="A straight line through the last two of the seven, on log-log paper, misses by "
        f"{rival.min():.0f} to {rival.max():.0f} %.",
    )


def tail(scaling: Recorded, world: TaskWorld) -> None:
    bands = np.stack([100 * scaling.final(probe(f"facts {b}")) for b in BANDS])  # (B, seeds, sizes)
    gained = bands[..., -1] - bands[..., 0]
    more = curves.t_interval(gained[1:].max(axis=0) - gained[0])
    small, large = (scaling.parameters[scaling.whole[k]] for k in (0, -1))
    sure = {b: sureness(scaling, f"facts {b}") for b in BANDS}
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
        note="The right answer's probability grows from "
        + "; from ".join(
            f"{sure[band][0]:.3f} to {sure[band][1]:.3f} ({names} facts)"
            for band, names in ((BANDS[0], "the ten most asked"), (BANDS[-1], "the rarest"))
        )
        + f". Always the commonest emblem gives {commonest(world, BANDS[0]):.0f} and "
        f"{commonest(world, BANDS[-1]):.0f} %; the largest model knows "
        f"{bands[0, :, -1].mean():.0f} and {bands[-1, :, -1].mean():.0f} %.",
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
        source="Wei 12:21",
        measure=f"verbs that agree over three nouns, %: {scaling.parameters[small]:,} and "
        f"{scaling.parameters[large]:,} parameters, after a quarter of the text and after all",
        expected="small below 75 both times, large 90 or more at the end",
        measured=verbs,
        seeds=scaling.seeds,
        holds=lambda m: max(m["small, a quarter"], m["small, all"]) < 75 and m["large, all"] >= 90,
        recorded=True,
        says=f"over three nouns the small model is right in {once:.0f} % of cases, and after four "
        f"times the text in {four_times:.0f} %; the large one in {most:.0f} %",
        note="The right verb of the two has a probability of "
        + " and ".join(f"{p:.2f}" for p in sureness(scaling, "grammar 3"))
        + " at the end; a coin gives 0.50.",
    )


def smooth_and_sudden(scaling: Recorded, lazy: Mapping[str, tuple[float, float]]) -> None:
    measured: dict[str, list[float]] = {
        k: [] for k in ("total", "roughest task", "done", "not begun")
    }
    for seed in scaling.seeds:
        C, points = best_runs(scaling, seed)
        way = {t: how_far(scaling, t, lazy[t][1])(points[-1]) for t in TASKS}
        begun = [t for t in TASKS if way[t] >= 0.1]  # what has not begun has no range to measure by
        rough = [roughness(C, [scored(t)(point) for point in points]) for t in begun]
        measured["total"].append(roughness(C, [point["loss"] for point in points]))
        measured["roughest task"].append(max(rough))
        measured["done"].append(sum(w > 0.9 for w in way.values()))
        measured["not begun"].append(len(TASKS) - len(begun))
    total, task = (np.mean(measured[name]) for name in ("total", "roughest task"))
    claim(
        "the total improves smoothly while single tasks improve suddenly",
        source="Wei 13:08",
        measure="distance from a smooth law along the best runs, % of the curve's range (tasks that "
        "have begun); tasks done (90 % of the way) and not begun (10 %) where the compute ends",
        expected="a task at least five times as rough as the total; one done, one not begun",
        measured=measured,
        seeds=scaling.seeds,
        holds=lambda m: (
            m["roughest task"] >= 5 * m["total"] and m["done"] >= 1 and m["not begun"] >= 1
        ),
        partly=lambda m: m["roughest task"] >= 5 * m["total"] or m["done"] * m["not begun"] > 0,
        recorded=True,
        says=f"along the best runs the total stays within {total:.0f} % of a smooth law, the "
        f"roughest task within {task:.0f} %",
    )
