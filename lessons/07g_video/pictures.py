"""The figures and controls of lesson 07g."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minilm.course.show.figures import bars
from minilm.course.show.style import (
    BLUE,
    COLOURS,
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
from minilm.data.images.videos import Mover, Scene, draw_video, tell
from minilm.studies.recorded import Recorded

OPENING = Scene((Mover("yellow", "square", 2, 0, 0, 1), Mover("red", "ring", 3, 5, 2, -3)))


def _blank(ax: Any, title: str = "") -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_visible(False)
    if title:
        ax.set_title(title, loc="center", fontsize=15, fontweight="normal")


def _show(ax: Any, frame: np.ndarray) -> None:
    """A frame (3, H, W), 0 to 1."""
    ax.imshow(np.clip(np.moveaxis(frame, 0, -1), 0, 1), interpolation="nearest")


def opening() -> Picture:
    """Eight frames of one video, with their numbers."""
    video = draw_video(OPENING)
    with styled():
        sheet, axes = new_figure(2, 4, size=(12.2, 6.2))
        for t, ax in enumerate(axes.ravel()):
            _show(ax, video[:, t])
            _blank(ax, f"frame {t}")
        return render(sheet, "the opening picture")


def strip(
    rows: Mapping[str, np.ndarray], titles: bool = True, size: tuple[float, float] | None = None
) -> None:
    """Videos (3, T, H, W), a row each, with its name on the left."""
    count = next(iter(rows.values())).shape[1]
    with figure(
        len(rows), count, size=size or (12.2, 1.6 * len(rows) + 0.5),
        alt="Frames of videos, a row each: " + "; ".join(rows) + ".",
    ) as axes:  # fmt: skip
        for i, (line, (name, video)) in enumerate(zip(np.atleast_2d(axes), rows.items())):
            for t, ax in enumerate(line):
                _show(ax, video[:, t])
                _blank(ax, f"{t}" if titles and i == 0 else "")
            line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=14)


def frame_of(scene: Scene, frame: int) -> None:
    """One frame, the path so far, and the unfolded path of the row."""
    story, video = tell(scene), draw_video(scene)
    with figure(
        1, 2, size=(12.2, 4.6), alt=f"Frame {frame} of a video, and the places of its things so far."
    ) as (left, right):  # fmt: skip
        _show(left, video[:, frame])
        _blank(left, f"frame {frame}")
        for mover, places, colour in zip(scene.movers, story.places, (ORANGE, VERMILION)):
            for axis, style, name in ((0, "o-", "row"), (1, "s--", "column")):
                right.plot(
                    range(frame + 1), places[: frame + 1, axis], style, color=colour, linewidth=2,
                    label=f"{mover.name}, {name}",
                )  # fmt: skip
        right.set_xlim(-0.3, 7.3)
        right.set_ylim(-0.5, 8.5)
        right.set_xlabel("frame")
        right.set_ylabel("pixel")
        right.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=13)


def unfolded(start: int, speed: int, frames: int = 8, span: int = 8) -> None:
    """A path between two walls, and the straight path that it is, folded."""
    times = np.linspace(0, frames - 1, 500)
    straight = start + speed * times
    folded = span - np.abs(span - straight % (2 * span))
    end = start + speed * (frames - 1)
    low, high = sorted((start, end))
    walls = [k * span for k in range(low // span, high // span + 1) if low < k * span < high]
    with figure(
        size=(12.2, 4.6),
        alt=f"Unfolded, the path from {start} to {end} meets {len(walls)} walls between its ends.",
    ) as ax:
        ax.plot(times, straight, color=MUTED, linewidth=2, label="unfolded")
        ax.plot(times, folded, color=BLUE, linewidth=3, label="between the walls")
        for k in range(min(low, 0) // span, max(high, span) // span + 1):
            ax.axhline(k * span, color=INK, linewidth=0.8, linestyle=(0, (2, 3)))
        for wall in walls:
            ax.plot((wall - start) / speed, wall, "o", color=VERMILION, markersize=11)
        ax.set_xlabel("frame")
        ax.set_ylabel("pixel")
        ax.set_title(f"{len(walls)} bounce{'s' * (len(walls) != 1)}", loc="left")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def rebuilt(true: np.ndarray, made: Mapping[str, np.ndarray], name: str, frame: int) -> None:
    """A frame, what a coder made of it, and how wrongly it changes to the next."""
    video = made[name]
    change = np.diff(video, axis=1) - np.diff(true, axis=1)
    with figure(
        1, 3, size=(12.2, 4.2),
        alt=f"Frame {frame}, what the coder '{name}' made of it, and its flicker from there on.",
    ) as axes:  # fmt: skip
        _show(axes[0], true[:, frame])
        _show(axes[1], video[:, frame])
        seen = np.abs(change[:, frame]).mean(0)
        axes[2].imshow(seen, cmap="magma", vmin=0, vmax=0.25)
        for ax, title in zip(axes, ("true", name, f"flicker, mean {seen.mean():.3f}")):
            _blank(ax, title)


def flicker_curves(linear: Mapping[str, Any], record: Recorded) -> None:
    """Flicker against PSNR of linear coders of four sizes, of the trained ones, and of no coder."""
    with figure(alt="At each PSNR the coder of four frames flickers more than that of one.") as ax:
        for (name, case), colour in zip(
            {"frame by frame": "frames", "four together": "causal"}.items(), (VERMILION, BLUE)
        ):
            for i, row in enumerate(linear[name]):
                ax.plot(
                    [p["psnr"] for p in row], [p["flicker"] for p in row], "o-", color=colour,
                    alpha=0.75, label=f"linear, {name}" if i == 0 else None,
                )  # fmt: skip
            last = [record.run(case, seed)["points"][-1] for seed in record.seeds]
            ax.plot(
                [p["psnr"] for p in last], [p["flicker"] for p in last], "x", color=colour,
                markersize=11, mew=2.5, label=f"network, {name}",
            )  # fmt: skip
        still = linear["still"]
        ax.plot(
            [p["psnr"] for p in still], [p["flicker"] for p in still], "*", color=INK,
            markersize=14, linestyle="none", label="a still picture",
        )  # fmt: skip
        ax.set_xlabel("PSNR in dB")
        ax.set_ylabel("flicker")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def decoders(linear: Mapping[str, Any]) -> None:
    """PSNR, flicker and error of the spectrum: the mean of what could be, and a draw from it."""
    names = {"psnr": "PSNR in dB", "flicker": "flicker", "spectrum": "error of the spectrum"}
    with figure(1, 3, size=(12.2, 4.4), alt="Three measures of two decoders.") as axes:
        for ax, (key, title) in zip(axes, names.items()):
            for i, (way, colour) in enumerate(zip(("mean", "draw"), (BLUE, ORANGE))):
                values = [run[key] for run in linear[way]]
                ax.bar(i, np.mean(values), color=colour, width=0.7)
                ax.plot([i] * len(values), values, ".", color=INK, markersize=9)
            ax.set_xticks(range(2), ["the mean", "a draw"])
            ax.set_title(title, loc="center", fontsize=15)


def order(rounds: Sequence[Sequence[Any]], number: int) -> None:
    """Which frames are there after so many rounds."""
    frames = max(d.frame for one in rounds for d in one)
    with figure(
        size=(12.2, 2.8), alt=f"After round {number} of key frames and middles: the frames drawn."
    ) as ax:  # fmt: skip
        ax.plot([0, frames], [0, 0], color=MUTED, linewidth=1)
        for i, one in enumerate(rounds[: number + 1]):
            new = i == number
            at = [d.frame for d in one]
            ax.plot(at, [0] * len(at), "o", color=VERMILION if new else BLUE,
                    markersize=15 if new else 11, label=None)  # fmt: skip
        done = sum(len(one) for one in rounds[: number + 1])
        ax.set_title(f"round {number}: {done} of {frames + 1} frames", loc="left")
        ax.set_yticks([])
        ax.set_xlabel("frame")


def errors(found: Mapping[str, np.ndarray]) -> None:
    """Spread of the error at each frame, by order."""
    with figure(
        alt="One after the other the error grows with the root; in rounds it stays low."
    ) as ax:
        for (name, row), colour in zip(found.items(), (VERMILION, BLUE)):
            ax.plot(row, "o-", color=colour, label=name, markersize=5)
        ax.set_xlabel("frame")
        ax.set_ylabel("spread of the error")
        ax.set_ylim(0)
        ax.legend(loc="upper left")


def shares(
    read: Mapping[str, Sequence[Mapping[str, Any]]],
    cases: Mapping[str, str],
    keys: Mapping[str, str],
    level: Mapping[str, float],
    ylabel: str = "share right",
) -> None:
    """Groups of bars: a group for each key, a bar for each case, a dot for each seed.

    Args:
        read: case -> exams, one per seed.
        cases: case -> its name.
        keys: what is measured -> its name.
        level: name of a yardstick -> its height.
        ylabel: what the heights are.
    """
    with figure(
        alt=f"{ylabel.capitalize()}, by what is asked: " + ", ".join(cases.values()) + "."
    ) as ax:
        width = 0.8 / len(cases)
        for i, ((case, name), colour) in enumerate(zip(cases.items(), COLOURS)):
            for j, key in enumerate(keys):
                values = [exam[key] for exam in read[case]]
                at = j + (i - (len(cases) - 1) / 2) * width
                ax.bar(at, np.mean(values), width * 0.92, color=colour,
                       label=name if j == 0 else None)  # fmt: skip
                ax.plot([at] * len(values), values, ".", color=INK, markersize=8)
        for name, height in level.items():
            ax.axhline(height, color=MUTED, linestyle=(0, (4, 3)), label=name)
        ax.set_xticks(range(len(keys)), list(keys.values()))
        ax.set_ylabel(ylabel)
        ax.set_ylim(0, 1.03)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def by_count(read: Mapping[str, Sequence[Mapping[str, Any]]], cases: Mapping[str, str]) -> None:
    """Share right and mean answer for each true count."""
    with figure(1, 2, alt="Right counts, and the mean answer, for each true count.") as axes:
        for (case, name), colour in zip(cases.items(), COLOURS):
            for ax, key in zip(axes, ("each", "said")):
                rows = [list(exam[key].values()) for exam in read[case]]
                counts = range(len(rows[0]))
                ax.plot(counts, np.mean(rows, axis=0), "o-", color=colour, label=name)
                ax.plot(counts, np.transpose(rows), ".", color=colour, alpha=0.5)
        axes[1].plot(counts, counts, color=INK, linestyle=(0, (2, 3)), label="truth")
        for ax, label in zip(axes, ("share right", "mean answer")):
            ax.set_xlabel("true number of bounces")
            ax.set_ylabel(label)
            ax.set_ylim(0)
        axes[1].legend(loc="upper left")


def solved(shares_of: Mapping[str, Sequence[float]]) -> None:
    """New tasks solved at the first try, by what the compute went into."""
    names = {
        "chance": "random program", "before": "before", "longer": "longer training",
        "unverified": "all it wrote",        "search": "random search",
        "verified": "what passed",
    }  # fmt: skip
    bars(
        list(names.values()),
        np.array([shares_of[way] for way in names]).T,
        ylabel="share of new tasks solved",
        numbers="{:.2f}",
        alt="Shares of new tasks solved after each way to spend the compute.",
    )
