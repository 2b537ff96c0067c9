"""The figures of lesson 05."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.patches import FancyArrowPatch, Rectangle

from minilm.course.show.figures import bars, lines
from minilm.course.show.grids import heatmap
from minilm.course.show.style import (
    BLUE,
    COLOURS,
    FAINT,
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
from .domains import DOMAINS
from .studies.knowledge import lazy_nats

NAMES = {
    "facts": "facts",
    "translation": "translation",
    "lexical": "word groups",
    "grammar": "grammar",
    "sentiment": "verdicts",
    "spatial": "places",
    "arithmetic": "sums",
}
BALANCES = {"none": "none", "0.001": "0.001", "0.01": "0.01", "0.1": "0.1", "bias": "bias"}


def opening() -> Picture:
    """Five words; above each, a layer of eight boxes, of which two are at work."""
    words, lit = ("def", "area", "(", "side", ")"), ((1, 6), (6, 3), (0, 4), (3, 7), (4, 0))
    with styled():
        sheet, ax = new_figure(size=(12.2, 4.4))
        ax.set_axis_off()
        ax.set_xlim(-0.2, 12.2)
        ax.set_ylim(-0.55, 4.0)
        for place, (word, chosen) in enumerate(zip(words, lit, strict=True)):
            left = 2.45 * place
            ax.text(left + 0.88, -0.35, word, ha="center", fontsize=22, family="monospace")
            for level in (0, 1):
                for e in range(8):
                    on = e in (chosen if level == 0 else ((chosen[0] + 3) % 8, (chosen[1] + 2) % 8))
                    spot = (left + 0.22 * e, 0.55 + 1.75 * level)
                    ax.add_patch(Rectangle(spot, 0.18, 0.95, color=BLUE if on else FAINT))
                ax.add_patch(FancyArrowPatch((left + 0.88, 0.02 + 1.75 * level), (left + 0.88,
                             0.48 + 1.75 * level), arrowstyle="-|>", mutation_scale=18, color=MUTED))  # fmt: skip
        ax.text(6.1, 3.72, "eight experts in a layer, two at work, and other ones in the next",
                ha="center", fontsize=18, color=INK)  # fmt: skip
        return render(
            sheet,
            "Five words of a program. Above each stand two layers of eight boxes, and in each layer "
            "two of the eight are lit, other ones for other words and layers.",
        )


def sizes(dense: int, total: int, active: int) -> None:
    """Weights of Mistral, of Mixtral, of one token, and the myth."""
    bars(
        ["one Mistral 7B", "8 x Mistral 7B (the myth)", "Mixtral 8x7B", "what a token uses"],
        np.array([dense, 8 * dense, total, active]) / 1e9,
        ylabel="billions of weights",
        numbers="{:.1f}",
        size=(12.2, 3.6),
        alt="Mixtral has 46.7 billion weights, eight times Mistral would have 57.9, and one token "
        "uses 12.9.",
    )


def costs(
    times: Sequence[Mapping[int, Mapping[str, float]]], hit: Mapping[int, float], chance: Any
) -> None:
    """Time of experts beside a dense layer, and experts that a batch needs, by its size."""
    batches = list(times[0])
    slower = np.array([[t[b]["experts"] / t[b]["dense"] for b in batches] for t in times])
    with figure(
        1, 2, alt="The more tokens a batch has, the more of the eight experts it reads; beside a "
        "dense layer with the same products experts take longest at about 16 tokens, and about as "
        "long at 1,024.", size=(12.2, 4.9),
    ) as (left, right):  # fmt: skip
        lines(
            list(hit), {"a trained\nrouter": list(hit.values())},
            expected={"at random": [chance(b) for b in hit]},
            xscale="log", xlabel="tokens in the batch", ax=left, ylim=(0, 8.4),
            title="experts that are read",
        )  # fmt: skip
        lines(
            batches, {"experts": slower}, expected={"dense": 1.0}, xscale="log",
            xlabel="tokens in the batch", ax=right, title="time, dense = 1", ylim=(0, None),
        )  # fmt: skip


def how_many(nats: Sequence[float], k: int) -> None:
    """The loss where every token gets k experts, the others in grey."""
    with figure(
        alt=f"Nats per word of a model trained with two experts, used with 1 to 8; with {k} it is "
        f"{nats[k - 1]:.3f}.",
        size=(12.2, 4.2),
    ) as ax:
        ax.bar(
            range(1, 9), nats, color=[BLUE if i + 1 == k else MUTED for i in range(8)], width=0.7
        )
        ax.set_ylim(min(nats) - 0.02, max(nats) + 0.01)
        ax.set_xlabel("experts that a token may use, after training with 2")
        ax.set_ylabel("nats per word")
        ax.set_title(f"k = {k}: {nats[k - 1]:.3f} nats, {k / 2:g} x the products")
        ax.grid(visible=False, axis="x")


def shares(record: Recorded, seed: int) -> None:
    """Every expert's share in the last layer, for five ways of balancing."""
    table = []
    for case in BALANCES:
        layers = verdicts.last(record, case, seed)["layers"]
        worst = max(layers, key=lambda layer: max(layer["load"]))
        table.append(sorted(worst["load"], reverse=True))
    heatmap(
        100 * np.array(table), ylabels=[f"{name}" for name in BALANCES.values()], numbers="{:.0f}",
        xlabels=[f"{i + 1}." for i in range(8)], xlabel="experts of the worst layer, busiest first",
        ylabel="balance", unit="% of the choices", low=0, high=50, size=(12.2, 4.6),
        alt="Without a loss the busiest expert has several times its share; with 0.1 or a bias all "
        "have about an eighth.",
    )  # fmt: skip


