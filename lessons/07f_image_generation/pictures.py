"""The figures of lesson 07f."""

from collections.abc import Mapping
from typing import Any

import numpy as np

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
from minilm.data.images import split_digits
from minilm.studies.recorded import Recorded
from minilm.vision.vq import nearest_code
from minilm.vision.vqvae import VqVae

from . import experiments as E
from .verdicts import TASKS, last

PAPER = {"cmap": "gray_r", "vmin": -1, "vmax": 1}


def _show(ax: Any, picture: np.ndarray, title: str = "", size: int = 17) -> None:
    ax.imshow(np.squeeze(picture), **PAPER)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)
    if title:
        ax.set_title(title, loc="center", fontsize=size, fontweight="normal")


def _ids(ax: Any, picture: np.ndarray, ids: np.ndarray, changed: int | None = None) -> None:
    """A picture, pale, with the code of each patch written over it."""
    ax.imshow(np.squeeze(picture), alpha=0.25, **PAPER)
    side = int(len(ids) ** 0.5)
    step = np.squeeze(picture).shape[0] / side
    for place, code in enumerate(ids):
        row, column = divmod(place, side)
        where = (step * (column + 0.5) - 0.5, step * (row + 0.5) - 0.5)
        ax.text(*where, str(code), ha="center", va="center", fontsize=17, fontweight="bold",
                color=VERMILION if place == changed else BLUE)  # fmt: skip
    for line in range(side + 1):
        ax.axhline(step * line - 0.5, color=MUTED, linewidth=1)
        ax.axvline(step * line - 0.5, color=MUTED, linewidth=1)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)


def opening() -> Picture:
    """A digit, its codes, and the sequence that a model reads."""
    held, labels = split_digits(0).held_images, split_digits(0).held_labels
    picture = 2 * held[np.flatnonzero(labels == 3)[0]] - 1  # (8, 8)

    def cut(x: np.ndarray) -> np.ndarray:
        return x.reshape(-1, 4, 2, 4, 2).swapaxes(2, 3).reshape(-1, 4)  # (N, 8, 8) -> (16 N, 4)

    every = np.unique(cut(2 * held - 1), axis=0)
    codes = every[np.random.default_rng(0).permutation(len(every))[: E.CODES]]
    ids = nearest_code(cut(picture), codes)  # real codes are learned, and look much the same
    with styled():
        sheet, axes = new_figure(1, 3, size=(12.2, 3.6))
        _show(axes[0], picture, "64 pixels")
        _ids(axes[1], picture, ids)
        axes[1].set_title("16 codes", loc="center", fontsize=17, fontweight="normal")
        ax = axes[2]
        ax.axis("off")
        ax.set_title("18 tokens", loc="center", fontsize=17, fontweight="normal")
        words = ["start", "three", *map(str, ids)]
        for at, word in enumerate(words):
            row, column = divmod(at, 3)
            paint = ORANGE if at == 0 else GREEN if at == 1 else BLUE
            ax.text(0.18 + 0.32 * column, 0.92 - 0.165 * row, word, ha="center", va="center",
                    fontsize=17, color="white", transform=ax.transAxes,
                    bbox={"boxstyle": "round,pad=0.3", "facecolor": paint, "edgecolor": "white"})  # fmt: skip
        return render(
            sheet,
            "A handwritten three of 64 pixels, the same three as 16 numbered codes, and a sequence "
            "of 18 tokens: start, three, and the codes.",
        )


# --- the codebook -------------------------------------------------------------------------------


def cloud(count: int) -> np.ndarray:
    """Points in the plane that lie in a bent band."""
    random = np.random.default_rng(3)
    turn = random.uniform(0, 1.5 * np.pi, count)
    return np.stack([np.cos(turn), np.sin(turn)], 1) * (1 + 0.15 * random.normal(size=(count, 1)))


def books(points: np.ndarray, codes: Mapping[str, np.ndarray], ids: Mapping[str, Any]) -> None:
    """Points of the plane and two codebooks, dead codes as crosses."""
    with figure(
        1, 2, alt="Without revival a few codes share all points; with it they spread over them."
    ) as axes:
        for ax, (name, book) in zip(axes, codes.items(), strict=True):
            used = np.unique(ids[name])
            dead = np.setdiff1d(np.arange(len(book)), used)
            ax.scatter(*points.T, s=14, color=FAINT)
            ax.scatter(*book[used].T, s=70, color=BLUE)
            ax.scatter(*book[dead].T, s=50, color=VERMILION, marker="x")
            ax.set_title(f"{name}: {len(used)} of {len(book)} in use")
            ax.set_xlabel("first number")
        axes[0].set_ylabel("second number")


