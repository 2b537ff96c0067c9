"""The figures of lesson 07d."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minilm.course.show.figures import lines
from minilm.course.show.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    VERMILION,
    Picture,
    figure,
    new_figure,
    render,
    styled,
)
from minilm.studies.recorded import Recorded

OF_WAY = {
    "search": GREEN,
    "reader": ORANGE,
    "chains": BLUE,
    "answers": VERMILION,
    "answers, 6x": PURPLE,
    "nothing": MUTED,
}
TITLES = {
    "search": "search\n(algorithm)",
    "reader": "graph reader\n(architecture)",
    "chains": "plain model,\nchains (data)",
    "answers": "plain model,\nanswers alone",
    "answers, 6x": "answers alone,\nsix times as long",
}


def _bare(ax: Any) -> None:
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_axis_off()


def _ball(ax: Any, x: float, y: float, name: str, colour: str, filled: bool = False) -> None:
    ax.text(
        x, y, name, ha="center", va="center", fontsize=15,
        color="white" if filled else INK,
        bbox={"boxstyle": "round,pad=0.35", "facecolor": colour if filled else "white",
              "edgecolor": colour, "linewidth": 2},
    )  # fmt: skip


def _arrow(ax: Any, a: Sequence[float], b: Sequence[float], colour: str, width: float) -> None:
    ax.annotate(
        "", b, a, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": width, "shrinkA": 18,
                              "shrinkB": 18},
    )  # fmt: skip


def opening() -> Picture:
    """One question answered by search, by a pointer on a graph, and by a text that shows its work."""
    with styled():
        sheet, axes = new_figure(1, 3, size=(12.2, 4.3))
        for ax, title in zip(axes, ("algorithm: search", "architecture: a graph inside",
                                    "data: show your work")):  # fmt: skip
            _bare(ax)
            ax.set_title(title, fontsize=18, loc="center")
        ax = axes[0]
        tree = {"ann": [("bob", True), ("eve", False), ("kit", False)]}
        for i, (name, right) in enumerate(tree["ann"]):
            x = 0.16 + 0.34 * i
            _arrow(ax, (0.5, 0.9), (x, 0.52), GREEN if right else MUTED, 3 if right else 1.2)
            for j, leaf in enumerate((("carl", "flo"), ("ida", "max"), ("pam", "ned"))[i]):
                end = x - 0.085 + 0.17 * j
                good = right and j == 0
                _arrow(ax, (x, 0.52), (end, 0.12), GREEN if good else MUTED, 3 if good else 1.2)
                _ball(ax, end, 0.1, leaf, GREEN if good else MUTED, good)
            _ball(ax, x, 0.52, name, GREEN if right else MUTED, right)
        _ball(ax, 0.5, 0.92, "ann", GREEN, True)
        ax = axes[1]
        spots = {"ann": (0.12, 0.8), "bob": (0.5, 0.55), "carl": (0.86, 0.22), "eve": (0.78, 0.85),
                 "kit": (0.2, 0.25)}  # fmt: skip
        for a, b, width in (("ann", "bob", 4), ("bob", "carl", 4), ("ann", "eve", 1.2),
                            ("kit", "bob", 1.2), ("eve", "carl", 1.2), ("ann", "kit", 1.2)):  # fmt: skip
            _arrow(ax, spots[a], spots[b], ORANGE if width > 2 else MUTED, width)
        for name, spot in spots.items():
            on = name in ("ann", "bob", "carl")
            _ball(ax, *spot, name, ORANGE if on else MUTED, on)
        ax = axes[2]
        told = (
            ("ask coach boss ann :", INK),
            ("ann chief bob .", BLUE),
            ("bob tutor carl .", BLUE),
            ("so carl .", BLUE),
        )
        for i, (line, colour) in enumerate(told):
            ax.text(0.03, 0.86 - 0.22 * i, line, family="monospace", fontsize=16, color=colour)
        return render(
            sheet,
            "One question three times: a tree of ways of which one is right, a pointer that moves "
            "along two arrows of a graph, and a text that names two facts before its answer.",
        )


def meanings(likely: np.ndarray, words: Sequence[str], relations: Sequence[str]) -> None:
    """What each word of questions seems to mean, a row a word."""
    with figure(
        alt="Each word of the questions has most of its votes in one column, that of its relation.",
        size=(12.2, 4.4),
    ) as ax:
        ax.imshow(likely, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (i, j), p in np.ndenumerate(likely):
            ax.text(j, i, f"{p:.2f}", ha="center", va="center", fontsize=15,
                    color="white" if p > 0.6 else INK)  # fmt: skip
        ax.set_xticks(range(len(relations)), relations)
        ax.set_yticks(range(len(words)), words)
        ax.grid(visible=False)
        ax.set_xlabel("relation of the facts")


def looks(
    found: Mapping[int, Sequence[int]], full: Mapping[int, int], right: Mapping[int, float]
) -> None:
    """How many ways are judged by tree search and by full search, against the hops."""
    hops = sorted(found)
    lines(
        hops,
        {
            "full search": [full[h] for h in hops],
            "tree search": np.array([found[h] for h in hops]).T,
        },
        xlabel="hops of the question",
        ylabel="ways that were judged",
        yscale="log",
        alt="Full search judges four times as many ways for each hop more; tree search needs fewer, "
        "and finds the best way in " + ", ".join(f"{right[h]:.0%} at {h} hops" for h in hops),
        size=(12.2, 4.6),
    )


def levels(record: Recorded, shortcuts: Sequence[float]) -> None:
    """Share right on unseen questions by the number of questions learnt from, and by CPU seconds.

    `shortcuts`: what the best guess without a word of the questions gives, a share a seed.
    """
    with figure(
        1, 2, alt="Left, right answers against questions seen: search and graph reader need tens, "
        "chains in a plain model more; answers alone stay low. Right, the same against seconds of "
        "computing.", size=(12.2, 5.0),
    ) as (left, right):  # fmt: skip
        for way, title in TITLES.items():
            runs = [run for (case, _), run in record.runs.items() if case[0] == way]
            amounts = sorted({run["amount"] for run in runs})
            rows = [
                [100 * r["points"][-1]["right"] for r in runs if r["amount"] == n] for n in amounts
            ]
            seconds = [
                np.mean([r["cpu_seconds"] for r in runs if r["amount"] == n]) for n in amounts
            ]
            mean = [np.mean(row) for row in rows]
            left.plot(amounts, mean, "-o", color=OF_WAY[way], label=title, markersize=8)
            left.fill_between(amounts, [min(r) for r in rows], [max(r) for r in rows],
                              color=OF_WAY[way], alpha=0.18, linewidth=0)  # fmt: skip
            right.plot(seconds, mean, "o", color=OF_WAY[way], markersize=11)
        shortcut = 100 * np.mean(shortcuts)
        left.axhline(shortcut, color=MUTED, linestyle=(0, (4, 3)), linewidth=2)
        left.text(
            4000, shortcut + 1, "best shortcut", color=MUTED, fontsize=14, ha="right", va="bottom"
        )
        for ax, label in ((left, "questions to learn from"), (right, "seconds of one core")):
            ax.set_xscale("log")
            ax.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
            ax.set_ylim(-3, 104)
            ax.set_xlabel(label)
        left.set_ylabel("unseen questions right, %")
        handles, names = left.get_legend_handles_labels()
        right.legend(handles, names, loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=15)


def elsewhere(rows: Mapping[str, Sequence[float]], columns: Sequence[str]) -> None:
    """A table of what each way can do besides, in %."""
    from IPython.display import HTML, display

    head = "".join(
        f"<th style='text-align:right;padding:2px 14px'>{html.escape(c)}</th>" for c in columns
    )
    body = "".join(
        f"<tr><th style='text-align:left;padding:2px 14px'>{html.escape(name)}</th>"
        + "".join(f"<td style='text-align:right;padding:2px 14px'>{v}</td>" for v in values)
        + "</tr>"
        for name, values in rows.items()
    )
    display(HTML(f"<table><tr><th></th>{head}</tr>{body}</table>"))


def chain(prompt: str, written: str, proven: bool, right: bool, truth: str) -> None:
    """A question and what the model wrote behind it, coloured by what the verifier says."""
    from IPython.display import HTML, display

    colour = GREEN if proven else ORANGE if right else VERMILION
    said = "a proof" if proven else "right, but no proof" if right else f"wrong: it is {truth}"
    display(
        HTML(
            '<pre style="font-size:1.15em;line-height:1.6;margin:0.6em 0;white-space:pre-wrap">'
            f"{html.escape(prompt)}<br>"
            f'<span style="background:{colour}22;border-bottom:3px solid {colour}">'
            f"{html.escape(written)}</span></pre><p><b>{html.escape(said)}</b></p>"
        )
    )


def weak_to_strong(record: Recorded) -> None:
    """How often students are right, and their PGR, against their loss on text that nobody has read."""
    seeds, number = record.seeds_of(*record.cases), ("number", "whole")
    amounts = sorted({amount for _, amount in record.cases})

    def rows(way: str, seed: int, name: str) -> list[float]:
        found = [record.run((way, n), seed)["points"][-1][name] for n in amounts]
        return [np.nan if value is None else value for value in found]

    with figure(
        1, 2, alt="Left, students' right answers against their pre-training loss: with a threshold to "
        "learn they pass their teachers only where the loss is lowest. Right, the gap recovered: high "
        "there for a threshold, low or below nothing where all of the student learns.",
        size=(12.2, 5.0),
    ) as (left, right):  # fmt: skip
        for k, seed in enumerate(seeds):
            loss = rows("number", seed, "loss")
            run = record.run(("number", amounts[-1]), seed)
            for labels, colour in (("true", GREEN), ("weak", BLUE)):
                left.plot(loss, [100 * v for v in rows("number", seed, labels)], "-o", color=colour,
                          markersize=8, linewidth=1.5, label=None if k else f"{labels} labels")  # fmt: skip
            left.plot(run["teacher_loss"], 100 * run["teacher"], "X", color=VERMILION, markersize=13,
                      label=None if k else "teachers")  # fmt: skip
            for way, colour in zip(number, (BLUE, ORANGE)):
                share = np.array(rows(way, seed, "pgr"))
                shown = np.maximum(share, -0.95)
                right.plot(loss, shown, "-", color=colour, linewidth=1.5)
                for low, mark in ((False, "o"), (True, "v")):  # an arrow: below the picture
                    these = (share < -0.95) == low
                    right.plot(
                        np.array(loss)[these], shown[these], mark, color=colour, markersize=10
                    )
        for colour, name in ((BLUE, "one threshold"), (ORANGE, "all of it")):
            right.plot([], [], "o", color=colour, markersize=10, label=f"{name} learns")
        left.set_ylabel("claims judged rightly, %")
        right.set_ylabel("PGR")
        right.axhline(0, color=MUTED, linestyle=(0, (4, 3)), linewidth=2)
        right.set_ylim(-1.05, 1.1)
        left.set_xlim(1.62, 0.79)  # who read nothing has 4.1 nats, and is right half of the time
        right.set_xlim(1.0, 0.8)
        for ax in (left, right):
            ax.set_xlabel("pre-training loss of the student, nats")
        left.set_ylim(38, 103)
        left.legend(loc="lower left", fontsize=14)
        right.legend(loc="lower right", fontsize=14)


def score_curves(areas: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]) -> None:
    """Histograms of both filters' scores, good documents against noise."""
    with figure(
        2, 2, alt="Scores of good and spoilt documents: shuffled ones are told apart by both "
        "filters; repeated lines overlap with good documents under perplexity.", size=(12.2, 6.0),
    ) as axes:  # fmt: skip
        for row, (noise, ways) in zip(axes, areas.items()):
            for ax, (way, (scores, good)) in zip(row, ways.items()):
                low, high = np.quantile(scores, (0.005, 0.995))
                bins = np.linspace(low, high, 40)
                ax.hist(scores[good], bins, color=BLUE, alpha=0.75, label="good")
                ax.hist(scores[~good], bins, color=VERMILION, alpha=0.6, label=noise)
                ax.set_title(f"{way}, {noise}", fontsize=17)
                ax.set_yticks([])
                ax.legend(loc="upper left", fontsize=14)


