"""The figures of lesson 07c."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.analysis import long_context
from minilm.course.show.figures import lines
from minilm.course.show.style import (
    BLUE,
    COLOURS,
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
from minilm.models import Config

OF_RANK = (BLUE, ORANGE, GREEN, PURPLE)
PALE = "#E9EBEF"
WAYS = {
    "full": "everything",
    "memory": "memory of 4, two rounds",
    "twice": "BM25 asked twice",
    "search": "BM25",
}


def _rgb(colour: str) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)


def _triangle(ax: Any, owner: np.ndarray, upto: np.ndarray | None = None) -> None:
    """Pairs of query (row) and key (column), in the colour of the query's rank."""
    n = len(owner)
    image = np.ones((n, n, 3))
    for i in range(n):
        for j in range(i + 1):
            done = upto is None or upto[i, j]
            image[i, j] = _rgb(OF_RANK[owner[i]]) if done else _rgb(PALE)
    ax.imshow(image, interpolation="nearest")
    ax.set_xticks(np.arange(-0.5, n), minor=True)
    ax.set_yticks(np.arange(-0.5, n), minor=True)
    ax.grid(visible=False)
    ax.grid(which="minor", color="white", linewidth=1.2)
    ax.tick_params(which="both", length=0)
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_visible(False)


def _owner(n: int, ranks: int, plan: str) -> np.ndarray:
    owner = np.zeros(n, int)
    for rank, own in enumerate(long_context.places_of(n, ranks, plan)):
        owner[own] = rank
    return owner


def opening() -> Picture:
    """The same triangle of pairs, cut in two ways."""
    with styled():
        sheet, axes = new_figure(1, 4, size=(12.2, 3.9))
        for (left, right), plan, title in zip(
            (axes[:2], axes[2:]), ("contiguous", "zigzag"), ("a quarter each", "cut in eight"),
            strict=True,
        ):  # fmt: skip
            _triangle(left, _owner(16, 4, plan))
            left.set_title(title, fontsize=20)
            left.set_ylabel("queries", fontsize=16)
            left.set_xlabel("keys", fontsize=16)
            work = long_context.ring_work(16, 4, plan).sum(0)
            right.barh(range(4), work, color=OF_RANK)
            right.axvline(work.mean(), color=INK, linestyle=(0, (3, 2)), linewidth=2)
            right.set_yticks(range(4), [f"machine {r}" for r in range(4)], fontsize=15)
            right.set_xlim(0, 62)
            right.set_xticks([])
            right.invert_yaxis()
            right.grid(visible=False)
            for rank, pairs in enumerate(work):
                right.text(1.5, rank, str(pairs), va="center", ha="left", fontsize=16,
                           color="white")  # fmt: skip
            right.set_title("pairs", fontsize=20)
        return render(
            sheet,
            "Triangles of pairs on four machines: cut in quarters the last machine has 58 pairs "
            "and the first 10; cut in eight and paired, each has 34.",
        )


def memory_of_one(found: dict[str, list[float]]) -> None:
    """Bytes held beside the inputs, measured."""
    series = {k: np.array(v) / 1e6 for k, v in found.items() if k != "n"}
    lines(
        found["n"], series, xlabel="tokens", ylabel="MB at the peak", xscale="log", yscale="log",
        alt="Dense attention takes four times the memory for twice the text; in pieces it takes "
        "twice.", size=(12.2, 4.4),
    )  # fmt: skip