def price(record: Recorded) -> None:
    """Loss of the five ways beside none, a dot a seed and a line for the mean."""
    seeds = record.seeds_of(*BALANCES)
    nats = np.array([[verdicts.last(record, c, s)["nats"][-1] for c in BALANCES] for s in seeds])
    more = 1000 * (nats - nats[:, :1])
    with figure(
        alt="Thousandths of a nat per token above no balance: 0.1 and the bias lie below in all "
        "seeds, 0.01 in two of three.",
        size=(12.2, 4.6),
    ) as ax:
        for i, column in enumerate(more.T):
            ax.scatter(np.full(len(column), i), column, s=110, color=BLUE, alpha=0.8, zorder=3)
            ax.plot([i - 0.25, i + 0.25], [column.mean()] * 2, color=INK)
        ax.axhline(0, color=MUTED, linewidth=2, linestyle=(0, (4, 3)))
        ax.set_xticks(range(len(BALANCES)), list(BALANCES))
        ax.set_xlabel("balance: coefficient of the loss, or a bias")
        ax.set_ylabel("millinats above none")
        ax.grid(visible=False, axis="x")


def by_domain(record: Recorded, seed: int, layer: str) -> None:
    """Shares of the experts for each domain in one layer."""
    place = int(layer.split()[-1]) - 1
    found = verdicts.last(record, verdicts.MODEL, seed)["layers"][place]["domains"]
    with figure(
        alt=f"Layer {place + 1}: the shares of eight experts for prose, code and maths; even would "
        "be an eighth each.",
        size=(12.2, 4.4),
    ) as ax:
        for d, (name, row) in enumerate(zip(DOMAINS, found, strict=True)):
            at = np.arange(8) + 0.27 * (d - 1)
            ax.bar(at, row, 0.25, color=COLOURS[d], label=name)
        ax.axhline(1 / 8, linestyle=(0, (4, 3)), color=INK, linewidth=2)
        ax.set_xticks(range(8), [f"expert {e}" for e in range(8)])
        ax.set_ylim(0, 0.5)
        ax.set_ylabel("share of the choices")
        ax.set_title(f"layer {place + 1} of 3")
        ax.grid(visible=False, axis="x")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02))


def what_it_reads(record: Recorded) -> None:
    """Information of the choice with token, domain and position, layer by layer."""
    seeds = record.seeds_of(verdicts.MODEL)
    series = {
        name: np.array([
            [t["told"][name][0] - t["told"][name][1]
             for t in verdicts.last(record, verdicts.MODEL, seed)["layers"]]
            for seed in seeds
        ])
        for name in ("token", "domain", "position", "domain beyond token")
    }  # fmt: skip
    bars(
        ["layer 1", "layer 2", "layer 3"],
        {"token": series["token"], "domain": series["domain"],
         "domain, once the\ntoken is known": series["domain beyond token"],
         "position": series["position"]},
        ylabel="nats above the null", numbers="{:z.2f}", horizontal=False,
        expected={"all: log 8": float(np.log(8))},
        alt="In every layer the token tells most about the first choice, the domain some of it, and "
        "the position nothing.",
    )  # fmt: skip


