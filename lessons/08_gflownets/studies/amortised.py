"""One sampler for many gaps: what does it cost to share, and where should it start?

    minilm study run 08/amortised --out amortised.json

Amortised inference means that one network answers for every context, also for those it never saw.
A pilot with 1,000 contexts learnt nothing. Here are gaps of up to three letters out of four (85
strings, 256 contexts), so that a small Transformer can know the whole world. What varies: the number
of contexts that SubTB trains on, its steps, and whether it starts from nothing or from a model that
was fitted to its own triples. Those triples cost no reward: the language model writes left, gap and
right by itself, and they are put into the order left, right, gap. All models are tested on 24
contexts that they saw and 24 that they did not.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from minilm import align, backend
from minilm.align import Drawn, TextPolicy
from minilm.analysis.enumerate import Texts, enum_posterior, total_variation
from minilm.data.worlds.strings import Trigrams
from minilm.models import Config, Transformer
from minilm.optim import AdamW, linear
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune
from minilm.tensor import Tensor
from minilm.train import train

LETTERS, LONGEST, BATCH, STEPS = 4, 3, 64, 400
STOP, START = LETTERS, LETTERS + 1
TEXTS = Texts(LETTERS, LONGEST)
PAIRS = np.array(list(itertools.product(range(LETTERS), repeat=4)))  # left and right, two each
SEEN, ASKED = 200, 24  # contexts that may be trained on, and how many of each kind are tested
TRIPLES = 4  # steps on own triples, in units of STEPS
MODELS = {  # contexts, steps of SubTB in units of STEPS, start
    "1 context": (1, 1, False),
    "16 contexts": (16, 1, False),
    "200 contexts": (200, 1, False),
    "200 contexts, 4x": (200, 4, False),
    "own triples": (0, TRIPLES, True),
    "own triples, then SubTB": (200, 1, True),
}


def order_of(seed: int) -> np.ndarray:
    return backend.rng(seed, "contexts").permutation(len(PAIRS))


def prompts_of(pairs: np.ndarray) -> np.ndarray:
    """(K, 4) -> (K, 5): the start, then both sides."""
    return np.concatenate([np.full((len(pairs), 1), START), pairs], 1)


class Reward:
    """log R(z) = log p(z right | left) + one nat a letter, for prompts (start, left, right)."""

    def __init__(self, seed: int) -> None:
        self.model = Trigrams(seed, LETTERS)

    def __call__(self, prompts: np.ndarray, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        between = self.model.log_between(prompts[:, 1:3], ids, lengths, prompts[:, 3:5])
        return between + lengths

    def posterior(self, pair: np.ndarray) -> np.ndarray:
        """The listed posterior of one context."""
        prompts = np.repeat(prompts_of(pair[None]), len(TEXTS), 0)
        return enum_posterior(TEXTS, lambda ids, lengths: self(prompts, ids, lengths))[0]

    def triples(self, seed: int) -> Iterator[tuple[np.ndarray, Drawn]]:
        """Batches of what the language model itself writes: exact samples of every posterior.

        The length of the gap is drawn in proportion to e^length, which is what a nat a letter says.
        """
        rng, row = backend.rng(seed, "triples"), np.arange(BATCH)
        share = np.exp(np.arange(LONGEST + 1.0))
        while True:
            left = rng.integers(0, LETTERS, (BATCH, 2))
            lengths = rng.choice(LONGEST + 1, BATCH, p=share / share.sum())
            text = self.model.draw(left, LONGEST + 2, rng)
            right = np.stack([text[row, lengths], text[row, lengths + 1]], 1)
            inside = np.arange(LONGEST) < lengths[:, None]
            ids = np.where(inside, text[:, :LONGEST], 0)
            yield prompts_of(np.concatenate([left, right], 1)), Drawn(ids, lengths)


def sampler(seed: int) -> TextPolicy:
    config = Config(
        vocab_size=LETTERS + 2, context=5 + LONGEST, layers=2, heads=2, channels=32, tie=False
    )
    return TextPolicy(Transformer(config, seed=seed), STOP, LONGEST, range(LETTERS))


def fit(policy: TextPolicy, batches: Any, loss: Any, steps: int, lr: float) -> None:
    optimizer = AdamW(policy.model.parameters(), lr=lr, betas=(0.9, 0.95), weight_decay=0.01)
    run = train(
        policy.model, batches, steps, loss=loss, optimizer=optimizer, progress=False,
        schedule=lambda step: linear(step, steps),
    )  # fmt: skip
    if run.interrupted:
        raise KeyboardInterrupt


@cache
def fitted(seed: int, lr: float, steps: int) -> Transformer:
    """The model of its own triples."""
    policy = sampler(seed)

    def loss(model: Any, batch: Any) -> Tensor:
        return -policy.log_q(*batch).mean()

    fit(policy, Reward(seed).triples(seed), loss, steps, lr)
    return policy.model


def distances(policy: TextPolicy, seed: int, rows: np.ndarray) -> list[float]:
    """TV from the listed posterior, of each of some contexts."""
    reward = Reward(seed)
    return [
        total_variation(
            reward.posterior(PAIRS[row]), np.exp(policy.table([START, *PAIRS[row]], TEXTS))
        )
        for row in rows
    ]


def yardstick(seed: int) -> float:
    """TV of the mean posterior of the seen contexts from those of the others: no context read."""
    reward, order = Reward(seed), order_of(seed)
    mean = np.mean([reward.posterior(PAIRS[row]) for row in order[:SEEN]], 0)
    others = order[SEEN : SEEN + ASKED]
    return float(np.mean([total_variation(reward.posterior(PAIRS[row]), mean) for row in others]))


def train_one(model: str, seed: int, lr: float, triples_lr: float, steps: int = STEPS) -> Any:
    """One sampler, by one of `MODELS`; its last TV on seen contexts and on others."""
    contexts, units, warm = MODELS[model]
    policy, order = sampler(seed), order_of(seed)
    if warm:
        start = fitted(seed, triples_lr, TRIPLES * steps)
        policy.model.load_state_dict(start.state_dict())
    if contexts:
        prompts = prompts_of(PAIRS[order[:contexts]])
        batches = align.tries(policy, Reward(seed), prompts, BATCH, seed)
        fit(policy, batches, align.subtb_objective(policy), units * steps, lr)
    seen = order[: min(contexts or SEEN, ASKED)]
    others = order[SEEN : SEEN + ASKED]
    return policy, {
        "step": units * steps,
        "seen": float(np.mean(distances(policy, seed, seen))),
        "others": float(np.mean(distances(policy, seed, others))),
        "yardstick": yardstick(seed),
    }


def study(
    out: str,
    models: Sequence[str] = tuple(MODELS),
    seeds: Sequence[int] = (1, 2, 3),
    steps: int = STEPS,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train every sampler; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `MODELS`.
        seeds: of world, weights and draws.
        steps: the unit of a run.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {"steps": steps, "batch": BATCH, "letters": LETTERS, "longest": LONGEST}
    triples_lr = 1e-2

    def tuned(model: str) -> dict[str, Any]:
        if not MODELS[model][0]:  # found by hand, with seed 0
            return {"lr": triples_lr, "losses": {}, "at_edge": False}
        start = 1e-3 if MODELS[model][2] else 1e-2

        kind = model if MODELS[model][2] else "200 contexts"

        def final(lr: float) -> float:
            return train_one(kind, TUNING_SEED, lr, triples_lr, steps)[1]["seen"]

        return tune(start, final, factor=3.0, widest=4, slack=0.0)

    def run(model: str, seed: int, lr: float) -> dict[str, Any]:
        began = time.process_time()
        policy, point = train_one(model, seed, lr, triples_lr, steps)
        made = {"seed": seed, "lr": lr, "parameters": policy.model.num_parameters()}
        return {**made, "cpu_seconds": time.process_time() - began, "points": [point]}

    def show(made: dict[str, Any]) -> str:
        last = made["points"][-1]
        return f"TV {last['seen']:.3f} seen, {last['others']:.3f} others"

    def tuned_as(case: dict[str, Any]) -> str:
        kind = case["model"].removesuffix(", 4x")
        return "200 contexts" if kind.endswith("context") or kind.endswith("contexts") else kind

    return carry_out(
        Record(out, "amortised", settings, command),
        [{"model": model} for model in models],
        seeds,
        tuned,
        run,
        show,
        say,
        tuned_as=tuned_as,
    )
