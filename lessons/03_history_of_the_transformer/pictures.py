"""The figures of lesson 03 that show numbers; `drawings` has those that show stacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.course.show.figures import bars, lines
from minilm.course.show.style import BLUE, INK, MUTED, VERMILION, figure
from minilm.course.show.words import coloured_words
from minilm.studies.recorded import Recorded

from . import experiments
from .drawings import opening, three_kinds, walk
from .studies import crossover, mastery

__all__ = ["opening", "three_kinds", "walk"]
CALLED = {
    "S0 L3": "two stacks",
    "S2 L7": "one stack",
    "S3 L7": "by layer",
    "S4 L7": "causal",
    "S4m L7": "decoder-only",
}


# ------------------------------------------------------------------------------------ a force


def falling(fall: Callable[..., Any], folds: int) -> None:
    """A pen and a sheet of paper, its area halved by every fold."""
    things = {"pen": (8, 11), f"sheet, folded {folds} ×": (5, 624 / 2**folds)}
    t = np.linspace(0, 1, 60)
    with figure(
        alt="Height against time of a falling pen, of a sheet of paper, and by gravity alone."
    ) as ax:
        for k, (name, (grams, area)) in enumerate(things.items()):
            alone, seconds, top = fall(grams, area)
            sunk = top**2 / 9.81 * np.log(np.cosh(9.81 * t * seconds / top))
            colour = (BLUE, VERMILION)[k]
            ax.plot(t * seconds, 1.5 - sunk, color=colour)
            place = (seconds + 0.02, 0.05 + 0.16 * k)
            ax.text(*place, f"{name}: {seconds:.2f} s", color=colour, fontweight="bold")
        ax.plot(t * alone, 1.5 - 9.81 / 2 * (t * alone) ** 2, "--", color=INK, linewidth=2)
        ax.annotate(f"gravity alone:\n{alone:.2f} s", (0.3, 1.06), (0.02, 0.7), fontsize=16,
                    arrowprops={"arrowstyle": "-", "color": MUTED})  # fmt: skip
        ax.set(xlim=(0, 1.9), ylim=(0, 1.55), xlabel="seconds", ylabel="metres above the floor")


HOUR = 3600 * 1e11  # operations of a laptop


def growth(tenfold_every: int, years_ahead: int) -> None:
    """Compute for the same money over the years, and the model that an hour of it trains."""
    when, now = np.arange(-100, 41), np.sqrt(HOUR / 120) / 1e6
    later = now * 10 ** (years_ahead / tenfold_every / 2)
    with figure(
        1, 2, alt="Compute for the same money against years, log scale; the model that an hour "
        "trains today and later."
    ) as (left, right):  # fmt: skip
        curve = {"": 10.0 ** (when / tenfold_every)}
        lines(when, curve, xlabel="years from today", yscale="log", ax=left,
              ylabel="compute for the same money")  # fmt: skip
        left.set_ylim(1e-25, 1e13)
        left.plot([years_ahead], [10 ** (years_ahead / tenfold_every)], "o", color=VERMILION, ms=13)
        bars(["today", f"in {years_ahead} years"], [now, later], ylabel="million parameters",
             numbers="{:,.3g}", yscale="log", ax=right)  # fmt: skip
        right.set_ylim(0.1, 1e9)


# --------------------------------------------------------------------------------- structure


def grammar() -> None:
    """A text of the grammar with its topic, its marks and the topic again."""
    world = crossover.LocalGrammar()
    ids, far = (part[0] for part in world.sample(1, crossover.LENGTH, seed=6))
    kinds = ["mark" if i == world.symbols else "again" if f else "" for i, f in zip(ids, far)]
    coloured_words(
        ["abcdefghijklmnop#"[i] for i in ids],
        ["topic", *kinds[1:]],
        strong=[True, *far[1:]],
        caption="Each letter depends on the two before it; after a # the topic comes again:",
    )


def best_losses(record: Recorded, part: str = "loss") -> dict[str, np.ndarray]:
    """Mask -> (seeds, amounts): recorded losses at each run's best checkpoint."""
    amounts = sorted({n for n, _ in record.cases})
    return {
        mask: np.array(
            [[record.run((n, mask), s)["best"][part] for n in amounts] for s in record.seeds]
        )
        for mask in crossover.MASKS
    }


