"""Structure against data: a window of a few tokens is ahead early, full attention wins later.

    minilm study run 03/crossover --out crossover.json

After Hyung Won Chung (CS25 V4, 42:00-43:58). Two models of the same weights differ in their mask
alone: full causal attention, or a window that reaches all of a local grammar and never the topic
at the beginning (`toys.LocalGrammar`). Every amount of data is read for the same number of steps,
so only the amount differs; a run counts with the checkpoint that is best on a validation set.

The record is older than the habit of keeping a run's commit. Its cheapest run, the window with seed
0 on the least text, was made again on 1 December 2026: 2.391 nats where the record has 2.389.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minilm.analysis.probes import log_softmax
from minilm.backend import rng
from minilm.data.toys.sequences import LocalGrammar
from minilm.errors import InputError
from minilm.models.transformer import Transformer
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import (
    TUNING_SEED,
    Size,
    config_of,
    exam_steps,
    predictor,
    train_and_test,
    tune,
)

LENGTH = 48
SIZE = Size(2, 48, 4, 1.2e-2)
MASKS = {"window": 3, "full": None}
TEST_SEED, VALIDATION_SEED = 77, 78


def floor(world: LocalGrammar, ids: np.ndarray, far: np.ndarray) -> dict[str, float]:
    """The loss of the grammar itself on sequences: minus the log of the true probabilities.

    Args:
        world: the grammar.
        ids, far: as `LocalGrammar.sample` gives them.

    Returns:
        Nats per token: "loss", "local" and "far" as in `Exam`.
    """
    logp = np.full(ids[:, 1:].shape, -np.log(world.symbols))  # places 1 and 2 are drawn evenly
    table, mark = np.log(world.table()), world.symbols
    before, last = ids[:, 1].copy(), ids[:, 2].copy()
    with np.errstate(divide="ignore"):
        marks, others = np.log(world.far), np.log1p(-world.far)
    for t in range(3, ids.shape[1]):
        new, is_mark = ids[:, t], ids[:, t] == mark
        local = table[before, last, np.where(is_mark, 0, new)]
        if t >= 8:  # a mark never follows a mark, and what follows it is certain
            local = np.where(is_mark, marks, local + others)
        logp[:, t - 1] = np.where(far[:, t], 0.0, local)
        before, last = np.where(is_mark, before, last), np.where(is_mark, last, new)
    return _split(-logp, far[:, 1:])


def _split(loss: np.ndarray, far: np.ndarray) -> dict[str, float]:
    parts = {"loss": loss, "local": loss[~far], "far": loss[far]}
    return {name: float(part.mean()) for name, part in parts.items()}


class Exam:
    """Held-out sequences: one set to choose a checkpoint by, one to report.

    Args:
        world: the grammar.
        sequences: of each set.
    """

    def __init__(self, world: LocalGrammar, sequences: int) -> None:
        self.test = world.sample(sequences, LENGTH, TEST_SEED)
        self.validation = world.sample(sequences, LENGTH, VALIDATION_SEED)

    def sit(self, model: Transformer) -> dict[str, Any]:
        """Nats per token: all, local and far ones of the test set, all of the validation set.

        And the share of the test set's tokens that are the likeliest.
        """
        validation = self._losses(model, *self.validation)["loss"]
        return {**self._losses(model, *self.test), "validation": validation}

    def _losses(self, model: Transformer, ids: np.ndarray, far: np.ndarray) -> dict[str, float]:
        predict, rows, hits = predictor(model), [], []
        for start in range(0, len(ids), 64):
            part = ids[start : start + 64]
            logp = log_softmax(predict(part[:, :-1]))
            rows.append(-np.take_along_axis(logp, part[:, 1:, None].astype(np.int64), -1)[..., 0])
            hits.append(logp.argmax(-1) == part[:, 1:])
        split = _split(np.concatenate(rows), far[:, 1:])
        return {**split, "right": float(np.concatenate(hits).mean())}


def best(run: dict[str, Any]) -> dict[str, Any]:
    """The point of a run with the least validation loss."""
    return min(run["points"], key=lambda point: point["validation"])


def batches(
    world: LocalGrammar, sequences: int, batch: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Ids and targets, endless: the same sequences in a new order on every pass."""
    pool = world.sample(sequences, LENGTH, 1000 + seed)[0]
    r, queue = rng(seed, "crossover", "order"), np.empty(0, np.int64)
    while True:
        while len(queue) < batch:
            queue = np.concatenate([queue, r.permutation(sequences)])
        rows, queue = pool[queue[:batch]], queue[batch:]
        yield rows[:, :-1], rows[:, 1:]


def run_one(
    mask: str, sequences: int, seed: int, lr: float, steps: int, batch: int, exam: Exam
) -> dict[str, Any]:
    """Train one model on a fixed number of sequences, tested along the way."""
    world = LocalGrammar()
    config = dataclasses.replace(
        config_of(SIZE, world.vocab_size, LENGTH), window=MASKS[mask], tie=False
    )
    run = train_and_test(
        config,
        batches(world, sequences, batch, seed),
        exam.sit,
        exam_steps(steps, 12),
        steps=steps,
        batch=batch,
        lr=lr,
        seed=seed,
    )
    return {"data_tokens": sequences * LENGTH, "best": best(run), **run}


def study(
    out: str,
    amounts: Sequence[int] = (256, 512, 1024, 4096),
    masks: Sequence[str] = tuple(MASKS),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 600,
    tune_steps: int = 200,
    batch: int = 32,
    examples: int = 512,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Tune, train and test both masks on every amount of data; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        amounts: sequences of 48 tokens to train on, again and again.
        masks: "window" (3 tokens), "full" or both.
        seeds: of weights, data and order.
        steps: of each run, the same for every amount.
        tune_steps: of each tuning run.
        batch: sequences per step.
        examples: held-out sequences, for the test and for the choice of a checkpoint each.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("masks", masks, MASKS)
    if min(amounts, default=0) < 1:
        raise InputError(f"amounts are {list(amounts)}; each must be 1 sequence or more")
    world = LocalGrammar()
    exam = Exam(world, examples)
    settings = {
        "steps": steps,
        "tune_steps": tune_steps,
        "batch": batch,
        "context": LENGTH,
        "examples": examples,
        "window": MASKS["window"],
        "grammar": dataclasses.asdict(world),
        "floor": floor(world, *exam.test),
    }

    def tuned(sequences: int, mask: str) -> dict[str, Any]:
        def least_loss(lr: float) -> float:
            made = run_one(mask, sequences, TUNING_SEED, lr, tune_steps, batch, exam)
            return made["best"]["validation"]

        return tune(SIZE.lr, least_loss)

    def run(sequences: int, mask: str, seed: int, lr: float) -> dict[str, Any]:
        return run_one(mask, sequences, seed, lr, steps, batch, exam)

    return carry_out(
        Record(out, "crossover", settings, command),
        [{"sequences": n, "mask": mask} for n, mask in itertools.product(amounts, masks)],
        seeds,
        tuned,
        run,
        lambda made: "loss {loss:.4f}, local {local:.4f}, far {far:.4f}".format(**made["best"]),
        say,
    )
