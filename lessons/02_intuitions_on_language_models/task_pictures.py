"""Figures of the seven tasks: what models expect, kinds of curve, a jump, five scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minilm.course.show.figures import lines
from minilm.course.show.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    colour_map,
    figure,
    name_axes,
)

from .scaling_pictures import shades

DASHED = {"color": MUTED, "linestyle": (0, (4, 3)), "linewidth": 2}
SEEDS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)


def expectations(live: Mapping[int, Any], vocabulary: Sequence[str]) -> Callable[[str, int], None]:
    """For `interact`: the six likeliest next words of each model, after some step."""

    def draw(prompt: str, test: int) -> None:
        with figure(1, len(live), size=(12.2, 4.3), alt="The words that models expect.") as axes:
            for ax, (weights, points) in zip(axes, live.items(), strict=True):
                p = np.exp(points[test - 1]["expected"][prompt])
                top = np.argsort(-p)[:6]
                ax.barh(range(6), p[top], color=BLUE)
                ax.set_yticks(range(6), [vocabulary[i] for i in top])
                ax.invert_yaxis()
                ax.set_xlim(0, 1)
                ax.grid(visible=False, axis="y")
                ax.set_title(f"{weights / 1000:,.0f} thousand", fontsize=17)
                ax.set_xticks([0, 0.5, 1])
                ax.set_xlabel(f"after {points[test - 1]['step']} steps")

    return draw


def five_kinds() -> None:
    """The five kinds of curve that the talk drew, with their shares of 202 tasks."""
    x = np.linspace(0, 1, 100)
    wild = 0.45 + 0.22 * np.sin(11 * x) + 0.1 * np.sin(23 * x)
    drawn = {
        "smooth": (29, 0.15 + 0.65 * x),
        "flat": (22, 0 * x + 0.12),
        "inverse": (2, 0.75 - 0.5 * x),
        "not correlated": (13, wild),
        "emergent": (33, 0.08 + 0.75 / (1 + np.exp(-18 * (x - 0.68)))),
    }
    alt = "Five kinds of curve with their shares of 202 tasks: 29, 22, 2, 13 and 33 percent."
    with figure(1, 5, size=(12.2, 3.0), alt=alt) as axes:
        for ax, (name, (share, y)) in zip(axes, drawn.items(), strict=True):
            ax.plot(x, y, color=VERMILION if name == "emergent" else BLUE, linewidth=4)
            ax.set_ylim(0, 1)
            ax.set_xticks([])
            ax.set_yticks([])
            ax.set_title(f"{name}\n{share} %", loc="center", fontsize=17)
            ax.set_xlabel("compute", fontsize=15)
        axes[0].set_ylabel("right answers", fontsize=15)


def short(parameters: int) -> str:
    """A number of parameters in few letters: 88k, 3.3M."""
    return f"{parameters / 1e6:.1f}M" if parameters >= 1e6 else f"{parameters / 1e3:.0f}k"


def grid(rows: Mapping[str, tuple[float, np.ndarray, float, str]], sizes: Sequence[int]) -> None:
    """Right answers by test and size, coloured by the way from the lazy reader to the best.

    Args:
        rows: test -> (percent of the lazy reader, (sizes,) percents, best possible, kind).
        sizes: parameters.
    """
    lazy, table, best = (np.array([row[k] for row in rows.values()]) for k in range(3))
    way = (table - lazy[:, None]) / np.maximum(best - lazy, 1e-9)[:, None]
    way[[row[3] == "no test" for row in rows.values()]] = np.nan  # all know it: nothing to colour
    alt = "Right answers by test and size, darker the further from a lazy reader's score."
    with figure(alt=alt, size=(12.2, 5.9)) as ax:
        ax.imshow(np.clip(way, 0, 1), cmap=colour_map(), vmin=0, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(table):
            ink = "white" if way[row, column] > 0.55 else INK
            ink = MUTED if np.isnan(way[row, column]) else ink
            ax.text(column, row, f"{value:.0f}", ha="center", va="center", color=ink, fontsize=15)
        for row, (score, *_, kind) in enumerate(rows.values()):
            grey = {"ha": "center", "va": "center", "color": MUTED, "fontsize": 15}
            ax.text(-1, row, f"{score:.0f}", **grey)
            ax.text(len(sizes) - 0.4, row, kind, va="center", fontsize=15)
        ax.set_xlim(-1.5, len(sizes) + 1.0)
        ax.set_xticks(range(-1, len(sizes)), ["lazy", *map(short, sizes)])
        ax.set_yticks(range(len(rows)), list(rows), va="center_baseline")
        ax.set_xlabel("right answers in %, by parameters; darker: further from lazy to perfect")
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0, labelsize=15)


def falls(steps: Sequence[int], total: np.ndarray, tasks: Mapping[str, np.ndarray]) -> None:
    """Share of its own fall that each loss has behind it, by step; one line per seed."""

    def share(loss: np.ndarray) -> np.ndarray:
        return 100 * (loss[:, :1] - loss) / (loss[:, :1] - loss.min(axis=1, keepdims=True))

    alt = "How much of its fall each loss has behind it, by step: the total creeps, tasks jump."
    with figure(alt=alt) as ax:
        series = {name: share(loss) for name, loss in tasks.items()}
        lines(
            steps,
            {"total": share(total), **series},
            xscale="log",
            xlabel="step",
            ylabel="of its whole fall, %",
            ylim=(-3, 104),
            ax=ax,
        )


def jump(weights: Sequence[int], whole: np.ndarray, steps: Sequence[int], loss: np.ndarray) -> None:
    """Whole answers by size, with a line through all sizes but two; the loss over training.

    Args:
        weights: parameters, smallest first.
        whole: (seeds, sizes) percent.
        steps: of the tests.
        loss: (sizes, seeds, tests) nats.
    """
    alt = "Whole translations by size, absent and then present; their loss over training."
    with figure(1, 2, alt=alt) as (left, right):
        for row in whole:
            left.plot(weights, row, "o", color=BLUE, markersize=10, markeredgecolor="white")
        left.plot(weights, whole.mean(0), color=BLUE)
        x = np.log10(weights)
        slope, start = np.polyfit(x[:-2], whole.mean(0)[:-2], 1)
        left.plot(weights, start + slope * x, "--", color=VERMILION, linewidth=3)
        left.text(
            weights[0],
            92,
            "line through the\nsmaller two sizes",
            color=VERMILION,
            fontsize=16,
            va="top",
        )
        name_axes(left, "parameters", "whole translations right, %", "", "log", "linear")
        left.set_ylim(-4, 104)
        for rows, n, colour in zip(loss, weights, shades(len(weights)), strict=True):
            right.fill_between(steps, rows.min(0), rows.max(0), color=colour, alpha=0.2)
            right.plot(steps, rows.mean(0), color=colour, label=f"{n:,}")
        name_axes(right, "step", "loss of a translated word, nats", "", "log", "linear")
        right.set_ylim(0, None)
        right.legend(title="parameters", title_fontsize=15, loc="lower left")


FIVE = {
    "exact_match": "whole answers right",
    "accuracy": "words right",
    "edit_distance": "edit distance",
    "brier": "Brier",
    "cross_entropy": "loss, nats",
}


def scores(
    steps: Sequence[int], read: Callable[[str], np.ndarray], product: np.ndarray, whole: np.ndarray
) -> None:
    """Five scores of the same answers over training; whole answers against the product of parts."""
    alt = "Five scores of the same answers over training, some steep, some not; product of parts."
    with figure(2, 3, size=(12.2, 5.7), alt=alt) as axes:
        for ax, (key, name) in zip(axes.ravel(), FIVE.items(), strict=False):
            for row, colour in zip(read(key), SEEDS * 9, strict=False):
                ax.plot(steps, row, color=colour, linewidth=2.4)
            name_axes(ax, "", "", name, "log", "linear")
            ax.tick_params(labelsize=13)
        last = axes[1, 2]
        for a, b, colour in zip(product, whole, SEEDS * 9, strict=False):
            last.plot(a, b, "o", color=colour, markersize=8, markeredgecolor="white")
        last.plot([0, 1], [0, 1], **DASHED)
        last.set_title("whole against product")
        last.tick_params(labelsize=13)
        for ax in axes[1, :2]:
            ax.set_xlabel("step", fontsize=15)
        last.set_xlabel("product of the parts", fontsize=15)
