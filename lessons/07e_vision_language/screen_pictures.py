"""The figures and controls on small text and on screens, of lesson 07e."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.course.show.figures import bars, lines
from minilm.course.show.style import (
    COLOURS,
    GREEN,
    INK,
    MARKERS,
    MUTED,
    VERMILION,
    figure,
)
from minilm.data.images import documents
from minilm.data.images.resize import resize
from minilm.data.images.screens import CELL, CELLS, DONE
from minilm.studies.recorded import Recorded
from minilm.vision.zoom import crop_zoom

Rows = Sequence[float]


def _show(ax: Any, image: np.ndarray, title: str = "") -> None:
    """A picture (3, H, W) without axes."""
    ax.imshow(np.clip(image, 0, 1).transpose(1, 2, 0), interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    for side in ax.spines.values():
        side.set_visible(False)
    if title:
        ax.set_title(title, loc="center", fontsize=16, fontweight="normal")


def _cells(ax: Any) -> None:
    """Faint lines between the cells of a screen."""
    for line in range(CELL, CELL * CELLS, CELL):
        ax.axhline(line - 0.5, color="white", linewidth=1.5)
        ax.axvline(line - 0.5, color="white", linewidth=1.5)


def _outline(ax: Any, top: float, left: float, size: float, colour: str = INK) -> None:
    from matplotlib.patches import Rectangle

    where = (left - 0.5, top - 0.5)
    ax.add_patch(Rectangle(where, size, size, fill=False, edgecolor=colour, linewidth=4))


# ---------------------------------------------------------------------------------- small text


def sizes(clean: np.ndarray, scanned: np.ndarray, sides: Sequence[int] = (24, 16, 12, 8)) -> None:
    """One page as it was printed, and its scan at fewer and fewer pixels."""
    with figure(
        1, len(sides) + 1, size=(12.2, 3.1),
        alt="A form with four coloured boxes; in print and at 24 pixels the numbers can be read, at "
        "8 only the colours are left.",
    ) as axes:  # fmt: skip
        _show(axes[0], clean, "printed")
        for ax, side in zip(axes[1:], sides, strict=True):
            tokens = (side // 4) ** 2
            _show(ax, resize(scanned, side), f"{side} px, {tokens} tokens")


def at_size(scanned: np.ndarray, side: int, patch: int = 4) -> None:
    """The page at so many pixels, and the patches that an eye makes of it."""
    with figure(
        1, 2, size=(12.2, 4.6), alt="A scanned form at a chosen size, and the same with a grid of "
        "patches over it."
    ) as (left, right):  # fmt: skip
        small = resize(scanned, side)
        _show(left, small, f"{side} x {side} pixels")
        _show(right, small, f"{(side // patch) ** 2} tokens")
        for line in range(patch, side, patch):
            right.axhline(line - 0.5, color=INK, linewidth=1.5)
            right.axvline(line - 0.5, color=INK, linewidth=1.5)


def reading(record: Recorded, sides: Sequence[int], known: np.ndarray) -> None:
    """Numbers read against pixels: the model, and the reader who knows every look."""
    model = record.final(lambda point: point["right"], ["12 px", "24 px"])
    lines(
        sides,
        {"knows every look": known, "the model": ((12, 24), model)},
        xlabel="pixels along a side",
        ylabel="numbers read",
        expected={"chance": 0.01},
        ylim=(0, 1.03),
        alt="With more pixels more numbers are read, by the model and by a reader who knows every "
        "look.",
    )


def frontier(record: Recorded, ways: Sequence[str], macs: Callable[[str], int]) -> None:
    """Numbers read against multiply-adds, one mark for each way and dots for its seeds."""
    with figure(alt="Numbers read against multiply-adds for four ways of seeing a page.") as ax:
        plain = [way for way in ways if way.endswith("px")]
        means = {
            way: np.mean([record.run(way, s)["points"][-1]["right"] for s in record.seeds])
            for way in ways
        }
        at = {way: macs(way) / 1e6 for way in ways}
        ax.plot([at[w] for w in plain], [means[w] for w in plain], color=MUTED, linewidth=2)
        others = [way for way in ways if way not in plain]
        for way in ways:
            k = others.index(way) + 1 if way in others else 0
            colour, marker = (MUTED, "o") if way in plain else (COLOURS[k - 1], MARKERS[k])
            for seed in record.seeds:
                share = record.run(way, seed)["points"][-1]["right"]
                ax.plot(at[way], share, marker, color=colour, alpha=0.45, markersize=7)
            ax.plot(at[way], means[way], marker, color=colour, markersize=14)
            ax.annotate(
                way, (at[way], means[way]), xytext=(12, -18), textcoords="offset points",
                color=INK if way in plain else colour, fontsize=16, fontweight="bold",
            )  # fmt: skip
        ax.set_xlabel("million multiply-adds for a question")
        ax.set_ylabel("numbers read")
        ax.set_ylim(0, 1.05)
        ax.set_xlim(0, 1.15 * max(at.values()))


def scores(inside: int, beside: int) -> None:
    """CogAgent's attention scores, per layer, for the two designs."""
    bars(
        ["6,400 patches in the sequence", "behind the narrow branch"],
        [inside / 1e9, beside / 1e9],
        ylabel="billion multiply-adds",
        xlabel="",
        numbers="{:.1f}",
        horizontal=True,
        size=(12.2, 2.8),
        alt="The scores of one layer need 187 billion multiply-adds inside, 2.9 billion beside.",
    )


