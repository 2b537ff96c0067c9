"""Weak to strong: can a student surpass its teacher, and does pre-training loss decide it?

    minilm study run 07d/teachers --out teachers.json

Ding's talk of CS25 V4 (25:47 to 26:54): since pre-training loss decides, a student with the lower
loss can surpass the one that it learns from (Burns et al. 2023, arXiv 2312.09390). The study
04/weak asked which part of a student should learn from weak labels. Here that is settled in
advance, and the question is the talk's: the teacher has read, too, so that it has a pre-training
loss, and students have read for seven lengths of time. The measure is PGR, the share of the gap
between the teacher and the student with true labels that weak labels recover; it is drawn against
the student's loss.

The world, the claims ("the badfen likes barns .", true or not), the sizes and how a model is taught
are those of 04/weak: a teacher of 1 layer of 32 channels, students of 2 layers of 64. The teacher
has read for 60 steps and learnt from 1200 true labels. "whole": all of the student learns. "number":
only a threshold for how likely the student finds a sentence.

A first run of this study had students of their teacher's size, taught for 60 steps. Not one of them
came near its teacher, even with true labels, so there was no gap and PGR had no meaning: weak to
strong needs a strong model that already knows. Sizes, steps and lengths of reading were changed
after that. The first two rules are those of that run; the third asked for more PGR than that of a
student without a gap, which is nothing, and was made anew before any run with the larger students.

Rules, for every seed. Surpasses: the student that read most beats its teacher, by either way.
Decides: of all students with a lower pre-training loss than the teacher every one beats it, and
none of the others does, by the way that is better for the student that read most. Rises, by the
same way: the lower the loss, the more is right with weak labels (rank correlation -0.8 or lower),
and the student that read most recovers half of its gap or more. A PGR where the gap is below two
points is none.
"""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from minilm.analysis.curves import rank_correlation
from minilm.analysis.metrics import gap_recovered
from minilm.backend import rng
from minilm.course.places import lesson_folder
from minilm.models import Transformer
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune
from minilm.tensor import no_grad
from minilm.train import train

WAYS = ("whole", "number")
READ = (0, 60, 120, 180, 250, 350, 500)  # steps of a student's pre-training
TEACHER_READ, TAUGHT, KNOWN, LABELLED = 60, 300, 1200, 2000
READING, TEACHING = 4e-3, 3e-3  # rates of pre-training and of the teacher
LR, STEPS = 2e-3, 200
GAP = 0.02  # share of right answers: with less between teacher and true labels there is no PGR
RISES, HALF = -0.8, 0.5  # rank correlation and PGR of the third rule


def weak() -> ModuleType:
    """The study of lesson 04, whose world and ways of teaching these are."""
    return lesson_folder("04", __file__).study("weak")


@lru_cache(maxsize=16)
def reader(seed: int, read: int, small: bool = False) -> Transformer:
    """A model that has read about the animals for some steps; a small one is a teacher's size."""
    W = weak()
    model = Transformer(W.TEACHER if small else W.STUDENT, seed=seed)
    if read:
        text = W.WORLD.stream(40_000, seed)
        train(model, text, read, batch=64, lr=READING, seed=seed, progress=False)
    return model


