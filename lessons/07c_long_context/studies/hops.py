"""Read everything, or what a search finds? Two hops among 2 to 64 documents that do not help.

    minilm study run 07c/hops --out hops.json

Four ways to answer "where ann ?" when one document says what Ann has and another where that is:

full     a reader sees all documents
search   BM25 hands its four best to a reader of its own, trained on just that
twice    BM25 is asked again with the words of its first find added; a reader of four documents
memory   a judge fills a memory of four documents in two rounds (MemRecall); the same kind of reader

Each network has its own tuned rate. Each is asked, on 200 new texts for each number of distractors,
questions of two hops and of one. A full reader is also given only the k best of BM25, for k from 2
to all; the memory is also tried with other sizes and rounds.

What would decide it, written before the runs: with 64 distractors the full reader is not 10 points
ahead of BM25 and its reader on two hops, or more than 2 points ahead of it on one hop. What was
settled on pilots with seed 0: sizes, steps and the order of easy and hard texts, until the full
reader and the judge could do what they were trained on.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minilm.inference.recall import mem_recall
from minilm.nn import Module
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune

from .. import experiments as E

STEPS = {"full": 600, "search": 400, "twice": 400, "memory": 500}
TUNING = 0.7  # share of the steps that a tuning run takes
ROOMS = (2, 4, 8, 16, 32, 66)  # documents that BM25 hands to a full reader, of 66
SIZES, ROUNDS = (1, 2, 3, 4), (1, 2, 3)  # of a memory
FAR = E.TESTED[-1]


def network(model: str, seed: int, steps: int) -> tuple[Module, Iterator[E.Batch]]:
    """What a way has to train, and on what; for "memory" that is the judge."""
    if model == "memory":
        return E.judge(seed), E.judge_batches(seed, steps)
    batches = {"full": E.full_batches, "search": E.extracted_batches, "twice": E.short_batches}
    return E.reader(seed), batches[model](seed, steps)


def trained(model: str, seed: int, lr: float, steps: int) -> tuple[Any, float]:
    """The network, and its mean loss over the last tenth of the steps."""
    made, batches = network(model, seed, steps)
    losses = list(E.fit(made, batches, steps, lr))
    return made, float(np.mean(losses[-(steps // 10) :]))


def points_of(reader: Any, choose: E.Choose) -> list[dict[str, Any]]:
    """Shares right and probabilities for each number of distractors, on two hops and on one."""
    made = []
    for step, distractors in enumerate(E.TESTED):
        two, one = (E.exam(reader, choose, kind, distractors) for kind in (0, 1))
        made.append({"step": step, "distractors": distractors, "two": two, "one": one})
    return made


def memories(judge: Any, reader: Any) -> list[dict[str, Any]]:
    """Other sizes and rounds at the most distractors: share right, and share that has both hops."""
    given = E.asked(FAR, 200, 9_000_000 + FAR, 0, kind=0)
    made = []
    for most in SIZES:
        for rounds in ROUNDS:
            found = mem_recall(judge.judge, given.question, given.documents, most=most,
                               rounds=rounds, window=E.WINDOW)  # fmt: skip
            has = np.take_along_axis(given.needed, found.kept, axis=1).sum(1)
            right = E.exam(reader, E.by_memory(judge, most, rounds), 0, FAR)["right"]
            made.append({"most": most, "rounds": rounds, "right": right, "pairs": found.pairs,
                         "both": float((has == 2).mean())})  # fmt: skip
    return made


def study(
    out: str,
    models: Sequence[str] = tuple(STEPS),
    seeds: Sequence[int] = (0, 1, 2),
    share: float = 1.0,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train every way; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `STEPS`; "memory" needs the rate of "twice".
        seeds: of weights and texts.
        share: of the steps.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, STEPS)
    steps = {model: round(share * count) for model, count in STEPS.items()}
    tune_steps = {model: round(TUNING * count) for model, count in steps.items()}
    settings = {
        "steps_of": steps,
        "tune_steps_of": tune_steps,
        "room": E.ROOM,
        "window": E.WINDOW,
        "tested": list(E.TESTED),
    }
    record = Record(out, "hops", settings, command)

    def tuned(model: str) -> dict[str, Any]:
        def loss(lr: float) -> float:
            return trained(model, TUNING_SEED, lr, tune_steps[model])[1]

        return tune(5e-3, loss, widest=4)

    def run(model: str, seed: int, lr: float) -> dict[str, Any]:
        began, extra = time.process_time(), {}
        made, loss = trained(model, seed, lr, steps[model])
        parameters, reader = made.num_parameters(), made
        if model == "memory":
            rate = record.data["tuning"]["twice"]["lr"]
            reader, _ = trained("twice", seed, rate, steps["twice"])
            extra = {"memories": memories(made, reader)}
            parameters += reader.num_parameters()
        if model == "full":
            asked = [E.exam(reader, E.by_bm25(room), 0, FAR)["right"] for room in ROOMS]
            extra = {"rooms": dict(zip(map(str, ROOMS), asked, strict=True))}
        choose = {
            "full": E.whole, "search": E.by_bm25(), "twice": E.by_bm25(looks=2)
        }.get(model) or E.by_memory(made)  # fmt: skip
        return {
            "seed": seed,
            "lr": lr,
            "loss": loss,
            "parameters": parameters,
            "points": points_of(reader, choose),
            **extra,
            "cpu_seconds": time.process_time() - began,
        }

    return carry_out(
        record,
        [{"model": model} for model in models],
        seeds,
        tuned,
        run,
        lambda run: ", ".join(f"{p['distractors']}: {p['two']['right']:.2f}/{p['one']['right']:.2f}"
                              for p in run["points"]),
        say,
    )  # fmt: skip
