"""The figures of lesson 05b."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minilm.course.show.figures import lines
from minilm.course.show.style import (
    BLUE,
    COLOURS,
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

Timeline = Sequence[Sequence[int | None]]  # who sits in each slot, step by step


def opening() -> Picture:
    """Eight answers, written in a batch that waits for the longest and in one that does not."""
    from matplotlib.patches import Rectangle

    lengths = [9, 2, 3, 8, 2, 4, 3, 2]
    with styled():
        sheet, axes = new_figure(1, 2, size=(12.2, 3.6))
        for ax, title, refill in zip(
            axes, ("wait for the longest", "let the next one in"), (False, True), strict=True
        ):
            seats = _seated(lengths, 3, refill)
            for step, row in enumerate(seats):
                for slot, who in enumerate(row):
                    colour = FAINT if who is None else COLOURS[who % len(COLOURS)]
                    ax.add_patch(Rectangle((step, 2 - slot), 0.92, 0.86, color=colour))
                    if who is not None and (step == 0 or seats[step - 1][slot] != who):
                        ax.text(step + 0.15, 2.25 - slot, str(who + 1), color="white", fontsize=20)
            ax.set_xlim(-0.2, 20.2)
            ax.set_ylim(-0.2, 3.1)
            ax.set_title(f"{title}: {len(seats)} steps", fontsize=22)
            ax.set_xticks([])
            ax.set_yticks([])
            ax.grid(visible=False)
            for side in ("left", "bottom"):
                ax.spines[side].set_visible(False)
        return render(
            sheet,
            "Eight answers in three rows. On the left many grey, idle places; on the right nearly "
            "none, and the last answer ends much earlier.",
        )


def _seated(lengths: Sequence[int], slots: int, refill: bool) -> list[list[int | None]]:
    waiting, row, left, seats = list(range(len(lengths))), [None] * slots, list(lengths), []
    while waiting or any(who is not None for who in row):
        if refill or all(who is None for who in row):
            row = [waiting.pop(0) if who is None and waiting else who for who in row]
        seats.append(list(row))
        for slot, who in enumerate(row):
            if who is not None:
                left[who] -= 1
                row[slot] = who if left[who] else None
    return seats


def roofline(batches: np.ndarray, limits: dict[str, tuple[float, float]]) -> None:
    """Most tokens a second against texts at once, for chips: (bytes / s, operations / s)."""
    weights = 7_241_732_096
    found = {}
    for name, (bandwidth, operations) in limits.items():
        found[name] = np.minimum(batches * bandwidth / (2 * weights), operations / (2 * weights))
    lines(
        batches, found, xlabel="texts at once", ylabel="tokens / s", xscale="log", yscale="log",
        alt="For each chip a line that rises with the number of texts and then stays level: first "
        "memory is the limit, then arithmetic. The bend lies between 150 and 300 texts.",
        markers=False, xlim=(1, 8000),
    )  # fmt: skip


def speeds(
    batches: Sequence[int], written: Sequence[Sequence[float]], read: Sequence[float]
) -> None:
    """Tokens a second of this machine against texts at once, and while a prompt is read."""
    lines(
        batches, {"written": np.array(written)}, xlabel="texts at once", ylabel="tokens / s",
        xscale="log", expected={"read at once": float(np.mean(read))},
        alt="Tokens a second rise with the number of texts that are written together; a prompt "
        "that is read at once is faster still.",
        ylim=(0, 1.15 * max(np.max(written), np.mean(read))),
    )  # fmt: skip


def pages_of(tables: Mapping[str, Sequence[int]], page: int, lengths: Mapping[str, int], total: int,
             note: str = "") -> None:  # fmt: skip
    """Memory as a row of pages, coloured by who holds each; a shared one has two colours."""
    from matplotlib.patches import Rectangle

    names = list(tables)
    with figure(
        1, 1, size=(12.2, 3.0), alt=f"{total} pages of {page} tokens; "
        + "; ".join(f"{name} has pages {list(tables[name])}" for name in names) + ".",
    ) as ax:  # fmt: skip
        for number in range(total):
            holders = [name for name in names if number in tables[name]]
            ax.add_patch(Rectangle((number, 0), 0.94, 1, facecolor="#F3F4F7", edgecolor=MUTED))
            for i, name in enumerate(holders):
                place = list(tables[name]).index(number)
                filled = min(page, lengths[name] - place * page) / page
                height = 1 / len(holders)
                colour = COLOURS[names.index(name) % len(COLOURS)]
                ax.add_patch(Rectangle((number, i * height), 0.94 * filled, height, color=colour))
            ax.text(number + 0.47, -0.28, str(number), ha="center", fontsize=16, color=INK)
        for i, name in enumerate(names):
            ax.text(
                i * total / max(len(names), 3), 1.22, f"{name}: {lengths[name]} tokens",
                color=COLOURS[i % len(COLOURS)], fontsize=18, fontweight="bold",
            )  # fmt: skip
        ax.text(total, 1.22, note, ha="right", fontsize=16, color=MUTED)
        ax.set_xlim(-0.1, total + 0.1)
        ax.set_ylim(-0.45, 1.6)
        ax.axis("off")


def timeline(seats: Timeline, step: int) -> None:
    """Slots down, steps across, each answer in its colour; idle places are grey."""
    from matplotlib.patches import Rectangle

    idle = sum(who is None for row in seats[:step] for who in row)
    places = sum(map(len, seats[:step]))
    with figure(
        1, 1, size=(12.2, 4.2), alt=f"The first {step} of {len(seats)} steps; {idle} of {places} "
        "places are idle.",
    ) as ax:  # fmt: skip
        for at, row in enumerate(seats[:step]):
            for slot, who in enumerate(row):
                colour = FAINT if who is None else COLOURS[who % len(COLOURS)]
                ax.add_patch(Rectangle((at, slot), 0.94, 0.9, color=colour))
                if who is not None and (at == 0 or seats[at - 1][slot] != who):
                    ax.text(at + 0.15, slot + 0.62, str(who), color="white", fontsize=14)
        ax.set_xlim(0, len(seats))
        ax.set_ylim(len(seats[0]), -0.1)
        ax.set_xlabel("step")
        ax.set_ylabel("slot")
        ax.set_yticks([])
        ax.set_title(f"step {step} of {len(seats)}: {idle / places:.0%} of the places idle")
        ax.grid(visible=False)


def reads(turns: int, found: Mapping[str, Sequence[int]]) -> None:
    """Tokens read up to each turn of a chat."""
    lines(
        np.arange(1, turns + 1), found, xlabel="turn", ylabel="tokens read so far",
        alt="Without sharing the tokens that are read grow with the square of the turns; with a "
        "prefix tree they grow in a line.",
    )  # fmt: skip


def halves(p: Sequence[float], q: Sequence[float], names: Sequence[str]) -> None:
    """What is kept of a guess, and what an answer is drawn from where it is refused."""
    p, q = np.asarray(p), np.asarray(q)
    kept, left = np.minimum(p, q), np.maximum(p - q, 0)
    with figure(
        1, 2, size=(12.2, 4.0), alt="Two panels. Left: the guesser's and the model's bars. Right: "
        "the part that both share is kept, what the model has above it is drawn after a refusal; "
        "together they are the model's bars.",
    ) as (first, second):  # fmt: skip
        at = np.arange(len(p))
        first.bar(at - 0.2, q, 0.38, color=ORANGE, label="the guesser, q")
        first.bar(at + 0.2, p, 0.38, color=BLUE, label="the model, p")
        first.set_xticks(at, names)
        first.legend(loc="upper right")
        second.bar(at, kept, 0.6, color=GREEN, label="guess kept: min(p, q)")
        second.bar(at, left, 0.6, bottom=kept, color=VERMILION, label="after a refusal: p - q")
        second.set_xticks(at, names)
        second.legend(loc="upper right")
        for ax in (first, second):
            ax.set_ylim(0, 1.15 * max(p.max(), q.max()))
            ax.grid(visible=False, axis="x")


def guesses(
    found: Mapping[str, Mapping[int, Any]], formula: Any, costs: Mapping[str, Sequence[float]]
) -> None:
    """Tokens a round and speed against the number of guesses, measured and by what steps cost."""
    ks = sorted(next(iter(found.values())))
    with figure(
        1, 2, size=(12.2, 4.6), alt="Left: tokens a round grow with the number of guesses, near "
        "the formula for the small model and below it for the look-up. Right: how many times as fast as "
        "without, and what the cost of steps and guesses would give.",
    ) as (left, right):  # fmt: skip
        for i, (name, runs) in enumerate(found.items()):
            colour = COLOURS[i]
            left.plot(ks, [runs[k].per_round for k in ks], "o", color=colour, label=name)
            left.plot(ks, [formula(runs[k].acceptance, k) for k in ks], "--", color=colour)
            right.plot(ks, [runs[k].gain for k in ks], "o", color=colour, label=name)
            steps, guess = costs["model"], costs[name][0]  # ms
            looks = 1 if name == "look-up" else None  # it is asked once a round
            offered = [runs[k].offered for k in ks]
            spent = [np.interp(n, range(len(steps)), steps) + guess * (looks or n) for n in offered]
            gains = [runs[k].per_round * steps[0] / ms for k, ms in zip(ks, spent, strict=True)]
            right.plot(ks, gains, "--", color=colour)
        left.set_title("tokens a round (dashed: formula)")
        right.set_title("times as fast (dashed: by costs)")
        right.axhline(1, color=MUTED, linestyle=(0, (4, 3)))
        for ax in (left, right):
            ax.set_xlabel("guesses")
            ax.set_xticks(ks)
            ax.set_ylim(0)
        left.legend(loc="upper left")


def under_load(loads: Sequence[float], waited: Mapping[float, Sequence[np.ndarray]]) -> None:
    """Steps to the first token against the load: the middle and the slowest of a hundred."""
    middle = [[float(np.median(w)) for w in waited[load]] for load in loads]
    slow = [[float(np.percentile(w, 99)) for w in waited[load]] for load in loads]
    lines(
        loads, {"median": np.array(middle).T, "99th of 100": np.array(slow).T},
        xlabel="tokens asked for / tokens that the slots can write", ylabel="steps to the first token",
        alt="Up to half of what can be written hardly anybody waits; from there the slowest of a "
        "hundred wait longer and longer, and beyond 1 the one in the middle does too.",
    )  # fmt: skip


def touched(tokens: np.ndarray, measured: Sequence[float], formula: Sequence[float]) -> None:
    """Experts that a step reads against the tokens in it."""
    lines(
        tokens, {"counted": measured}, expected={"8 (1 - 0.75^B)": formula}, xscale="log",
        xlabel="tokens in a step, B", ylabel="experts of 8 that are read", ylim=(0, 8.6),
        alt="One token reads 2 of 8 experts, sixteen read nearly all.",
    )  # fmt: skip


def first_tokens(rows: Mapping[str, Sequence[float]]) -> None:
    """Milliseconds to the first token and between tokens, one dot a client."""
    with figure(
        1, 1, size=(12.2, 4.0), alt="Milliseconds to the first token and between tokens, for each "
        "number of clients.",
    ) as ax:  # fmt: skip
        for i, values in enumerate(rows.values()):
            jitter = np.linspace(-0.25, 0.25, len(values))
            ax.plot(i + jitter, values, "o", color=COLOURS[i % len(COLOURS)], markersize=9)
            ax.plot([i - 0.3, i + 0.3], [np.median(values)] * 2, color=INK, linewidth=3)
        ax.set_xticks(range(len(rows)), list(rows))
        ax.set_ylabel("ms")
        ax.set_yscale("log")
        ax.grid(visible=False, axis="x")
