"""The figures of lesson 07b."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.analysis import cluster
from minilm.course.show.figures import bars
from minilm.course.show.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Picture,
    figure,
    new_figure,
    render,
    styled,
)
from minilm.parallel import simulate_pipeline
from minilm.studies.recorded import Recorded

KINDS = {"weights": BLUE, "gradients": VERMILION, "Adam": ORANGE}
NAMES = ("plain\ncopies", "stage 1", "stage 2", "stage 3")
ROOM = 80  # GB of a GPU


def _parts(psi: float, ranks: int, stage: int, offload: bool = False) -> dict[str, float]:
    """GB of weights, gradients and Adam on a GPU."""
    sizes = {"weights": 2, "gradients": 2, "Adam": 12}
    first = {"weights": 3, "gradients": 2, "Adam": 1}
    parts = {k: psi * b / (ranks if stage >= first[k] else 1) / 1e9 for k, b in sizes.items()}
    if offload:
        parts["Adam"] = 0.0
    return parts


def _stack(ax: Any, at: float, parts: dict[str, float], label: bool, width: float = 0.62) -> float:
    base = 0.0
    for kind, size in parts.items():
        ax.bar(at, size, width, bottom=base, color=KINDS[kind], label=kind if label else None)
        base += size
    return base


def opening() -> Picture:
    """7.5 billion parameters on 64 GPUs, at every stage, beside the 80 GB of a GPU."""
    with styled():
        sheet, ax = new_figure(size=(12.2, 3.5))
        for stage in range(4):
            top = _stack(ax, stage, _parts(7.5e9, 64, stage), stage == 0)
            ax.text(stage, top + 2, f"{top:.3g} GB", ha="center", va="bottom", fontsize=20)
        ax.axhline(ROOM, color=INK, linewidth=2, linestyle=(0, (4, 3)))
        ax.text(3.42, ROOM + 2, "a GPU: 80 GB", ha="right", va="bottom", fontsize=18)
        ax.set_xticks(range(4), ["64 plain copies", "share out\nAdam", "and the\ngradients",
                                 "and the\nweights"])  # fmt: skip
        ax.set_ylabel("GB on each GPU")
        ax.set_ylim(0, 140)
        ax.grid(visible=False, axis="x")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=18)
        return render(
            sheet,
            "Memory of each of 64 GPUs for 7.5 billion parameters: 120, 31.4, 16.6 and 1.9 GB.",
        )


def _gb(size: float) -> str:
    """Three digits, and no power of ten."""
    return f"{size:,.0f} GB" if size >= 100 else f"{size:.3g} GB"


def ledger(billions: float, ranks: int, stage: int, offload: bool) -> None:
    """What one GPU holds at each stage; the chosen one in full colour, with the host beside it."""
    psi = billions * 1e9
    tops = []
    with figure(
        alt=f"Bars of weights, gradients and Adam for {billions:g} billion parameters on {ranks} "
        f"GPUs at every stage; stage {stage} is chosen.",
        size=(12.2, 4.5),
    ) as ax:
        for which in range(4):
            parts = _parts(psi, ranks, which, offload and which == stage)
            top = _stack(ax, which, parts, which == 0)
            tops.append(top)
            if which != stage:
                ax.bar(which, top, 0.62, color="white", alpha=0.65)
        host = psi * 12 / (ranks if stage else 1) / 1e9 if offload else 0.0
        ax.bar(4, host, 0.62, color=ORANGE, hatch="//", edgecolor="white")
        high = max([*tops, host, 1.15 * ROOM])
        for at, top in enumerate([*tops, host]):
            if at < 4 or offload:
                weight = "bold" if at in (stage, 4) else "normal"
                ax.text(at, top + 0.015 * high, _gb(top), ha="center", va="bottom",
                        fontsize=18, fontweight=weight,
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1}, zorder=4)  # fmt: skip
        ax.axhline(ROOM, color=INK, linewidth=2, linestyle=(0, (4, 3)))
        ax.set_xticks(range(5), [*NAMES, "host, for\neach GPU"])
        ax.set_ylabel("GB")
        ax.set_ylim(0, 1.13 * high)
        ax.grid(visible=False, axis="x")
        fits = "fits" if tops[stage] <= ROOM else "does not fit"
        ax.set_title(
            f"{billions:g} billion parameters on {ranks} GPU{'s' if ranks > 1 else ''}: {fits}"
        )
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def measured(found: dict[tuple[int, int, int], Any], seed: int) -> None:
    """Bytes that simulated ranks held at their fullest moment, by kind, for each stage and N."""
    kinds = {"weights": BLUE, "gradients": VERMILION, "adam": ORANGE}
    with figure(
        alt="Measured bytes fall from stage to stage and with the number of ranks; Adam's part "
        "falls at stage 1, gradients at 2, weights at 3.",
        size=(12.2, 4.3),
    ) as ax:
        for stage in range(4):
            for i, N in enumerate((2, 4, 8)):
                peaks, base = found[seed, stage, N][1].ledgers[0].peak_of, 0.0
                at = stage + 0.25 * (i - 1)
                for kind, colour in kinds.items():
                    size = peaks[kind] / 1e3
                    named = "Adam" if kind == "adam" else kind
                    ax.bar(at, size, 0.22, bottom=base, color=colour,
                           label=named if stage == i == 0 else None)  # fmt: skip
                    base += size
                ax.text(at, base + 1, str(N), ha="center", va="bottom", fontsize=15)
        ax.set_xticks(range(4), NAMES)
        ax.set_ylim(0, 108)
        ax.set_ylabel("kB on a rank, at most")
        ax.grid(visible=False, axis="x")
        ax.set_title("measured, on 2, 4 and 8 ranks")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def against(machine: str, ranks: int) -> None:
    """Seconds to compute one layer of 70 billion parameters, and to gather its weights."""
    m = cluster.machine(machine)
    tokens = np.array([2**k for k in range(7, 17)])
    psi = 70e9 / 80
    compute = 2 * psi * tokens / (m.flops * m.efficiency) * 1e3
    from minilm.analysis.cluster.machines import gathered

    fetch = gathered(m.link(1, ranks), 2 * psi, ranks) * 1e3
    one = gathered(cluster.Link(m.between.latency, m.between.bandwidth), 2 * psi, ranks) * 1e3
    with figure(
        alt=f"Computing grows with the tokens a GPU has, fetching weights does not; on {ranks} "
        f"{machine} the lines cross.",
        size=(12.2, 4.3),
    ) as ax:
        ax.plot(tokens, compute, color=BLUE, marker="o", label="compute a layer, forward")
        ax.axhline(
            fetch,
            color=VERMILION,
            label="fetch it, inside the node"
            if ranks <= m.node
            else f"fetch it, {m.node} cables a node",
        )
        if ranks > m.node:
            ax.axhline(one, color=ORANGE, linestyle="--", label="fetch it, one cable a node")
        cross = fetch / 1e3 * m.flops * m.efficiency / (2 * psi)
        ax.axvline(cross, color=MUTED, linestyle=(0, (4, 3)), linewidth=2)
        ax.text(cross * 1.06, 0.3, f"{cross:,.0f} tokens", color=INK, fontsize=18)
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_xticks(tokens[::3], [f"{t:,}" for t in tokens[::3]])
        ax.set_ylim(0.2, 400)
        ax.set_yticks([1, 10, 100], ["1", "10", "100"])
        ax.set_xlabel("tokens of a GPU")
        ax.set_ylabel("milliseconds")
        ax.set_title(f"one layer of 80, 70 billion parameters, {ranks:,} {machine.upper()}")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def gantt(schedule: str, clock: int, stages: int = 4, batches: int = 8) -> None:
    """Who does what, up to a moment: forwards blue, backwards orange, weight gradients green."""
    pieces = 2 if schedule == "interleaved" else 1
    line = simulate_pipeline(stages, batches, schedule, pieces=pieces)
    colours = {"F": (BLUE, SKY), "B": (VERMILION, ORANGE), "W": (GREEN, GREEN)}
    held = [0] * stages
    with figure(
        alt=f"A chart of 4 stages over time under {schedule}: boxes of forward and backward work, "
        f"with gaps where a stage waits, until {min(clock, line.makespan):g}.",
        size=(12.2, 4.2),
    ) as ax:
        ax.axvspan(0, line.makespan, color=MUTED, alpha=0.13, linewidth=0)
        for task, start, end in line.tasks:
            if start >= clock:
                continue
            held[task.stage] += task.kind == "F"
            last = "W" if schedule == "zb-h1" else "B"
            held[task.stage] -= task.kind == last and end <= clock
            shown = min(end, clock)
            ax.barh(task.stage, shown - start, 0.86, left=start, edgecolor="white", linewidth=1.5,
                    color=colours[task.kind][task.piece])  # fmt: skip
            if end <= clock and end - start >= 0.9:
                ax.text((start + end) / 2, task.stage, str(task.batch), ha="center", va="center",
                        color="white", fontsize=14)  # fmt: skip
        for kind, name in (("F", "forward"), ("B", "backward"), ("W", "weights")):
            if kind != "W" or schedule == "zb-h1":
                ax.bar(0, 0, color=colours[kind][0], label=name)
        if pieces > 1:
            ax.plot([], [], " ", label="(paler: the\nsecond piece)")
        for stage, count in enumerate(held):
            ax.text(34.2, stage, f"holds {count / pieces:g}", va="center", fontsize=15)
        ax.axvline(min(clock, line.makespan), color=INK, linewidth=2)
        ax.set_ylim(stages - 0.5, -0.5)
        ax.set_xlim(0, 34)
        ax.set_yticks(range(stages), [f"stage {s}" for s in range(stages)])
        ax.set_xlabel("time; a forward takes 1")
        ax.grid(visible=False)
        ax.set_title(
            f"{schedule}: {line.makespan:g} in all, idle {line.bubble:.0%}; at most "
            f"{max(line.held) / pieces:g} micro-batches held"
        )
        ax.legend(loc="upper left", bbox_to_anchor=(1.12, 1.0))


def segments(found: Sequence[Any], counted: dict[int, tuple[Any, int, int]]) -> None:
    """Arrays of plain layers, and megabytes of a decoder, by the number of segments."""
    with figure(
        1, 2, alt="Plain layers keep fewest arrays with 4 segments; a decoder's peak falls until "
        "every layer is a segment of its own.", size=(12.2, 4.2),
    ) as (left, right):  # fmt: skip
        bars(
            [str(k) for k in counted],
            [peak for _, peak, _ in counted.values()],
            xlabel="segments k",
            ylabel="arrays kept, at most",
            title="16 plain layers",
            numbers="{:.0f}",
            ax=left,
        )
        bars(
            ["all\nkept", *(str(one.segments) for one in found[1:])],
            [one.peak / 1e6 for one in found],
            xlabel="segments k",
            ylabel="MB, at most",
            title="a decoder of 16 blocks",
            numbers="{:.1f}",
            ax=right,
        )


def copies(record: Recorded) -> None:
    """Loss of every way, a dot a seed."""
    names = [
        n
        for n in (
            "float32", "float16, copy", "float16 alone", "bfloat16, copy", "bfloat16 alone",
            "bfloat16, copy, 4x", "bfloat16 alone, 4x",
        )
        if n in record.cases
    ]  # fmt: skip

    def losses(name: str) -> list[float]:
        return [1e3 * record.run(name, s)["points"][-1]["loss"] for s in record.seeds_of(name)]

    bars(
        names,
        np.array([losses(name) for name in names]).T,
        ylabel="loss, thousandths of a nat a picture",
        numbers="{:.2f}",
        horizontal=True,
        size=(12.2, 3.3),
        alt="After 1,000 steps all ways end within each other's spread; after 4,000 the copy ends far lower.",
    )


def plan(billions: float, machine: str) -> None:
    """The best layout on more and more GPUs: how its step is spent, and tokens per GPU."""
    job = cluster.Job(cluster.transformer_of(billions * 1e9), 4096, 1024)
    gpus = [2**k for k in range(3, 16, 2)]
    colours = {"compute": BLUE, "memory speed": GREEN, "network": VERMILION, "bubble": PURPLE}
    with figure(
        alt=f"For {billions:g} billion parameters computing fills the step on few GPUs; on many the "
        "network and the bubble take over.",
        size=(12.2, 4.6),
    ) as ax:
        for at, count in enumerate(gpus):
            best, _, _ = cluster.search(job, cluster.machine(machine), count, most=1)
            if not best:
                ax.text(at, 2, "nothing fits", ha="center", rotation=90, fontsize=18, color=MUTED)
                continue
            base = 0.0
            for kind, share in best[0].shares.items():
                ax.bar(at, 100 * share, 0.7, bottom=base, color=colours[kind])
                base += 100 * share
            ax.text(at, 102, f"{best[0].step:.3g} s", ha="center", fontsize=16)
            ax.text(at, 3, str(best[0].layout).replace(" ", "\n"), ha="center", fontsize=13,
                    color="white", linespacing=1.0)  # fmt: skip
        for kind, colour in colours.items():
            ax.bar(0, 0, color=colour, label=kind)
        ax.set_xticks(range(len(gpus)), [f"{count:,}" for count in gpus])
        ax.set_xlabel(f"{machine.upper()}s; 4.2 million tokens a step")
        ax.set_ylabel("share of the step, %")
        ax.set_ylim(0, 112)
        ax.grid(visible=False, axis="x")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def published(runs: Sequence[tuple[str, float, float]]) -> None:
    """Predicted over published speed, a dot a run, a row for each size and machine."""
    rows: dict[str, list[float]] = {}
    for name, told, predicted in runs:
        size, _, _, machine = name.split()  # "70b on 64 H100"
        rows.setdefault(f"{size}, {machine}", []).append(predicted / told)
    with figure(
        alt=f"{len(runs)} dots, predicted over published speed, between 0.8 and 1.2.",
        size=(12.2, 3.4),
    ) as ax:
        ax.axvspan(0.8, 1.2, color=SKY, alpha=0.25, linewidth=0)
        ax.axvline(1, color=MUTED, linestyle=(0, (4, 3)), linewidth=2)
        for at, ratios in enumerate(rows.values()):
            ax.plot(ratios, [at] * len(ratios), "o", color=BLUE, markersize=11, alpha=0.7)
        ax.set_yticks(range(len(rows)), rows, fontsize=14)
        ax.invert_yaxis()
        ax.set_xlim(0.6, 1.4)
        ax.set_xlabel("predicted over published tokens per second")
        ax.grid(visible=False, axis="y")
