"""The figures of lesson 08."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.analysis.enumerate import Texts, total_variation
from minilm.course.show.figures import bars
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
from minilm.studies.recorded import Recorded

SHOWN = 12  # of the likeliest texts


def opening() -> Picture:
    """What nine answers deserve, what a maximiser gives, what a matcher gives."""
    deserve = np.array([5, 14, 9, 20, 3, 11, 17, 7, 14]) / 100
    alone = np.where(deserve == deserve.max(), 1.0, 0.0)
    panels = (("what each deserves", deserve, MUTED), ("maximise", alone, VERMILION),
              ("match", deserve, BLUE))  # fmt: skip
    with styled():
        sheet, axes = new_figure(1, 3, size=(12.2, 3.4))
        for ax, (title, heights, colour) in zip(axes, panels, strict=True):
            ax.bar(np.arange(9), heights / heights.max(), color=colour, width=0.8)
            ax.set_title(title, fontsize=22)
            ax.set_xticks([])
            ax.set_yticks([])
            ax.grid(visible=False)
            ax.set_ylim(0, 1.08)
            for side in ("left", "top", "right"):
                ax.spines[side].set_visible(False)
        return render(
            sheet,
            "Nine answers: what each deserves, a maximiser that gives one alone, and a matcher "
            "whose bars are those of the first panel.",
        )


def _named(tree: Texts, places: np.ndarray, letters: str = "abcdef") -> list[str]:
    return ["".join(letters[i] for i in tree.text(p)) or "empty" for p in places]


def three_ways(tree: Texts, deserved: np.ndarray, found: dict[str, np.ndarray]) -> None:
    """The likeliest texts: what they deserve, and what each way of learning gives them."""
    places = np.argsort(-deserved)[:SHOWN]
    names = _named(tree, places)
    colours = {"match": BLUE, "maximise": VERMILION, "maximise softly": GREEN}
    with figure(
        1, 3, alt="Matching gives every text its share; maximising gives one text nearly all; "
        "maximising log R softly gives every text about its share.", size=(12.2, 4.6),
    ) as axes:  # fmt: skip
        for ax, (way, q) in zip(axes, found.items(), strict=True):
            ax.barh(np.arange(SHOWN), q[places], color=colours[way], height=0.7)
            ax.plot(deserved[places], np.arange(SHOWN), "|", color=INK, markersize=15,
                    markeredgewidth=3)  # fmt: skip
            ax.set_yticks(np.arange(SHOWN), names if ax is axes[0] else [""] * SHOWN)
            ax.invert_yaxis()
            ax.set_title(f"{way}\nTV {total_variation(deserved, q):.3f}", fontsize=19)
            ax.set_xlabel("share of draws")
            ax.set_xlim(0, 1.02)
            ax.grid(visible=False, axis="y")


def temperature(
    tree: Texts, at_one: np.ndarray, wanted: np.ndarray, q: np.ndarray, T: float
) -> None:
    """What the likeliest texts deserve at a temperature, and what a trained table gives."""
    places = np.argsort(-at_one)[:SHOWN]
    where = np.arange(SHOWN)
    with figure(
        alt=f"At temperature {T} the grey bars are what the twelve likeliest texts deserve, and "
        "the blue ones what a trained sampler gives.",
        size=(12.2, 4.4),
    ) as ax:
        ax.bar(where - 0.2, wanted[places], 0.4, color=MUTED, label="deserved")
        ax.bar(where + 0.2, q[places], 0.4, color=BLUE, label="drawn")
        ax.set_xticks(where, _named(tree, places))
        ax.set_ylim(0, 1.0)
        ax.set_ylabel("share of draws")
        ax.set_title(f"T = {T:g}: TV {total_variation(wanted, q):.3f}")
        ax.grid(visible=False, axis="x")
        ax.legend(loc="upper right")


def approach(runs: Sequence[Sequence[dict[str, float]]]) -> None:
    """TV and the error of log Z along the training, a line a seed."""
    with figure(
        alt="The distance from the posterior falls below 0.05, and the error of log Z at the root "
        "comes to rest at 0 at the same time."
    ) as ax:
        for points in runs:
            steps = [p["step"] for p in points]
            ax.plot(steps, [p["tv"] for p in points], color=BLUE, alpha=0.8)
            ax.plot(steps, [p["off"] for p in points], "--", color=ORANGE, alpha=0.8)
        ax.plot([], [], color=BLUE, label="TV")
        ax.plot([], [], "--", color=ORANGE, label="log Z, less\nthe truth")
        ax.axhline(0.05, linestyle=(0, (4, 3)), color=MUTED, linewidth=2)
        ax.axhline(0, color=INK, linewidth=1)
        ax.set_xlabel("steps")
        ax.set_ylim(-0.8, 0.8)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _last(record: Recorded, case: Any, name: str) -> list[float]:
    return [float(record.run(case, s)["points"][-1][name]) for s in record.seeds_of(case)]


def rivals(record: Recorded) -> None:
    """TV of every method, a dot a seed."""
    names = [n for n in (
        "SubTB", "TB", "MLE, 5000 samples", "MLE, 100 samples", "soft RL", "soft RL, 4x",
        "maximise R", "maximise R, 4x") if n in record.cases]  # fmt: skip
    bars(
        names,
        np.array([_last(record, name, "tv") for name in names]).T,
        ylabel="TV from the posterior",
        numbers="{:.3f}",
        horizontal=True,
        alt="SubTB comes nearest without samples; the maximiser is almost as far as can be.",
    )


def evenness(record: Recorded) -> None:
    """The share of every number: untuned, SubTB by itself, and with the buffer."""
    seed = record.seeds_of("untuned")[0]
    panels = (("untuned", MUTED), ("SubTB, quick", VERMILION), ("SubTB, fuller replay", BLUE))
    with figure(
        1, 3, alt="The untuned model prefers some numbers; SubTB evens them but loses 100; with a "
        "buffer all are even.", size=(12.2, 4.2),
    ) as axes:  # fmt: skip
        for ax, (name, colour) in zip(axes, panels, strict=True):
            shares = np.array(record.run(name, seed)["points"][-1]["shares"])
            ax.bar(np.arange(101), 100 * shares, width=1.0, color=colour)
            ax.axhline(100 / 101, color=INK, linewidth=1.5, linestyle=(0, (4, 3)))
            ax.set_ylim(0, 6)
            ax.set_title(name, fontsize=19)
            ax.set_xlabel("number")
            if shares[100] < 0.001:
                arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 2.5}
                ax.annotate("100", (100, 0.05), (78, 3.2), fontsize=20, arrowprops=arrow)
        axes[0].set_ylabel("share, %")


def divergences(record: Recorded) -> None:
    """Both divergences from even for every way of tuning."""
    names = [n for n in (
        "untuned", "SubTB, fuller replay", "SubTB with replay", "SubTB, quick", "SubTB", "SubTB, 4x", "soft RL", "reward, tied to the model",
        "reward alone", "SFT on 100 numbers") if n in record.cases]  # fmt: skip
    bars(
        names,
        {
            "KL(even, q)": np.array([_last(record, n, "from_even") for n in names]).T,
            "KL(q, even)": np.array([_last(record, n, "to_even") for n in names]).T,
        },
        ylabel="nats",
        numbers="{:.3f}",
        horizontal=True,
        size=(12.2, 6.4),
        alt="SubTB with a buffer is nearest 0 in both directions.",
    )


def contexts(record: Recorded) -> None:
    """TV by the number of contexts and the start, seen and unseen."""
    names = [n for n in ("1 context", "16 contexts", "200 contexts", "200 contexts, 4x",
                         "own triples", "own triples, then SubTB") if n in record.cases]  # fmt: skip
    level = float(np.mean(_last(record, "200 contexts", "yardstick")))
    bars(
        names,
        {
            "contexts trained on": np.array([_last(record, n, "seen") for n in names]).T,
            "contexts never seen": np.array([_last(record, n, "others") for n in names]).T,
        },
        ylabel="TV from the posterior",
        numbers="{:.2f}",
        horizontal=True,
        expected={"no context read": level},
        size=(12.2, 5.6),
        alt="One context is learnt in 400 steps, 200 are not; a start from the model's own triples "
        "helps on contexts that were never seen, too.",
    )


def labels(record: Recorded) -> None:
    """Things without a label answered rightly, for 10, 20 and 50 labels."""
    ways = (("direct", VERMILION), ("EM, hasty SubTB", ORANGE), ("EM, SubTB", BLUE),
            ("EM, exact", GREEN))  # fmt: skip
    with figure(
        alt="With a hidden chain more of the things without a label are answered rightly, and more "
        "the more labels there are; the direct way stays near one half."
    ) as ax:
        for shift, (way, colour) in enumerate(ways):
            amounts = [a for a in (10, 20, 50) if (way, a) in record.cases]
            rows = np.array([_last(record, (way, a), "right") for a in amounts])  # (amounts, seeds)
            at = np.array([(10, 20, 50).index(a) for a in amounts]) + 0.06 * (shift - 1.5)
            ax.plot(at, 100 * rows.mean(1), color=colour, label=way, marker="o", markersize=8)
            for x, row in zip(at, rows, strict=True):
                ax.plot([x] * len(row), 100 * row, "o", color=colour, alpha=0.35, markersize=6)
        ax.axhline(50, linestyle=(0, (4, 3)), color=MUTED, linewidth=2)
        ax.set_xticks([0, 1, 2], ["10", "20", "50"])
        ax.set_xlabel("labels")
        ax.set_ylabel("things without a label, right, %")
        ax.set_ylim(20, 103)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def properties(record: Recorded, told: int) -> None:
    """How often chains name each property, turn by turn: a good E-step, a hasty one, a lost one."""

    def end(case: tuple[str, int], seed: int) -> float:
        return record.run(case, seed)["points"][-1]["named"][told]

    few = ("EM, SubTB", 20)
    lost = min(record.seeds_of(few), key=lambda seed: end(few, seed))
    seed = record.seeds_of(("EM, hasty SubTB", 50))[0]
    panels = (
        ("50 labels", ("EM, SubTB", 50), seed),
        ("50 labels, hasty", ("EM, hasty SubTB", 50), seed),
        (f"20 labels, seed {lost}", few, lost),
    )
    with figure(
        1, 3, alt="With 50 labels the right property takes over, more slowly where the E-step is "
        "hasty; with 20 labels another one can.", size=(12.2, 4.2),
    ) as axes:  # fmt: skip
        for ax, (title, case, which_seed) in zip(axes, panels, strict=True):
            points = record.run(case, which_seed)["points"]
            named = np.array([p["named"] for p in points])  # (turns, properties)
            turns = np.arange(1, len(named) + 1)
            for which in range(named.shape[1]):
                right = which == told
                ax.plot(turns, named[:, which], color=BLUE if right else MUTED,
                        linewidth=4 if right else 2.5)  # fmt: skip
            ax.set_title(title, fontsize=19)
            ax.set_ylim(0, 1.02)
            ax.set_xticks([1, 5, 10])
            ax.set_xlabel("turn")
        axes[0].set_ylabel("share of chains")
        axes[0].plot([], [], color=BLUE, label="the right one")
        axes[0].plot([], [], color=MUTED, label="the others")
        axes[0].legend(loc="center right", fontsize=15)