def looking_again(scanned: np.ndarray, box: documents.Box, low: int = 12) -> None:
    """The small view, the box that is named in it, and what is shown next."""
    with figure(
        1, 3, size=(12.2, 4.3), alt="A small view of the page, the same with one box marked, and "
        "that box cut from the scan and enlarged, where the number can be read."
    ) as axes:  # fmt: skip
        small, place = resize(scanned, low), documents.PLACE
        _show(axes[0], small, f'"{box.colour}, first digit?"')
        _show(axes[1], small, "it names a box")
        part = low // documents.PLACES
        _outline(axes[1], part * box.row, part * box.column, part)
        top, left = place * box.row, place * box.column
        _show(
            axes[2], crop_zoom(scanned, (top, left, top + place, left + place), low),
            f"and is shown it at {low} px",
        )  # fmt: skip


def vocabularies(record: Recorded) -> None:
    """Numbers read through each of the four frozen eyes, and what the eyes were taught."""
    names = {
        "first": "taught by captions",
        "second": "taught to read",
        "both": "both, side by side",
        "one": "one, taught both",
    }
    bars(
        list(names.values()),
        record.final(lambda point: point["right"], list(names)),
        ylabel="numbers read",
        numbers="{:.0%}",
        alt="Numbers read behind an eye taught by captions, one taught to read, both side by side, "
        "and a single eye taught both.",
    )


# ------------------------------------------------------------------------------------- screens


def kinds(named: Sequence[tuple[str, np.ndarray]]) -> None:
    """One screen of each kind."""
    with figure(
        1, len(named), size=(12.2, 3.1), alt="Five screens: a list of pages, a page with fields, the "
        "page with a field ticked, a screen that asks again, and one that says it is saved."
    ) as axes:  # fmt: skip
        for ax, (name, image) in zip(axes, named, strict=True):
            _show(ax, image, name)
            _cells(ax)


def clicking(frame: Any, words: str) -> None:
    """A screen as the agent sees it, and the cell that it clicks."""
    with figure(
        1, 2, size=(12.2, 4.7), alt="Left a screen as the agent sees it; right the same screen, "
        "with the cell that it clicks outlined."
    ) as (left, right):  # fmt: skip
        _show(left, frame.image, "what it sees")
        _show(right, frame.image, "what it does")
        _cells(right)
        if frame.action == DONE:
            middle = CELL * CELLS / 2 - 0.5
            right.text(
                middle, middle, "done", ha="center", va="center", fontsize=44, fontweight="bold",
                color=GREEN, bbox={"facecolor": "white", "edgecolor": GREEN, "linewidth": 3},
            )  # fmt: skip
        else:
            row, column = divmod(frame.action, CELLS)
            _outline(right, CELL * row + 0.25, CELL * column + 0.25, CELL - 0.5, VERMILION)
    print(words)


def episode(frames: Sequence[Any]) -> None:
    """All screens of a game in a row, the clicked cells outlined."""
    with figure(
        1, len(frames), size=(12.2, 12.2 / len(frames) + 0.55),
        alt="The screens of one game from left to right, with the cell that the agent clicks.",
    ) as axes:  # fmt: skip
        for step, (ax, frame) in enumerate(zip(np.atleast_1d(axes), frames, strict=True), 1):
            _show(ax, frame.image, "done" if frame.action == DONE else f"{step}")
            _cells(ax)
            if frame.action != DONE:
                row, column = divmod(frame.action, CELLS)
                _outline(ax, CELL * row, CELL * column, CELL, VERMILION)


def agents(record: Recorded) -> None:
    """Tasks done along the training, by each seed, in seen tasks and in unseen ones."""
    yards = [record.run("stray", seed)["yardsticks"]["no names"]["done"] for seed in record.seeds]
    with figure(
        size=(12.2, 5.0), alt="Tasks done on unseen screens along the training, for three seeds: one "
        "learns seen and unseen tasks, one the seen ones only, one neither."
    ) as ax:  # fmt: skip
        for seed, colour, marker in zip(record.seeds, COLOURS, MARKERS):
            points = record.run("stray", seed)["points"]
            steps = [point["step"] for point in points]
            for key, name, style in (("seen", "shown", "--"), ("unseen", "never shown", "-")):
                ax.plot(
                    steps, [point[key] for point in points], style, color=colour, marker=marker,
                    linewidth=2.5, label=f"seed {seed}, tasks {name}",
                )  # fmt: skip
        ax.axhline(
            np.mean(yards), color=MUTED, linestyle=":", linewidth=2.5, label="reads no names"
        )
        ax.set_xlabel("steps of training")
        ax.set_ylabel("tasks done")
        ax.set_ylim(-0.02, 1.03)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=14)
