"""The figures and controls of lesson 07fb."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minilm.backend import rng
from minilm.course.show.figures import bars
from minilm.course.show.style import (
    BLUE,
    COLOURS,
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
from minilm.diffusion import cosine_path, pool
from minilm.studies.recorded import Recorded

Rows = Sequence[float]
INKED = {"cmap": "gray_r", "vmin": -1, "vmax": 1}  # ink is dark


def _blank(ax: Any, title: str = "") -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_visible(False)
    if title:
        ax.set_title(title, loc="center", fontsize=16, fontweight="normal")


def _photograph() -> np.ndarray:
    from minilm.data.images import photographs

    grey = photographs()["china"].mean(-1)[:416, :608]
    return (grey - grey.mean()) / grey.std()


def opening() -> Picture:
    """One photograph at two sizes under noise of the same strength: only the large one is read."""
    picture, random = _photograph(), rng(0, "opening")
    with styled():
        sheet, axes = new_figure(1, 2, size=(12.2, 4.4))
        for ax, s in zip(axes, (1, 8), strict=True):
            small = pool(picture, s)
            noisy = small + 2.0 * random.standard_normal(small.shape)
            ax.imshow(noisy, cmap="gray", vmin=-4, vmax=4, interpolation="nearest")
            _blank(ax, f"{small.shape[1]} x {small.shape[0]} pixels")
        return render(sheet, "the opening picture")


def hidden(strength: float, halved: int) -> None:
    """The photograph at one size under noise."""
    picture = pool(_photograph(), halved)
    noise = rng(0, "hidden", halved).standard_normal(picture.shape)
    with figure(
        1, 2, size=(12.2, 4.3), alt="The photograph without and with noise; the smaller it is, the "
        "more the same noise hides."
    ) as (left, right):  # fmt: skip
        for ax, seen, title in (
            (left, picture, f"{picture.shape[1]} x {picture.shape[0]} pixels"),
            (right, picture + strength * noise, f"noise of strength {strength:g}"),
        ):
            ax.imshow(seen, cmap="gray", vmin=-2 - strength, vmax=2 + strength)
            _blank(ax, title)


def on_the_way(digit: np.ndarray, t: float) -> None:
    """A digit at time t: the parts and their sum."""
    alpha, sigma = (float(part) for part in cosine_path(t))
    noise = rng(3, "on the way").standard_normal(digit.shape)
    parts = (
        (alpha * digit, f"{alpha:.2f} of the digit"),
        (sigma * noise, f"{sigma:.2f} of the noise"),
        (alpha * digit + sigma * noise, f"what the model sees at t = {t:g}"),
    )
    with figure(1, 3, size=(12.2, 4.2), alt="A digit, noise, and their weighted sum.") as axes:
        for ax, (seen, title) in zip(axes, parts, strict=True):
            ax.imshow(seen, cmap="gray_r", vmin=-2, vmax=2)
            _blank(ax, title)


def digits(rows: Mapping[str, np.ndarray], size: tuple[float, float] | None = None) -> None:
    """Rows of pictures, each with its name on the left."""
    columns = max(len(row) for row in rows.values())
    with figure(
        len(rows), columns, size=size or (12.2, 1.25 * len(rows) + 0.3),
        alt="Rows of pictures: " + "; ".join(rows) + ".",
    ) as axes:  # fmt: skip
        for line, (name, row) in zip(np.atleast_2d(axes), rows.items(), strict=True):
            for ax, seen in zip(line, row, strict=False):
                ax.imshow(seen, **INKED)
            for ax in line:
                _blank(ax)
            line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=15)


def path(seen: Sequence[np.ndarray], step: int) -> None:
    """What is expected at every second step; those after `step` are still empty."""
    empty = np.full_like(seen[0], -1)
    shown = [one if i <= step else empty for i, one in enumerate(seen)][::2]
    digits({f"step {step + 1}": np.stack(shown)}, size=(12.2, 1.9))


def crossing(paths: np.ndarray, times: np.ndarray, ends: Sequence[float]) -> None:
    """Paths of a single pixel from noise (right) to one of two values (left)."""
    with figure(alt="Paths from noise bend and end at one of two values, none between.") as ax:
        for line in paths.T:
            near = int(np.abs(np.subtract(ends, line[-1])).argmin())
            ax.plot(times, line, color=(BLUE, VERMILION)[near], alpha=0.55, linewidth=1.6)
        for end, colour in zip(ends, (BLUE, VERMILION), strict=True):
            ax.scatter([0], [end], color=colour, s=150, zorder=3)
        ax.set_xlabel("time t: sampling goes from right to left")
        ax.set_ylabel("the pixel, x")
        ax.set_xlim(-0.03, 1)


# ------------------------------------------------------------------------------------- records


def worth(record: Recorded) -> None:
    """Distance and recall of the model along its training, and both yardsticks."""
    runs = [record.run(record.cases[0], seed) for seed in record.seeds]
    with figure(
        1, 2, alt="The model's distance falls below the Gaussians' and nears that of real digits; "
        "its recall passes theirs."
    ) as axes:  # fmt: skip
        for ax, key, name in zip(
            axes, ("frechet", "recall"), ("Frechet distance", "recall"), strict=True
        ):
            for seed, run in zip(record.seeds, runs, strict=True):
                steps = [p["step"] for p in run["points"]]
                ax.plot(steps, [p[key] for p in run["points"]], "o-", color=BLUE, alpha=0.7,
                        label="the model" if seed == record.seeds[0] else None)  # fmt: skip
                for kind, colour, label in (
                    ("gaussian", ORANGE, "a Gaussian per class"), ("real", GREEN, "real digits"),
                ):  # fmt: skip
                    ax.axhline(
                        run["yardsticks"][kind][key], color=colour, linestyle=(0, (4, 3)),
                        linewidth=1.8, label=label if seed == record.seeds[0] else None,
                    )  # fmt: skip
            ax.set_xlabel("steps of training")
            ax.set_ylabel(name)
            ax.set_ylim(0)
        axes[1].legend(loc="lower right")


def price(record: Recorded) -> None:
    """Rightness, precision and recall against guidance."""
    runs = [record.run(record.cases[0], seed) for seed in record.seeds]
    scales = list(runs[0]["guided"])
    with figure(alt="With more guidance more digits are right, and recall falls.") as ax:
        for key, colour, name in (
            ("right", BLUE, "named right"), ("precision", GREEN, "precision"),
            ("recall", VERMILION, "recall"),
        ):  # fmt: skip
            rows = np.array([[run["guided"][w][key] for w in scales] for run in runs])
            ax.plot([float(w) for w in scales], rows.mean(0), "o-", color=colour, label=name)
            ax.plot([float(w) for w in scales], rows.T, ".", color=colour, alpha=0.5)
        ax.set_xlabel("guidance")
        ax.set_ylabel("share")
        ax.set_ylim(0, 1.03)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def few_passes(record: Recorded) -> None:
    """Distance against passes: the model in as few, and the students."""
    runs = [record.run(record.cases[0], seed) for seed in record.seeds]
    passes = sorted(map(int, runs[0]["distilled"]))
    with figure(alt="In few passes the students are nearer to real digits than the model.") as ax:
        for who, colour in (("model", VERMILION), ("student", BLUE)):
            rows = np.array(
                [[run["distilled"][str(n)][who]["frechet"] for n in passes] for run in runs]
            )
            ax.plot(passes, rows.mean(0), "o-", color=colour, label=who)
            ax.plot(passes, rows.T, ".", color=colour, alpha=0.5)
        twenty = np.mean([run["points"][-1]["frechet"] for run in runs])
        ax.axhline(twenty, color=MUTED, linestyle=(0, (4, 3)), label="the model in 20")
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_xticks(passes, [str(n) for n in passes])
        ax.set_yticks([1, 2, 4, 8], ["1", "2", "4", "8"])
        ax.minorticks_off()
        ax.set_xlabel("passes through the network")
        ax.set_ylabel("Frechet distance")
        ax.legend(loc="upper right")


def relays(record: Recorded) -> None:
    """Distance and rightness at each budget of sampling, per model."""
    names = ("scratch", "relay", "cascade")
    with figure(
        1, 2, alt="Frechet distance and rightness of three ways, at three budgets."
    ) as axes:
        for ax, key, label in zip(
            axes, ("frechet", "right"), ("Frechet distance", "named right"), strict=True
        ):
            for name, colour in zip(names, COLOURS, strict=False):
                runs = [record.run(name, seed) for seed in record.seeds_of(*names)]
                budgets = [p["budget"] for p in runs[0]["points"]]
                rows = np.array([[p[key] for p in run["points"]] for run in runs])
                ax.plot(budgets, rows.mean(0), "o-", color=colour, label=name)
                ax.plot(budgets, rows.T, ".", color=colour, alpha=0.5)
            ax.set_xlabel("passes of the large size")
            ax.set_ylabel(label)
            ax.set_xticks(budgets)
            ax.set_ylim(0)
        axes[1].legend(loc="center right")


# ---------------------------------------------------------------------------------- resolution


def left_over(kept: Mapping[str, Rows]) -> None:
    """Variance that pooling leaves."""
    bars(
        list(kept),
        np.array(list(kept.values())).T,
        ylabel="variance left",
        numbers="{:.2f}",
        alt="Averaging leaves a sixty-fourth of independent noise and nearly half of block noise.",
    )


def shifts(curves: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Error against the shift, under each measure, and the shift that is claimed."""
    with figure(alt="Four measures have their least error at four different shifts.") as ax:
        for (name, (x, error)), colour in zip(curves.items(), COLOURS, strict=False):
            ax.plot(x, error / error.min(), color=colour, linewidth=2.4, label=name)
            ax.plot(x[int(error.argmin())], 1, "o", color=colour, markersize=10)
        ax.axvline(2 * np.log(8), color=INK, linestyle=":", linewidth=2)
        ax.text(2 * np.log(8) + 0.08, 2.8, "2 ln 8", fontsize=15)
        ax.set_xlim(-2.5, 6.5)
        ax.set_ylim(0.9, 3)
        ax.set_xlabel("how far log SNR is moved, 64 x 64 against 8 x 8")
        ax.set_ylabel("error over the least")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def field_race(errors: Mapping[int, Mapping[str, float]]) -> None:
    """Error of the spectrum against steps: all the way, and from two small pictures."""
    steps = list(errors)
    with figure(alt="The second stage has the smaller error until the steps are many.") as ax:
        names = {"full": "all the way", "s = 2": "from half the side", "s = 4": "from a quarter"}
        for (key, name), colour in zip(names.items(), (INK, BLUE, VERMILION), strict=True):
            ax.plot(steps, [errors[n][key] for n in steps], "o-", color=colour, label=name)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xticks(steps, [str(n) for n in steps])
        ax.set_yticks([0.1, 0.2, 0.5, 1], ["0.1", "0.2", "0.5", "1"])
        ax.minorticks_off()
        ax.set_xlabel("steps")
        ax.set_ylabel("error of the log spectrum")
        ax.legend(loc="upper right")
