"""Weak to strong: a student that has read more than its teacher, and learns from its mistakes.

    minilm study run 04/weak --out weak.json

After Burns et al. 2023 (arXiv 2312.09390), of which CS25 V4 speaks twice. The question is whether
"the badfen likes barns ." is true. The teacher is small, has read nothing, and learns from 1200
true labels; it labels 2000 other sentences, rightly in about four of five. Students have read text
about the animals for 0 to 500 steps, and learn from these labels, or from true ones. The share of
the gap that weak labels recover is PGR = (weak student - teacher) / (true student - teacher).

A student can know facts and not tell, or have so much room that it learns its teacher's mistakes.
So what learns from the labels is varied. "all, last": the whole student, by the state after the
last word, as a classifier. "all, fit": the whole student, by a sum over all words that also sees
how far each was expected (`RewardModel`). "probe": nothing but the 129 weights of that sum, fitted
to frozen states. "one number": a threshold for how likely the student finds the sentence. A pilot
with "last" and 150 steps had students below their teacher even with true labels.

Rules, set after a look at one seed that no run has, before the runs, for every seed: after 500
steps of reading the weak student with one number recovers more than half of the gap (PGR > .5), and
more than after 60; the whole student agrees more with its teacher and is less often right; with
true labels the last word tells less than the sum.
"""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

from minilm import functional as F
from minilm.align.answers import Answers
from minilm.align.reward_model import RewardModel
from minilm.backend import rng
from minilm.data.worlds.animals import ANIMALS, ID, KINDS, AnimalWorld
from minilm.models import Config, Transformer
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune
from minilm.tensor import Tensor, no_grad
from minilm.train import Run, examples, train

WORLD = AnimalWorld()
STUDENT = Config(
    vocab_size=WORLD.vocab_size, context=32, layers=2, heads=4, channels=64, positions="rope"
)
TEACHER = STUDENT.replace(layers=1, heads=2, channels=32)
HEADS = {"all, last": "last", "all, fit": "fit"}  # what the whole student is read by
READ = (0, 60, 500)  # steps of pre-training
LR, TEACHING = 1e-3, 300  # of students; steps of the teacher
DECAY = 0.01  # of the probe's weights
EXAMS = (25, 50, 100, 200)  # steps of learning from labels


class Claims(NamedTuple):
    """Sentences and whether they are true: ids (N, 5) and truth (N,) bool."""

    ids: np.ndarray
    true: np.ndarray


def claims(n: int, r: np.random.Generator) -> Claims:
    """Sentences about random animals, half of them true: "the badfen likes barns ."."""
    animal, kind, true = r.integers(16, size=n), r.integers(4, size=n), r.random(n) < 0.5
    kinds = [(ID[verb], [ID[value] for value in values]) for verb, values in KINDS.values()]
    ids = np.empty((n, 5), np.int64)
    for row, a, k, is_true in zip(ids, animal, kind, true, strict=True):
        verb, values = kinds[k]
        fact = WORLD.truth[a, k]
        value = fact if is_true else r.choice([v for v in values if v != fact])
        row[:] = ID["the"], ID[ANIMALS[0]] + a, verb, value, ID["."]
    return Claims(ids, true)


def seen_by(head: str, ids: np.ndarray) -> Answers:
    """The sentences with the words that a head reads: the last one, or all but the first."""
    said = np.zeros(ids.shape, bool)
    said[:, -1 if head == "last" else 1 :] = True
    return Answers(ids, said)


def truth_loss(model: RewardModel, batch: Any) -> Tensor:
    """Cross-entropy of labels 0 and 1 under sigmoid(r), in nats."""
    ids, said, labels = batch
    r = model(Answers(ids, said))
    return (F.softplus(r) - r * labels).mean()