def structure(raced: dict[str, np.ndarray], record: Recorded) -> None:
    """Left: loss while training, live. Right: best loss by how much there is to read, recorded."""
    amounts = sorted({n for n, _ in record.cases})
    tokens = np.array(amounts) * crossover.LENGTH
    names = {"window": "window", "full": "all"}
    with figure(
        1, 2, alt="Left: the window's loss falls first, full attention's overtakes it. Right: best "
        "loss against tokens to learn from, for a counter, the window and full attention."
    ) as (left, right):  # fmt: skip
        at = raced["window"][0, :, 0]
        lines(at, {names[m]: p[..., 1] for m, p in raced.items()}, ylabel="nats per token",
              xlabel="steps (compute)", title="live", ax=left)  # fmt: skip
        found = {names[m]: losses for m, losses in best_losses(record).items()}
        found["counter"] = [experiments.counted(n) for n in amounts]
        lines(tokens, found, xlabel="thousand tokens to learn from", title="recorded",
              xscale="log", ax=right,
              expected={"grammar": record.settings["floor"]["loss"]})  # fmt: skip
        right.set_xticks(tokens, [f"{n / 1000:.0f}" for n in tokens], minor=False)
        right.set_xticks([], minor=True)


# ------------------------------------------------------------------------------ after the walk


def distances(apart: Sequence[dict[str, list[float]]]) -> None:
    """How far the models after steps 2, 3 and 4 are from a prefix-LM and from decoder-only."""
    stages = list(apart[0])
    gaps = np.array([[one[stage] for stage in stages] for one in apart])  # (seeds, stages, 2)
    with figure(
        alt="Largest difference of logits from a prefix-LM and from a decoder-only model, log "
        "scale, at steps 2, 3 and 4 with one softmax and with two; rounding is shaded."
    ) as ax:
        ax.axvspan(1e-18, 1e-12, color="#E3F4EE")
        ax.text(3e-18, -0.62, "the same function, up to rounding", color="#00674A", fontsize=16)
        for k, (twin, colour) in enumerate((("prefix-LM", BLUE), ("decoder-only", VERMILION))):
            at = np.broadcast_to(np.arange(len(stages)) + 0.3 * k - 0.15, gaps.shape[:2])
            ax.plot(np.maximum(gaps[..., k], 1e-17).ravel(), at.ravel(), ("o", "s")[k],
                    color=colour, ms=13, mec="white", label=f"from a {twin}")  # fmt: skip
        for k, row in np.argwhere(gaps.max(0) == 0)[:, ::-1]:
            ax.text(3e-17, row + 0.3 * k - 0.15, "0", va="center", fontsize=16)
        ax.set(xscale="log", xlim=(1e-18, 30), ylim=(5.5, -1.0))
        ax.set_xlabel("largest difference of logits")
        ax.set_yticks(range(len(stages)), stages)
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02))


def learning(runs: dict[str, list[dict[str, Any]]]) -> None:
    """Left: words right while training, a line a seed. Right: steps until 95 % are."""
    with figure(
        1, 2, alt="Left: words translated right against steps, one line for each model and seed. "
        "Right: steps until 95 % are right, a dot a seed."
    ) as (left, right):  # fmt: skip
        for k, (name, made) in enumerate(runs.items()):
            look = {"color": (BLUE, VERMILION)[k], "linestyle": ("-", "--")[k], "lw": 2}
            left.plot([], [], label=name, **look)
            for run in made:
                at = [p["step"] for p in run["points"]]
                share = [100 * mastery.worst(p, ("test",)) for p in run["points"]]
                left.plot(at, share, **look)
        left.axhline(100 * mastery.LEARNT, color=MUTED, linewidth=1)
        left.set(xlabel="steps", ylabel="words right, %", ylim=(0, 103))
        left.legend(loc="lower right", fontsize=14)
        bars(list(runs), np.array([[r["learnt"] for r in made] for made in runs.values()]).T,
             ylabel="steps to 95 %", numbers="{:.0f}", horizontal=True, ax=right)  # fmt: skip


