"""The figures of the worked example of lesson 10."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minilm.analysis.curves import t_interval
from minilm.course.show.figures import lines
from minilm.course.show.style import BLUE, GREEN, INK, MUTED, VERMILION, figure
from minilm.studies.recorded import Recorded

from .example import MODELS, NAMES, STRUCTURED, curve_of, leads, shares

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOUR = {"attention": BLUE, "mamba": VERMILION, "linear": GREEN}
MARK = {"attention": "o", "mamba": "s", "linear": "^"}


def maps() -> None:
    """Four tokens, composed two by two: the picture of a scan side by side."""
    pairs = (("½h + 4", "½h + 0", "1h + 0", "½h + 2"), ("¼h + 2", "½h + 2"), ("⅛h + 3",))
    with figure(
        alt="Four tokens as maps of the state: half of h plus 4, half of h plus 0, h, half of h plus "
        "2. Two by two they become a quarter of h plus 2 and half of h plus 2, and these become an "
        "eighth of h plus 3.",
        size=(12.2, 4.6),
    ) as ax:
        for level, row in enumerate(pairs):
            step = 4 / len(row)
            for i, words in enumerate(row):
                x, y = (i + 0.5) * step, 2 - level
                ax.text(
                    x, y, words, ha="center", va="center", fontsize=22, color=INK,
                    bbox={"boxstyle": "round,pad=0.45", "fc": "white", "ec": VERMILION, "lw": 2},
                )  # fmt: skip
                if level:
                    for side in (-0.25, 0.25):
                        ax.plot([x + side * step, x], [y + 0.78, y + 0.24], color=MUTED, lw=2)
        for i, token in enumerate(("first", "second", "third: passed over", "fourth")):
            ax.text(i + 0.5, 2.55, token, ha="center", fontsize=18, color=MUTED)
        ax.set(xlim=(0, 4), ylim=(-0.4, 2.8))
        ax.axis("off")


def fading(delta: float, states: int = 16, tokens: int = 200) -> None:
    """What is left of a token after others, for each number of the state."""
    t = np.arange(tokens + 1)
    left = np.exp(-delta * np.arange(1, states + 1)[:, None] * t)
    half = np.log(2) / delta
    with figure(
        alt=f"With delta {delta:g} the slowest of {states} numbers of state has lost half of a token "
        f"after {half:.3g} tokens, the fastest after {half / states:.2g}.",
        size=(12.2, 4.4),
    ) as ax:
        for n in range(states):
            ax.plot(t, left[n], color=VERMILION, alpha=1 - 0.055 * n, lw=2.5 if n == 0 else 1.5)
        ax.axhline(0.5, color=MUTED, lw=1.5, ls=(0, (4, 3)))
        ax.text(tokens, 0.53, "half", ha="right", color=MUTED, fontsize=18)
        ax.set(xlabel="tokens later", ylabel="left of a token", xlim=(0, tokens), ylim=(0, 1.02))
        ax.set_title(f"delta {delta:g}: half is gone after {half:.3g} tokens (slowest number)")


def memory(record: Recorded) -> None:
    """Bytes that one text leaves behind, over its length."""
    size = record.settings["held_back"]
    costs = {model: record.settings["costs"][f"{model} {size}"] for model in MODELS}
    context = record.settings["context"]
    tokens = 2.0 ** np.arange(4, 21)
    each = costs["attention"]["state_bytes"] / context
    kept = {"attention": each * tokens}
    kept |= {m: np.full(len(tokens), float(costs[m]["state_bytes"])) for m in STRUCTURED}
    cross = kept["mamba"][0] / each
    lines(
        tokens,
        {NAMES[model]: kept[model] / 1e3 for model in MODELS},
        xlabel="tokens read",
        ylabel="kB of one text",
        xscale="log",
        yscale="log",
        markers=False,
        alt="Attention's cache grows with every token, the states do not: attention's is larger than "
        f"Mamba's from {cross:.0f} tokens on.",
    )


def _compute(ax: Axes, record: Recorded, ylabel: str) -> None:
    flops = curve_of(record, "attention").flops
    ax.set(xlabel="billions of FLOPs of the training", ylabel=ylabel, xscale="log")
    ax.set_xticks(flops, [f"{f / 1e9:.0f}" for f in flops])
    ax.set_xticks([], minor=True)


def curves(record: Recorded) -> None:
    """Bits per byte over compute, the line through the smaller sizes, and what it foretold."""
    counted = record.settings["yardsticks"]
    with figure(
        alt="Bits per byte over training FLOPs for attention, Mamba and linear attention; lines "
        "through the three smaller sizes, and the held-back largest one beside its prediction.",
    ) as ax:
        for model in MODELS:
            curve = curve_of(record, model)
            colour = COLOUR[model]
            mean = curve.bits.mean(0)
            ax.errorbar(
                curve.flops, mean, [mean - curve.bits.min(0), curve.bits.max(0) - mean],
                fmt=MARK[model], color=colour, ms=10, capsize=4, label=NAMES[model],
                markeredgecolor="white",
            )  # fmt: skip
            x = np.geomspace(curve.flops[0], curve.flops[-1], 30)
            scale = mean[:-1].mean() / (curve.flops[:-1] ** curve.power.mean()).mean()
            ax.plot(x, scale * x ** curve.power.mean(), "--", color=colour, lw=1.5)
            ax.plot(
                curve.flops[-1], curve.predicted.mean(), MARK[model], ms=15, mfc="none",
                mec=colour, mew=2,
            )  # fmt: skip
        for name in ("counting pairs", "counting triples"):
            ax.axhline(counted[name], color=MUTED, lw=1.5, ls=(0, (4, 3)))
            ax.text(curve.flops[0], counted[name], name, color=MUTED, fontsize=16, va="bottom")
        _compute(ax, record, "bits per byte")
        ax.legend(title="open: predicted", title_fontsize=16)


def lead(record: Recorded) -> None:
    """How far the two are ahead of attention, over compute, with 95 % intervals."""
    with figure(
        alt="The lead over attention in bits per byte, over compute, for Mamba and for linear "
        "attention, with 95 % intervals over seeds.",
        size=(12.2, 4.6),
    ) as ax:
        for shift, model in zip((0.985, 1.015), STRUCTURED, strict=True):
            flops, found = curve_of(record, model).flops * shift, leads(record, model)
            low, mean, high = np.array([t_interval(column) for column in found.T]).T
            ax.errorbar(
                flops, mean, [mean - low, high - mean], fmt=MARK[model] + "-", capsize=6, ms=10,
                color=COLOUR[model], label=NAMES[model], markeredgecolor="white",
            )  # fmt: skip
        ax.axhline(0, color=MUTED, lw=1.5)
        _compute(ax, record, "ahead, bits per byte")
        ax.legend()


def recalled(record: Recorded) -> None:
    """The share of right answers at the lengths of training and beyond, in both worlds."""
    things = {"recall": "cards", "copy": "letters"}
    with figure(
        1, 2,
        alt="Right answers of attention, Mamba and linear attention in recall and copying, at the "
        "length of training, at twice and at four times that length, beside the best shortcut.",
    ) as axes:  # fmt: skip
        for ax, (task, lengths) in zip(axes, record.settings["lengths"].items(), strict=True):
            at, found = np.arange(len(lengths)), {m: shares(record, task, m) for m in MODELS}
            for k, model in enumerate(MODELS):
                values = np.array([found[model][n] for n in lengths])  # (lengths, seeds)
                place = at + (k - 1) * 0.26
                ax.bar(place, values.mean(1), 0.24, color=COLOUR[model], label=NAMES[model])
                for seed in values.T:
                    ax.plot(place, seed, "o", color=INK, ms=4)
            cheap = [record.settings["shortcut"][f"{task} {n}"] for n in lengths]
            for x, y in zip(at, cheap, strict=True):
                ax.plot([x - 0.4, x + 0.4], [y, y], color=MUTED, lw=2.5)
            names = [f"{n}" + ("\ntrained" if n == lengths[0] else "") for n in lengths]
            ax.set_xticks(at, names)
            ax.set(xlabel=things[task], ylim=(0, 1.32), title=task)
            ax.set_yticks(np.linspace(0, 1, 6))
            ax.grid(visible=False, axis="x")
        axes[0].set_ylabel("share right")
        axes[1].plot([], [], color=MUTED, lw=2.5, label="best shortcut")
        axes[1].legend(fontsize=15, loc="upper right", ncols=2)
