"""The figures of lesson 00c."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.course.show.figures import bars
from minilm.course.show.grids import heatmap
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
from minilm.models import gpt
from minilm.studies.recorded import Recorded

VOCABULARY = ("·", "ann", "met", "bob")
PARTS = ("the word", "its place", "the word before")


def opening() -> Picture:
    """Two steps: everyone notes who stood before it; the last word looks for its own name."""
    story = ("·", "ann", "met", "bob", "ann")
    with styled():
        sheet, ax = new_figure(size=(12.2, 3.6))
        ax.set_axis_off()
        for at, word in enumerate(story):
            last = at == len(story) - 1
            ax.text(at, 1.0, word, ha="center", va="center", fontsize=27, fontweight="bold",
                    color=BLUE if last else INK)  # fmt: skip
            note = story[max(at - 1, 0)]
            found = note == "ann"
            ax.text(at, 0.52, f"after {note}" if at else "first", ha="center", va="center",
                    fontsize=17, color="white" if found else MUTED, bbox={
                        "boxstyle": "round,pad=0.35", "linewidth": 1.5,
                        "facecolor": VERMILION if found else "white",
                        "edgecolor": VERMILION if found else FAINT,
                    })  # fmt: skip
            if at:
                arrow = {"arrowstyle": "-|>", "linewidth": 2.5, "color": ORANGE}
                ax.annotate("", (at - 0.8, 0.78), (at - 0.2, 0.78), arrowprops=arrow)
        bow = {"arrowstyle": "-|>", "linewidth": 4, "color": BLUE,
               "connectionstyle": "arc3,rad=-0.32"}  # fmt: skip
        ax.annotate("", (2.05, 0.36), (4, 0.36), arrowprops=bow)
        ax.text(3.0, -0.13, "2. whose note says ann?", ha="center", fontsize=19, color=BLUE)
        ax.text(1.0, -0.13, "1. note who stood before", ha="center", fontsize=19, color=ORANGE)
        ax.text(5.05, 1.0, "met", ha="center", va="center", fontsize=27, fontweight="bold",
                color=VERMILION)  # fmt: skip
        ax.text(5.05, 0.52, "the guess", ha="center", va="center", fontsize=17, color=VERMILION)
        ax.set_xlim(-0.5, 5.6)
        ax.set_ylim(-0.3, 1.2)
        return render(
            sheet,
            "Five words, ann met bob then ann; each carries a note with the word before it; the "
            "last ann points at met, whose note says ann.",
        )


def rows(x: np.ndarray, names: Sequence[str], vocabulary: Sequence[str]) -> None:
    """The residual of a text as a notice board: a row a word, the columns in their three groups."""
    places = [str(i) for i in range(x.shape[1] - 2 * len(vocabulary))]
    columns = [*vocabulary, *places, *vocabulary]
    ends = np.cumsum([len(vocabulary), len(places), len(vocabulary)])
    with figure(
        alt="Each word's row has a 1 in the columns of the word, of its place and, once it is "
        "written, of the word before it.",
        size=(12.2, 3.4),
    ) as ax:
        heatmap(x, xlabels=columns, ylabels=list(names), numbers="{:.1f}", low=0, high=1, ax=ax)
        for end, part, width in zip(ends, PARTS, (4, len(places), 4), strict=True):
            ax.axvline(end - 0.5, color=INK, linewidth=3)
            ax.text(end - width / 2 - 0.5, -0.75, part, ha="center", va="bottom", fontsize=19)
        ax.axvline(-0.5, color=INK, linewidth=3)


def _head(x: np.ndarray, q: np.ndarray, k: np.ndarray) -> np.ndarray:
    scores = np.where(np.triu(np.ones((len(x), len(x)), bool), k=1), -np.inf, q @ k.T)
    return gpt.softmax(8 * scores)


def circuit(text: str) -> None:
    """Both written layers on a text of the four words: what each looks at, and the guess."""
    names = ["·", *text.split()]
    word = np.eye(4)[[VOCABULARY.index(name) for name in names]]  # (T, V)
    where = np.eye(len(names))
    first = _head(word, np.vstack([0 * where[:1], where[:-1]]), where)  # asks for the place before
    note = first @ word
    second = _head(word, word, note)  # whose note is me?
    guess = gpt.softmax((word + 4 * second @ word)[-1:])[0]
    _two_maps(first, second, names, ("1. who stood before me", "2. whose note is me"), guess)


def _two_maps(
    first: np.ndarray,
    second: np.ndarray,
    names: Sequence[str],
    titles: Sequence[str],
    guess: np.ndarray | None = None,
) -> None:
    alt = "What each word looks at in the first layer, the one before, and in the second layer."
    with figure(1, 2 if guess is None else 3, alt=alt) as axes:
        for ax, title, one in zip(axes, titles, (first, second), strict=False):
            seen = np.where(np.tril(np.ones_like(one)) > 0, one, np.nan)
            look = {"xlabels": names, "ylabels": names} if len(names) < 9 else {}
            heatmap(
                seen, title=title, low=0, high=1, ax=ax,
                numbers="{:.1f}" if len(names) < 9 else None, **look,
            )  # fmt: skip
        if guess is not None:
            colours = [GREEN if np.isclose(p, guess.max(), atol=0.01) else FAINT for p in guess]
            axes[2].barh(range(4), guess, color=colours)
            axes[2].set_yticks(range(4), VOCABULARY)
            axes[2].invert_yaxis()
            axes[2].set_xlim(0, 1)
            axes[2].set_title("the guess")


def opened(seen: tuple[list[np.ndarray], np.ndarray]) -> None:
    """Both layers of a trained model on one text; its words, as letters, at the edges."""
    (first, second), ids = seen
    letters = ["·", *"abcdefghijklmnop"]
    names = [letters[i] for i in ids]
    with figure(
        1, 2, alt="The first layer looks at the word before; the second at the word that followed "
        "the same word earlier."
    ) as axes:  # fmt: skip
        for ax, title, one in zip(axes, ("layer 1", "layer 2"), (first, second), strict=True):
            seen_ = np.where(np.tril(np.ones_like(one)) > 0, one, np.nan)
            heatmap(seen_, title=title, low=0, high=1, numbers=None, ax=ax)
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_ticks(range(len(names)), names, fontsize=11, rotation=0)


def marks(found: dict[str, Sequence[float]]) -> None:
    """Texts right, % per seed, for each way of guessing."""
    bars(
        list(found),
        np.array(list(found.values())).T,
        ylabel="texts right, %",
        numbers="{:.0f}",
        alt="The written model is right in all texts; every other way in far fewer.",
    )


def learning(record: Recorded, shortcut: float) -> None:
    """Asked words right along training, one line per seed, and the best guess without thought."""
    with figure(
        alt="Two layers stay level for some hundred steps and then jump; one layer stays low."
    ) as ax:
        for name, colour in zip(("two layers", "one layer", "one layer, wider"),
                                (BLUE, VERMILION, ORANGE), strict=True):  # fmt: skip
            for seed in record.seeds_of(name):
                points = record.run(name, seed)["points"]
                ax.plot([p["step"] for p in points], [100 * p["right"] for p in points],
                        color=colour, alpha=0.6, linewidth=2)  # fmt: skip
            ax.plot([], [], color=colour, label=f"{name}, {record.parameters[name]:,}")
        ax.axhline(95, linestyle=(0, (4, 3)), color=MUTED, linewidth=2)
        ax.axhline(shortcut, linestyle=":", color=INK, linewidth=2, label="longest ago")
        ax.set_xlabel("steps of training")
        ax.set_xscale("log")
        ax.set_ylabel("asked words right, %")
        ax.set_ylim(0, 103)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def looks(found: Sequence[dict[str, Any]]) -> None:
    """Where each trained layer looks, per seed."""
    names = {"before": "at the word before", "followed": "at what followed earlier"}
    values = {
        f"layer {layer + 1}, {text}": [100 * look[key][layer] for look in found]
        for layer in (0, 1)
        for key, text in names.items()
    }
    values["equal shares, what followed"] = [100 * look["evenly"][1] for look in found]
    bars(
        [name.replace(", ", "\n") for name in values],
        np.array(list(values.values())).T,
        ylabel="share of attention, %",
        numbers="{:.0f}",
        alt="Layer 1 looks at the word before, layer 2 at what followed the same word earlier.",
    )
