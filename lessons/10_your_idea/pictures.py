"""The figures of lesson 10."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.course.show import study_figures
from minilm.course.show.figures import bars
from minilm.course.show.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    VERMILION,
    Picture,
    figure,
    new_figure,
    render,
    styled,
)
from minilm.studies import rubric

TALKS = (
    "overview",
    "Wei,\nChung",
    "Lambert",
    "Jiang",
    "Williams",
    "Ding",
    "Hu",
    "Ben Allal",
    "you",
)


def opening() -> Picture:
    """Nine Thursdays of a term, the last one empty, and what goes into it."""
    with styled():
        sheet, ax = new_figure(size=(12.2, 3.4))
        for k, name in enumerate(TALKS):
            last = k == len(TALKS) - 1
            face = "white" if last else "#E8F1F8"
            ax.add_patch(_box(k, 0.9, face, VERMILION if last else BLUE, last))
            ax.text(k + 0.45, 0.98, name, ha="center", va="center", fontsize=14,
                    color=VERMILION if last else INK, weight="bold" if last else "normal")  # fmt: skip
        steps = ("promise", "equal FLOPs", "tuned rates", "three seeds", "forecast", "verdict")
        for k, name in enumerate(steps):
            x = 0.2 + 1.45 * k
            ax.text(x + 0.55, -0.35, name, ha="center", va="center", fontsize=17, color=INK)
            if k:
                ax.annotate("", (x - 0.02, -0.35), (x - 0.3, -0.35),
                            arrowprops={"arrowstyle": "-|>", "color": MUTED, "lw": 2})  # fmt: skip
        ax.annotate("", (8.45, 0.5), (8.15, -0.15),
                    arrowprops={"arrowstyle": "-|>", "color": VERMILION, "lw": 3})  # fmt: skip
        ax.text(0, 1.75, "April 4", fontsize=15, color=MUTED, ha="left")
        ax.text(8.9, 1.75, "May 30", fontsize=15, color=MUTED, ha="right")
        ax.set_xlim(-0.1, 9.0)
        ax.set_ylim(-0.7, 2.0)
        ax.axis("off")
        return render(
            sheet,
            "Nine Thursdays of a term; the last one has no talk. Below it the steps of a study: "
            "promise, equal FLOPs, tuned rates, three seeds, forecast, verdict.",
        )


def _box(k: int, width: float, face: str, edge: str, dashed: bool) -> Any:
    from matplotlib.patches import FancyBboxPatch

    return FancyBboxPatch((k, 0.5), width, 0.96, boxstyle="round,pad=0,rounding_size=0.08",
                          facecolor=face, edgecolor=edge, linewidth=2.5,
                          linestyle="--" if dashed else "-")  # fmt: skip


def luck(pools: Sequence[dict[str, np.ndarray]]) -> None:
    """Every run of one model, at two rates."""
    with figure(
        alt="Twelve runs of one model differ among themselves by tenths of a nat; with an "
        "untuned rate all of them are far worse.",
        size=(12.2, 3.0),
    ) as ax:
        for k, (name, colour) in enumerate((("tuned", BLUE), ("taken from a paper", VERMILION))):
            every = np.concatenate([one[name] for one in pools])
            ax.plot(every, np.full(len(every), 1 - k), "|", color=colour, markersize=34,
                    markeredgewidth=2.5)  # fmt: skip
        ax.set_yticks([1, 0], ["rate tuned", "rate taken\nfrom a paper"])
        ax.set_ylim(-0.6, 1.6)
        ax.set_xlabel("held-out loss of the same model, nats per byte")
        ax.grid(visible=False, axis="y")


def false_wins(found: Sequence[dict[str, float]]) -> None:
    """How often each way calls a model better than itself."""
    names = list(found[0])
    bars(
        names,
        np.array([[100 * one[name] for name in names] for one in found]),
        ylabel="false wins, %",
        numbers="{:.0f}",
        alt="One seed wins half of the time, a tuned side against an untuned one nearly always, "
        "three seeds on both tuned sides with an interval in a few of a hundred.",
    )


def interval_of(gains: Sequence[float], low: float, high: float, least: float) -> None:
    """A few gains on a line, with their interval and what was promised."""
    mean = float(np.mean(gains))
    with figure(
        alt=f"Gains with mean {mean:.3f} and an interval from {low:.3f} to {high:.3f}; "
        f"{least:g} was promised.",
        size=(12.2, 2.6),
    ) as ax:
        inside = low <= 0
        colour = VERMILION if inside else (GREEN if mean >= least else ORANGE)
        ax.plot([low, high], [0, 0], color=colour, linewidth=10, alpha=0.35, solid_capstyle="butt")
        ax.plot(gains, np.zeros(len(gains)), "o", color=INK)
        ax.plot([mean, mean], [-0.25, 0.25], color=colour, linewidth=4)
        ax.axvline(0, color=INK, linewidth=1.2)
        ax.axvline(least, color=MUTED, linewidth=2, linestyle=(0, (4, 3)))
        ax.text(least + 0.004, 0.62, "promised", ha="left", fontsize=15, color=MUTED)
        ax.text(-0.004, 0.62, "no gain", ha="right", fontsize=15, color=INK)
        ax.set_ylim(-0.6, 0.95)
        ax.set_xlim(min(-0.06, low - 0.01), max(0.12, high + 0.01))
        ax.set_yticks([])
        ax.set_xlabel("gain, nats per byte")


def held_back(data: dict[str, Any]) -> None:
    """The curves of a study and its gains."""
    with figure(
        1, 2, alt="On the left the loss of both models falls with FLOPs, and the held-back runs lie "
        "beside the bars that foretold them; on the right the gain at every size, seed by seed.",
        size=(12.2, 4.8),
    ) as (left, right):  # fmt: skip
        study_figures.curves(data, left)
        left.legend(loc="lower left")
        study_figures.gains(data, right)


def foretold(rows: Sequence[tuple[str, float, float, float]], came: Sequence[float]) -> None:
    """Forecasts of the largest size of another lesson's study, and what came."""
    with figure(
        alt="Intervals forecast for the largest model from the smaller ones, and its measured loss.",
        size=(12.2, 3.6),
    ) as ax:
        for k, (_, low, middle, high) in enumerate(rows):
            ax.plot([low, high], [k, k], color=BLUE, linewidth=12, alpha=0.3,
                    solid_capstyle="butt")  # fmt: skip
            ax.plot([middle, middle], [k - 0.2, k + 0.2], color=BLUE, linewidth=3)
        for loss in came:
            ax.axvline(loss, color=VERMILION, linewidth=2)
        ax.set_yticks(range(len(rows)), [name for name, *_ in rows])
        ax.set_ylim(-0.6, len(rows) - 0.4)
        ax.invert_yaxis()
        ax.set_xlabel("loss of the largest model, nats per token (red: measured)")
        ax.grid(visible=False, axis="y")


