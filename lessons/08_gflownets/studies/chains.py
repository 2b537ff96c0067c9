"""Labels without reasons: a hidden chain, found by EM, against learning the answer outright.

    minilm study run 08/chains --out chains.json

Hu et al. (2023, arXiv 2310.04363, section 4.4) classify sentences through a chain of thought that
is latent: a GFlowNet draws chains that explain the labels, the model learns them, and again.
Here a model has read four properties of each of 64 things ("thing, property, value"). The labels
depend on one property; which one, and on which values, nobody says. What the chains do is listed:
157 of them, so the same EM also runs with exact E-steps.

Settings were found with seed 0, which is not among the study's own. The direct model took the largest
rate, .009, the edge of the search.
"""

import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from minilm import backend
from minilm.align import Drawn, TextPolicy
from minilm.align.chains import Chains, exact_chains, fit_by_em
from minilm.analysis.enumerate import Texts
from minilm.models import Config, Transformer
from minilm.optim import AdamW, linear
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune
from minilm.tensor import Tensor
from minilm.train import train

THINGS, PROPERTIES, VALUES = 64, 4, 8
TOLD = 2  # the property that the labels depend on
# Ids: values, properties, the stop, the start, the two labels, then the things.
FIRST_PROPERTY, STOP, START = VALUES, VALUES + PROPERTIES, VALUES + PROPERTIES + 1
LABELS = (START + 1, START + 2)
FIRST_THING = START + 3
TEXTS = Texts(VALUES + PROPERTIES, 2)
ASKED = np.stack([np.full(THINGS, START), FIRST_THING + np.arange(THINGS)], 1)  # (64, 2)
MODELS = ("direct", "EM, SubTB", "EM, hasty SubTB", "EM, exact")
AMOUNTS = (10, 20, 50)  # labels
READ_STEPS, READ_BATCH = 1500, 64
ROUNDS, E_STEPS, M_STEPS, BATCH, LR = 10, 100, 40, 32, 1e-3
HASTY = 20  # E-steps of a round of "EM, hasty SubTB"


def blank(seed: int) -> Transformer:
    config = Config(
        vocab_size=FIRST_THING + THINGS, context=6, layers=2, heads=2, channels=32, tie=False
    )
    return Transformer(config, seed=seed)


def writer(model: Transformer) -> TextPolicy:
    """The model as one that writes chains of up to two tokens."""
    return TextPolicy(model, STOP, 2, range(VALUES + PROPERTIES))


def facts(seed: int) -> np.ndarray:
    """(64, 4) the value of every property of every thing."""
    rng = backend.rng(seed, "facts")
    return np.stack([rng.permutation(THINGS) % VALUES for _ in range(PROPERTIES)], 1)


