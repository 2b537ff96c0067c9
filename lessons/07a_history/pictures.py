"""The figures of lesson 07a."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.patches import FancyBboxPatch

from minilm.course.show.figures import bars, lines
from minilm.course.show.grids import heatmap
from minilm.course.show.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    MUTED,
    VERMILION,
    Picture,
    figure,
    new_figure,
    render,
    styled,
)
from minilm.studies.recorded import Recorded

from . import verdicts

SENTENCE = ("the", "keys", "near", "the", "box", "are", "old", ".")


def _box(
    ax: Any, x: float, y: float, text: str, fill: str, width: float = 1.0, size: int = 17
) -> None:
    ax.add_patch(
        FancyBboxPatch((x, y), width - 0.1, 0.62, boxstyle="round,pad=0.02,rounding_size=0.08",
                       facecolor=fill, edgecolor="none")
    )  # fmt: skip
    dark = fill in (BLUE, VERMILION, GREEN, MUTED)
    ax.text(x + width / 2 - 0.05, y + 0.3, text, ha="center", va="center", fontsize=size,
            color="white" if dark else INK)  # fmt: skip


def opening() -> Picture:
    """The Transformer of 2017 and a model of today, part by part."""
    rows = [
        ("encoder and decoder", "decoder alone"),
        ("norms behind", "norms before"),
        ("layer norms", "RMS norms"),
        ("waves added once", "turns in every layer"),
        ("all key heads", "few key heads"),
        ("plain unit, biases", "gated unit, no biases"),
        ("attention, shortcuts, Adam", "attention, shortcuts, Adam"),
    ]
    with styled():
        sheet, ax = new_figure(size=(12.2, 5.0))
        ax.set_axis_off()
        ax.set_xlim(0, 12)
        ax.set_ylim(-0.1, 6.1)
        for at, title in ((0.4, "2017"), (7.0, "today")):
            ax.text(at + 2.2, 5.75, title, ha="center", fontsize=22, fontweight="bold")
        for i, (before, after) in enumerate(rows):
            y, same = 4.8 - 0.78 * i, before == after
            _box(ax, 0.4, y, before, FAINT, 4.5, 18)
            _box(ax, 7.0, y, after, FAINT if same else BLUE, 4.5, 18)
            ax.annotate("", (6.9, y + 0.31), (5.0, y + 0.31),
                        arrowprops={"arrowstyle": "-|>", "color": MUTED, "lw": 2})  # fmt: skip
        return render(
            sheet,
            "Two columns of seven parts: the Transformer of 2017 and a model of today. Six parts have "
            "changed; attention, shortcuts and Adam are the same.",
        )


def ways() -> None:
    """One sentence as BERT, GPT, T5 and GLM see it: what is read, and what is asked."""
    words = list(SENTENCE)
    read = {
        "BERT": [*words[:1], "?", *words[2:5], "?", *words[6:]],
        "GPT": words[:-1],
        "T5": [*words[:1], "<1>", *words[2:5], "<2>", *words[7:]],
        "GLM": [*words[:1], "?", *words[2:5], "?", *words[7:]],
    }
    asked = {
        "BERT": [(1, "keys"), (5, "are")],
        "GPT": [(i, w) for i, w in enumerate(words[1:])],
        "T5": list(enumerate(["<1>", "keys", "<2>", "are", "old", "<3>"])),
        "GLM": list(enumerate(["are", "old", "end", "keys", "end"])),
    }
    with figure(
        alt="BERT reads the sentence with two masks and is asked for the two words in their places. "
        "GPT reads it and is asked for every next word. T5 reads it with two numbered gaps and writes "
        "them in a second sequence. GLM reads it with gaps and writes them behind it, the second first.",
        size=(12.2, 5.4),
    ) as ax:
        ax.set_axis_off()
        ax.set_xlim(-1.6, 12.2)
        ax.set_ylim(-0.4, 8.2)
        for row, name in enumerate(read):
            y = 7.0 - 2.0 * row
            ax.text(-1.5, y + 0.3, name, fontsize=20, fontweight="bold", va="center")
            behind = len(read[name]) + 0.3 if name in ("T5", "GLM") else 0.0
            for i, word in enumerate(read[name]):
                gap = word == "?" or word.startswith("<")
                _box(ax, i, y, word, MUTED if gap else FAINT)
            for i, word in asked[name]:
                if behind:  # in the same row, or in a row of its own
                    size = min(1.0, (12.1 - behind) / len(asked[name]))
                    _box(ax, behind + size * i, y, word, BLUE, size, 15)
                else:
                    _box(ax, i, y - 0.74, word, BLUE)


def glm(rows: Sequence[np.ndarray], names: Mapping[int, str]) -> None:
    """GLM's mask for one text, with its words and both rows of places."""
    inp, tgt, pos1, pos2, mask = rows
    words = [names.get(int(i), str(i)) for i in inp]
    asks = ["" if t == -100 else names.get(int(t), str(t)) for t in tgt]
    a = int((pos2 == 0).sum())
    with figure(
        alt=f"Who sees whom: part A of {a} places sees itself; each of the {len(inp) - a} places of "
        "part B sees A and what stands before it in B. Under each word stand its two places.",
        size=(12.2, 6.4),
    ) as ax:
        shade = mask.astype(float)
        shade[a:, a:] *= 0.55
        ax.imshow(shade, cmap=_pale(), vmin=0, vmax=1, aspect="auto")
        ax.set_xticks(range(len(words)), [f"{w}\n{p}\n{q}" for w, p, q in zip(words, pos1, pos2)])
        ax.set_yticks(range(len(words)),
                      [f"{w}  asked: {t}" if t else w for w, t in zip(words, asks)])  # fmt: skip
        ax.xaxis.tick_top()
        ax.grid(visible=False)
        for edge in (a - 0.5,):
            ax.axhline(edge, color=VERMILION, linewidth=3)
            ax.axvline(edge, color=VERMILION, linewidth=3)
        ax.set_xticks(np.arange(len(words) + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(len(words) + 1) - 0.5, minor=True)
        ax.grid(which="minor", color="white", linewidth=2)
        ax.tick_params(which="minor", length=0)


def _pale() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("seen", ["#F2F4F8", "#8DBEDF", BLUE])


# ------------------------------------------------------------------------- reading and writing


def both(*records: Recorded) -> None:
    """Understanding and writing of every objective, beside what counting gives."""
    rows, record = _rows(records), records[0]
    names = list(rows)
    found = {n: verdicts.scores(*rows[n]) for n in names}
    yard = record.settings["counted"]
    with figure(
        1, 2, alt="Left: share of holes filled right. Right: share of beginnings continued with a right "
        "sentence. One bar for each objective, a dot for each seed.", size=(12.2, 2.4 + 0.6 * len(names)),
    ) as (left, right):  # fmt: skip
        panels = ((left, "holes", "holes filled right, %"),
                  (right, "sentences", "sentences right, %"))  # fmt: skip
        for ax, what, label in panels:
            level = np.mean(list(yard["holes"].values())) if what == "holes" else yard["sentences"]
            bars(names, 100 * np.array([found[n][what] for n in names]).T, ylabel=label,
                 numbers="{:.0f}", horizontal=True, ax=ax)  # fmt: skip
            ax.axvline(100 * level, linestyle=(0, (4, 3)), color=MUTED, linewidth=2)
            ax.set_xlim(0, 112)
        right.set_yticks(range(len(names)), [""] * len(names))
        left.text(100 * np.mean(list(yard["holes"].values())) + 1, 2.5, "pairs counted",
                  color=MUTED, fontsize=15, va="center")  # fmt: skip


def _rows(records: Sequence[Recorded]) -> dict[str, tuple[Recorded, str]]:
    """What stands beside a row -> its record and objective; later records are named by their steps."""
    order = ("BERT", "GPT", "T5", "GLM", "T5, GLM's spans", "GLM, short spans")
    first, found = records[0].settings["steps"], {}
    for one in records:
        steps = one.settings["steps"]
        for name in (n for n in order if n in one.cases):
            found[name if steps == first else f"{name}, {steps:,} steps"] = (one, name)
    return found


def by_exam(*records: Recorded) -> None:
    """Every exam of every objective, and of counting."""
    rows, yard = _rows(records), records[0].settings["counted"]
    kinds = [*yard["holes"], *(f"judge:\n{k}" for k in yard["judged"])]

    def row(point: Mapping[str, Any]) -> list[float]:
        return [*point["holes"].values(), *point["judged"].values()]

    table = [
        np.mean([row(one.run(name, s)["points"][-1]) for s in one.seeds], axis=0)
        for one, name in rows.values()
    ]
    heatmap(
        100 * np.array([*table, row(yard)]), ylabels=[*rows, "counting"], xlabels=kinds,
        numbers="{:.0f}", unit="% right", low=0, high=100, size=(12.2, 2.4 + 0.5 * len(rows)),
        alt="Share right of five kinds of hole and two kinds of judgement, by objective, and for a "
        "reader who only counts.",
    )  # fmt: skip


# -------------------------------------------------------------------------------- loss, not size


def eight_sizes(record: Recorded, task: str, right_of: Any) -> None:
    """Share right against loss, a line a size, from lesson 2's record."""
    with figure(
        alt=f"Share of {task} right against the loss on all text, one line for each of eight sizes.",
        size=(12.2, 5.0),
    ) as ax:
        series = {}
        for case in record.whole:
            loss = record.along(case, lambda p: p["loss"]).mean(0)
            share = record.along(case, lambda p: 100 * right_of(p)[task]).mean(0)
            series[f"{record.parameters[case]:,}"] = (loss, share)
        for k, (name, (loss, share)) in enumerate(series.items()):
            tint = _pale()(0.25 + 0.75 * k / max(1, len(series) - 1))
            ax.plot(loss, share, "o-", color=tint, markeredgecolor="white", label=name)
        ax.invert_xaxis()
        ax.set(xlabel="loss on all text, nats per token (falls to the right)",
               ylabel=f"{task}: right, %")  # fmt: skip
        ax.legend(title="weights", loc="upper left", bbox_to_anchor=(1.0, 1.02), fontsize=14)


def gaps(found: Mapping[str, Any]) -> None:
    """Large less small at equal loss, with t intervals."""
    with figure(
        alt="For seven tasks: points right of the large model less the small one at equal loss, with "
        "95 % intervals; a band of 5 points either way.",
        size=(12.2, 4.8),
    ) as ax:
        ax.axvspan(-5, 5, color=FAINT, alpha=0.7)
        ax.axvline(0, color=MUTED, linewidth=2)
        for i, (task, gap) in enumerate(found.items()):
            colour = VERMILION if task in verdicts.differ({task: gap}) else BLUE
            ax.plot([100 * gap.low, 100 * gap.high], [i, i], color=colour, linewidth=4)
            ax.plot(100 * gap.middle, i, "o", color=colour, markersize=13)
        ax.set_yticks(range(len(found)), list(found))
        ax.invert_yaxis()
        ax.set_xlabel("points right: large less small, at a loss of 1.90 nats")
        ax.grid(visible=False, axis="y")


# ------------------------------------------------------------------------------------------ norms


def gradients(
    by_layer: Mapping[str, np.ndarray], last: Mapping[str, np.ndarray], depths: Sequence[int]
) -> None:
    """Left: gradient of each block in the deepest stack. Right: of the last block, by depth."""
    names = {"post": "behind", "pre": "before"}
    with figure(
        1, 2, alt="Left: before training, with norms behind, gradients are about as large in every block "
        "and differ by seed; with norms before they are smaller and fall. Right: in the last block they "
        "stay about the same with depth with norms behind, and fall with norms before.", size=(12.2, 5.0),
    ) as (left, right):  # fmt: skip
        at = np.arange(1, len(by_layer["pre"][0]) + 1)
        lines(at, {names[k]: by_layer[k] for k in names}, xlabel="block", ylabel="gradient, length",
              title=f"{len(at)} blocks", ylim=(0, None), markers=False, ax=left)  # fmt: skip
        lines(depths, {names[k]: last[k] for k in names}, xlabel="blocks in all",
              title="the last block", ylim=(0, None), ax=right)  # fmt: skip


# ----------------------------------------------------------------------------------------- turns


def products(scores: np.ndarray) -> None:
    """The product of one turned query and one turned key at every pair of places."""
    heatmap(
        scores, xlabel="place of the key", ylabel="place of the query", unit="score", centre=0.0,
        size=(12.2, 5.0),
        alt="Scores of one query and one key at all pairs of places: every diagonal has one colour.",
    )  # fmt: skip


def wavelengths(series: Mapping[str, np.ndarray]) -> None:
    """Positions for one turn, pair by pair."""
    lines(
        np.arange(64), series, yscale="log", xlabel="pair of a head of 128", size=(12.2, 4.6),
        ylabel="positions for one turn",
        alt="From 6 positions for the first pair to tens of thousands or millions for the last.",
    )  # fmt: skip


# ----------------------------------------------------------------------------------------- board


def board(record: Recorded) -> None:
    """What each row loses or gains beside the Llama, a dot a seed."""
    names = [n for n in record.settings["widths"] if n != "Llama"]
    cost = 1000 * np.array([verdicts.worth(record, n) for n in names])  # (rows, seeds)
    with figure(
        alt="Thousandths of a nat above the small Llama for every row of the board, a dot for each seed.",
        size=(12.2, 5.2),
    ) as ax:
        ax.axvspan(-10, 10, color=FAINT, alpha=0.7)
        ax.axvline(0, color=MUTED, linewidth=2)
        for i, row in enumerate(cost):
            ax.plot(row, np.full(len(row), i), "o", color=BLUE, markersize=11, alpha=0.8)
            ax.plot([row.mean()] * 2, [i - 0.3, i + 0.3], color=INK, linewidth=3)
        ax.set_yticks(range(len(names)), names)
        ax.invert_yaxis()
        ax.set_xlabel("thousandths of a nat per token above the Llama (worse to the right)")
        ax.grid(visible=False, axis="y")


def board_with(record: Recorded, row: Mapping[str, Any], seed: int) -> None:
    """The reader's row among the recorded ones, at the same step."""
    names = list(record.settings["widths"])
    at = {n: next(p["loss"] for p in record.run(n, seed)["points"] if p["step"] == row["step"])
          for n in names}  # fmt: skip
    ranked = sorted([*at.items(), (row["name"], row["loss"])], key=lambda pair: pair[1])
    with figure(
        alt=f"Nats per token after {row['step']} steps: the recorded rows and yours.",
        size=(12.2, 5.2),
    ) as ax:
        for i, (name, loss) in enumerate(ranked):
            mine = name == row["name"]
            colour = VERMILION if mine else BLUE
            ax.plot(loss, i, "o", color=colour, markersize=12)  # no bar: the axis has no zero
            ax.text(loss, i, f"   {loss:.3f}", va="center", fontsize=16)
        ax.set_xlim(ranked[0][1] - 0.05, ranked[-1][1] + 0.12)
        ax.set_yticks(range(len(ranked)), [name for name, _ in ranked])
        ax.invert_yaxis()
        ax.set_xlabel(f"nats per held-out token after {row['step']} steps, seed {seed}")
        ax.grid(visible=False, axis="y")


# ---------------------------------------------------------------------------------------- family

SHOWN = (
    "Transformer", "BERT base", "GPT-2", "T5 small", "GLM base", "GPT-NeoX 20B", "Llama 7B",
    "Mixtral 8x7B", "StarCoder2 3B", "Qwen2 0.5B", "Gemma 2 2B", "OLMo 2 7B", "Qwen3 0.6B",
)  # fmt: skip
COLUMNS = {
    "norm": "norm",
    "norm stands": "it stands",
    "positions": "places",
    "heads of keys": "key heads",
    "feed-forward": "unit",
    "biases": "biases",
    "more": "more",
}
SHORT = {
    "layer norm": "layer", "RMS norm": "RMS", "after the sum": "behind",
    "before the sub-layer": "before", "behind the sub-layer": "on f alone",
    "before and behind the sub-layer": "both sides",
    "before both sub-layers, side by side": "before, once",
    "sinusoidal": "waves", "relative biases": "distances", "two learned tables": "two tables",
    "one for each query head": "all", "one for all": "one", "everywhere": "yes", "nowhere": "no",
    "in queries, keys and values": "q, k, v", "in attention": "in part",
    "outside attention": "in part",
}  # fmt: skip


def in_short(aspect: str, how: str) -> str:
    """A trait of `minilm.models.tree` in a word or two."""
    if how.startswith("RoPE"):
        return "RoPE, ¼" if "25%" in how else "RoPE"
    if how.startswith("one for ") and how.endswith(" query heads"):
        return f"1 for {how.split()[2]}"
    if "experts" in how:
        return "2 of 8 " + how.split(",")[0]
    return SHORT.get(how, how)


def more_of(traits: Mapping[str, str]) -> str:
    """What a model has besides: norms of queries and keys, caps, layers that see near and far."""
    found = []
    if traits["queries and keys"] != "no norm":
        found.append("q/k norms")
    if traits["caps"] != "none":
        found.append("caps")
    if " in " in traits["window"]:
        found.append("windows in turn")
    elif traits["window"] != "none":
        found.append("window")
    return ", ".join(found)


def tree(members: Sequence[Any]) -> None:
    """Models by year and what each has; blue where it left 2017."""
    rows = [m for m in members if m.name in SHOWN]
    first = rows[0].traits
    with figure(
        alt="A table of thirteen models from 2017 to 2025 with their norms, places, key heads, units "
        "and biases; what is no longer as in 2017 is blue, and that is most of the lower half.",
        size=(12.2, 0.43 * len(rows) + 0.7),
    ) as ax:
        ax.set_axis_off()
        ax.set_xlim(-1.75, len(COLUMNS) + 0.35)
        ax.set_ylim(-0.6, len(rows) + 0.3)
        for k, name in enumerate(COLUMNS.values()):
            ax.text(k + 0.5, len(rows) - 0.05, name, ha="center", fontsize=15, fontweight="bold")
        for i, member in enumerate(rows):
            y = len(rows) - 1 - i
            ax.text(-1.72, y, f"{member.year}  {member.name}", fontsize=14, va="center")
            for k, aspect in enumerate(COLUMNS):
                own = member.traits
                how = more_of(own) if aspect == "more" else in_short(aspect, own[aspect])
                new = bool(how) if aspect == "more" else own[aspect] != first[aspect]
                ax.text(k + 0.5, y, how, ha="center", va="center", fontsize=13,
                        color=BLUE if new else MUTED, fontweight="bold" if new else "normal")  # fmt: skip
