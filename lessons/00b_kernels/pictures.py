"""The figures and widgets of lesson 00b."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Rectangle

from minilm import backend
from minilm.course import bars, figure, lines
from minilm.course.show.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    SKY,
    VERMILION,
    Picture,
    new_figure,
    render,
    styled,
)
from minilm.emulator import Report, emulate

from . import measures
from .measures import ONCE

Array = np.ndarray
SIDE = 32  # of the small matrices


# ------------------------------------------------------------------------------- opening


def opening() -> Picture:
    """The same 32 numbers, as a row and as a column: which sectors have to be fetched."""
    with styled():
        sheet, axes = new_figure(1, 2, size=(12.2, 2.9))
        for ax, name, cells in (
            (axes[0], "32 numbers in a row: 4 sectors", np.arange(SIDE) + 12 * SIDE),
            (axes[1], "32 numbers in a column: 32 sectors", np.arange(SIDE) * SIDE + 12),
        ):
            _paint_touched(ax, cells)
            ax.set_title(name, fontsize=18)
        axes[0].set_xlabel("blue: asked for")
        axes[1].set_xlabel("orange: fetched with it, and not used")
    alt = (
        "Two views of a matrix. A row of 32 numbers fills four sectors of memory; a column of 32 "
        "numbers touches 32 sectors, of which seven eighths are fetched for nothing."
    )
    return render(sheet, alt)


def _paint_touched(ax: Any, elements: Array) -> int:
    """Elements of a SIDE x SIDE matrix in blue, the rest of their sectors in orange."""
    cells, sectors = np.zeros(SIDE * SIDE), np.unique(elements // 8)
    cells.reshape(-1, 8)[sectors] = 1
    cells[elements] = 2
    paint = ListedColormap(["#F3F5F9", "#F6C9A0", BLUE])
    ax.imshow(cells.reshape(SIDE, SIDE), cmap=paint, vmin=0, vmax=2, aspect="auto")
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return len(sectors)


# ----------------------------------------------------------------------------- the roof


def by_depth(depths: Sequence[int], taken: Array) -> None:
    """Milliseconds by multiply-adds per number."""
    bars(
        depths,
        taken * 1000,
        xlabel="multiply-adds for each of 33 million numbers",
        ylabel="milliseconds",
        numbers="{:.0f}",
        alt="Time is level for few multiply-adds per number and rises with many.",
        size=(12.2, 3.1),
    )


def speeds(speed: Mapping[str, Array]) -> None:
    """GFLOP/s of every program for one product."""
    bars(
        list(speed),
        np.transpose(list(speed.values())) / 1e9,
        ylabel="GFLOP/s",
        numbers="{:.3g}",
        horizontal=False,
        alt="The loop nest is slowest by far; the swapped loops and the library are faster.",
        size=(12.2, 3.1),
    )


def _draw_roof(ax: Any, roofs: Mapping[str, tuple[float, float, str]], low: float, high: float):
    """Roofs as name -> (bandwidth, peak, colour) over intensities from low to high."""
    at = np.geomspace(low, high, 300)
    for name, (slope, top, colour) in roofs.items():
        ax.plot(at, np.minimum(top, at * slope) / 1e9, color=colour)
        ax.text(high, top / 1e9 * 1.1, name, ha="right", va="bottom", color=colour, fontsize=16)
    ax.set(xscale="log", yscale="log", xlim=(low, high))
    ax.set_xlabel("operations per byte of memory traffic")
    ax.set_ylabel("GFLOP/s")


def under_the_roof(
    depths: Sequence[int], taken: Array, size: int, speed: Mapping[str, Array], n: int
) -> None:
    """The roof of this core, and every program of the lesson under it."""
    bandwidth, peak = measures.ceilings(depths, taken, size)
    points = measures.other_points() | {
        name: (n / 6, speeds.max()) for name, speeds in speed.items()
    }
    peak = max(peak, *(measured for _, measured in points.values()))
    print(f"bandwidth {bandwidth / 1e9:.1f} GB/s, peak {peak / 1e9:.0f} GFLOP/s, one core;", end="")
    print(f" the ridge: {peak / bandwidth:.1f} operations per byte")
    alt = (
        "The roof of one core: a slope, then a level. The norm in one loop stands near the slope, in "
        "NumPy below it; the matrix products stand above one another, the library near the level."
    )
    with figure(alt=alt) as ax:
        _draw_roof(ax, {"one core of this machine": (bandwidth, peak, BLUE)}, 0.15, 1500)
        depth = np.array(depths)
        swept = 2 * depth * size / taken.min(0) / 1e9
        ax.plot(depth / 4, swept, "o", color=SKY)
        words = {"textcoords": "offset points", "fontsize": 16}
        ax.annotate("multiply-adds", (2, swept[3]), (-14, 22), ha="right", color=SKY, **words)
        for name, (intensity, measured) in points.items():
            colour = GREEN if "norm" in name else INK if name == "attention" else VERMILION
            side, gap = ("right", -12) if name in speed else ("left", 12)
            spot = (intensity, measured / 1e9)
            ax.plot(*spot, "s", color=colour)
            ax.annotate(name, spot, (gap, -24 if name == "library" else -6), ha=side, **words)
        ax.set_ylim(min(measured for _, measured in points.values()) / 2e9, peak / 1e9 * 3)


# ---------------------------------------------------------------------------- coalescing


def _by_lane(report: Report) -> list[Array]:
    """Elements that warp 0 touches: argument -> array (steps, lanes)."""
    found: list[dict[int, list[int]]] = [{lane: [] for lane in range(32)} for _ in range(3)]
    for touch in report.touches:
        if touch.block == 0 and touch.thread < 32:
            found[touch.argument][touch.thread].append(touch.element)
    return [np.transpose(list(lanes.values())) for lanes in found]


def warp_viewer(**reports: Report) -> Callable[[int], None]:
    """A function that draws what one warp touches of a, b and c in one step of its loop."""
    warps = {name: _by_lane(report) for name, report in reports.items()}
    alt = (
        "Side by side, the lanes share one sector of a and four of b; one below the other they need "
        "32 sectors of a, of which most bytes are not used."
    )

    def draw(step: int) -> None:
        with figure(2, 3, alt=alt) as axes:
            for line, (name, touched) in zip(axes, warps.items(), strict=True):
                for ax, letter, steps in zip(line, "abc", touched, strict=True):
                    count = _paint_touched(ax, steps[step % len(steps)])
                    ax.set_title(f"{letter}: {count} sector{'s' * (count > 1)}", fontsize=17)
                line[0].set_ylabel(name.replace("_", " "))
            axes[1][1].set_xlabel("blue: asked for; orange: fetched with it, and not used")

    return draw


# ------------------------------------------------------------------- barriers, shuffles


def whom_a_lane_hears(lane: int) -> None:
    """The butterfly: every lane's partners in five rounds, and those that reach one lane."""
    alt = (
        "Five rounds of exchange between 32 lanes; the lines that lead to one lane fan out to all."
    )
    with figure(alt=alt) as ax:
        heard = {lane}
        for level in range(5, 0, -1):
            partner = 16 >> (level - 1)
            for at in range(32):
                for other in (at, at ^ partner):
                    colour, width = (BLUE, 3) if at in heard else (FAINT, 1.2)
                    look = {"color": colour, "linewidth": width, "zorder": int(at in heard)}
                    ax.plot([other, at], [level - 1, level], **look)
            heard |= {at ^ partner for at in heard}
        ax.set_xlabel("lane of the warp")
        ax.set_yticks(range(6), ["own number", *(f"exchange with ± {16 >> k}" for k in range(5))])
        ax.set_xticks(range(0, 32, 4))
        ax.grid(visible=False)
        ax.set_xlim(-0.7, 31.7)
        ax.plot([lane], [5], "o", color=VERMILION, markersize=14)
        side = "center" if 5 < lane < 26 else "left" if lane <= 5 else "right"
        words = f"lane {lane} knows the sum of all"
        ax.text(lane, 5.25, words, ha=side, color=VERMILION)
        ax.set_ylim(-0.2, 5.7)


