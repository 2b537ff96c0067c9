"""Figures of the U: three skills and what comes of them, by size and along training."""

from __future__ import annotations

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
    """The end of training: misquotes repeated, by rank and by probability; the skills."""
    weights = [study.parameters[size] for size in study.whole]
    alt = "Misquotes repeated by size, by rank and by probability; four skills by size."
    joint = {"ranked first": "literal_accuracy", "probability": "literal"}
    with figure(1, 2, alt=alt) as (left, right):
        for (name, key), colour, mark in zip(joint.items(), (BLUE, ORANGE), "os", strict=True):
            values = study.final(skill(key))
            for row in values:
                left.plot(weights, row, color=colour, linewidth=1.2, alpha=0.7)
            look = {"color": colour, "markeredgecolor": "white", "markersize": 10}
            left.plot(weights, values.mean(0), mark + "-", label=name, **look)
        name_axes(left, "parameters", "the misquote is repeated", "", "log", "linear")
        left.set_ylim(-0.03, 1.03)
        left.legend(loc="lower right")
        skills = {name: study.final(skill(key)) for name, key in NAMES.items()}
        look = {"xscale": "log", "xlabel": "parameters", "ylim": (-0.03, 1.03)}
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


def walk(walked: Recorded, control: Recorded) -> None:
    """One size over training, with corrections and without; the skills of the first."""
    (case,), (other,) = walked.cases, control.cases
    steps = [point["step"] for point in walked.run(case, walked.seeds[0])["points"]]
    alt = "Misquotes repeated over training: down and up again; without corrections, hardly down."
    with figure(1, 2, alt=alt) as (left, right):
        for study, at, key, colour, name in (
            (control, other, "literal", MUTED, "probability, none corrected"),
            (walked, case, "literal_accuracy", BLUE, "ranked first"),
            (walked, case, "literal", ORANGE, "probability"),
        ):
            rows = study.along(at, skill(key), False)
            left.fill_between(
                steps, rows.min(0), rows.max(0), color=colour, alpha=0.18, linewidth=0
            )
            left.plot(steps, rows.mean(0), color=colour, label=name)
        name_axes(left, "step", "the misquote is repeated", "", "log", "linear")
        left.set_ylim(-0.03, 1.03)
        left.legend(loc="lower right", fontsize=14)
        skills = {name: walked.along(case, skill(key), False) for name, key in NAMES.items()}
        look = {"xlabel": "step", "ylim": (-0.03, 1.03), "markers": False, "xscale": "log"}
        lines(steps, skills, ax=right, **look)


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
        axes[0].text(0.02, 0.98, "darker: more parameters", va="top", color=MUTED, fontsize=15)
