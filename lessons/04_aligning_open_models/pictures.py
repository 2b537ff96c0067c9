"""The figures of lesson 04."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from minilm.align.arena import Board
from minilm.course.show.figures import bars
from minilm.course.show.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Picture,
    figure,
    new_figure,
    render,
    styled,
)
from minilm.data.worlds.animals import ID, KINDS, AnimalWorld
from minilm.studies.recorded import Recorded

LOOK = {  # how each way is drawn
    "best of n": (INK, "best of n"),
    "ppo tied": (BLUE, "PPO, tied"),
    "ppo loose": (SKY, "PPO, loose"),
    "dpo online": (GREEN, "DPO online"),
    "dpo 3e-05": (ORANGE, "DPO 3e-5"),
    "dpo 0.0001": (VERMILION, "DPO 1e-4"),
    "dpo 0.0003": (PURPLE, "DPO 3e-4"),
}
SHADES = {"true": GREEN, "false": VERMILION, "again": ORANGE, "filler": MUTED, "broken": PURPLE}


def said(record: Recorded, case: str, point: int) -> str:
    """The first answer that is kept of a test."""
    return record.run(case, record.seeds_of(case)[0])["points"][point]["said"][0]


def lines_of(record: Recorded, case: str, point: int | None) -> list[str]:
    """The answers that are kept of a test; None: before the way began."""
    run = record.run(case, record.seeds_of(case)[0])
    return (run["start"] if point is None else run["points"][point])["said"]


def opening() -> Picture:
    """Gold and proxy against divergence, drawn freely, and three answers along the way."""
    with styled():
        sheet, (ax, words) = new_figure(1, 2, size=(12.2, 4.0))
        x = np.linspace(0, 1, 100)
        ax.plot(x, 0.15 + 0.8 * x**0.6, color=ORANGE, linewidth=4)
        ax.plot(x, 0.15 + 2.3 * x**0.7 * (0.72 - x) + 0.1 * x, color=BLUE, linewidth=4)
        ax.text(0.98, 1.0, "the score", color=ORANGE, ha="right", fontsize=20)
        ax.text(0.72, 0.3, "what it\nis worth", color=BLUE, fontsize=20)
        for at, colour in ((0.0, MUTED), (0.3, GREEN), (1.0, VERMILION)):
            y = 0.15 + 2.3 * at**0.7 * (0.72 - at) + 0.1 * at
            ax.plot([at], [y], "o", color=colour, markersize=16, clip_on=False)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_xlabel("how far the model has moved")
        ax.set_ylim(-0.55, 1.12)
        words.set_axis_off()
        rows = (
            (MUTED, "it is red . it is nice ."),
            (GREEN, "it is red . it eats seeds . it likes deserts ."),
            (VERMILION, "yellow yellow small yellow yellow yellow"),
        )
        for y, (colour, text) in zip((0.85, 0.5, 0.15), rows, strict=True):
            words.plot([0.02], [y], "o", color=colour, markersize=16)
            words.text(0.09, y, text, va="center", fontsize=17)
        words.set_xlim(0, 1)
        words.set_ylim(0, 1)
        return render(
            sheet,
            "The score keeps rising while the worth of an answer rises and falls; the last of three "
            "answers says little but yellow.",
        )


def answering(record: Recorded) -> None:
    """What answers hold before and after fine-tuning: sentences of each kind."""
    kinds = {"true": "true", "false": "false", "repeats": "said twice", "fillers": "filler",
             "broken": "broken"}  # fmt: skip
    seeds = record.seeds_of("answering")
    with figure(
        alt="Before fine-tuning all sentences are broken; after it most are true, some false."
    ) as ax:
        for offset, point, colour, label in (
            (-0.2, 0, MUTED, "read text only"),
            (0.2, 1, BLUE, "shown answers"),
        ):
            rows = np.array([
                [record.run("answering", seed)["points"][point][name] for name in kinds]
                for seed in seeds
            ])  # fmt: skip
            at = np.arange(len(kinds)) + offset
            ax.bar(at, rows.mean(0), 0.38, color=colour, label=label)
            ax.plot(np.tile(at, (len(rows), 1)).T, rows.T, ".", color=INK)
        ax.set_xticks(range(len(kinds)), kinds.values())
        ax.set_ylabel("sentences of an answer")
        ax.legend()


def adapters(record: Recorded) -> None:
    """Loss after each way of fine-tuning, above that of training everything."""
    names = {"lora 1": "rank 1", "lora 4": "rank 4", "lora 16": "rank 16",
             "lora 4, new rows": "rank 4 +\nnew rows", "lora 4, all rows": "rank 4 +\nall rows",
             "qlora 4, new rows": "4 bits +\nnew rows"}  # fmt: skip
    names = {case: text for case, text in names.items() if case in record.cases}
    seeds = record.seeds_of("full", *names)

    def loss(case: str, seed: int) -> float:
        return record.run(case, seed)["points"][-1]["loss"]

    bars(
        list(names.values()),
        np.array([[loss(case, s) - loss("full", s) for case in names] for s in seeds]),
        ylabel="nats above full training",
        numbers="{:.3f}",
        alt="Adapters alone stay above full training at every rank; with the rows of the new words "
        "trained the difference is gone.",
    )


def judging(record: Recorded) -> None:
    """Pairs in the right order: the reward model with and without its fit, and by length."""
    case = "reward model"
    rows = [
        [100 * run["points"][1]["right"], 100 * run["points"][0]["right"],
         100 * run["points"][1]["by length"]]
        for run in (record.run(case, seed) for seed in record.seeds_of(case))
    ]  # fmt: skip
    bars(
        ["reward model", "without the look at\nwhat was expected", "the longer one"],
        np.array(rows),
        ylabel="pairs in the right order, %",
        numbers="{:.0f}",
        expected={"chance": 50},
        alt="The reward model orders about seven of ten pairs, length alone about half.",
    )


def frontier(world: Any, points: Sequence[dict[str, float]], listed: ModuleType) -> None:
    """Reward against divergence: the optimum, and the best of n."""
    curve = listed.optimum(world, world.gold)
    with figure(alt="The best of n lies on the curve of the optimum or just below it.") as ax:
        ax.plot(*curve.T, color=BLUE, label="the best policy of that divergence")
        ax.plot([p["kl"] for p in points], [p["gold"] for p in points], "o", color=VERMILION,
                label="best of n")  # fmt: skip
        for p in points:
            ax.annotate(f"{p['n']:.0f}", (p["kl"], p["gold"]), (6, -20),
                        textcoords="offset points", fontsize=15)  # fmt: skip
        ax.set_xlabel("divergence from the reference, nats")
        ax.set_ylabel("reward, standard deviations")
        ax.set_xlim(0, 5)
        ax.legend(loc="lower right")


def distances(worlds: Sequence[Any], by_dpo: Sequence[dict[str, float]], record: Recorded) -> None:
    """Total variation from the optimum: the reference, DPO, and PPO as recorded."""
    recorded = {
        "DPO, pairs of\nthe reference": "dpo",
        "DPO, pairs that\ncover the list": "dpo covered",
        "PPO, 200 rounds": "ppo",
    }
    rows = {
        "the reference": [each.measure(each.ref)["tv"] for each in worlds],
        "DPO, half\nfresh pairs": [found["tv"] for found in by_dpo],
    }
    for name, case in recorded.items():
        rows[name] = [record.run(case, s)["points"][-1]["tv"] for s in record.seeds_of(case)]
    count = min(map(len, rows.values()))
    bars(
        list(rows),
        np.array([row[:count] for row in rows.values()]).T,
        ylabel="total variation from the optimum",
        numbers="{:.3f}",
        alt="The reference is far from the optimum, DPO and PPO are near.",
    )


def details(record: Recorded, changed: dict[str, Any]) -> None:
    """How far each variant of PPO stays below the best value."""
    names = [name for name in changed if f"detail: {name}" in record.cases]
    seeds = record.seeds_of(*(f"detail: {name}" for name in names))
    rows = [
        [record.run(f"detail: {name}", seed)["points"][-1]["short"] for name in names]
        for seed in seeds
    ]
    means = np.mean(rows, axis=0)
    order = np.argsort(means)
    with figure(alt="Most changes matter little; a few leave PPO far below its best value.") as ax:
        ax.barh([names[i] for i in order], means[order], color=BLUE)
        for row in rows:
            ax.plot(np.array(row)[order], range(len(names)), ".", color=INK)
        ax.set_xlabel("below the best value of the objective")
        ax.margins(x=0.1)


def _way(ax: Any, record: Recorded, case: str, name: str = "gold", **look: Any) -> None:
    colour, label = LOOK[case]
    for number, seed in enumerate(record.seeds_of(case)):
        run = record.run(case, seed)
        points = run["points"] if case == "best of n" else [run["start"], *run["points"]]
        look = {"color": colour, "linewidth": 1.5, "alpha": 0.8, "markersize": 5, **look}
        ax.plot([p["kl"] for p in points], [p[name] for p in points], "o-", **look,
                label=None if number else label)  # fmt: skip


def ways(record: Recorded) -> None:
    """Gold reward against divergence, every way along its whole length, one line per seed."""
    with figure(
        alt="At equal divergence the best of n leads, PPO and online DPO follow, and DPO at higher "
        "rates falls behind and below the start."
    ) as ax:
        for case in LOOK:
            if case in record.cases and case != "ppo loose":
                _way(ax, record, case)
        ax.set_xlim(0, 3.5)
        ax.set_xlabel("divergence from the assistant, nats")
        ax.set_ylabel("gold reward of an answer")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _sentences(world: AnimalWorld, animal: int, text: str) -> list[tuple[str, str]]:
    """The sentences of an answer, each with its kind."""
    words = [word for word in text.split() if word != "<|im_end|>"]
    verbs = [verb for verb, _ in KINDS.values()]
    truth = [f"it {verb} {value} ." for verb, value in zip(verbs, _facts(world, animal))]
    known = {f"it {verb} {value} ." for verb, values in KINDS.values() for value in values}
    found, seen = [], set()
    for i in range(0, len(words), 4):
        sentence = " ".join(words[i : i + 4])
        kind = "broken"
        if sentence in seen:
            kind = "again"
        elif sentence in truth:
            kind = "true"
        elif sentence in known:
            kind = "false"
        elif sentence in ("it is good .", "it is nice .", "it is fun ."):
            kind = "filler"
        seen.add(sentence)
        found.append((sentence, kind))
    return found


def _facts(world: AnimalWorld, animal: int) -> list[str]:
    names = list(ID)
    return [names[i] for i in world.truth[animal]]


def speaking(record: Recorded, world: AnimalWorld, way: str, point: int) -> None:
    """Where a policy stands on its way, and what it says there about three animals."""
    seed = record.seeds_of(way)[0]
    run = record.run(way, seed)
    points = [run["start"], *run["points"]]
    here = points[min(point, len(points) - 1)]
    with figure(1, 2, alt=f"{LOOK[way][1]} at {here['kl']:.1f} nats, and three answers.") as (
        left,
        right,
    ):
        for case in LOOK:
            if case in record.cases and seed in record.seeds_of(case):
                rows = record.run(case, seed)["points"]
                left.plot([p["kl"] for p in rows], [p["gold"] for p in rows], color=FAINT)
        left.plot([p["kl"] for p in points], [p["gold"] for p in points], color=LOOK[way][0])
        left.plot([here["kl"]], [here["gold"]], "o", color=LOOK[way][0], markersize=16)
        left.set_xlabel("divergence, nats")
        left.set_ylabel("gold reward")
        left.set_title(f"{LOOK[way][1]}: gold {here['gold']:.2f} at {here['kl']:.1f} nats")
        right.set_axis_off()
        y = 0.98
        for animal, text in enumerate(here["said"]):
            right.text(0, y, world.text(world.prompts(np.array([animal]))[0, 2:5]), color=MUTED,
                       fontsize=16, va="top")  # fmt: skip
            y -= 0.072
            for sentence, kind in _sentences(world, animal, text):
                right.text(0.05, y, sentence, color=SHADES[kind], fontsize=18, va="top")
                y -= 0.07
            y -= 0.01
        right.set_xlim(0, 1)
        right.set_ylim(0, 1)


def turned(record: Recorded) -> None:
    """The listed world: gold of DPO and of a reward model on the same pairs, at equal divergence."""
    cases = [case for case in ("pairs 500", "pairs 5000") if case in record.cases]
    rows = []
    for seed in record.seeds_of(*cases):
        lasts = [record.run(case, seed)["points"][-1] for case in cases]
        rows.append([value for p in lasts for value in (p["gold"], p["two steps"])])
    bars(
        [f"{case.split()[1]} pairs,\n{way}" for case in cases for way in ("DPO", "reward model")],
        np.array(rows),
        ylabel="gold reward, standard deviations",
        numbers="{:.2f}",
        alt="With the same pairs and at the same divergence DPO is level with the reward model's "
        "best policy or ahead of it.",
    )


def overdone(record: Recorded) -> None:
    """Proxy and gold along PPO with a loose tie."""
    with figure(
        1, 2, alt="The proxy keeps rising with the divergence while the gold reward falls."
    ) as (left, right):
        _way(left, record, "ppo loose", "proxy")
        _way(right, record, "ppo loose", "gold", color=BLUE)
        for ax, title, label in (
            (left, "the score that is optimised", "proxy, standard deviations"),
            (right, "what it stands for", "gold reward"),
        ):
            ax.set_title(title)
            ax.set_xlabel("divergence, nats")
            ax.set_ylabel(label)


def displaced(record: Recorded) -> None:
    """DPO by rate: what became of the answers in the pairs, and where the probability went."""
    cases = [case for case in record.cases if case.startswith("dpo ") and case != "dpo online"]
    cases.sort(key=lambda case: float(case.split()[1]))
    seeds, rates = record.seeds_of(*cases), [case.split()[1] for case in cases]

    def rows(name: str) -> np.ndarray:
        return np.array(
            [[record.run(case, seed)["points"][-1][name] for case in cases] for seed in seeds]
        )

    with figure(
        1, 2, alt="Above the good rate preferred and rejected answers both lose probability, and "
        "broken sentences appear."
    ) as (left, right):  # fmt: skip
        for name, colour, text in (("chosen", GREEN, "better"), ("rejected", VERMILION, "worse")):
            left.plot(rates, rows(name).mean(0), "o-", color=colour, label=f"marked {text}")
            left.plot(rates, rows(name).T, ".", color=colour)
        left.axhline(0, color=MUTED, linewidth=1.5)
        left.set_ylabel("change of log-probability, nats")
        for name, colour in (("broken", PURPLE), ("gold", BLUE)):
            right.plot(rates, rows(name).mean(0), "o-", color=colour,
                       label={"broken": "broken sentences", "gold": "gold reward"}[name])  # fmt: skip
            right.plot(rates, rows(name).T, ".", color=colour)
        for ax in (left, right):
            ax.set_xlabel("learning rate of DPO")
        left.legend(loc="lower left")
        right.legend(loc="upper center", bbox_to_anchor=(0.5, 1.16), ncols=2)


def judges(won: Sequence[dict[str, float]]) -> None:
    """Win rates of the long system."""
    names = list(won[0])
    bars(
        [
            name.replace("judge that loves length", "loves length").replace(", ", ",\n")
            for name in names
        ],
        np.array([[each[name] for name in names] for each in won]),
        ylabel="wins of the long system, %",
        numbers="{:.0f}",
        expected={"chance": 50},
        alt="The judge that loves length gives the long system more wins; corrected, both judges "
        "agree nearly.",
    )


def boards(few: Board, many: Board, names: Sequence[str]) -> None:
    """Ratings with their intervals, from few and from many games."""
    with figure(
        1, 2, alt="With 40 games a pair the intervals of neighbours overlap; with 1000 few do."
    ) as axes:
        order = np.argsort(many.points)
        for ax, board, title in zip(
            axes, (few, many), ("40 games a pair", "1000 games a pair"), strict=True
        ):
            y = np.arange(len(names))
            ax.hlines(y, board.low[order], board.high[order], color=BLUE, linewidth=5, alpha=0.4)
            ax.plot(board.points[order], y, "o", color=BLUE)
            ax.set_yticks(y, [names[i] for i in order])
            ax.set_xlabel("rating, Elo's points")
            ax.set_title(title)
