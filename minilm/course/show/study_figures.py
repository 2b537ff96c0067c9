"""The two pictures of a study: loss against compute with its forecast, and the gains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minilm.analysis.curves import t_interval
from minilm.analysis.scaling import power_fit
from minilm.course.show.style import COLOURS, INK, MARKERS, MUTED, Picture, name_axes, page
from minilm.studies import forecast

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Data = dict[str, Any]
NEAR = 0.85  # of the least loss, and as far above the largest: what is drawn beside the curves


def curves(data: Data, ax: Axes | None = None) -> Picture | None:
    """Loss against FLOPs: a dot a run, lines fitted to the smaller sizes, the forecast as a bar.

    Args:
        data: a record that a plan has left.
        ax: draw into a panel of somebody's figure.
    """
    fields = forecast.promised(data)
    held, models = fields["held_back"], fields["models"]
    alt = (
        f"Loss against FLOPs of {' and '.join(models)}: dots are runs, lines are fitted to the "
        f"smaller sizes, bars show what they foretold for size {held}."
    )
    with page(ax, alt) as drawing:
        ax = drawing.ax
        for k, model in enumerate(models):
            _curve(ax, data, model, COLOURS[k], MARKERS[k], (k - (len(models) - 1) / 2) * 0.04)
        losses = [forecast.final(run) for run in data["runs"]]
        for name, loss in data.get("yardsticks", {}).items():
            if not NEAR * min(losses) <= loss <= max(losses) / NEAR:
                continue  # it would press the curves into a corner
            ax.axhline(loss, linestyle=(0, (4, 3)), color=MUTED, linewidth=1.5)
            ax.annotate(name, (1.0, loss), xycoords=("axes fraction", "data"), fontsize=14,
                        color=MUTED, ha="right", va="bottom")  # fmt: skip
        ylabel = f"held-out loss,\n{data['settings'].get('unit', '')}"
        name_axes(ax, "FLOPs of a run", ylabel, "", "log", "log")
        _plain_ticks(ax)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawing.picture


def _curve(ax: Axes, data: Data, model: str, colour: str, marker: str, shift: float) -> None:
    fields = forecast.promised(data)
    own = [run for run in data["runs"] if run["model"] == model]
    small = [run for run in own if run["size"] != fields["held_back"]]
    large = [run for run in own if run["size"] == fields["held_back"]]
    for runs, face in ((small, colour), (large, "white")):
        ax.plot(
            [run["flops"] * (1 + shift) for run in runs],
            [forecast.final(run) for run in runs],
            marker,
            color=colour,
            markerfacecolor=face,
            markeredgewidth=2,
            linestyle="none",
            label=model if runs is small else None,
        )
    if len({run["flops"] for run in small}) > 1:
        k, p, _ = power_fit([r["flops"] for r in small], [forecast.final(r) for r in small])
        x = np.geomspace(min(run["flops"] for run in small), fields["budget"][-1], 40)
        ax.plot(x, k * x**p, "--", color=colour, linewidth=1.8)
    ends = data.get("forecast", {}).get("models", {}).get(model)
    if ends:
        at = data["forecast"]["flops"] * (1 + shift)
        ax.plot([at, at], [ends["low"], ends["high"]], color=colour, linewidth=9, alpha=0.25)


def _plain_ticks(ax: Axes) -> None:
    """Losses as they are written, and not as powers of ten."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

    ax.yaxis.set_major_locator(MaxNLocator(6))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2f}"))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0e}".replace("e+", "e")))
    ax.xaxis.set_minor_formatter(NullFormatter())


def gains(data: Data, ax: Axes | None = None) -> Picture | None:
    """By how much every idea beats the baseline at every size: a dot a seed, bars of 95 %.

    Args:
        data: a record that a plan has left.
        ax: draw into a panel of somebody's figure.
    """
    fields = forecast.promised(data)
    ideas = [model for model in fields["models"] if model != fields["baseline"]]
    sizes = [size for size in fields["sizes"] if forecast.seeds_at(data, size)]
    alt = (
        f"Gain of {' and '.join(ideas)} over {fields['baseline']} at every size, seed by seed, "
        f"with 95 % intervals and the promised gain of {fields['gain']:g}."
    )
    with page(ax, alt) as drawing:
        ax = drawing.ax
        for k, model in enumerate(ideas):
            at = np.arange(len(sizes)) + (k - (len(ideas) - 1) / 2) * 0.16
            for x, size in zip(at, sizes):
                found = forecast.gains_at(data, size, model, forecast.seeds_at(data, size))
                ax.plot([x] * len(found), found, MARKERS[k], color=COLOURS[k + 1], alpha=0.7)
                if len(found) > 1:
                    low, mean, high = t_interval(found)
                    ax.plot([x, x], [low, high], color=COLOURS[k + 1], linewidth=2.5)
                    ax.plot([x - 0.05, x + 0.05], [mean, mean], color=INK, linewidth=2.5)
            ax.plot([], [], MARKERS[k], color=COLOURS[k + 1], label=model)
        ax.axhline(0, color=INK, linewidth=1)
        ax.axhline(fields["gain"], linestyle=(0, (4, 3)), color=MUTED, linewidth=2)
        ax.annotate("promised", (0.0, fields["gain"]), xycoords=("axes fraction", "data"),
                    fontsize=15, color=MUTED, va="bottom")  # fmt: skip
        ylabel = f"gain over {fields['baseline']},\n{data['settings'].get('unit', '')}"
        name_axes(ax, "size", ylabel, "", "linear", "linear")
        held = fields["held_back"]
        names = [f"{size}\n(held back)" if size == held else str(size) for size in sizes]
        ax.set_xticks(range(len(sizes)), names)
        ax.set_xlim(-0.6, len(sizes) - 0.4)
        ax.grid(visible=False, axis="x")
        if len(ideas) > 1:
            ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawing.picture
