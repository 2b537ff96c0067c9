"""The figures of lesson 01, and the tables that it prints."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.course.show.figures import bars, lines, scatter
from minilm.course.show.grids import heatmap
from minilm.course.show.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    VERMILION,
    figure,
)
from minilm.course.show.tables import table
from minilm.studies.recorded import Recorded

from . import experiments
from .drawings import by_hand, opening

__all__ = ["by_hand", "opening", "table"]


# ------------------------------------------------------------------------------------- history


def counting(bits: Sequence[float], seen: Sequence[float]) -> None:
    """What longer contexts bring a counter, and why so little."""
    orders = range(1, len(bits) + 1)
    with figure(
        1,
        2,
        alt="Left: bits per word fall up to three words and then stay level. Right: the share of "
        "held-out word sequences that were ever seen falls to a few in a hundred.",
        size=(12.2, 4.1),  # its sentence stands on the same slide
    ) as (left, right):
        lines(orders, {"": bits}, xlabel="words counted together", ylabel="bits per word", ax=left)
        left.set_xticks(list(orders))
        bars(
            orders,
            [100 * share for share in seen],
            xlabel="words in a row",
            ylabel="seen before, %",
            numbers="{:.0f}",
            ax=right,
        )


def against_counts(counted: np.ndarray, dot: np.ndarray) -> None:
    """Learnt dot products against counted numbers."""
    with figure(alt="Dot products of word vectors lie along the diagonal of shifted pmi.") as ax:
        scatter(counted, dot, xlabel="pmi − log k, counted", ylabel="u · v, learned", dot=14, ax=ax)
        ends = np.array([counted.min(), counted.max()])
        ax.plot(ends, ends, color=VERMILION, linewidth=3)


def fading(gain: float, seeds: Sequence[int]) -> None:
    """The gradient on its way back, for a recurrent matrix of this size."""
    kinds = {
        f"recurrent, U × {gain:g}": ("RNN", {"gain": gain}),
        "LSTM": ("LSTM", {}),
        "LSTM, gate open": ("LSTM", {"forget": 4.0}),
        "attention": ("attention", {}),
    }
    lines(
        np.arange(1, experiments.BACK + 1),
        {
            name: [experiments.fading(kind, seed, **how) for seed in seeds]
            for name, (kind, how) in kinds.items()
        },
        xlabel="steps back",
        ylabel="gradient, share of step 1",
        yscale="log",
        ylim=(1e-12, 1e9),
        alt="The recurrent net's gradient falls by ten powers of ten over 50 steps, the LSTM's by "
        "four; an LSTM with an open gate and attention stay level.",
    )


def copied(study: Any, models: dict[str, Sequence[Any]]) -> None:
    """Letters right by length, one model a seed."""
    sizes = range(1, study.LONGEST + 1)
    lines(
        sizes,
        {
            name: np.array(
                [[100 * study.letters_right(m, n)["right"] for n in sizes] for m in each]
            )
            for name, each in models.items()
        },
        xlabel="letters to copy",
        ylabel="letters right, %",
        expected={"by chance": 100 / study.LETTERS},
        ylim=(0, 103),
        alt="With attention more letters come out right than through one vector, the more so the "
        "longer the string.",
    )


def where(weights: np.ndarray, letters: Sequence[int]) -> None:
    """Attention weights of one copied string."""
    spelled = ["abcdefghijklmnop"[i] for i in letters]
    heatmap(
        weights,
        xlabels=spelled,
        ylabels=[*spelled, "end"],
        xlabel="read",
        ylabel="to write",
        unit="weight",
        numbers=None,
        low=0,
        high=1,
        alt="Attention weights of a copied string lie along the diagonal.",
    )


# ------------------------------------------------------------------------------------- attention


def seen_by(open_: np.ndarray, causal: np.ndarray, words: Sequence[str]) -> None:
    """Weights without and with the causal mask; what may not be seen stays empty."""
    alt = (
        "Attention weights: rows look, columns are looked at; causal leaves the upper right empty."
    )
    with figure(1, 2, alt=alt) as axes:
        for ax, title, one in zip(axes, ("open", "causal"), (open_, causal), strict=True):
            shown = np.where(one > 0, one, np.nan)
            look = {"xlabels": words, "ylabels": words, "numbers": "{:.2f}", "low": 0, "high": 1}
            heatmap(shown, title=title, **look, ax=ax)


def clock(waves: np.ndarray) -> None:
    """The table of sinusoids, and how alike two places are in it."""
    with figure(1, 2, alt="Left: waves, fast in the first channels and slow in the last. Right: "
                "two places are alike when they are near.") as (left, right):  # fmt: skip
        heatmap(waves, xlabel="channel", ylabel="position", centre=0, ax=left)
        near = waves @ waves.T / (waves.shape[1] / 2)
        heatmap(near, xlabel="position", ylabel="position", ax=right)


def families() -> None:
    """Who may see whom in an encoder, a decoder and an encoder-decoder."""
    past = np.tril(np.ones((8, 8)))
    both = np.full((8, 8), np.nan)
    both[:4, :4], both[4:, :4], both[4:, 4:] = 1, 0.5, np.where(past[:4, :4], 1, np.nan)
    masks = {
        "encoder": np.ones((8, 8)),
        "decoder": np.where(past, 1, np.nan),
        "encoder-decoder": both,
    }
    with figure(
        1, 3, alt="An encoder sees all, a decoder a triangle, an encoder-decoder both."
    ) as axes:
        for ax, (title, mask) in zip(axes, masks.items(), strict=True):
            ax.imshow(mask, cmap="Blues", vmin=0, vmax=1.4)
            ax.set_xticks(np.arange(8) - 0.5, [])
            ax.set_yticks(np.arange(8) - 0.5, [])
            ax.tick_params(length=0)
            ax.set_title(title)
            last = ax is axes[-1]
            ax.set_xlabel("pale: from one to the other" if last else "token looked at")
        axes[0].set_ylabel("token that looks")


def waiting(times: Sequence[int], chains: dict[str, Sequence[int]]) -> None:
    """Steps that wait for each other, by length of the text."""
    lines(
        times,
        chains,
        xlabel="tokens",
        ylabel="steps that wait for each other",
        xscale="log",
        yscale="log",
        alt="The recurrent chain doubles with the text; the transformer's stays at its depth.",
    )


# ------------------------------------------------------------------------------------- records


def learning(record: Recorded, cases: dict[str, Any], what: str) -> None:
    """Share right along training, one line per seed, until the task is learnt or steps run out."""
    alt = f"{what} over the steps of training, for " + ", ".join(cases)
    colours = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, INK)
    with figure(alt=alt) as ax:
        for (name, case), colour in zip(cases.items(), colours, strict=False):
            ends = []
            for seed in record.seeds:
                points = record.run(case, seed)["points"]
                x, y = [p["step"] for p in points], [100 * p["right"] for p in points]
                ax.plot(x, y, color=colour, alpha=0.45, linewidth=1.8)
                ends.append((x[-1], y[-1]))
            ax.plot([], [], color=colour, label=name)
            ax.scatter(*zip(*ends, strict=True), color=colour, s=60, zorder=3)
        ax.axhline(95, linestyle=(0, (4, 3)), color=MUTED, linewidth=2)
        ax.set_xscale("log")
        ax.set_xlabel("steps of training (a dot: learnt, or out of steps)")
        ax.set_ylabel(what)
        ax.set_ylim(0, 103)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def lengths(record: Recorded, asked: Sequence[int], longest: int) -> None:
    """Whole strings right by length, for each scheme of positions, after all the steps."""
    names = {"learned": "table", "rope": "RoPE", "none": "none"}
    rows = {
        name: np.array(
            [
                [100 * record.run((case, amount), seed)["points"][-1][f"whole {n}"] for n in asked]
                for seed in record.seeds
            ]
        )
        for case, name in names.items()
        for amount in [record.settings["steps"]]
    }
    with figure(
        alt="Whole strings copied: near all up to the trained length, few soon after."
    ) as ax:
        ax.axvspan(min(asked), longest, color="#EAF2F9")
        ax.text(min(asked) + 0.2, 40, "lengths seen\nin training", color=MUTED, fontsize=16)
        lines(
            asked, rows, xlabel="letters to copy", ylabel="strings without a fault, %", ax=ax,
            ylim=(0, 103),
        )  # fmt: skip


def thoughts(record: Recorded) -> None:
    """Sums right along training, for each size and way."""
    cases = {
        f"{task}, {record.parameters[task, size]:,}": (task, size)
        for task in ("step by step", "at once")
        for size in sorted({size for _, size in record.cases})
    }
    learning(record, cases, "sums right, %")


def facts(bands: Sequence[str], heart: np.ndarray, looked: np.ndarray, hits: np.ndarray) -> None:
    """Right answers by rank of the fact, (seeds, bands) each."""
    bars(
        list(bands),
        {"by heart": heart, "looked up": looked, "the search alone": hits},
        xlabel="rank of the fact, most asked first",
        ylabel="right answers, %",
        numbers="{:.0f}",
        alt="By heart common facts are right and rare ones wrong; looked up all are equally right.",
    )


def ways(marks: dict[str, Sequence[float]]) -> None:
    """Right answers for each way of working."""
    bars(
        list(marks),
        np.array(list(marks.values())).T,
        ylabel="right answers, %",
        numbers="{:.0f}",
        alt="Without memory nothing is right, with memory alone little; the calculator brings most.",
    )


def edits(moved: dict[str, np.ndarray]) -> None:
    """How far each fact's answer moved when one was edited; facts in order of their change."""
    with figure(alt="An edit along the inverse covariance moves the other answers less.") as ax:
        for (name, changes), colour in zip(moved.items(), (VERMILION, BLUE), strict=True):
            ax.plot(100 * np.sort(changes)[::-1], color=colour, label=name)
        ax.set_xlabel("the other facts, most disturbed first")
        ax.set_ylabel("change of the answer, %")
        ax.set_ylim(0, None)
        ax.axhline(0, color=FAINT)
        ax.legend()
