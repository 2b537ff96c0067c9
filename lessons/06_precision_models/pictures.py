"""The figures of lesson 06."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.course.show.figures import bars, lines
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
from minilm.lamp.simulate import Heard
from minilm.studies.recorded import Recorded

YELLOW = "#F5C518"
COLOUR = {"lit": YELLOW, "dark": INK, "nothing": MUTED}


def draw_lamp(ax: Any, x: float, y: float, lit: bool, size: float = 1.0) -> None:
    """A standing lamp, its foot at (x, y)."""
    from matplotlib.patches import Circle, Polygon, Rectangle

    if lit:
        for radius, alpha in ((1.25, 0.12), (0.95, 0.2), (0.65, 0.3)):
            ax.add_patch(
                Circle((x, y + 1.6 * size), radius * size, color=YELLOW, alpha=alpha, linewidth=0)
            )
    shade = [(-0.55, 1.3), (0.55, 1.3), (0.28, 1.95), (-0.28, 1.95)]
    corners = [(x + a * size, y + b * size) for a, b in shade]
    ax.add_patch(Polygon(corners, facecolor=YELLOW if lit else FAINT, edgecolor=INK, linewidth=2.5))
    ax.add_patch(Rectangle((x - 0.04 * size, y), 0.08 * size, 1.3 * size, color=INK))
    ax.add_patch(Rectangle((x - 0.4 * size, y - 0.05 * size), 0.8 * size, 0.1 * size, color=INK))


def opening() -> Picture:
    """A lamp that knows nothing, 20 minutes of talk, a lamp that lights up."""
    said = (
        ("lights on please", "lit"), ("did you feed the cat", "nothing"),
        ("it is too brigth in here", "dark"), ("turn off the radio", "nothing"),
        ("i cannot see a thing", "lit"),
    )  # fmt: skip
    with styled():
        sheet, ax = new_figure(size=(12.2, 4.7))
        ax.set_axis_off()
        draw_lamp(ax, 0.9, 0.2, lit=False, size=1.35)
        draw_lamp(ax, 10.6, 0.2, lit=True, size=1.35)
        for i, (text, symbol) in enumerate(said):
            height = 3.0 - 0.6 * i
            ax.text(3.0, height, f"“{text}”", fontsize=19, va="center")
            ax.text(7.35, height, symbol, fontsize=19, va="center", fontweight="bold",
                    color={"lit": ORANGE, "dark": BLUE, "nothing": MUTED}[symbol])  # fmt: skip
        arrow = {"arrowstyle": "-|>", "linewidth": 4, "color": GREEN}
        for left, right in ((2.0, 2.8), (8.4, 9.2)):
            ax.annotate("", (right, 1.8), (left, 1.8), arrowprops=arrow)
        ax.text(0.9, -0.35, "has heard nobody", ha="center", fontsize=17, color=MUTED)
        ax.text(5.5, -0.35, "20 minutes of talk, corrections by the switch", ha="center",
                fontsize=17, color=MUTED)  # fmt: skip
        ax.text(10.6, -0.35, "knows when", ha="center", fontsize=17, color=MUTED)
        ax.set_xlim(-0.2, 12.3)
        ax.set_ylim(-0.6, 4.3)
        ax.set_aspect("equal")
        return render(
            sheet,
            "A dark lamp that has heard nobody; five sentences, each with lit, dark or nothing "
            "beside it; a lamp that shines.",
        )


def falling(steps: Sequence[int], seen: np.ndarray, size: int, single: float) -> None:
    """Held-out perplexity along one pass over a text."""
    lines(
        steps,
        {"solved": np.exp(seen)},
        expected={f"V = {size}": size, "single characters": np.exp(single)},
        xlabel="characters counted",
        ylabel="held-out perplexity",
        xscale="log",
        ylim=(0, size + 3),
        alt="Held-out perplexity falls from the size of the vocabulary while characters are counted.",
    )


def one_pass(losses: dict[str, tuple[float, float]], size: int, single: float) -> None:
    """Perplexity on the text that was counted and on held-out text, for some K."""
    bars(
        list(losses),
        {
            "counted text": np.exp([seen for seen, _ in losses.values()]),
            "held-out text": np.exp([new for _, new in losses.values()]),
        },
        expected={f"V = {size}": size},
        title=f"counting single characters gives {np.exp(single):.0f}",
        xlabel="characters back, K",
        ylabel="perplexity",
        numbers="{:.0f}",
        horizontal=False,
        alt="Perplexity on the counted text falls with K; on held-out text it falls and then rises.",
    )


def twice(copies: Sequence[int], losses: np.ndarray) -> None:
    """Held-out loss where one feature is given several times."""
    lines(
        list(copies),
        {"solved": losses},
        expected={"given once": float(losses[:, 0].mean())},
        xlabel="times that the same character is given",
        ylabel="held-out nats",
        alt="The more often the same evidence is given, the higher the held-out loss.",
    )


def grid(table: dict[tuple[str, int], Sequence[float]], later: dict) -> None:
    """Cold minus warm per cell, after one epoch and after five: dots right of 0 are wins of warm."""
    names = sorted({size for size, _ in table}, key=lambda size: (int(size.split()[0]), size))
    amounts = sorted({amount for _, amount in table})
    with figure(
        1, len(amounts), size=(12.2, 6.2),
        alt="With 50,000 characters warm leads after one epoch and ties after five; with 5,000 and "
        "many features it is far behind.",
    ) as axes:  # fmt: skip
        for ax, amount in zip(axes, amounts, strict=True):
            for i, size in enumerate(names):
                for values, colour, marker in (
                    (table.get((size, amount), []), ORANGE, "o"),
                    (later.get((size, amount), []), BLUE, "s"),
                ):  # fmt: skip
                    ax.scatter(values, [i] * len(values), color=colour, marker=marker, s=70,
                               alpha=0.8)  # fmt: skip
            ax.axvline(0, color=INK, linewidth=1.5)
            ax.set_xscale("symlog", linthresh=0.03)
            ax.set_xticks([-1, -0.1, 0, 0.1, 1], ["−1", "−0.1", "0", "0.1", "1"])
            ax.set_xlim(-8, 2)
            ax.set_title(f"{amount:,} characters")
            ax.set_xlabel("cold − warm, nats")
            ax.set_yticks(range(len(names)), names if ax is axes[0] else [""] * len(names))
            ax.invert_yaxis()
        axes[-1].scatter([], [], color=ORANGE, marker="o", label="after 1 epoch")
        axes[-1].scatter([], [], color=BLUE, marker="s", label="after 5")
        axes[-1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def two_attentions() -> None:
    """Standard attention and SAFFU side by side, as boxes."""
    from matplotlib.patches import FancyBboxPatch

    left = (
        ("vectors x", MUTED), ("queries Q x, keys K x", VERMILION), ("scores: dot products", INK),
        ("shares: softmax", INK), ("values V x, mixed", VERMILION),
    )  # fmt: skip
    right = (
        ("vectors x, given", MUTED), ("comparisons x · pivot", INK),
        ("scores: W · comparisons", VERMILION), ("shares: softmax", INK),
        ("shares × x, side by side", INK), ("softmax(U ·), softmax(O ·)", VERMILION),
    )  # fmt: skip
    with figure(
        alt="Standard attention learns queries, keys and values; SAFFU compares given vectors and "
        "learns W, U and O.",
        size=(12.2, 6.0),
    ) as ax:
        ax.set_axis_off()
        for x, title, parts in ((0, "attention", left), (6.4, "SAFFU", right)):
            ax.text(x + 2.7, 6.55, title, ha="center", fontsize=22, fontweight="bold")
            for i, (text, colour) in enumerate(parts):
                y = 5.4 - 1.05 * i
                style = "round,pad=0.02,rounding_size=0.12"
                ax.add_patch(FancyBboxPatch((x, y), 5.4, 0.72, boxstyle=style, linewidth=2.5,
                                            facecolor="white", edgecolor=colour))  # fmt: skip
                ax.text(x + 2.7, y + 0.36, text, ha="center", va="center", fontsize=18,
                        color=colour if colour != MUTED else INK)  # fmt: skip
                if i:
                    arrow = {"arrowstyle": "-|>", "linewidth": 2.5, "color": MUTED}
                    ax.annotate("", (x + 2.7, y + 0.72), (x + 2.7, y + 1.05), arrowprops=arrow)
        ax.text(5.9, -0.75, "red: has weights", color=VERMILION, fontsize=17, ha="center")
        ax.set_xlim(-0.2, 12.0)
        ax.set_ylim(-0.95, 7.0)


def rivals(record: Recorded) -> None:
    """Held-out loss along processor seconds, and what counting gives."""
    names = {"transformer": BLUE, "SAFFU warm": ORANGE, "SAFFU cold": VERMILION}
    with figure(
        alt="The transformer falls below SAFFU after a few seconds and stays there.",
        size=(12.2, 5.6),
    ) as ax:
        for name, colour in names.items():
            for seed in record.seeds_of(name):
                points = [p for p in record.run(name, seed)["points"] if p["cpu"] > 0.3]
                ax.plot([p["cpu"] for p in points], [p["test"] for p in points], color=colour,
                        linewidth=2, alpha=0.7)  # fmt: skip
            ax.plot([], [], color=colour, label=name)
        counted = [case for case in record.cases if case not in names]
        for i, case in enumerate(counted):
            point = record.run(case, 0)["points"][-1]
            colour = (GREEN, MUTED)[case.startswith("naive")]
            ax.scatter([point["cpu"]], [point["test"]], color=colour, marker="*", s=260, zorder=4)
            short = case.replace("Kneser-Ney", "KN").replace("naive Bayes", "NB")
            ax.annotate(short, (point["cpu"], point["test"]), xytext=(9, (7, -16)[i % 2]),
                        textcoords="offset points", fontsize=15)  # fmt: skip
        ax.set_xscale("log")
        ax.set_xlabel("processor seconds")
        ax.set_ylabel("held-out nats per token")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def curves(found: dict[str, list[list[Heard]]], width: int = 40) -> None:
    """Share right of the last turns, along the talk, one band per kind of lamp."""
    shortest = min(len(h.stream) for seeds in found.values() for rows in seeds for h in rows)
    at = np.arange(width, shortest + 1, 10)
    series = {
        name: np.array(
            [
                [100 * np.mean([h.accuracy(i - width, i) for h in rows]) for i in at]
                for rows in seeds
            ]
        )
        for name, seeds in found.items()
    }
    lines(
        at,
        series,
        expected={"90 %": 90},
        xlabel="turns",
        ylabel=f"right, last {width} turns, %",
        markers=False,
        ylim=(0, 103),
        alt="The lamp rises from half to nine tenths right; naive Bayes rises more slowly.",
    )


def _every(rows: Sequence[Heard], minutes: int, triggers: bool) -> list[float]:
    """%, for every few minutes: guesses right, or chatter that switched the lamp."""
    values = []
    for start in range(0, 20, minutes):
        counted, of = 0, 0
        for h in rows:
            here = (h.minutes >= start) & (h.minutes < start + minutes)
            counted += int((h.false_triggers if triggers else h.right)[here].sum())
            of += int((h.chatter & here).sum() if triggers else here.sum())
        values.append(100 * counted / of)
    return values


def minutes(found: dict[str, list[list[Heard]]], width: int = 2) -> None:
    """Share right in every few minutes, and false triggers on chatter."""
    at = np.arange(0, 20, width) + width / 2
    with figure(
        1, 2, alt="Right guesses rise and false triggers fall, minute by minute.", size=(12.2, 5.2)
    ) as axes:
        for name, seeds in found.items():
            rows = [h for one in seeds for h in one]
            for ax, triggers in zip(axes, (False, True), strict=True):
                ax.plot(at, _every(rows, width, triggers), marker="o", label=name)
        for ax, label in zip(axes, ("right, %", "chatter that switches it, %"), strict=True):
            ax.set_xlabel("minutes of talk")
            ax.set_title(label)
            ax.set_ylim(0, 103 if ax is axes[0] else 60)
        axes[1].legend(loc="upper right")


def heard(record: Recorded) -> None:
    """What lamp and naive Bayes make of transcripts with more and fewer errors."""
    with figure(
        alt="The fewer letters the recogniser gets wrong, the more guesses are right.",
        size=(12.2, 5.0),
    ) as ax:
        for name, label, colour in (
            ("lamp", "the lamp", BLUE),
            ("bayes", "naive Bayes", VERMILION),
        ):
            for seed in record.seeds:
                points = sorted(
                    record.run("recogniser", seed)["points"], key=lambda p: p["letters"]
                )
                ax.plot([100 * p["letters"] for p in points], [100 * p[name] for p in points],
                        marker="o", color=colour, alpha=0.6, linewidth=2)  # fmt: skip
            ax.plot([], [], color=colour, marker="o", label=label)
        ax.set_xlabel("letters wrong in the transcript, %")
        ax.set_ylabel("right, second half, %")
        ax.set_ylim(0, 103)
        ax.invert_xaxis()
        ax.legend(loc="lower right")


def sound(text: str, loud: np.ndarray) -> None:
    """The bands of a spoken sentence."""
    with figure(
        alt="Each letter of the sentence shows as two bright bands of frequencies.",
        size=(12.2, 3.9),
    ) as ax:
        ax.imshow(loud.T, origin="lower", aspect="auto", cmap="magma",
                  extent=(0, 0.02 * len(loud), 0, 4))  # fmt: skip
        ax.grid(visible=False)
        ax.set_xlabel("seconds")
        ax.set_ylabel("kHz")
        ax.set_title(f"“{text}”")
