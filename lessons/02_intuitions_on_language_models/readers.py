"""Numbers taken from the records: functions of one test of a run, and what they are measured by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm.analysis import curves, probes
from minilm.analysis.scaling import fit_power_law, frontier
from minilm.data.worlds.tasks import GENERATORS
from minilm.data.worlds.world import TASKS, TaskWorld
from minilm.studies.recorded import Recorded, points_of

Point = dict[str, Any]
SHOWN = ("grammar", "word meaning", "facts", "sentiment", "translation", "places", "sums")
NAMES = dict(zip(TASKS, SHOWN, strict=True))
BANDS = ("1-10", "11-100", "101-1000", "1001-5000")


def probe(name: str, metric: str = "accuracy") -> Callable[[Point], float]:
    """A score of one probe."""
    return lambda point: point["probes"][name][metric]


def scored(task: str) -> Callable[[Point], float]:
    """Nats per tested word of a task."""
    return lambda point: point["losses"][f"{task} scored"]


def lazy(world: TaskWorld, task: str, draws: int = 20_000) -> tuple[float, float]:
    """The lazy reader: right answers in %, and nats per tested word."""
    made = GENERATORS[task](world, backend.rng(0, "lazy", task), draws)
    answers = made.rows[made.scored].reshape(draws, -1)  # (draws, words of an answer)
    if task == "grammar":  # over three nouns, the nearest one is a coin toss
        return 50.0, np.log(2)
    if task == "lexical":  # any of the category's eight; six are left, all equally right
        return 100 / 8, np.log(8)
    habit = [np.unique(column, return_counts=True)[1] / draws for column in answers.T]
    nats = np.mean([-(p * np.log(p)).sum() for p in habit])  # knows how often each answer comes
    if task == "spatial":
        return 100 * np.mean(made.rows[:, 7] == answers[:, 0]), nats  # the last room named
    if task == "sentiment":
        good = np.isin(made.rows[:, 5], world.adjectives[:12])  # the last of the five words
        return 100 * np.mean(np.where(good, world.GOOD, world.BAD) == answers[:, 0]), nats
    return 100 * np.unique(answers, axis=0, return_counts=True)[1].max() / draws, nats


def commonest(world: TaskWorld, band: str) -> float:
    """Facts of a band that are right, %, if its most frequent emblem is always named."""
    start, stop = map(int, band.split("-"))
    return float(100 * np.bincount(world.fact_values[start - 1 : stop]).max() / (stop - start + 1))


def share_right(world: TaskWorld, task: str) -> Callable[[Point], float]:
    """Right answers of a task, %: facts as they are asked, verbs over three nouns."""
    if task == "facts":
        ends = np.cumsum(world.fact_probability)[[9, 99, 999, 4999]]
        mass = np.diff(ends, prepend=0)
        return lambda p: 100 * sum(m * probe(f"facts {b}")(p) for m, b in zip(mass, BANDS))
    name = "grammar 3" if task == "grammar" else task
    return lambda p: 100 * probe(name, "exact_match")(p)


def nats(task: str) -> Callable[[Point], float]:
    """Nats per tested word; for verbs only `is` and `are` compete."""
    return probe("grammar 3", "cross_entropy") if task == "grammar" else scored(task)


def best(scaling: Recorded, task: str) -> tuple[float, float]:
    """The best that anybody can do: right answers in %, nats."""
    floor = scaling.settings["floors"][task]["scored"]
    return 100 / 6 if task == "lexical" else 100.0, 0.0 if task == "grammar" else floor


def exam(scaling: Recorded, world: TaskWorld, lazy: Mapping[str, tuple[float, float]]) -> Any:
    """Per task: right answers and nats of the lazy reader, two models and the best possible."""
    ends = [scaling.whole[0], scaling.whole[-1]]
    return {
        NAMES[t]: {
            "right": (
                lazy[t][0],
                *_mean(scaling, share_right(world, t), ends),
                best(scaling, t)[0],
            ),
            "nats": (lazy[t][1], *_mean(scaling, nats(t), ends), best(scaling, t)[1]),
        }
        for t in TASKS
    }


def _mean(study: Recorded, read: Callable[[Point], float], cases: list[str]) -> np.ndarray:
    return study.final(read, cases).mean(0)


def kinds(scaling: Recorded, world: TaskWorld, lazy: Mapping[str, tuple[float, float]]) -> Any:
    """Per probe: the lazy reader's score, the scores by size, the best possible, the kind."""
    sizes, rows = [scaling.parameters[size] for size in scaling.whole], {}
    noise = 100 * probes.standard_error(0.5, scaling.settings["prompts"])  # points
    for name in scaling.data["runs"][0]["points"][0]["probes"]:
        task, *rest = name.split()
        score = 100 * _mean(scaling, probe(name, "exact_match"), scaling.whole)
        low = lazy[task][0]
        if task == "facts":
            low = commonest(world, rest[0])
        elif name == "grammar 0":  # the nearest noun is the right one
            low = 100.0
        highest = best(scaling, task)[0]
        if min(score) > 99 or highest <= low + 2 * noise:
            kind = "no test"
        elif max(score) <= low + 2 * noise:
            kind = "lazy at best"
        else:
            kind = curves.classify_curve(sizes, score, low, noise=noise, jump=20)
        label = " ".join([NAMES[task], *rest]).replace("-", "–")
        rows[label] = (low, score, highest, kind)
    return rows