def answers(seed: int) -> np.ndarray:
    """(64,) the right label, 0 or 1: half of the values of the property `TOLD` mean 1."""
    rng = backend.rng(seed, "labels")
    means = np.zeros(VALUES, int)
    means[rng.permutation(VALUES)[: VALUES // 2]] = 1
    return means[facts(seed)[:, TOLD]]


def split(seed: int, amount: int) -> tuple[np.ndarray, np.ndarray]:
    """The things with a label, and the others, on which the models are tested."""
    order = backend.rng(seed, "split").permutation(THINGS)
    return order[:amount], order[amount:]


@cache
def reader(seed: int) -> Transformer:
    """The model that has read all facts, a random property of a thing at a time.

    In the place of the start it sees a label half of the time, which means nothing yet.
    """
    model, known = blank(seed), facts(seed)
    policy, rng = writer(model), backend.rng(seed, "read")

    def batches() -> Any:
        while True:
            thing = rng.integers(THINGS, size=READ_BATCH)
            which = rng.integers(PROPERTIES, size=READ_BATCH)
            asked = ASKED[thing].copy()
            asked[:, 0] = np.array([START, *LABELS])[rng.integers(3, size=READ_BATCH)]
            chain = np.stack([FIRST_PROPERTY + which, known[thing, which]], 1)
            yield asked, Drawn(chain, np.full(READ_BATCH, 2))

    _fit(
        model,
        batches(),
        lambda _, batch: -policy.log_q(*batch).mean(),
        READ_STEPS,
        5e-3,
        lambda step: linear(step, READ_STEPS),
    )
    return model


def _fit(model: Any, batches: Any, loss: Any, steps: int, lr: float, schedule: Any) -> None:
    run = train(
        model, batches, steps, loss=loss, optimizer=_adam(model, lr), schedule=schedule,
        progress=False,
    )  # fmt: skip
    if run.interrupted:
        raise KeyboardInterrupt


def _adam(model: Transformer, lr: float) -> AdamW:
    return AdamW(model.parameters(), lr=lr, betas=(0.9, 0.95), weight_decay=0.01)


def _copy(seed: int) -> Transformer:
    model = blank(seed)
    model.load_state_dict(reader(seed).state_dict())
    return model


def named(chains: Chains, rows: np.ndarray) -> list[float]:
    """How often the model's chains name each property, over some things."""
    shares = np.zeros(PROPERTIES)
    whole = TEXTS.lengths == 2
    for row in rows:
        q = np.exp(chains.policy.table(ASKED[row], TEXTS)) * whole
        for which in range(PROPERTIES):
            shares[which] += q[TEXTS.ids[:, 0] == FIRST_PROPERTY + which].sum()
    return (shares / len(rows)).tolist()


def train_one(model: str, amount: int, seed: int, lr: float) -> list[dict[str, Any]]:
    """One classifier; a point for every round, or one at the end."""
    told, others = split(seed, amount)
    right = answers(seed)
    base = _copy(seed)
    direct = model == "direct"
    chains = Chains(writer(base), LABELS, first=START, alone=not direct)

    def exam(step: int) -> dict[str, Any]:
        if direct:
            empty = Drawn(np.zeros((THINGS, 2), np.int64), np.zeros(THINGS, np.int64))
            guess = chains.log_answers(ASKED, empty).data.argmax(1)
        else:
            guess = chains.predict(ASKED, TEXTS).argmax(1)
        hit = guess == right
        found = {"right": float(hit[others].mean()), "told": float(hit[told].mean())}
        return {"step": step, **found, "named": named(chains, others[:8])}

    if direct:
        rows = np.array(told)
        empty = Drawn(np.zeros((amount, 2), np.int64), np.zeros(amount, np.int64))

        def loss(_: Any, batch: Any) -> Tensor:
            return -chains.log_answers(ASKED[rows], empty)[np.arange(amount), right[rows]].mean()

        steps = ROUNDS * M_STEPS
        _fit(base, iter([(0,)] * steps), loss, steps, lr, lambda step: 1.0)
        return [exam(steps)]
    points: list[dict[str, Any]] = []
    sampler = None if model == "EM, exact" else writer(_copy(seed))
    fit_by_em(
        chains,
        exact_chains(chains, TEXTS) if sampler is None else sampler,
        ASKED[told],
        right[told],
        (_adam(base, LR), None if sampler is None else _adam(sampler.model, lr)),
        rounds=ROUNDS,
        e_steps=HASTY if "hasty" in model else E_STEPS,
        m_steps=M_STEPS,
        batch=BATCH,
        seed=seed,
        after_round=lambda number: points.append(exam(number + 1)),
    )
    return points


def study(
    out: str,
    models: Sequence[str] = MODELS,
    amounts: Sequence[int] = AMOUNTS,
    seeds: Sequence[int] = (1, 2, 3),
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Learn from a few labels in every way; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `MODELS`.
        amounts: labels.
        seeds: of facts, labels, weights and draws.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {"rounds": ROUNDS, "e_steps": E_STEPS, "m_steps": M_STEPS, "batch": BATCH}
    settings |= {"hasty": HASTY, "read_steps": READ_STEPS}

    def tuned(model: str, amount: int) -> dict[str, Any]:
        if model != "direct":
            return {"lr": LR, "losses": {}, "at_edge": False}

        def wrong(lr: float) -> float:
            return 1 - train_one(model, 20, TUNING_SEED, lr)[-1]["right"]

        return tune(LR, wrong, factor=3.0, widest=4, slack=0.0)

    def run(model: str, amount: int, seed: int, lr: float) -> dict[str, Any]:
        reader(seed)
        began = time.process_time()
        points = train_one(model, amount, seed, lr)
        made = {"seed": seed, "lr": lr, "parameters": reader(seed).num_parameters()}
        return {**made, "cpu_seconds": time.process_time() - began, "points": points}

    def show(made: dict[str, Any]) -> str:
        last = made["points"][-1]
        return f"right {last['right']:.2f}, names the property {last['named'][TOLD]:.2f}"

    return carry_out(
        Record(out, "chains", settings, command),
        [{"model": model, "amount": amount} for model in models for amount in amounts],
        seeds,
        tuned,
        run,
        show,
        say,
        tuned_as=lambda case: case["model"],
    )
