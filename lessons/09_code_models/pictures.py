"""The figures of lesson 09."""

import html
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from minilm.analysis.laws import HOFFMANN, HOFFMANN_ROUNDED, Chinchilla
from minilm.analysis.passes import mean_pass_at_k, sampling_error
from minilm.analysis.repetition import effective_tokens, fit_r_star
from minilm.course.show.figures import bars, lines
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
from minilm.data.clean.bands import collision_probability
from minilm.studies.recorded import Recorded

REFITTED = Chinchilla(1.8172, 482.01, 2085.43, 0.3478, 0.3658)  # arXiv 2404.10102, as printed
OPENING = (  # what The Stack v1 kept at each step, terabytes
    ("cloned", 100.0),
    ("source code", 90.0),
    ("free licence", 6.0),
    ("no near copies", 3.0),
    ("StarCoder read", 0.8),
)


def opening() -> Picture:
    """What The Stack threw away, and a hole in a function."""
    with styled():
        sheet, (ax, words) = new_figure(1, 2, size=(12.2, 4.0))
        for y, (name, size) in enumerate(OPENING):
            ax.barh(y, size, color=BLUE if y == len(OPENING) - 1 else MUTED, height=0.62)
            ax.text(size + 2, y, f"{name}, {size:g} TB", va="center", fontsize=17)
        ax.invert_yaxis()
        ax.set_xlim(0, 190)
        ax.set_axis_off()
        words.set_axis_off()
        words.set_xlim(0, 1)
        words.set_ylim(0, 1)
        rows = (
            ("def mean(x):", INK),
            ("    if not x:", INK),
            ("        ", INK),
            ("    return sum(x) / len(x)", INK),
        )
        for i, (text, colour) in enumerate(rows):
            words.text(0.06, 0.84 - 0.2 * i, text, family="monospace", fontsize=18, color=colour)
        words.add_patch(_box(0.28, 0.385, 0.5, 0.15, BLUE))
        words.text(0.53, 0.46, "?", ha="center", va="center", fontsize=24, color=BLUE)
        return render(
            sheet,
            "Five bars, each shorter than the one before: 100 terabytes cloned, 90 of source code, 6 "
            "under a free licence, 3 without near copies, 0.8 that StarCoder read; beside them a "
            "function with a hole.",
        )