def ring_turn(step: int) -> None:
    """Where keys lie after `step` turns, and which pairs have been computed."""
    from matplotlib.patches import Circle, FancyArrowPatch

    ranks, n = 4, 16
    owner = np.repeat(np.arange(ranks), n // ranks)
    age = (owner[:, None] - owner[None, :]) % ranks  # the step in which a pair is computed
    with figure(
        1, 2, alt=f"After {step} turns rank r holds the keys of rank r minus {step}; the computed "
        "squares of the triangle are coloured.", size=(12.2, 5.0),
    ) as (left, right):  # fmt: skip
        corners = {0: (0, 1), 1: (1, 0), 2: (0, -1), 3: (-1, 0)}
        for rank, (x, y) in corners.items():
            keys = (rank - step) % ranks
            left.add_patch(Circle((x, y), 0.42, color=OF_RANK[rank], alpha=0.25))
            left.text(x, y + 0.13, f"queries {rank}", ha="center", va="center", fontsize=17)
            left.text(
                x, y - 0.15, f"keys {keys}", ha="center", va="center", fontsize=17, color="white",
                bbox={"facecolor": OF_RANK[keys], "edgecolor": "none", "pad": 4},
            )  # fmt: skip
            nx, ny = corners[(rank + 1) % ranks]
            left.add_patch(
                FancyArrowPatch(
                    (x + 0.38 * (nx - x), y + 0.38 * (ny - y)),
                    (x + 0.66 * (nx - x), y + 0.66 * (ny - y)),
                    arrowstyle="-|>", mutation_scale=22, color=MUTED, linewidth=2,
                )
            )  # fmt: skip
        left.set_xlim(-1.6, 1.6)
        left.set_ylim(-1.5, 1.5)
        left.set_aspect("equal")
        left.axis("off")
        left.set_title(f"after {step} turn{'' if step == 1 else 's'}")
        _triangle(right, owner, upto=age <= step)
        right.set_xlabel("keys")
        right.set_ylabel("queries")
        right.set_title("what has been computed")


def timeline(table: np.ndarray, plan: str) -> None:
    """Each rank's work in each step; grey where it waits for the slowest."""
    steps, ranks = table.shape
    with figure(
        alt=f"The {plan} cut: the steps of four ranks as bars, with grey where a rank waits for the "
        "slowest.", size=(12.2, 3.9),
    ) as ax:  # fmt: skip
        start = 0
        for step in range(steps):
            longest = table[step].max()
            for rank in range(ranks):
                work = table[step, rank]
                ax.barh(rank, longest, left=start, color=PALE, height=0.7)
                ax.barh(rank, work, left=start, color=OF_RANK[rank], height=0.7)
                if work:
                    ax.text(start + work / 2, rank, str(work), ha="center", va="center",
                            color="white", fontsize=15)  # fmt: skip
            start += longest
            ax.axvline(start, color="white", linewidth=4)
        ax.axvline(table.sum() / ranks, color=INK, linestyle=(0, (3, 2)), linewidth=2)
        ax.set_yticks(range(ranks), [f"rank {r}" for r in range(ranks)])
        ax.invert_yaxis()
        ax.set_xlim(0, 940)
        ax.set_xlabel("time, in pairs (dashed: the mean work of a rank)")
        ax.set_title(f"{plan}: {start} pairs long, {start / (table.sum() / ranks):.2f} of the mean")
        ax.grid(visible=False)


def traffic(tokens: int = 131_072, channels: int = 4096) -> None:
    """Numbers that a rank sends in a layer, both ways, against the ranks."""
    ranks = [2, 4, 8, 16, 32]
    lines(
        ranks,
        {
            "ring": [long_context.ring_traffic(tokens, channels, p) / 1e6 for p in ranks],
            "Ulysses": [long_context.ulysses_traffic(tokens, channels, p) / 1e6 for p in ranks],
        },
        xlabel="ranks", ylabel="million numbers a rank", xscale="log", yscale="log",
        title="131,072 tokens, 4,096 channels, one layer forward",
        alt="The ring sends about a billion numbers with any number of ranks; Ulysses starts at the "
        "same and halves with each doubling.", size=(12.2, 4.4),
    )  # fmt: skip


def hidden(machines: dict[str, tuple[float, float]]) -> None:
    """Share of a ring's time that waits for messages, against the block."""
    blocks = np.unique(np.geomspace(128, 65536, 60).astype(int))
    series = {}
    for name, (flops, bandwidth) in machines.items():
        times = [long_context.ring_seconds(int(c), 128, 8, flops, bandwidth) for c in blocks]
        series[name] = [100 * t.waiting / t.total for t in times]
    with figure(
        alt="The share of time that waits for messages falls to zero at about a thousand tokens "
        "over NVLink and at twenty-five thousand over InfiniBand.", size=(12.2, 4.2),
    ) as ax:  # fmt: skip
        for k, (name, shares) in enumerate(series.items()):
            ax.plot(blocks, shares, color=COLOURS[k], label=name, linewidth=3,
                    linestyle="--" if k == 1 else "-")  # fmt: skip
        ax.set_xscale("log")
        ax.set_xticks([128, 1024, 8192, 65536], ["128", "1,024", "8,192", "65,536"])
        ax.minorticks_off()
        ax.set_xlabel("tokens of a rank")
        ax.set_ylabel("% of the time waiting")
        ax.legend(loc="upper right")


def memory_of_ranks(peaks: list) -> None:
    """What a rank holds at most, against the text, for several numbers of ranks."""
    series: dict[str, Any] = {}
    for p in sorted({one.ranks for one in peaks}):
        mine = [one for one in peaks if one.ranks == p]
        name = f"{p} rank{'s' if p > 1 else ''}"
        series[name] = ([m.tokens for m in mine], [m.bytes / 1000 for m in mine])
    lines(
        None, series, xlabel="tokens of the whole text", ylabel="kB of a rank at the peak",
        xscale="log", yscale="log",
        alt="The most memory of a rank rises with the text and falls with the number of ranks.",
        size=(12.2, 4.4),
    )  # fmt: skip


def reading(config: Config, timed: Any) -> None:
    """Seconds to read, measured and by formula; milliseconds for one token more, read or written."""
    flops = np.array([long_context.prefill_cost(config, n).flops for n in timed.lengths])
    speed = float(np.exp(np.mean(np.log(flops / np.array(timed.read)))))
    with figure(
        1, 2, alt="Reading takes longer than in proportion to the text, as the formula says; a token "
        "that is written takes many times as long as one that is read.", size=(12.2, 4.6),
    ) as (left, right):  # fmt: skip
        left.plot(timed.lengths, flops / speed, color=MUTED, linewidth=3, label="formula")
        left.plot(timed.lengths, timed.read, "o", color=BLUE, markersize=10, label="measured")
        left.set_xscale("log")
        left.set_yscale("log")
        left.set_xticks(timed.lengths, [f"{n:,}" for n in timed.lengths])
        low, high = min(timed.read), max(timed.read)
        ticks = [t for t in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30) if low / 2 < t < 2 * high]
        left.set_yticks(ticks, [f"{t:g}" for t in ticks])
        left.minorticks_off()
        left.set_xlabel("tokens read")
        left.set_ylabel("seconds")
        left.set_title(f"reading ({speed / 1e9:.0f} GFLOP/s)")
        left.legend(loc="upper left")
        each = [1000 * timed.read[-1] / timed.lengths[-1], 1000 * timed.write]
        right.bar(["read", "written"], each, color=[BLUE, VERMILION], width=0.6)
        for place, value in enumerate(each):
            right.text(place, value, f"{value:.2f}", ha="center", va="bottom", fontsize=17)
        right.set_ylim(0, 1.2 * max(each))
        right.set_ylabel("milliseconds")
        right.set_title(f"one token, {timed.lengths[-1]:,} before it")
        right.grid(visible=False, axis="x")