def tested(study: Recorded) -> Callable[[Point], float]:
    """Nats per tested word, over all tasks as they come."""
    weights = {k: w for k, w in study.settings["weights"].items() if k.endswith(" scored")}
    total = sum(weights.values())
    return lambda point: sum(w * point["losses"][k] for k, w in weights.items()) / total


def steady(scaling: Recorded, seed: int) -> list[tuple[str, int, Point]]:
    """Size, parameters and point of all tests at a constant rate, the first steps left out."""
    least = scaling.settings["steps"] / 20
    return [
        (size, scaling.parameters[size], point)
        for size in scaling.whole
        for point in points_of(scaling.run(size, seed))
        if point["step"] >= least
    ]


def lower_edge(scaling: Recorded, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute and loss of tested words of the points that no cheaper one beats, cheapest first."""
    read, rows = tested(scaling), steady(scaling, seed)
    C, L = np.array([(point["compute"], read(point)) for *_, point in rows]).T
    kept = frontier(C, L)
    return C[kept], L[kept]


def best_runs(scaling: Recorded, seed: int) -> tuple[np.ndarray, list[Point]]:
    """The tests that no cheaper one beats in the loss of all words, and their compute."""
    points = [point for *_, point in steady(scaling, seed)]
    kept = frontier([p["compute"] for p in points], [p["loss"] for p in points])
    points = [points[k] for k in kept]
    return np.array([point["compute"] for point in points]), points


def how_far(scaling: Recorded, task: str, lazy: float) -> Callable[[Point], float]:
    """The way of a task's loss from the lazy reader, 0, to the best possible, 1."""
    names = [f"grammar {k}" for k in range(4)]  # by the number of nouns in between
    every = [probe(name, "cross_entropy") for name in names] if task == "grammar" else [nats(task)]
    least = best(scaling, task)[1]
    return lambda p: (lazy - float(np.mean([loss(p) for loss in every]))) / (lazy - least)


def roughness(C: np.ndarray, loss: Sequence[float]) -> float:
    """Root mean square distance from the best smooth law over compute, % of the range."""
    y = np.array(loss)
    away = fit_power_law(C, y, tries=2).loss(C) - y
    return float(100 * np.sqrt(np.mean(away**2)) / np.ptp(y))


def size_and_data(scaling: Recorded, seed: int) -> tuple[np.ndarray, ...]:
    """N, D and loss of tested words, (n,) each, and which of them are of the largest size."""
    read, rows = tested(scaling), steady(scaling, seed)
    N, D, L = np.array([(n, point["tokens"], read(point)) for _, n, point in rows], float).T
    return N, D, L, N == N.max()


def at_budget(scaling: Recorded, seed: int, budget: float) -> np.ndarray:
    """Parameters and loss of every size that has a test on both sides of a budget, (sizes, 2)."""
    read, found = tested(scaling), []
    for size in scaling.whole:
        points = [point for name, _, point in steady(scaling, seed) if name == size]
        C, L = np.array([(point["compute"], read(point)) for point in points]).T
        found.append((scaling.parameters[size], curves.read_at(C, L, budget)))
    return np.array([row for row in found if np.isfinite(row[1])])


def skill(name: str) -> Callable[[Point], float]:
    """A skill of the misquote world; 0 where there was nothing to measure."""
    return lambda point: point["skills"][name] or 0.0


def nine_curves(amounts: Recorded, seeds: Sequence[int]) -> dict[str, Callable[[int], np.ndarray]]:
    """The losses whose next fall is to be told: the total, all tested words, seven tasks.

    Each is a function from an amount of text, in steps, to its loss after all of it, (seeds,).
    """

    def at_end(read: Callable[[Point], float]) -> Callable[[int], np.ndarray]:
        return lambda amount: np.array(
            [read(amounts.run(amount, seed)["points"][-1]) for seed in seeds]
        )

    totals = {"all words": lambda point: point["loss"], "tested words": tested(amounts)}
    return {
        name: at_end(read)
        for name, read in {**totals, **{NAMES[t]: scored(t) for t in TASKS}}.items()
    }