def tree_and_shuffles(tree: Report, shuffled: Report) -> None:
    """Barriers and requests to shared memory, per block."""
    with figure(1, 2, alt="Barriers and shared-memory requests: fewer with shuffles.") as axes:
        for ax, name, words in (
            (axes[0], "barriers", "barriers per block"),
            (axes[1], "shared_requests", "shared-memory requests per block"),
        ):
            counts = [getattr(report, name) / 2 for report in (tree, shuffled)]
            bars(["tree", "shuffles"], counts, ylabel=words, numbers="{:.0f}", ax=ax)


# --------------------------------------------------------------------------- banks, tiles


def bank_viewer(transposer: Callable[[int], Any]) -> Callable[[int], None]:
    """A function that draws a tile by bank, and the column that one warp reads at once."""
    alt = (
        "Left: a tile in shared memory coloured by bank, with the column a warp reads. Right: how "
        "many of its 32 lanes want each bank; with one column of padding each bank is wanted once."
    )

    def draw(pad: int) -> None:
        x, y = np.zeros((2, 32, 32), np.float32)
        report = emulate(transposer(pad), 1, (32, 8), x, y, schedules=ONCE, record=True)
        asked = [t.element // 4 for t in report.touches if t.kind == "read" and t.argument < 0]
        down = np.array(asked[: 32 * 4 : 4])  # the first request of warp 0: lanes read four each
        width = 32 + pad
        with figure(1, 2, alt=alt) as (left, right):
            tile = (np.arange(32)[:, None] * width + np.arange(width)) % 32
            left.imshow(tile, cmap="twilight", alpha=0.65, aspect="auto")
            left.plot(down % width, down // width, "s", color=INK, markersize=7)
            if pad:
                left.axvspan(31.5, width - 0.5, facecolor="white", alpha=0.55, hatch="//")
            left.grid(visible=False)
            left.set_xlabel("column of the tile")
            left.set_ylabel("row")
            left.set_title("colour: bank")
            hit = np.bincount(down % 32, minlength=32)
            bars(range(32), hit, xlabel="bank", ylabel="lanes that want it", numbers=None, ax=right)
            right.set_xticks(range(0, 32, 8))
            right.set_ylim(0, 33)
            right.set_title(f"{report.bank_conflicts:,} extra rounds per tile")

    return draw


def padded(extra: Mapping[int, int]) -> None:
    """Extra rounds by columns of padding."""
    bars(
        list(extra),
        list(extra.values()),
        xlabel="columns of padding",
        ylabel="extra rounds",
        numbers="{:.0f}",
        alt="Bank conflicts by padding: 992 without, none for odd paddings, some for even ones.",
        size=(12.2, 3.1),
    )


def numbers_read(reads: Mapping[str, int]) -> None:
    """Numbers read from device memory, by side of the tile."""
    bars(
        list(reads),
        list(reads.values()),
        ylabel="numbers read",
        numbers="{:,.0f}",
        yscale="log",
        horizontal=False,
        alt="Numbers read from device memory fall in proportion to the side of the tile.",
        size=(12.2, 3.1),
    )


# ------------------------------------------------------------- softmax, FlashAttention


def running_softmax(seed: int) -> None:
    """A row of numbers with its maximum so far, and the sum so far, mended and not."""
    row = backend.rng(seed, "row").standard_normal(48) + np.linspace(-2, 2, 48)
    highest = np.maximum.accumulate(row)
    online = [np.exp(row[: k + 1] - highest[k]).sum() for k in range(len(row))]
    alt = (
        "Left: a row of numbers and its maximum so far, a staircase. Right: the running sum falls "
        "at each new maximum and ends where the sum with the final maximum ends."
    )
    with figure(1, 2, alt=alt) as (left, right):
        left.bar(range(48), row, color=SKY)
        left.step(range(48), highest, where="post", color=VERMILION)
        left.set_xlabel("number read")
        left.set_title("the maximum so far")
        sums = {"one reading": online, "two readings": np.cumsum(np.exp(row - row.max()))}
        lines(None, sums, xlabel="number read", title="the sum so far", markers=False, ax=right)


def on_the_chip(moment: int) -> None:
    """Queries, keys, scores and output of 64 tokens; moment 0 to 15 counts blocks, then tiles."""
    mine, tile = divmod(moment, 4)
    own, now = slice(16 * mine, 16 * mine + 16), slice(16 * tile, 16 * tile + 16)
    queries, keys, scores = np.zeros((64, 12)), np.zeros((12, 64)), np.zeros((64, 64))
    queries[: own.start], queries[own] = 1, 2
    keys[:, : now.start], keys[:, now] = 1, 2
    scores[: own.start], scores[own, : now.start], scores[own, now] = 1, 1, 2
    sheet = np.full((80, 104), np.nan)
    sheet[16:, 8:20] = sheet[16:, 92:] = queries  # the output has the queries' rows
    sheet[:12, 24:88], sheet[16:, 24:88] = keys, scores
    alt = "One tile of scores is on the chip, with its queries, its keys and its rows of output."
    with figure(alt=alt) as ax:
        ax.imshow(sheet, cmap=ListedColormap(["#EDF0F5", "#BBD9EE", BLUE]), vmin=0, vmax=2)
        ax.axis("off")
        ax.set_xlim(-40, 145)
        words = {"ha": "center", "va": "center"}
        ax.text(1, 48, "queries", rotation=90, **words)
        ax.text(111, 48, "output", rotation=270, **words)
        ax.text(22, 6, "keys, values", ha="right", va="center")
        ax.text(56, 77, "scores", **words)


def numbers_moved(counts: Mapping[str, int]) -> None:
    """Numbers moved by three kernels, and by FlashAttention with ever more rows a block."""
    bars(
        list(counts),
        list(counts.values()),
        ylabel="numbers moved",
        numbers="{:,.0f}",
        horizontal=False,
        alt="Three kernels move most; FlashAttention moves less, and less with more rows per block.",
        size=(12.2, 3.1),
    )


# ------------------------------------------------------------------------ tensor cores


def fragment_viewer(fragment: Callable[[int], tuple[list, list, list]]) -> Callable[[int], None]:
    """A function that draws the three tiles by lane, and one lane's numbers by register."""
    pale = ListedColormap(["#DCEBF6", "#FBE3D0", "#D9F0E8", "#F3E1EE"])
    alt = (
        "Tiles a, b and c of a tensor-core product, coloured by lane; the numbers of one lane lie "
        "in pairs, eight in a, four in b, four in c."
    )

    def draw(lane: int) -> None:
        with figure(1, 3, alt=alt) as axes:
            tiles = ("a", (16, 16), 2), ("b", (16, 8), 2), ("c", (16, 8), 1)
            for which, (ax, (name, shape, per)) in enumerate(zip(axes, tiles, strict=True)):
                cells = np.zeros(shape)
                for other in range(32):
                    for place in fragment(other)[which]:
                        cells[place] = other % 4
                ax.imshow(cells, cmap=pale)
                for i, (row, column) in enumerate(fragment(lane)[which]):
                    ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=BLUE))
                    look = {"ha": "center", "va": "center", "color": "white", "fontsize": 13}
                    ax.text(column, row, f"{i // per}", **look)
                ax.set_xticks(np.arange(-0.5, shape[1]), [])
                ax.set_yticks(np.arange(-0.5, shape[0]), [])
                ax.grid(color="white", linewidth=1.5)
                ax.tick_params(length=0)
                ax.spines[:].set_visible(False)
                ax.set_title(f"{name}: {shape[0]} x {shape[1]}")
            axes[0].set_xlabel(f"lane {lane}; number: its register")

    return draw