Exams = list[dict[int, dict[str, float]]]  # a seed each: distractors -> way -> share right


def _curve(exams: Exams, way: str) -> np.ndarray:
    """(seeds, numbers of distractors), in per cent."""
    return 100 * np.array([[found[way] for found in one.values()] for one in exams])


def hops(exams: Exams) -> None:
    """Share right against the distractors, on two hops and on one."""
    tested = np.array(list(exams[0]))
    luck = np.minimum(1, 3 / (tested + 1))
    with figure(
        1, 2, alt="On two hops the reader of everything stays near 100 per cent, and with BM25's "
        "four documents it falls to guessing; on one hop both are near 100.", size=(12.2, 4.8),
    ) as axes:  # fmt: skip
        for ax, tail, title in zip(axes, ("", ", one hop"), ("two hops", "one hop"), strict=True):
            for way, colour, style in (("full", BLUE, "o-"), ("search", VERMILION, "s--")):
                shares = _curve(exams, way + tail)
                ax.fill_between(tested, shares.min(0), shares.max(0), color=colour, alpha=0.2)
                ax.plot(tested, shares.mean(0), style, color=colour, label=WAYS[way], linewidth=3)
            ax.set_xscale("log", base=2)
            ax.set_xticks(tested, [str(t) for t in tested])
            ax.minorticks_off()
            ax.set_ylim(0, 105)
            ax.set_xlabel("distractors")
            ax.set_title(title)
        axes[0].plot(tested, 100 * (luck + (1 - luck) / 16), ":", color=MUTED, linewidth=3,
                     label="luck and guessing")  # fmt: skip
        axes[0].plot(tested, _curve(exams, "commonest place").mean(0), "-.", color=INK, linewidth=2,
                     label="commonest place")  # fmt: skip
        axes[0].set_ylabel("% right")
        axes[0].legend(loc="center right", bbox_to_anchor=(1, 0.66), fontsize=15)
        axes[1].axhline(100 / 40, color=MUTED, linestyle=":", linewidth=3)
        axes[1].text(tested[0], 6, "guessing", color=MUTED, fontsize=15)