def reading_loss(model: Transformer, seed: int) -> float:
    """Nats per token on text that nobody has read."""
    text = weak().WORLD.stream(2000, 90_000 + seed)
    rows = text[: len(text) // 32 * 32].reshape(-1, 32)  # (T,) -> (T / 32, 32)
    with no_grad():
        return model.loss(rows[:, :-1], rows[:, 1:]).item()


@lru_cache(maxsize=4)
def school(seed: int) -> dict[str, Any]:
    """Claims with the teacher's labels and with true ones, the test, and the teacher's worth."""
    W, r = weak(), rng(seed, "teachers")
    known, pool, test = (W.claims(n, r) for n in (KNOWN, LABELLED, LABELLED))
    base = reader(seed, TEACHER_READ, small=True)
    teacher = W.taught(base, "fit", known, TAUGHT, TEACHING, seed)
    labels = W.says(teacher, "fit", pool.ids)
    return {
        "weak": W.Claims(pool.ids, labels),
        "true": pool,
        "test": test,
        "teacher": float((W.says(teacher, "fit", test.ids) == test.true).mean()),
        "labels": float((labels == pool.true).mean()),
        "teacher loss": reading_loss(base, seed),
    }


def right(way: str, lm: Transformer, shown: Any, test: Any, lr: float, seed: int) -> float:
    """How often a student is right in the test after it learnt from labels."""
    W = weak()
    if way == "number":
        return float((W.probe(lm, shown, W.expected)(test.ids) == test.true).mean())
    model = W.taught(lm, "fit", shown, STEPS, lr, seed)
    return float((W.says(model, "fit", test.ids) == test.true).mean())


def run_one(model: str, amount: int, seed: int, lr: float) -> dict[str, Any]:
    """A student with weak labels and its twin with true ones."""
    began, found, lm = time.process_time(), school(seed), reader(seed, amount)
    weak_one, true_one = (
        right(model, lm, found[labels], found["test"], lr, seed) for labels in ("weak", "true")
    )
    teacher = found["teacher"]
    wide = true_one - teacher >= GAP
    pgr = gap_recovered(teacher, weak_one, true_one) if wide else None
    point = {"step": 0, "weak": weak_one, "true": true_one, "pgr": pgr}
    point["loss"] = reading_loss(lm, seed)
    made = {"seed": seed, "lr": lr, "teacher": teacher, "labels": found["labels"]}
    made |= {"teacher_loss": found["teacher loss"], "cpu_seconds": time.process_time() - began}
    return {**made, "points": [point]}


def verdicts(data: dict[str, Any]) -> dict[str, list[bool]]:
    """Whether each rule of this study holds, a value a seed."""
    runs = {(r["model"], r["amount"], r["seed"]): r for r in data["runs"]}
    seeds, amounts = (sorted({key[i] for key in runs}) for i in (2, 1))
    most = amounts[-1]

    def point(way: str, amount: int, seed: int) -> dict[str, Any]:
        return runs[way, amount, seed]["points"][-1]

    def pgr(way: str, amount: int, seed: int) -> float:
        value = point(way, amount, seed)["pgr"]
        return -np.inf if value is None else value

    found: dict[str, list[bool]] = {"surpasses": [], "decides": [], "rises": []}
    for seed in seeds:
        teacher = runs[WAYS[0], most, seed]
        best = max(WAYS, key=lambda way, s=seed: point(way, most, s)["weak"])
        below = [a for a in amounts if point(best, a, seed)["loss"] < teacher["teacher_loss"]]
        better = [a for a in amounts if point(best, a, seed)["weak"] > teacher["teacher"]]
        found["surpasses"].append(most in better)
        found["decides"].append(below == better)
        rank = rising([point(best, a, seed) for a in amounts])
        found["rises"].append(rank <= RISES and pgr(best, most, seed) >= HALF)
    return found


def rising(points: Sequence[dict[str, Any]]) -> float:
    """Rank correlation of students' loss and of how often weak labels leave them right."""
    return rank_correlation([p["loss"] for p in points], [p["weak"] for p in points])


def study(
    out: str,
    models: Sequence[str] = WAYS,
    amounts: Sequence[int] = READ,
    seeds: Sequence[int] = (0, 1, 2),
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Tune, teach and test every student; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `WAYS`: what of the student learns.
        amounts: steps of reading before.
        seeds: of weights and data.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, WAYS)
    settings = {"steps": STEPS, "labelled": LABELLED, "known": KNOWN, "taught": TAUGHT}
    settings |= {"teacher read": TEACHER_READ, "gap": GAP}

    def tuned(model: str, amount: int) -> dict[str, Any]:
        if model == "number":  # L-BFGS has no rate
            return {"lr": LR, "losses": {}, "at_edge": False}

        def wrong(lr: float) -> float:  # with true labels: nobody tunes on what is to be shown
            found, lm = school(TUNING_SEED), reader(TUNING_SEED, max(READ))
            return 1 - right(model, lm, found["true"], found["test"], lr, TUNING_SEED)

        return tune(LR, wrong)

    def show(made: dict[str, Any]) -> str:
        last = made["points"][-1]
        return (
            f"teacher {made['teacher']:.3f} at {made['teacher_loss']:.3f} nats, student at "
            f"{last['loss']:.3f}: weak {last['weak']:.3f}, true {last['true']:.3f}"
        )

    cases = [{"model": way, "amount": read} for way in models for read in amounts]
    return carry_out(
        Record(out, "teachers", settings, command), cases, seeds, tuned, run_one, show, say,
        tuned_as=lambda case: case["model"],
    )  # fmt: skip
