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
    MUTED,
    ORANGE,
    VERMILION,
    colour_map,
    figure,
    name_axes,
)
from minilm.data.worlds.world import TaskWorld
from minilm.studies.recorded import Recorded, points_of

from .readers import BANDS, at_budget, probe, tested
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


def compute(
    scaling: Recorded, edges: Sequence[tuple[np.ndarray, np.ndarray]], line: tuple[float, float]
) -> None:
    """Loss of the tested words by compute, a line for each size; the lower edge; a straight line."""
    read = tested(scaling)
    alt = (
        "Loss by compute on log-log paper: a line for each size, and their lower edge, which bends."
    )
    with figure(alt=alt, size=(12.2, 4.8)) as ax:
        for size, colour in zip(scaling.whole, shades(len(scaling.whole)), strict=True):
            at = [p["compute"] for p in points_of(scaling.run(size, scaling.seeds[0]))]
            name = f"{scaling.parameters[size]:,}"
            ax.plot(at, scaling.along(size, read).mean(0), color=colour, linewidth=2.2, label=name)
        for C, L in edges:
            ax.plot(C, L, "o", color=VERMILION, markersize=6, markeredgecolor="white", zorder=4)
        k, a = line
        wide = np.geomspace(edges[0][0][0], edges[0][0][-1], 50)
        ax.plot(wide, k * wide**-a, "--", color=INK, linewidth=2.5, zorder=3)
        floor = scaling.settings["floors"]["total"]["scored"]
        ax.axhline(floor, color=GREEN, linestyle=(0, (4, 3)), linewidth=2)
        ax.text(edges[0][0][0], floor * 1.06, "best possible", color=GREEN, fontsize=16)
        name_axes(ax, "compute, FLOPs", "nats per tested word", "", "log", "log")
        plain_ticks(ax.yaxis, [0.4, 0.6, 0.8, 1, 1.5, 2, 3, 4])
        ax.plot([], [], "o", color=VERMILION, label="lower edge, 3 seeds")
        ax.plot([], [], "--", color=INK, label="line through its beginning")
        ax.legend(title="parameters", title_fontsize=15, loc="upper left", bbox_to_anchor=(1, 1.04))


def valleys(scaling: Recorded, law: Any) -> None:
    """Loss by size at three budgets: what was read off the runs, the law, its best sizes."""
    alt = "Loss by size at three budgets of compute: right arms of valleys, and the law's bottoms."
    with figure(alt=alt, size=(12.2, 4.6)) as ax:
        for budget, colour in zip((1e11, 3e11, 1e12), shades(3), strict=True):
            found = [at_budget(scaling, seed, budget) for seed in scaling.seeds]  # (sizes, 2) each
            sizes, loss = found[0][:, 0], np.array([rows[:, 1] for rows in found])
            spread = [loss.mean(0) - loss.min(0), loss.max(0) - loss.mean(0)]
            look = {"fmt": "o", "color": colour, "markersize": 10, "capsize": 4}
            digit, power = f"{budget:.0e}".split("e+")
            times = "" if digit == "1" else f"{digit} · "
            name = f"{times}$10^{{{power}}}$ FLOPs"
            ax.errorbar(sizes, loss.mean(0), spread, label=name, **look)
            wide = np.geomspace(5e3, 4e6, 80)
            ax.plot(wide, law.loss(wide, budget / 6 / wide), color=colour, linewidth=2.2)
            size, tokens = law.optimal(budget)
            ax.plot(size, law.loss(size, tokens), "*", color=VERMILION, markersize=20, zorder=4)
        ax.plot([], [], "*", color=VERMILION, markersize=18, label="best by the law")
        ax.plot([], [], color=MUTED, label="the law")
        ax.set_ylim(1.2, 4.2)
        name_axes(
            ax,
            "parameters N; each has read C / 6N words",
            "nats per tested word",
            "",
            "log",
            "linear",
        )
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02))


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


def agreement(scaling: Recorded) -> None:
    """Verbs that agree, by nouns in between, along the training of four models."""
    sizes = ("1x16", "2x16", "2x64", "4x256")
    alt = "Agreement by nouns in between, along the text read; a coin toss is 50 %."
    with figure(1, len(sizes), size=(12.2, 4.3), alt=alt) as axes:
        for ax, size in zip(axes, sizes, strict=True):
            seen = [p["tokens"] / 1e3 for p in scaling.run(size, scaling.seeds[0])["points"]]
            for between, colour in zip(range(4), shades(4), strict=True):
                right = 100 * scaling.along(size, probe(f"grammar {between}"), False)
                band = {"color": colour, "alpha": 0.2, "linewidth": 0}
                ax.fill_between(seen, right.min(0), right.max(0), **band)
                ax.plot(seen, right.mean(0), color=colour, label=f"{between}")
            ax.axhline(50, color=MUTED, linestyle=(0, (4, 3)), linewidth=2)
            name_axes(ax, "thousand words", "", "", "log", "linear")
            plain_ticks(ax.xaxis, [100, 1000])
            ax.set_title(f"{scaling.parameters[size] / 1000:,.0f} thousand", fontsize=17)
            ax.set_ylim(40, 103)
        axes[0].set_ylabel("verb agrees, %")
        look = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.04), "title_fontsize": 15}
        axes[-1].legend(title="nouns\nbetween", **look)


def advice(gains: Mapping[str, tuple[np.ndarray, np.ndarray]], worth: float) -> None:
    """Gain seen against gain that came, a mark for each curve and seed."""
    alt = "What doubling the data had brought against what doubling it again brought."
    with figure(alt=alt, size=(12.2, 4.8)) as ax:
        for k, ((name, (seen, came)), mark) in enumerate(
            zip(gains.items(), "os^DvPX*<", strict=True)
        ):
            look = {"color": COLOURS[k % 7], "markersize": 12, "markeredgecolor": "white"}
            ax.plot(seen, came, mark, label=name, **look)
        both = np.array(list(gains.values()))
        low = both.min() - 0.08
        right, high = both.max((0, 2)) + 0.12
        for draw in (ax.axhline, ax.axvline):
            draw(worth, color=MUTED, linewidth=1.5, linestyle=(0, (4, 3)))
        ax.plot([low, high], [low, high], color=FAINT, linewidth=3, zorder=0)
        grey = {"fontsize": 15, "color": MUTED}
        ax.text(worth + 0.03, high, "← here “stop” was wrong", va="top", **grey)
        ax.text(right - 0.12, low, "↑ here “collect” was wrong", ha="right", va="bottom", **grey)
        ax.set_xlabel("seen: gain of the second half of our text, nats")
        ax.set_ylabel("came: gain of as much again")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.04))