COMPARED = {
    "gradient, wide": "by gradient,\nwide start",
    "gradient, narrow": "by gradient,\nnarrow start",
    "averages": "averages",
    "revival": "averages\nand revival",
}


def codebook_use(record: Recorded) -> None:
    """Codes in use and perplexity of the four ways."""
    with figure(
        1, 2, alt="Codes in use and their perplexity for four ways to learn a codebook."
    ) as axes:
        for ax, (name, title) in zip(
            axes, (("used", "codes in use, of 64"), ("perplexity", "perplexity")), strict=True
        ):
            values = np.array([last(record, case, name) for case in COMPARED]).T
            bars(list(COMPARED.values()), values, ylabel=title, numbers="{:.0f}", ax=ax,
                 horizontal=False)  # fmt: skip
            ax.tick_params(axis="x", labelsize=13)


def rates(record: Recorded) -> None:
    """A table: bits, codes in use, error and readability of codebooks."""
    print(f"{'':24}{'bits':>6}{'in use':>8}{'error':>9}{'named right':>13}{'Fréchet':>9}")
    for case, patches, codes in (
        ("patches of 4", 4, 64),
        ("4 codes", 16, 4),
        ("16 codes", 16, 16),
        ("revival", 16, 64),
        ("256 codes", 16, 256),
    ):
        found = {n: np.mean(last(record, case, n)) for n in ("used", "mse", "right", "frechet")}
        print(
            f"{patches:2} tokens of {codes:3} codes{'':5}{patches * np.log2(codes):>5.0f}"
            f"{found['used']:>8.0f}{found['mse']:>9.3f}{100 * found['right']:>11.1f} %"
            f"{found['frechet']:>9.2f}"
        )


def explore(model: VqVae, held: np.ndarray, tokens: np.ndarray, digit: int, code: int) -> None:
    """A real digit, its codes, and what the decoder paints with them and with one exchanged."""
    middle, other = 5, tokens[digit].copy()  # row 2, column 2 of 4 by 4
    other[middle] = code
    made = model.pictures(np.stack([tokens[digit], other]), E.DOWN, E.DOWN).clip(-1, 1)
    with figure(
        1, 4, alt="A digit, its codes, its reconstruction, and one with a code exchanged.",
        size=(12.2, 3.6),
    ) as axes:  # fmt: skip
        _show(axes[0], held[digit], "real")
        _ids(axes[1], held[digit], other, middle)
        axes[1].set_title("codes", loc="center", fontsize=17, fontweight="normal")
        _show(axes[2], made[0], "painted")
        _show(axes[3], made[1], f"with code {code}")


def lost(record: Recorded) -> None:
    """What a linear map reads from pixels, vectors and codes."""
    case = record.cases[0]
    values = {
        view: 100 * np.array([last(record, case, f"{view}_{n}") for n in ("digit", "font")]).T
        for view in ("pixels", "vectors", "codes")
    }
    with figure(alt="Accuracy of digit and font from pixels, vectors and codes.") as ax:
        bars(
            ["which digit (chance 10 %)", "which font (chance 6 %)"], values,
            ylabel="read by a linear map, %", numbers="{:.0f}", horizontal=False, ax=ax,
        )  # fmt: skip


# --- models that write --------------------------------------------------------------------------