def neighbours(record: Recorded) -> None:
    """Repeats of neighbours by layer, beside chance and the shuffled rows."""
    seeds = record.seeds_of(verdicts.MODEL)

    def of(name: str, which: int) -> np.ndarray:
        return np.array([
            [layer["told"][name][which]
             for layer in verdicts.last(record, verdicts.MODEL, seed)["layers"]]
            for seed in seeds
        ])  # fmt: skip

    with figure(
        1, 2, alt="Neighbours share experts more often than two draws would; how much of it is left "
        "beside the same choices in random order is small.", size=(12.2, 4.9),
    ) as axes:  # fmt: skip
        for ax, name, title, chance in zip(
            axes, ("same", "shared"), ("the same first choice", "one of two in common"),
            ((1 / 8, "1/8"), (13 / 28, "13/28")), strict=True,
        ):  # fmt: skip
            for which, colour, shift in ((0, BLUE, -0.2), (1, MUTED, 0.2)):
                rows = of(name, which)
                at = np.arange(3) + shift
                label = ("as they stand", "shuffled")[which]
                ax.bar(at, rows.mean(0), 0.38, color=colour, label=label)
                ax.scatter(np.broadcast_to(at, rows.shape), rows, s=30, color="white",
                           edgecolor=INK, zorder=3)  # fmt: skip
            ax.axhline(chance[0], linestyle=(0, (4, 3)), color=VERMILION, linewidth=2,
                       label="two random draws")  # fmt: skip
            ax.text(-0.42, chance[0] + 0.02, chance[1], color=VERMILION, fontsize=16)
            ax.set_xticks(range(3), ["layer 1", "layer 2", "layer 3"])
            ax.set_ylim(0, 1)
            ax.set_title(title)
            ax.grid(visible=False, axis="x")
        axes[0].set_ylabel("share of neighbours")
        axes[1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.02))


def deleted(record: Recorded) -> None:
    """Damage by index in every layer, a row a seed."""
    found = verdicts.damage(record)
    heatmap(
        found, xlabels=[str(e) for e in range(8)], numbers="{:.2f}", size=(12.2, 4.2),
        ylabels=[f"seed {s}" for s in record.seeds_of(verdicts.MODEL)], unit="nats added",
        xlabel="index that is deleted in all three layers",
        alt="The damage of deleting an index in every layer, by index and seed: which one hurts most "
        "differs from seed to seed.",
    )  # fmt: skip


def gains(record: Recorded) -> None:
    """What the mixture makes up of the dense model's lack, by task."""
    seeds = record.seeds_of("dense", "mixture")
    rows = [verdicts.gains(record, seed) for seed in seeds]
    made_up = 100 * np.array([[row[task] for task in NAMES] for row in rows])
    with figure(
        alt="How much of what the dense model lacks eight experts make up, by task; facts are on the "
        "left, places and sums on the right.",
    ) as ax:
        bars(
            list(NAMES.values()), made_up, ylabel="% of the dense model's lack", numbers=None,
            horizontal=False, ax=ax,
        )  # fmt: skip
        for i, column in enumerate(made_up.T):  # above the bar and all its dots, also below 0
            ax.annotate(
                f"{column.mean():+.0f}", (i, max(0.0, column.max())), xytext=(0, 9),
                textcoords="offset points", ha="center", va="bottom", fontsize=16,
            )  # fmt: skip


def lacks(record: Recorded) -> None:
    """Nats on tested words: the habit of answers, dense, mixture, best possible."""
    seeds = record.seeds_of("dense", "mixture")

    def mean(case: str, task: str) -> float:
        return float(np.mean([verdicts.last(record, case, s)["losses"][f"{task} scored"]
                              for s in seeds]))  # fmt: skip

    print(f"{'nats per tested word':22}{'habit':>8}{'dense':>8}{'experts':>9}{'best':>8}")
    for task, name in NAMES.items():
        row = (lazy_nats(task), mean("dense", task), mean("mixture", task),
               record.settings["floors"][task])  # fmt: skip
        print(f"{name:22}{row[0]:8.2f}{row[1]:8.2f}{row[2]:9.2f}{row[3]:8.2f}")


def needles(found: Mapping[int, Sequence[np.ndarray]], window: int) -> None:
    """Share of needles that are named, by distance, for one to three layers."""
    series = {
        f"{n} layer{'s' if n > 1 else ''}": np.array(rows)[:, 1:] for n, rows in found.items()
    }
    lines(
        range(1, next(iter(found.values()))[0].size),
        series, xlabel="distance to the needle, tokens", ylabel="share that is named",
        expected={"guessing": 1 / 8}, ylim=(0, 1.05), markers=True,
        alt=f"With a window of {window}, one layer names needles up to {window - 1} tokens away, two "
        f"layers up to {2 * (window - 1)} and three up to {3 * (window - 1)}; beyond it is a guess.",
    )  # fmt: skip


def slots(held: np.ndarray) -> None:
    """Which position lies in which slot, step by step."""
    heatmap(
        held, numbers="{:.0f}", xlabel="step", ylabel="slot", unit="position", size=(12.2, 3.6),
        xlabels=[str(t) for t in range(held.shape[1])],
        ylabels=[str(s) for s in range(held.shape[0])],
        alt="Four slots: each position overwrites the one four steps before.",
    )  # fmt: skip