def taught(
    lm: Transformer,
    head: str,
    shown: Claims,
    steps: int,
    lr: float,
    seed: int,
    test: Callable[[int, RewardModel], Any] | None = None,
) -> RewardModel:
    """A copy of a model that has learnt to tell claims from labels, at a constant rate.

    `test` is called with the step and the model at each of `EXAMS`.
    """
    model, known = RewardModel(lm, fit=head == "fit"), seen_by(head, shown.ids)
    labels = shown.true.astype(np.float32)

    def batch(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        which = rng(seed, "claims", number).integers(len(labels), size=64)
        return known.ids[which], known.said[which], labels[which]

    def after(run: Run) -> None:
        if test is not None and run.step in EXAMS:
            test(run.step, model)

    train(
        model,
        batch,
        steps,
        loss=truth_loss,
        weigh=examples,
        lr=lr,
        weight_decay=0.0,
        schedule=lambda step: min(1.0, (step + 1) / 10),
        after_step=after,
        progress=False,
    )
    return model


def says(model: RewardModel, head: str, ids: np.ndarray) -> np.ndarray:
    """What a model takes for true, (N,) bool."""
    with no_grad():
        return model(seen_by(head, ids)).data > 0


@lru_cache(maxsize=8)
def reader(seed: int, read: int) -> Transformer:
    """A model that has read about the animals for some steps."""
    model = Transformer(STUDENT, seed=seed)
    if read:
        text = WORLD.stream(20_000, seed)
        train(model, text, read, batch=64, lr=4e-3, seed=seed, progress=False)
    return model


@lru_cache(maxsize=8)
def school(seed: int, steps: int) -> tuple[Claims, Claims, Claims, float, float]:
    """Claims with the teacher's labels and with true ones, the test, and how good the teacher is.

    The last two: its share of right answers in the test, and of right labels.
    """
    r = rng(seed, "weak to strong")
    known, pool, test = claims(1200, r), claims(2000, r), claims(2000, r)
    teacher = taught(Transformer(TEACHER, seed=seed), "sum", known, steps, 5e-3, seed)
    labels = says(teacher, "sum", pool.ids)
    right = float((says(teacher, "sum", test.ids) == test.true).mean())
    return Claims(pool.ids, labels), pool, test, right, float((labels == pool.true).mean())


def student(
    name: str, read: int, seed: int, lr: float, steps: int, weak: bool
) -> list[dict[str, float]]:
    """How often a student is right in the test, and agrees with its labels; along its way."""
    labelled, pool, test, _, _ = school(seed, TEACHING)
    shown, lm = labelled if weak else pool, reader(seed, read)
    if name in PROBES:
        tells = probe(lm, shown, PROBES[name])
        right, same = ((tells(part.ids) == part.true).mean() for part in (test, shown))
        return [{"step": 0, "right": float(right), "same": float(same)}]
    head, found = HEADS[name], []

    def examine(step: int, model: RewardModel) -> None:
        right, same = (says(model, head, part.ids) == part.true for part in (test, shown))
        found.append({"step": step, "right": float(right.mean()), "same": float(same.mean())})

    taught(lm, head, shown, steps, lr, seed, examine)
    return found


def summed(lm: Transformer, ids: np.ndarray) -> np.ndarray:
    """What `RewardModel` weighs, summed over the words: (N, 5) -> (N, 2 C)."""
    with no_grad():
        hidden, words = lm.hidden(ids).data, lm.tokens(ids[:, 1:]).data
    return np.concatenate([(hidden[:, :-1] * words).sum(1), hidden[:, 1:].sum(1)], axis=1)


def expected(lm: Transformer, ids: np.ndarray) -> np.ndarray:
    """How likely the model finds each sentence, in nats: (N, 5) -> (N, 1)."""
    with no_grad():
        losses = lm.loss(ids[:, :-1], ids[:, 1:], reduction="none").data
    return -losses.sum(1, keepdims=True)


PROBES = {"probe": summed, "one number": expected}
WAYS = (*HEADS, *PROBES)


def probe(
    lm: Transformer, shown: Claims, read: Callable[[Transformer, np.ndarray], np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    """Logistic regression on what `read` finds in a model that stays as it is."""

    def features(ids: np.ndarray) -> np.ndarray:
        return read(lm, ids)

    x, y = features(shown.ids), shown.true.astype(float)
    mean, spread = x.mean(0), x.std(0) + 1e-6
    x = (x - mean) / spread

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ w[:-1] + w[-1]
        slope = (1 / (1 + np.exp(-z)) - y) / len(y)
        value = (np.logaddexp(0, z) - y * z).mean() + DECAY * (w[:-1] ** 2).sum()
        return value, np.append(slope @ x + 2 * DECAY * w[:-1], slope.sum())

    w = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return lambda ids: (features(ids) - mean) / spread @ w[:-1] + w[-1] > 0


def run_one(name: str, read: int, seed: int, lr: float, steps: int) -> dict[str, Any]:
    """A student with weak labels and its twin with true ones."""
    began = time.process_time()
    teacher, labels = school(seed, TEACHING)[3:]
    weak, strong = (student(name, read, seed, lr, steps, weak) for weak in (True, False))
    points = []
    for one, other in zip(weak, strong, strict=True):
        gap = other["right"] - teacher
        points.append(
            {
                "step": one["step"],
                "weak": one["right"],
                "true": other["right"],
                "same": one["same"],
                "pgr": (one["right"] - teacher) / gap if gap > 0 else None,
            }
        )
    made = {"model": name, "amount": read, "seed": seed, "lr": lr, "teacher": teacher}
    made |= {"labels": labels, "cpu_seconds": time.process_time() - began}
    return {**made, "points": points}


def verdicts(data: dict[str, Any]) -> dict[str, bool]:
    """Whether each rule of this study holds for every seed; a PGR without a gap is no PGR."""
    found = {(r["model"], r["amount"], r["seed"]): r["points"][-1] for r in data["runs"]}
    seeds = sorted({seed for _, _, seed in found})
    most, few = max(READ), READ[1]

    def pgr(read: int, seed: int) -> float:
        value = found["one number", read, seed]["pgr"]
        return -np.inf if value is None else value

    def imitates(seed: int) -> bool:
        whole, small = found["all, fit", most, seed], found["one number", most, seed]
        return whole["same"] > small["same"] and whole["weak"] < small["weak"]

    return {
        "student above teacher": all(pgr(most, s) > 0.5 for s in seeds),
        "more with reading": all(pgr(most, s) > pgr(few, s) for s in seeds),
        "all of it imitates": all(map(imitates, seeds)),
        "the last word tells less": all(
            found["all, last", most, s]["true"] < found["all, fit", most, s]["true"] for s in seeds
        ),
    }


def study(
    out: str,
    models: Sequence[str] = WAYS,
    amounts: Sequence[int] = READ,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 200,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Tune, teach and test every student; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `WAYS`: what of the student learns.
        amounts: steps of reading before.
        seeds: of weights and data.
        steps: of learning from labels.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, WAYS)
    record = Record(
        out, "weak", {"steps": steps, "batch": 64, "labelled": 2000, "decay": DECAY}, command
    )

    def tuned(model: str, amount: int) -> dict[str, Any]:
        def wrong(lr: float) -> float:  # with true labels: nobody tunes on what is to be shown
            last = student(model, max(READ), TUNING_SEED, lr, steps, weak=False)[-1]
            return 1 - last["right"]

        if model in PROBES:  # they have no rate
            return {"lr": LR, "losses": {}, "at_edge": False}
        return tune(LR, wrong)

    def run(model: str, amount: int, seed: int, lr: float) -> dict[str, Any]:
        return run_one(model, amount, seed, lr, steps)

    def show(made: dict[str, Any]) -> str:
        last = made["points"][-1]
        return f"teacher {made['teacher']:.3f}, weak {last['weak']:.3f}, true {last['true']:.3f}"

    cases = [{"model": head, "amount": read} for head in models for read in amounts]
    return carry_out(record, cases, seeds, tuned, run, show, say, lambda case: case["model"])
