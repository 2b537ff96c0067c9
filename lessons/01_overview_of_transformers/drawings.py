"""What lesson 01 draws by hand: its opening picture, and queries, keys and values."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.course.show.style import (
    BLUE,
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

STORY = "the river rose until it reached the bank".split()


def _words(ax: Any, y: float, words: Sequence[str], strong: Sequence[int] = ()) -> None:
    for x, word in enumerate(words):
        look = {"fontweight": "bold", "color": INK} if x in strong else {"color": MUTED}
        ax.text(x, y, word, ha="center", va="center", fontsize=17, **look)


def _arc(ax: Any, start: float, end: float, y: float, width: float, colour: str) -> None:
    """A bow from one word back to another."""
    turn = np.linspace(0, np.pi, 60)
    across = (start + end) / 2 + (start - end) / 2 * np.cos(turn)
    bow = y + 0.2 + (0.25 + 0.08 * abs(start - end)) * np.sin(turn)
    ax.plot(across, bow, color=colour, linewidth=width, solid_capstyle="round")


def opening() -> Picture:
    """Three ways to know what "bank" means: count two words, carry a state, look at every word."""
    with styled():
        sheet, ax = new_figure()
        ax.set_axis_off()
        last = len(STORY) - 1
        rows = (
            (4.0, "counts", "the two words before", VERMILION),
            (2.1, "carries a state", "one vector for all that was read", ORANGE),
            (0.0, "attends", "every word, as much as it matters", BLUE),
        )
        for y, name, what, colour in rows:
            ax.text(-3.6, y + 0.24, name, fontsize=21, fontweight="bold", color=colour, va="center")
            ax.text(-3.6, y - 0.24, what, fontsize=14, color=MUTED, va="center")
        _words(ax, 4.0, STORY, (5, 6, 7))
        for word in (5, 6):
            _arc(ax, last, word, 4.0, 4, VERMILION)
        _words(ax, 2.1, STORY, (7,))
        for x in range(last):
            ax.annotate(
                "",
                (x + 0.96, 2.55),
                (x + 0.04, 2.55),
                arrowprops={"arrowstyle": "-|>", "color": ORANGE, "linewidth": 1 + 0.55 * x},
            )
        _words(ax, 0.0, STORY, (1, 2, 7))
        for word, width in enumerate((0.8, 9, 5, 0.8, 1.6, 2, 0.8)):
            _arc(ax, last, word, 0.0, width, BLUE)
        ax.set_xlim(-3.7, last + 0.5)
        ax.set_ylim(-0.5, 5.0)
        return render(
            sheet,
            "The sentence 'the river rose until it reached the bank', three times. A counter "
            "sees the two words before 'bank'; a recurrent net carries one state along; "
            "attention draws a line from 'bank' to every word, the thickest to 'river'.",
        )


def library(words: Sequence[str], weights: Sequence[float], query: Sequence[float],
            keys: np.ndarray, values: np.ndarray) -> None:  # fmt: skip
    """The last word's query meets every key; the values flow down, as thick as their weights."""

    def vector(numbers: Sequence[float]) -> str:
        return "[" + "  ".join(f"{round(float(number), 2):g}" for number in numbers) + "]"

    def box(ax: Any, x: float, y: float, text: str, colour: str) -> None:
        look = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": colour, "lw": 2.5}
        ax.text(x, y, text, ha="center", va="center", fontsize=16, bbox=look, zorder=3)

    mixed = np.asarray(weights) @ values
    with figure(
        alt="The query of the last word is compared with the key of every word; thick lines where "
        "they fit. The values flow into one mixture, each as much as its line is thick."
    ) as ax:
        ax.set_axis_off()
        middle = (len(words) - 1) / 2
        for x, (word, weight) in enumerate(zip(words, weights, strict=True)):
            thick = 0.8 + 12 * weight
            ax.plot([middle, x], [4.0, 2.85], color=VERMILION, linewidth=thick, alpha=0.55)
            ax.plot([x, middle], [1.75, 0.5], color=GREEN, linewidth=thick, alpha=0.55)
            box(ax, x, 2.8, vector(keys[x]), BLUE)
            box(ax, x, 1.8, vector(values[x]), GREEN)
            ax.text(x, 2.3, f"{word}: {weight:.2f}", ha="center", va="center", fontweight="bold")
        box(ax, middle, 4.1, f"query of “{words[-1]}”  {vector(query)}", VERMILION)
        box(ax, middle, 0.4, f"“{words[-1]}” leaves with  {vector(mixed)}", INK)
        for y, name, colour in ((2.8, "keys", BLUE), (1.8, "values", GREEN)):
            ax.text(-0.75, y, name, ha="center", va="center", color=colour, fontweight="bold")
        ax.set_xlim(-1, len(words) - 0.4)
        ax.set_ylim(0, 4.5)


def by_hand(middle: str, sharpness: float) -> None:
    """The three words of the lesson, with another word in the middle or a sharper query."""
    key, value = {"river": ([0, 2, 0, 1], [1, 0]), "loan": ([0, 0, 2, 1], [0, 1])}[middle]
    keys = np.array([[2, 0, 0, 0], key, [0, 0, 0, 2]])
    values = np.array([[0, 0], value, [0.5, 0.5]])
    query = sharpness * np.array([0, 2, 2, 0])
    e = np.exp(keys @ query / 2)  # sqrt(4) = 2
    library(["the", middle, "bank"], e / e.sum(), query, keys, values)