def cleaned(record: Recorded) -> None:
    """Bits per byte above a perfect filter's, for each noise and filter, a dot a seed."""
    tasks = ("shuffled 20", "shuffled 50", "shuffled 80")
    colours = {"none": VERMILION, "more": ORANGE, "perplexity": GREEN, "classifier": PURPLE}
    names = {"none": "no filter", "more": "no filter, a fifth more steps"}
    perfect = ("shuffled 50", "oracle")

    def bits(case: tuple[str, str], seed: int) -> float:
        return record.run(case, seed)["points"][-1]["bits"]

    with figure(
        alt="Bits per byte above those of a perfect filter, seed by seed: half and four fifths of noise "
        "cost, filters take most of it away, and so does a fifth more training.", size=(12.2, 5.2),
    ) as ax:  # fmt: skip
        for k, (way, colour) in enumerate(colours.items()):
            for x, task in enumerate(tasks):
                if (task, way) not in record.cases:
                    continue
                seeds = record.seeds_of((task, way))
                values = [bits((task, way), s) - bits(perfect, s) for s in seeds]
                spot = x + 0.18 * (k - 1.5)
                ax.plot([spot] * len(values), values, "o", color=colour, markersize=10,
                        label=names.get(way, way) if task == "shuffled 50" else None)  # fmt: skip
        ax.axhline(0, color=MUTED, linestyle=(0, (4, 3)), linewidth=2)
        ax.text(2.5, 0, "perfect filter", color=MUTED, fontsize=15, ha="right", va="top")
        ax.set_xticks(range(3), [f"{t.split()[1]} % {t.split()[0]}" for t in tasks])
        ax.set_xlim(-0.5, 2.55)
        ax.set_ylabel("bits per byte, above perfect")
        ax.grid(visible=False, axis="x")
        ax.legend(loc="upper left", ncols=2)


def ideas(counts: Sequence[int], taken: Mapping[str, Sequence[int]]) -> None:
    """How many instructions are new, against how many were written."""
    lines(
        counts,
        taken,
        xlabel="instructions written",
        ylabel="taken for new",
        alt="The number that is new grows quickly, then bends: four moulds give few ideas.",
        size=(12.2, 4.4),
    )