def rooms(room: Sequence[int], found: Sequence[Sequence[float]]) -> None:
    """How often the reader is right that gets the k best of BM25."""
    shares, luck = 100 * np.array(found), (np.array(room) - 1) / 65
    with figure(
        alt="The share right rises in proportion to the number of documents that the search hands "
        "on, as luck predicts.", size=(12.2, 4.4),
    ) as ax:  # fmt: skip
        ax.plot(room, 100 * (luck + (1 - luck) / 16), ":", color=MUTED, linewidth=4,
                label="found by luck, else guessed")  # fmt: skip
        ax.fill_between(room, shares.min(0), shares.max(0), color=VERMILION, alpha=0.2)
        ax.plot(room, shares.mean(0), "o-", color=VERMILION, linewidth=3,
                label="the reader, with BM25's k best")  # fmt: skip
        ax.set_xlabel("k, documents handed on, of 66")
        ax.set_ylabel("% right on two hops")
        ax.set_ylim(0, 105)
        ax.legend(loc="upper left")


def memories(tables: np.ndarray, sizes: Sequence[int], times: Sequence[int], exams: Exams) -> None:
    """Memories of other sizes and rounds (seeds, rounds, sizes); all ways at most distractors."""
    with figure(
        1, 2, alt="A memory of one sentence fails with any number of rounds; from two sentences and "
        "two rounds on it is near the reader of everything.", size=(12.2, 4.8),
    ) as (left, right):  # fmt: skip
        for i, (rounds, colour) in enumerate(zip(times, (MUTED, PURPLE, BLUE), strict=False)):
            shares = 100 * tables[:, i]  # (seeds, sizes)
            name = f"{rounds} round{'s' if rounds > 1 else ''}"
            left.fill_between(sizes, shares.min(0), shares.max(0), color=colour, alpha=0.2)
            left.plot(sizes, shares.mean(0), "o-", color=colour, linewidth=3, label=name)
        left.set_xticks(list(sizes))
        left.set_ylim(0, 105)
        left.set_xlabel("sentences that the memory holds")
        left.set_ylabel("% right on two hops")
        left.legend(loc="center right")
        left.set_title("64 distractors")
        colours = dict(zip(WAYS, (BLUE, PURPLE, GREEN, VERMILION), strict=True))
        for row, (way, name) in enumerate(WAYS.items()):
            shares = _curve(exams, way)[:, -1]
            right.barh(row, shares.mean(), color=colours[way], height=0.6)
            right.plot(shares, [row] * len(shares), "|", color=INK, markersize=16,
                       markeredgewidth=2)  # fmt: skip
            inside = shares.mean() > 60
            right.text(3 if inside else shares.max() + 3, row, name, va="center", fontsize=16,
                       color="white" if inside else INK)  # fmt: skip
        right.set_yticks([])
        right.invert_yaxis()
        right.set_xlim(0, 105)
        right.set_xlabel("% right on two hops")
        right.grid(visible=False, axis="y")
        right.set_title("all four ways")
