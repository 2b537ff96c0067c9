"""Figures of the recorded studies: loss by compute and size, and what size buys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from minilm.course.show.figures import lines
from minilm.course.show.style import (
    BLUE,
    COLOURS,
    FAINT,
    GREEN,
    INK,
    MARKERS,
    MUTED,
    ORANGE,
    VERMILION,
    colour_map,
    figure,
    name_axes,
)
from minilm.data.worlds.world import TaskWorld
from minilm.studies.recorded import Recorded, points_of

from .readers import BANDS, probe
from .readers import exam as seven


def shades(count: int) -> list[Any]:
    """Light to dark: one colour per size."""
    return [colour_map()(x) for x in np.linspace(0.3, 1, count)]


def plain_ticks(axis: Any, at: Sequence[float]) -> None:
    """Ticks of a log axis at these numbers, written out."""
    axis.set_major_locator(FixedLocator(at))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axis.set_minor_formatter(NullFormatter())


def ends(budgets: Recorded, size: str) -> tuple[np.ndarray, np.ndarray]:
    """Budgets at which a size was trained, and its loss there, (seeds, budgets)."""
    at = sorted(b for s, b in budgets.cases if s == size)
    return np.array(at), budgets.final(lambda p: p["loss"], [(size, b) for b in at])


def compute(budgets: Recorded, line: tuple[float, float], known: int) -> None:
    """Loss of every run by compute; a straight line through the best of the first budgets."""
    sizes = sorted({s for s, _ in budgets.cases}, key=lambda s: _weight(budgets, s))
    C = np.array(sorted({b for _, b in budgets.cases}))
    best = np.array([[best_loss(budgets, seed, b) for b in C] for seed in budgets.seeds])
    alt = "Loss by compute on log-log paper: sizes, their lower edge, and a line that predicts it."
    with figure(alt=alt) as ax:
        for size, colour in zip(sizes, shades(len(sizes)), strict=True):
            at, loss = ends(budgets, size)
            name = f"{_weight(budgets, size):,} parameters"
            ax.plot(at, loss.mean(0), "o-", color=colour, linewidth=2, markersize=7, label=name)
        for row in best:
            ax.plot(C, row, "o", color=VERMILION, markersize=8, markeredgecolor="white", zorder=4)
        k, a = line
        ax.plot(C[:known], k * C[:known] ** -a, color=VERMILION, linewidth=3, zorder=3)
        ahead = C[known - 1 :]
        ax.plot(ahead, k * ahead**-a, "--", color=VERMILION, linewidth=3, zorder=3)
        mark = {"markerfacecolor": "none", "markeredgecolor": INK, "markeredgewidth": 2.5}
        ax.plot(C[known], k * C[known] ** -a, "o", markersize=19, zorder=5, **mark)
        ax.annotate(
            "predicted from the\nfirst three budgets",
            (C[known], k * C[known] ** -a),
            xytext=(-190, -6),
            textcoords="offset points",
            fontsize=16,
            va="top",
        )
        name_axes(ax, "compute, FLOPs", "nats per token, held-out text", "", "log", "log")
        plain_ticks(ax.yaxis, [3, 3.5, 4, 4.5, 5, 5.5, 6, 7])
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02))


def valleys(budgets: Recorded, law: Any) -> None:
    """Loss by size at each budget: dots, the law of five constants, and its best size."""
    C = sorted({b for _, b in budgets.cases})
    alt = "Loss by size, one valley for each budget of compute; the best size moves to the right."
    with figure(alt=alt) as ax:
        for budget, colour in zip(C, shades(len(C)), strict=True):
            sizes = sorted((_weight(budgets, s), s) for s, b in budgets.cases if b == budget)
            N = np.array([n for n, _ in sizes])
            loss = budgets.final(lambda p: p["loss"], [(s, budget) for _, s in sizes])
            spread = [loss.mean(0) - loss.min(0), loss.max(0) - loss.mean(0)]
            name = f"{budget:.0e} FLOPs".replace("e+", "e")
            look = {"fmt": "o", "color": colour, "markersize": 10, "capsize": 4, "label": name}
            ax.errorbar(N, loss.mean(0), spread, **look)
            wide = np.geomspace(N[0] / 1.15, N[-1] * 1.15, 60)
            ax.plot(wide, law.loss(wide, budget / 6 / wide), color=colour, linewidth=2.4)
            size, tokens = law.optimal(budget)
            ax.plot(size, law.loss(size, tokens), "*", color=VERMILION, markersize=20, zorder=4)
        ax.plot([], [], "*", color=VERMILION, markersize=18, label="best by the law")
        name_axes(
            ax, "parameters N; each reads D = C / 6N tokens", "nats per token", "", "log", "linear"
        )
        plain = FuncFormatter(lambda v, _: f"{v / 1000:,.0f}k")
        ax.xaxis.set_major_locator(FixedLocator([2e4, 5e4, 1e5, 2e5, 5e5]))
        ax.xaxis.set_major_formatter(plain)
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02))


def _weight(budgets: Recorded, size: str) -> int:
    return next(n for (s, _), n in budgets.parameters.items() if s == size)


def best_loss(budgets: Recorded, seed: int, budget: float) -> float:
    """The least loss of all sizes at one budget, nats per token."""
    return min(
        budgets.run((s, b), seed)["points"][-1]["loss"] for s, b in budgets.cases if b == budget
    )


def kinds_of_token(budgets: Recorded) -> None:
    """Loss of each kind of token of real text by budget, at the best size; their weighted sum."""
    C = sorted({b for _, b in budgets.cases})
    weights = budgets.settings["weights"]

    def best(seed: int, budget: float) -> dict[str, Any]:
        runs = [budgets.run((s, b), seed) for s, b in budgets.cases if b == budget]
        return min((run["points"][-1] for run in runs), key=lambda p: p["loss"])

    named = {f"{kind}, {100 * w:.0f} %": kind for kind, w in weights.items() if w > 0}
    curves = {
        name: [[best(s, b)["losses"][kind] for b in C] for s in budgets.seeds]
        for name, kind in named.items()
    }
    curves["all tokens"] = [[best(s, b)["loss"] for b in C] for s in budgets.seeds]
    lines(
        C,
        curves,
        xscale="log",
        xlabel="compute, FLOPs",
        ylabel="nats per token",
        size=(12.2, 4.8),
        alt="Loss of five kinds of token by compute: space is easy, the starts of words are dear.",
    )


def exam(scaling: Recorded, world: TaskWorld, low: Mapping[str, tuple[float, float]]) -> None:
    """Right answers and nats of each task: the lazy reader, the smallest and the largest model."""
    rows = seven(scaling, world, low)
    sizes = [f"{scaling.parameters[scaling.whole[k]]:,} parameters" for k in (0, -1)]
    alt = "Right answers and nats of seven tasks: a lazy reader, two models, the best possible."
    with figure(1, 2, alt=alt, size=(12.2, 5.4)) as (left, right):
        for ax, part, xlabel in ((left, "right", "right answers, %"), (right, "nats", "nats")):
            for k, values in enumerate(row[part] for row in rows.values()):
                lazy, small, large, best = values
                ax.plot([lazy, best], [k, k], color=FAINT, linewidth=10, zorder=1)
                ax.plot(lazy, k, "|", color=MUTED, markersize=24, markeredgewidth=4)
                ax.plot(best, k, "|", color=GREEN, markersize=24, markeredgewidth=4)
                ax.plot(small, k, "o", color=ORANGE, markersize=13, markeredgecolor="white")
                ax.plot(large, k, "D", color=BLUE, markersize=12, markeredgecolor="white")
            ax.invert_yaxis()
            ax.grid(visible=False, axis="y")
            ax.set_xlabel(xlabel)
        left.set_yticks(range(len(rows)), list(rows))
        right.set_yticks([])
        looks = (("|", MUTED, "lazy reader"), ("o", ORANGE, sizes[0]), ("D", BLUE, sizes[1]))
        for mark, colour, name in (*looks, ("|", GREEN, "best possible")):
            wide = {"markersize": 13, "markeredgewidth": 4 if mark == "|" else 0}
            right.plot([], [], mark, color=colour, label=name, **wide)
        right.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02))


def facts(scaling: Recorded) -> None:
    """Facts known by size, a line for each band of how often they are asked."""
    bands = {
        f"rank {band.replace('-', '–')}": 100 * scaling.final(probe(f"facts {band}"))
        for band in BANDS
    }
    lines(
        [scaling.parameters[size] for size in scaling.whole],
        bands,
        xscale="log",
        xlabel="parameters; all have read the same text once",
        ylabel="facts known, %",
        ylim=(-3, 106),
        alt="Facts known by size, one line for each band of how often they are asked.",
    )


def agreement(scaling: Recorded, longer: Recorded) -> None:
    """Verbs that agree, by nouns in between, along the training of some models."""
    small, middle, large = scaling.whole[0], "2x64", scaling.whole[-1]
    runs = {
        f"{scaling.parameters[small]:,} parameters": (scaling, small),
        "4 times the text": (longer, small),
        f"{scaling.parameters[middle]:,}": (scaling, middle),
        f"{scaling.parameters[large]:,}": (scaling, large),
    }
    alt = "Agreement by nouns in between, along the text read; a coin toss is 50 %."
    with figure(1, len(runs), size=(12.2, 4.5), alt=alt) as axes:
        for ax, (title, (study, size)) in zip(axes, runs.items(), strict=True):
            seed = study.seeds_of(size)[0]
            seen = [p["tokens"] / 1e3 for p in points_of(study.run(size, seed), False)]
            for between, colour in zip(range(4), shades(4), strict=True):
                right = 100 * study.along(size, probe(f"grammar {between}"), False)
                band = {"color": colour, "alpha": 0.2, "linewidth": 0}
                ax.fill_between(seen, right.min(0), right.max(0), **band)
                ax.plot(seen, right.mean(0), color=colour, label=f"{between}")
            ax.axhline(50, color=MUTED, linestyle=(0, (4, 3)), linewidth=2)
            name_axes(ax, "thousand words", "", "", "log", "linear")
            ax.set_title(title, fontsize=16)
            ax.set_ylim(40, 103)
        axes[0].set_ylabel("verb agrees, %")
        axes[-1].legend(title="nouns between", title_fontsize=15, loc="lower right")


def advice(gains: Mapping[str, tuple[np.ndarray, np.ndarray]], worth: float) -> None:
    """Gain seen against gain that came, a mark for each curve and seed."""
    alt = "What doubling the data had brought against what doubling it again brought."
    with figure(alt=alt) as ax:
        for k, (name, (seen, came)) in enumerate(gains.items()):
            look = {"color": COLOURS[k % 7], "markersize": 11, "markeredgecolor": "white"}
            ax.plot(seen, came, (MARKERS * 2)[k], label=name, **look)
        both = np.array([pair for pair in gains.values()])
        low, high = both.min() - 0.03, both.max() + 0.05
        for draw in (ax.axhline, ax.axvline):
            draw(worth, color=MUTED, linewidth=1.5, linestyle=(0, (4, 3)))
        ax.plot([low, high], [low, high], color=FAINT, linewidth=3, zorder=0)
        ax.text(low, high, "“stop”, and it was wrong", fontsize=15, color=MUTED, va="top")
        ax.text(high, low, "“collect”, and it was wrong", fontsize=15, color=MUTED, ha="right")
        ax.set_xlabel("seen: gain of the second half of our text, nats")
        ax.set_ylabel("came: gain of as much again")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02))
