"""Figures of the U: three skills and what comes of them, by size and along training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.analysis import curves
from minilm.course.show.figures import lines
from minilm.course.show.style import BLUE, INK, MUTED, ORANGE, colour_map, figure, name_axes
from minilm.studies.recorded import Recorded

from .readers import skill
from .scaling_pictures import shades

NAMES = {"repeat": "repeat", "hold back": "suppress", "fix": "fix", "follow": "instruction"}


def three_skills(repeat_at: float, fix_at: float, follow_at: float) -> None:
    """For `interact`: skills that appear at some size, and the misquote repeated."""
    size = np.linspace(0, 10, 200)
    r, f, i = (1 / (1 + np.exp(-3 * (size - at))) for at in (repeat_at, fix_at, follow_at))
    joint = [curves.ushape(*skills) for skills in zip(r, f, i, strict=True)]
    alt = "Three skills that rise with size, and the U that comes of them."
    with figure(size=(12.2, 4.2), alt=alt) as ax:
        ax.plot(size, joint, color=INK, linewidth=11, alpha=0.75)
        lines(
            size,
            {"repeat": r, "fix": f, "follow": i},
            markers=False,
            ax=ax,
            xlabel="size, arbitrary units",
            ylabel="probability",
            ylim=(-0.04, 1.16),
        )
        ax.text(0.0, 1.09, "black: the misquote is repeated", fontsize=16, fontweight="bold")


def by_size(study: Recorded) -> None:
    """The end of training: misquotes repeated in accuracy and in probability; the skills."""
    weights = [study.parameters[size] for size in study.whole]
    alt = "Misquotes repeated by size, by arg-max and by probability; four skills by size."
    with figure(1, 2, alt=alt) as (left, right):
        joint = {
            "ranked first": study.final(skill("literal_accuracy")),
            "probability": study.final(skill("literal")),
        }
        for values, colour in zip(joint.values(), (BLUE, ORANGE), strict=True):
            for row in values:
                left.plot(weights, row, color=colour, linewidth=1, alpha=0.6)
        look = {"xscale": "log", "xlabel": "parameters", "ylim": (-0.03, 1.03)}
        lines(weights, joint, ylabel="the misquote is repeated", ax=left, **look)
        skills = {name: study.final(skill(key)) for name, key in NAMES.items()}
        lines(weights, skills, ax=right, **look)


def planes(study: Recorded) -> None:
    """Misquotes repeated by size and step: two planes in which the U is a valley."""
    steps = [p["step"] for p in study.run(study.whole[0], study.seeds[0])["points"]]
    tables = {
        "ranked first, %": [study.along(s, skill("literal_accuracy"), False) for s in study.whole],
        "probability, %": [study.along(s, skill("literal"), False) for s in study.whole],
    }
    alt = "Misquotes repeated by size and step: a pale valley between two dark banks."
    with figure(1, 2, size=(12.2, 4.6), alt=alt) as axes:
        for ax, (title, rows) in zip(axes, tables.items(), strict=True):
            table = 100 * np.array([row.mean(0) for row in rows])
            ax.imshow(table, cmap=colour_map(), vmin=0, vmax=100, aspect="auto")
            for (row, column), value in np.ndenumerate(table):
                ink = "white" if value > 55 else INK
                look = {"ha": "center", "va": "center", "fontsize": 14, "color": ink}
                ax.text(column, row, f"{value:.0f}", **look)
            ax.set_xticks(range(len(steps)), steps, fontsize=14)
            ax.set_yticks([])
            ax.set_title(title)
            ax.set_xlabel("step")
            ax.grid(visible=False)
            ax.spines[:].set_visible(False)
        names = [f"{study.parameters[s] / 1000:,.0f}k" for s in study.whole]
        axes[0].set_yticks(range(len(names)), names)
        axes[0].set_ylabel("parameters")


def walk(live: Sequence[dict[str, Any]], study: Recorded, control: Recorded) -> None:
    """One model over training: live, the recorded seeds, the control; the skills of the live one."""
    (case,), (other,) = study.cases, control.cases
    steps = [p["step"] for p in study.run(case, study.seeds[0])["points"]]
    alt = "Misquotes repeated over training: down and up again; without corrections, never down."
    with figure(1, 2, alt=alt) as (left, right):
        for source, key, colour, name in (
            (study, "literal_accuracy", BLUE, "ranked first"),
            (study, "literal", ORANGE, "probability"),
            (control, "literal", MUTED, "probability, none corrected"),
        ):
            rows = source.along(case if source is study else other, skill(key), False)
            left.fill_between(steps, rows.min(0), rows.max(0), color=colour, alpha=0.18)
            left.plot(steps, rows.mean(0), color=colour, label=name)
        now = [p["step"] for p in live]
        left.plot(
            now, [skill("literal")(p) for p in live], ":", color=INK, label="trained just now"
        )
        name_axes(left, "step", "the misquote is repeated", "", "linear", "linear")
        left.set_ylim(-0.03, 1.03)
        left.legend(loc="lower right", fontsize=14)
        skills = {name: [skill(key)(p) for p in live] for name, key in NAMES.items()}
        look = {"xlabel": "step", "ylim": (-0.03, 1.03), "markers": False}
        lines(now, skills, ax=right, title="trained just now", **look)


def composition(study: Recorded) -> None:
    """Composed against measured probability: the talk's formula, and the variant."""
    alt = "Composed against measured probability: the talk's formula, and the variant."
    named = {"composed": "repeat, fix, follow", "composed_suppress": "repeat, hold back, follow"}
    with figure(1, 2, alt=alt, size=(12.2, 4.9)) as axes:
        for ax, (key, title) in zip(axes, named.items(), strict=True):
            for size, colour in zip(study.whole, shades(len(study.whole)), strict=True):
                ax.plot(
                    study.along(size, skill(key), False).ravel(),
                    study.along(size, skill("literal"), False).ravel(),
                    "o",
                    color=colour,
                    markersize=7,
                    markeredgecolor="white",
                )
            ax.plot([0, 1], [0, 1], color=MUTED, linestyle=(0, (4, 3)), linewidth=2)
            ax.set_title(title)
            ax.set_xlabel("composed of the three skills")
        axes[0].set_ylabel("measured, probability")