def _box(x: float, y: float, width: float, height: float, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(
        (x, y), width, height, fill=False, edgecolor=colour, linewidth=3, linestyle="--"
    )


def funnel(steps: Sequence[tuple[str, int, int]]) -> None:
    """Files and bytes that are left after each step, (name, documents, bytes) each."""
    with figure(
        alt="Bars of what is left after each step: most of this library passes the filters; near "
        "duplicates are the largest loss.",
        size=(12.2, 3.9),
    ) as ax:
        most = steps[0][2]
        for y, (_, documents, size) in enumerate(steps):
            ax.barh(y, size / 1e6, color=BLUE if y == len(steps) - 1 else MUTED, height=0.62)
            ax.text(
                size / 1e6 + most / 1e8, y, f"{documents:,} files, {size / 1e6:.2f} MB", va="center"
            )
        ax.set_yticks(range(len(steps)), [name for name, _, _ in steps])
        ax.invert_yaxis()
        ax.set_xlim(0, 1.35 * most / 1e6)
        ax.set_xlabel("MB")
        ax.grid(visible=False, axis="y")


def s_curve(bands: int, rows: int) -> None:
    """The chance of being compared against the similarity."""
    s = np.linspace(0, 1, 201)
    knee = (1 / bands) ** (1 / rows)
    with figure(
        alt=f"With {bands} bands of {rows} rows two texts are hardly ever compared below a "
        f"similarity of {knee:.2f}, and nearly always well above it.",
        size=(12.2, 4.4),
    ) as ax:
        ax.plot(s, [collision_probability(x, bands, rows) for x in s], color=BLUE, linewidth=4)
        ax.axvline(knee, color=MUTED, linestyle=(0, (4, 3)), linewidth=2)
        ax.text(knee - 0.01, 1.0, f"(1/{bands})^(1/{rows}) = {knee:.2f}", ha="right", va="top")
        ax.set_xlabel("similarity of two texts")
        ax.set_ylabel("chance of being compared")
        ax.set_ylim(-0.02, 1.05)
        ax.set_xlim(0, 1)


def _last(record: Recorded, case: str, name: str) -> list[float]:
    return [float(record.run(case, s)["points"][-1][name]) for s in record.seeds_of(case)]


def copies(record: Recorded) -> None:
    """Bits per byte and passages recited, with copies and without."""
    names = ["deduplicated", "with copies", "with copies, 2x"]
    labels = ["without\ncopies", "half\ncopies", "half copies,\ntwice as long"]
    with figure(
        1, 2, alt="With copies the loss on unseen files is higher at equal tokens; only the model "
        "that trains on them twice as long recites them.", size=(12.2, 4.6),
    ) as axes:  # fmt: skip
        bits, copied = (
            np.array([_last(record, case, name) for case in names]) for name in ("bits", "copied")
        )  # (cases, seeds) each
        for row in bits.T:
            axes[0].plot(range(3), row, "-", color=MUTED, linewidth=2)
        for ax, rows, title in zip(
            axes,
            (bits, 100 * copied),
            ("bits per byte, unseen files", "copied passages recited, %"),
        ):
            for x, (row, colour) in enumerate(zip(rows, (BLUE, VERMILION, ORANGE))):
                ax.plot([x] * len(row), row, "o", color=colour, markersize=13)
            ax.set_xticks(range(3), labels, fontsize=15)
            ax.set_xlim(-0.4, 2.4)
            ax.set_title(title, fontsize=19)
            ax.grid(visible=False, axis="x")
        axes[1].set_ylim(-4, 100)


def filters(record: Recorded) -> None:
    """Bits per byte of the three corpora, a dot a seed."""
    names = ["all files", "commented files", "starred files"]
    labels = ["all", "with comments", "with stars (30 %)"]
    rows = np.array([_last(record, name, "bits") for name in names]).T
    bars(
        labels,
        rows,
        ylabel="bits per byte, unseen files",
        numbers="{:.3f}",
        horizontal=True,
        size=(12.2, 3.6),
        alt="Dropping files without comments changes little; keeping three tenths costs most.",
    )


def epochs(passed: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Loss of repeated and of fresh text, and what the passes were worth."""
    x, again, fresh = passed
    r_star, worth = fit_r_star(x, again.mean(0), fresh.mean(0))
    with figure(
        1, 2, alt="The loss on repeated text leaves that on fresh text after a few passes; what the "
        "passes are worth bends away from the diagonal.", size=(12.2, 4.6),
    ) as axes:  # fmt: skip
        for rows, colour, name in (
            (again, VERMILION, "the same text"),
            (fresh, BLUE, "fresh text"),
        ):
            axes[0].plot(x, rows.mean(0), color=colour, linewidth=4, label=name)
            for row in rows:
                axes[0].plot(x, row, "o", color=colour, alpha=0.5, markersize=7)
        axes[0].set_xlabel("passes, or as many tokens")
        axes[0].set_ylabel("bits per byte")
        axes[0].legend(loc="upper right", fontsize=16)
        dense = np.linspace(1, x[-1], 100)
        axes[1].plot(dense, dense, color=MUTED, linestyle=(0, (4, 3)), linewidth=2)
        if np.isfinite(r_star) and r_star > 0:
            law = effective_tokens(1.0, dense, r_star)
            axes[1].plot(dense, law, color=BLUE, linewidth=4)
        axes[1].plot(x, worth, "o", color=VERMILION, markersize=10)
        axes[1].set_xlabel("passes")
        axes[1].set_ylabel("worth so many fresh ones")
        axes[1].set_title(f"R* = {r_star:.1f}", fontsize=19)


def holes(record: Recorded) -> None:
    """Loss from left to right by the share of documents with holes, a line a seed."""
    names = ["holes in 0", "holes in 0.5", "holes in 0.9"]
    rows = np.array([_last(record, name, "bits") for name in names])  # (shares, seeds)
    with figure(
        alt="Bits per byte from left to right for models that saw no holes, holes in half and in "
        "nine tenths of their documents, a line a seed.",
        size=(12.2, 3.9),
    ) as ax:
        for row in rows.T:
            ax.plot(range(3), row, "-o", color=BLUE, markersize=12, linewidth=2)
        ax.set_xticks(range(3), ["no holes", "in half", "in nine tenths"])
        ax.set_xlim(-0.3, 2.3)
        ax.set_ylim(0, 1.15 * rows.max())
        ax.set_ylabel("bits per byte")
        ax.grid(visible=False, axis="x")


def tries(found: dict[float, dict[int, list[float]]]) -> None:
    """pass@k against k, a line a temperature."""
    ks = sorted(next(iter(found.values())))
    lines(
        ks,
        {
            f"T = {t:g}": 100 * np.array([row[k] for k in ks]).T  # (seeds, k)
            for t, row in sorted(found.items())
        },
        xlabel="k, programs handed in",
        ylabel="problems solved, %",
        xscale="log",
        alt="At the low temperature one try solves more; at the higher one more tries gain more.",
    )


def warm_and_many(record: Recorded) -> None:
    """Left, pass@k against temperature. Right, the error of a score against n, at the second one."""
    seeds, most = record.seeds_of("tries"), record.settings["tries"]
    points = {seed: record.run("tries", seed)["points"] for seed in seeds}
    warm = [point["temperature"] for point in points[seeds[0]]]
    colours, ns = {1: BLUE, 5: ORANGE, most: VERMILION}, (1, 2, 5, 10, most)
    with figure(
        1, 2, alt="Left, problems solved by temperature: one try is best cold, many tries are best "
        "warmer. Right, the error of a score falls with the programs drawn, down to what the number of "
        "problems leaves open.", size=(12.2, 4.8),
    ) as (left, right):  # fmt: skip
        for k, colour in colours.items():
            rows = np.array(
                [[100 * mean_pass_at_k(most, p["right"], k) for p in points[s]] for s in seeds]
            )
            left.plot(warm, rows.mean(0), "-o", color=colour, markersize=9, label=f"pass@{k}")
            left.fill_between(warm, rows.min(0), rows.max(0), color=colour, alpha=0.15, linewidth=0)
        chances = [np.array(points[s][1]["right"]) / most for s in seeds]
        for k, colour in ((1, BLUE), (5, ORANGE)):
            at = [n for n in ns if n >= k]
            error = [100 * np.mean([sampling_error(n, c, k) for c in chances]) for n in at]
            right.plot(at, error, "-o", color=colour, markersize=9, label=f"pass@{k}, by n alone")
        others = np.mean([c.std(ddof=1) / len(c) ** 0.5 for c in chances])
        right.axhline(100 * others, color=MUTED, linestyle=(0, (4, 3)), linewidth=2)
        right.text(ns[-1], 100 * others, "left open by 36 problems", color=MUTED, fontsize=14,
                   ha="right", va="bottom")  # fmt: skip
        left.set_xlabel("temperature")
        left.set_ylabel("problems solved, %")
        right.set_xlabel("n, programs for each problem")
        right.set_ylabel("standard error, points")
        right.set_ylim(0, None)
        for ax in (left, right):
            ax.legend(fontsize=14)


def leak(published: Sequence[Sequence[int]], later: Sequence[Sequence[int]], samples: int) -> None:
    """Programs that pass, problem by problem: published ones and ones drawn later."""
    with figure(
        1, 2, alt="More programs pass for the published problems than for those drawn later, a thin "
        "line a seed.", size=(12.2, 4.4),
    ) as axes:  # fmt: skip
        for ax, rows, title, colour in zip(
            axes, (published, later), ("published", "drawn later"), (BLUE, VERMILION)
        ):
            counts = np.sort(np.array(rows), 1)[:, ::-1]  # (seeds, problems)
            for row in counts:
                ax.step(np.arange(len(row)) + 0.5, row, where="mid", color=colour, alpha=0.35)
            ax.step(np.arange(counts.shape[1]) + 0.5, counts.mean(0), where="mid", color=colour,
                    linewidth=4)  # fmt: skip
            ax.set_title(f"{title}: {counts.mean() / samples:.0%}", fontsize=19)
            ax.set_xlabel("problems, the easiest first")
            ax.set_ylim(-0.2, samples + 0.4)
        axes[0].set_ylabel(f"programs that pass, of {samples}")


def small_and_long(size: float, tokens: float) -> None:
    """Extra training compute against a model's share of the best size, for three fits."""
    shares = np.linspace(0.25, 1.0, 61)
    fits = {"as printed": HOFFMANN_ROUNDED, "unrounded": HOFFMANN, "refitted": REFITTED}
    colours = {"as printed": BLUE, "unrounded": ORANGE, "refitted": VERMILION}
    with figure(
        alt="The smaller the model, the more extra compute for the same loss; three published fits "
        "place the same model at different points.",
        size=(12.2, 4.6),
    ) as ax:
        for name, law in fits.items():
            loss = float(law.loss(size, tokens))
            best, best_tokens = law.cheapest(loss)
            extra = [
                100 * (s * best * law.tokens_needed(s * best, loss) / (best * best_tokens) - 1)
                for s in shares
            ]
            ax.plot(shares, extra, color=colours[name], linewidth=4, label=name)
            more, saved = law.overhead(size, tokens)
            if 1 - saved >= shares[0]:
                ax.plot([1 - saved], [100 * more], "o", color=colours[name], markersize=14)
        ax.set_xlabel("size, as a share of the best one")
        ax.set_ylabel("extra compute, %")
        ax.set_ylim(-3, 100)
        ax.legend(loc="upper right")


def filled_hole(before: str, middle: str, after: str, truth: str) -> None:
    """A function with what the model wrote into its hole."""
    from IPython.display import HTML, display

    def shown(text: str) -> str:
        return html.escape(text)

    right = middle.strip() == truth.strip()
    colour = GREEN if right else VERMILION
    display(
        HTML(
            '<pre style="font-size:1.1em;line-height:1.5;margin:0.6em 0;white-space:pre-wrap">'
            f'{shown(before)}<span style="background:{colour}22;border-bottom:3px solid {colour}">'
            f"{shown(middle)}</span>{shown(after)}</pre>"
            f"<p>{'as it was' if right else 'it was: <code>' + shown(truth) + '</code>'}</p>"
        )
    )


def tallies(run: ModuleType, store: Any) -> list[tuple[str, int, int]]:
    """The steps of a pipeline's run: name, documents, bytes that are left."""
    found = run.tallies(store)
    plain = {
        k: v
        for k, v in found["decode"].counts.items()
        if not k.startswith(("language: ", "under: ", "alone: "))
    }
    everything = [sum(n) for n in zip(*plain.values())]
    steps = [("files of text", *everything)]
    for title, name in (
        ("free licence or none", "decode"),
        ("within the filters", "filter"),
        ("no exact copies", "exact"),
        ("no near copies", "near"),
        ("no test texts", "decontaminate"),
    ):
        steps.append((title, *found[name].counts.get("kept", [0, 0])))
    return steps