def real_and_drawn(known: np.ndarray, labels: np.ndarray, made: np.ndarray) -> None:
    """A row of real digits over rows of drawn ones, columns from 0 to 9."""
    real = np.stack([known[np.flatnonzero(labels == k)[0]] for k in range(10)])
    rows = np.concatenate([real, made.clip(-1, 1)])
    with styled():
        sheet, axes = new_figure(len(rows) // 10, 10, size=(12.2, 5.6))
        for at, (ax, picture) in enumerate(zip(np.ravel(axes), rows, strict=True)):
            _show(ax, picture)
            ax.spines[:].set_color(GREEN if at < 10 else FAINT)
            if at % 10 == 0:
                ax.set_ylabel("real" if at < 10 else "", fontsize=17, color=GREEN)
        render(
            sheet, "A row of real digits, and below it four rows of digits that the model drew."
        ).show()


def drawn(made: np.ndarray, digit: int, temperature: float) -> None:
    """Twenty pictures for one label."""
    with styled():
        sheet, axes = new_figure(2, 10, size=(12.2, 3.0))
        for ax, picture in zip(np.ravel(axes), made.clip(-1, 1), strict=True):
            _show(ax, picture)
        sheet.suptitle(f"{digit}, temperature {temperature:g}", fontsize=18, color=INK)
        render(sheet, f"Twenty drawings of {digit} at temperature {temperature:g}.").show()


def generators(record: Recorded) -> None:
    """Frechet distance and share right of both sides at both budgets, with yardsticks."""
    amounts = sorted({amount for _, amount in record.cases})
    yard = {
        name: np.mean([
            record.run(("tokens", amounts[0]), seed)["yardsticks"][name]["frechet"]
            for seed in record.seeds
        ])
        for name in ("gaussian", "real")
    }  # fmt: skip
    labels = [f"budget {amount}" for amount in amounts]
    with figure(
        1, 2, alt="Frechet distance and share named right of tokens and pixels at two budgets."
    ) as axes:
        for ax, (name, title, scale) in zip(
            axes,
            (("frechet", "Fréchet distance", 1), ("right", "named right, %", 100)),
            strict=True,
        ):
            values = {
                model: scale * np.array([last(record, (model, a), name) for a in amounts]).T
                for model in ("tokens", "pixels")
            }
            expected = {"a Gaussian a class": yard["gaussian"], "real": yard["real"]}
            bars(labels, values, ylabel=title, horizontal=False, numbers="{:.3g}", ax=ax,
                 expected=expected if name == "frechet" else None)  # fmt: skip
        if axes[0].get_legend():  # one is enough, and its place is that of the yardsticks' names
            axes[0].get_legend().remove()


def masks(seen: Mapping[str, np.ndarray], hidden: Mapping[str, np.ndarray]) -> None:
    """Three masks, rows look at columns; what is hidden is named in colour."""
    with figure(
        1, 3, alt="Masks of drawing, telling and filling in: hidden tokens see the shown ones and "
        "the hidden ones before them.", size=(12.2, 4.6),
    ) as axes:  # fmt: skip
        for ax, (kind, mask) in zip(axes, seen.items(), strict=True):
            paint = mask.astype(float)
            paint[:, hidden[kind]] *= 0.55  # hidden columns are paler
            ax.imshow(paint, cmap="Blues", vmin=0, vmax=1.2)
            ax.set_title(f"{kind}: {int(mask.sum())} pairs", loc="center", fontsize=18)
            ax.set_xticks([0.5, 9.5], ["text", "picture"], fontsize=15)
            ax.set_yticks([])
            ax.grid(visible=False)
        axes[0].set_ylabel("looks", fontsize=16)


def universal(record: Recorded) -> None:
    """Loss of the specialists and of the universal model, for each task."""
    amounts = sorted({amount for _, amount in record.cases})
    with figure(
        1, 3, alt="Loss of specialist and universal model in three tasks at two budgets.",
        size=(12.2, 4.6),
    ) as axes:  # fmt: skip
        for ax, task in zip(axes, TASKS, strict=True):
            for name, who, paint in (("specialist", task, GREEN), ("universal", "universal", BLUE)):
                rows = np.array([last(record, (who, a), f"{task}_loss") for a in amounts])
                for seed in range(rows.shape[1]):
                    ax.plot(amounts, rows[:, seed], "o", color=paint, alpha=0.45, markersize=7)
                ax.plot(amounts, rows.mean(1), "o-", color=paint, label=name, linewidth=3)
            ends = [
                np.mean(last(record, (task, amounts[0]), f"{task}_loss")),
                np.mean(last(record, ("universal", amounts[-1]), f"{task}_loss")),
            ]
            ax.plot([amounts[0], amounts[-1]], ends, ":", color=MUTED, linewidth=2)
            ax.set_title(task, loc="center", fontsize=19)
            ax.set_xticks(amounts, [f"{a} x" for a in amounts])
            ax.set_xlim(amounts[0] - 0.5, amounts[-1] + 0.5)
        axes[0].set_ylabel("loss, nats per hidden token")
        axes[1].set_xlabel("compute; the dotted line joins equal training for the task")
        axes[0].legend(fontsize=15)
