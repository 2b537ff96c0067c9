"""Stacks of layers as lesson 03 draws them: the opening picture, and the walk step by step."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm.course.show.style import BLUE, GREEN, INK, MUTED, VERMILION, figure, new_figure, styled

from . import experiments

STEPS = (
    "0  the encoder-decoder of 2017",
    "1  cross-attention shares weights",
    "2  one stack of weights",
    "3  each layer reads its own",
    "4  the input is causal",
    "5  one softmax: decoder-only",
)
SOURCE, TARGET = 5, 4  # tokens in the little tables
ARROW = {"arrowstyle": "-|>", "color": MUTED, "linewidth": 2, "connectionstyle": "arc3,rad=-0.1"}


def opening() -> Any:
    """Two stacks on the left, one on the right, and between them what was taken away."""
    from matplotlib.patches import FancyArrowPatch

    with styled():
        sheet, ax = new_figure()
        _tower(ax, 0.2, BLUE)
        _tower(ax, 3.0, VERMILION)
        for k in range(3):
            _box(ax, 2.35, k + 0.08, 0.5, 0.54, GREEN, "×")
            _arrow(ax, (1.75, 2.35), (2.33, k + 0.35))
        _tower(ax, 10.3, BLUE)
        words = {0.2: ("reads", "Das ist gut"), 3.0: ("writes", "That is good")}
        for left, (role, said) in words.items():
            ax.text(left + 0.75, -0.3, said, ha="center", va="top", fontsize=16)
            ax.text(left + 0.75, 3.2, role, ha="center", fontsize=18, color=MUTED)
        ax.text(11.05, -0.3, "Das ist gut That is good", ha="center", va="top", fontsize=16)
        ax.text(11.05, 3.2, "reads and writes", ha="center", fontsize=18, color=MUTED)
        ax.text(2.3, 4.05, "2017", ha="center", fontsize=26, fontweight="bold")
        ax.text(11.05, 4.05, "today", ha="center", fontsize=26, fontweight="bold")
        ax.add_patch(
            FancyArrowPatch((5.0, 1.25), (9.8, 1.25), arrowstyle="simple,head_width=34,"
                            "head_length=26,tail_width=10", color="#D9DEE7", linewidth=0)
        )  # fmt: skip
        gone = ("cross-attention", "a stack for each side", "only the last layer is read",
                "reading both ways")  # fmt: skip
        for k, name in enumerate(gone):
            ax.text(7.2, 3.3 - 0.42 * k, f"{k + 1}  {name}", ha="center", fontsize=17, color=INK)
        ax.text(7.2, 0.4, "four things taken away", ha="center", fontsize=16, color=MUTED)
        ax.set(xlim=(-0.2, 12.6), ylim=(-0.9, 4.5))
        ax.axis("off")
    return sheet


def _box(ax: Any, x: float, y: float, wide: float, high: float, colour: str, text: str) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x, y), wide, high, color=colour))
    ax.text(x + wide / 2, y + high / 2, text, color="white", ha="center", va="center", fontsize=16)


def _tower(ax: Any, left: float, colour: str) -> None:
    for k in range(3):
        _box(ax, left, k, 1.5, 0.7, colour, f"layer {k + 1}")


def _arrow(ax: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.annotate("", end, start, arrowprops=ARROW)


def walk(step: int) -> None:
    """The model after a step: its stacks on the left, who looks at whom on the right."""
    model = experiments.package(min(step, 4), step == 5)
    layers, one = len(model.decoder.blocks), step == 5
    with figure(
        1, 2, alt="Two stacks of layers with the lines by which one reads the other; who looks at "
        "whom beside them."
    ) as (left, right):  # fmt: skip
        target = BLUE if step >= 2 else VERMILION
        _tower(left, 0, BLUE)
        _tower(left, 4, target)
        for k in range(layers):
            if not one:
                _box(left, 3.35, k + 0.08, 0.5, 0.54, target if step >= 1 else GREEN, "×")
            start = (1.55, k + 0.35) if step >= 3 else (1.55, layers - 0.65)
            _arrow(left, start, (3.95 if one else 3.3, k + 0.35))
        left.text(0.75, -0.45, "source", ha="center")
        left.text(4.75, -0.45, "target", ha="center")
        share = sum(w.data.size for n, w in model.named_parameters() if ".blocks." in n)
        left.text(0, layers + 0.55, f"{share / layers / model.config.channels**2:g} LC² weights")
        left.set(xlim=(-0.1, 5.7), ylim=(-0.8, layers + 1.0), title=STEPS[step])
        left.axis("off")
        ids = np.concatenate(experiments.given(0, SOURCE, TARGET))
        table = experiments.looks(experiments.of_two_stacks(model, SOURCE), ids)
        sight(table, "who looks at whom", right)


def sight(table: np.ndarray, title: str, ax: Any) -> None:
    """Blue where a row looks at a column; the red lines part source from target."""
    from matplotlib.colors import ListedColormap

    places = [f"s{i + 1}" for i in range(SOURCE)] + [f"t{i + 1}" for i in range(TARGET)]
    paper = ListedColormap(["#EEF1F6", BLUE])
    ax.pcolormesh(table, cmap=paper, vmin=0, vmax=1, edgecolor="white", linewidth=2)
    ax.set_xticks(np.arange(len(places)) + 0.5, places)
    ax.set_yticks(np.arange(len(places)) + 0.5, places)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.axhline(SOURCE, color=VERMILION, linewidth=3)
    ax.axvline(SOURCE, color=VERMILION, linewidth=3)
    ax.set(title=title, aspect="equal", xlabel="looks at")
    ax.invert_yaxis()


def three_kinds() -> None:
    """Who looks at whom in the three kinds of Transformer."""
    with figure(
        1, 3, alt="Three tables of who looks at whom: encoder-decoder, encoder only, decoder only."
    ) as panels:
        for ax, (name, table) in zip(panels, experiments.three_kinds().items(), strict=True):
            sight(table, name, ax)