def marks(studies: dict[str, dict[str, Any]]) -> None:
    """The marks of several studies: a row each, a column for each part of the rubric."""
    parts = [part for part, _, _ in rubric.PARTS]
    with figure(
        alt="The study as it was done has all parts; each planted fault lacks one or two.",
        size=(12.2, 3.8),
    ) as ax:
        for row, data in enumerate(studies.values()):
            found = rubric.grade(data)
            for column, mark in enumerate(found):
                full = mark.points == mark.most
                ax.add_patch(_tile(column, row, GREEN if full else VERMILION, full))
                ax.text(column, row, f"{mark.points}", ha="center", va="center", fontsize=19,
                        color=INK, weight="bold")  # fmt: skip
            ax.text(len(parts) - 0.35, row, f"{rubric.total(found)}", fontsize=21, va="center",
                    weight="bold", color=INK)  # fmt: skip
        ax.set_xticks(range(len(parts)), [p.replace(" ", "\n", 1) for p in parts], fontsize=14)
        ax.set_yticks(range(len(studies)), list(studies))
        ax.set_xlim(-0.5, len(parts) + 0.1)
        ax.set_ylim(len(studies) - 0.5, -0.5)
        ax.xaxis.tick_top()
        ax.grid(visible=False)
        for side in ax.spines.values():
            side.set_visible(False)
        ax.tick_params(length=0)


def _tile(column: int, row: int, colour: str, full: bool) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.46, row - 0.42), 0.92, 0.84, facecolor=colour, edgecolor=FAINT,
                     alpha=0.25 if full else 0.45)  # fmt: skip