def crossing_over(record: Recorded, longer: Recorded, chance: float, elimination: float) -> None:
    """Left: what crosses while training goes on. Right: at its end, at every step of the walk."""
    models = [model for task, model in CASES if (task, model) in record.cases]
    form = ("told, then asked",)
    with figure(
        1, 2, alt="Left: facts told, then asked, right against steps, for one stack whose target "
        "reads the last layer and one whose target reads layer by layer. Right: the same after 500 "
        "steps, and after 2,000 where they were run, at every step of the walk."
    ) as (left, right):  # fmt: skip
        for model, colour in (("S2 L7", VERMILION), ("S3 L7", BLUE)):
            at = [p["step"] for p in longer.run(model, longer.seeds_of(model)[0])["points"]]
            curve = share(longer, model, form)
            left.plot(at, curve.mean(0), color=colour, label=CALLED[model])
            left.fill_between(at, curve.min(0), curve.max(0), color=colour, alpha=0.15)
        left.axvline(500, linestyle=(0, (4, 3)), color=MUTED, linewidth=2)
        left.text(540, 99, "the bars\nend here", color=MUTED, va="top", fontsize=15)
        left.set(xlabel="steps", ylabel="told, then asked: right, %", ylim=(-3, 103))
        left.legend(loc="lower right", bbox_to_anchor=(1.0, 0.1), fontsize=14)
        ends = [share(record, ("facts", m), form)[:, -1] for m in models]
        bars([CALLED[m] for m in models], np.array(ends).T, ylabel="told, then asked: right, %",
             numbers="{:.0f}", horizontal=True, ax=right)  # fmt: skip
        for row, model in enumerate(models):
            if model in longer.cases:
                late = share(longer, model, form)[:, -1]
                right.scatter(late, np.full(len(late), row + 0.3), marker="D", s=40, zorder=4,
                              color=VERMILION)  # fmt: skip
        right.scatter([], [], marker="D", color=VERMILION, label="2,000 steps")
        right.legend(loc="upper right", fontsize=14)
        for level, name in ((elimination, "elimination"), (chance, "chance")):
            right.axvline(level, linestyle=(0, (4, 3)), color=MUTED, linewidth=2)
            right.text(level + 2, len(models) - 0.35 if level == chance else -0.62, name,
                       color=MUTED, va="center", fontsize=15)  # fmt: skip
        right.set(xlim=(0, 108), ylim=(len(models) - 0.1, -0.9))


CASES = [("facts", model) for model in CALLED]


def share(record: Recorded, case: Any, forms: Sequence[str]) -> np.ndarray:
    """(seeds, tests): % right, the worst of the forms, along the runs of a case."""
    return record.along(case, lambda p: 100 * mastery.worst(p, forms), steady=False)


# --------------------------------------------------------------------------- chats and answers


def chats(counted: dict[str, Sequence[int]], seconds: np.ndarray) -> None:
    """Left: tokens computed, turn by turn. Right: seconds of whole chats, a dot each."""
    turns = np.arange(1, 1 + len(next(iter(counted.values()))))
    with figure(
        1, 2, alt="Left: tokens computed over the turns of a chat, for both models. Right: seconds "
        "of the whole chat."
    ) as (left, right):  # fmt: skip
        lines(turns, counted, xlabel="turns", ylabel="tokens computed", ax=left)
        bars(list(counted), seconds, ylabel="seconds for the whole chat", numbers="{:.2f}",
             ax=right)  # fmt: skip


def moved(shift: dict[str, np.ndarray]) -> None:
    """How far stored keys move, layer by layer."""
    layers = [f"layer {k + 1}" for k in range(next(iter(shift.values())).shape[1])]
    bars(layers, {name: 100 * change for name, change in shift.items()}, numbers="{:.1f}",
         ylabel="stored keys change by, %",
         alt="Largest change of stored keys in each layer, %, for both models.")  # fmt: skip


def open_answers(many: Sequence[int], losses: np.ndarray, right: np.ndarray) -> None:
    """The loss rises with the number of right answers; what is drawn stays right."""
    with figure(
        1, 2, alt="Left: loss against the number of right answers, and its logarithm. Right: share "
        "of drawn answers that are right."
    ) as (left, right_ax):  # fmt: skip
        lines(many, {"model": losses}, xlabel="right answers to a prompt", ylabel="loss, nats",
              expected={"ln k": np.log(many)}, ax=left)  # fmt: skip
        bars(many, right, xlabel="right answers to a prompt", ylabel="drawn answers right, %",
             numbers="{:.1f}", ax=right_ax)  # fmt: skip
