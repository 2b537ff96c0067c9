"""A small Llama, and what it loses when one of its parts is taken out at equal work per token.

`ablate` trains a variant for some seconds beside the recorded one, for a cell of the reader's own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from minilm import backend, nn
from minilm import functional as F
from minilm.analysis.accounting import forward_flops
from minilm.data.corpora import documents, encode_documents, split
from minilm.errors import InputError
from minilm.models import Config, Transformer, llama
from minilm.studies.until import descend
from minilm.tensor import Tensor, no_grad
from minilm.tokenizers import train_bpe

Array = np.ndarray
VOCABULARY, CONTEXT, BATCH = 512, 64, 16
CHARACTERS, HELD_ROWS = 1_500_000, 192
COEFFICIENT = 0.01  # of the balance loss, where there are experts
RATE = 1.6e-2  # for `ablate`: what tuning found for the Llama in the recorded study
AT = (50, 100, 150, 200)  # steps of tests in a recorded run of 200 steps
# name -> what is changed in the small Llama; its parts are those of 2017 to 2023
CHANGES: dict[str, dict[str, Any]] = {
    "Llama": {},
    "post-norm": {"norm_position": "post"},
    "learned places": {"positions": "learned"},
    "all key heads": {"kv_heads": 4},
    "plain unit": {"activation": "gelu"},
    "layer norm": {"norm": "layer"},
    "biases": {"bias": True},
    "with experts": {"experts": 8, "experts_per_token": 2},
    "all six out": {
        "norm_position": "post", "positions": "learned", "kv_heads": 4, "activation": "gelu",
        "norm": "layer", "bias": True,
    },
}  # fmt: skip


def base() -> Config:
    """Llama's shape with 3 layers of 48 channels, four query heads and one of keys and values."""
    return llama(
        vocab_size=VOCABULARY, context=CONTEXT, layers=3, heads=4, kv_heads=1, channels=48,
        ff=128, init_std=0.5 / 48**0.5,
    )  # fmt: skip


def flops(config: Config) -> int:
    """Of one text, forward, matrix products only."""
    return forward_flops(config, CONTEXT).total


def variant(**changes: Any) -> Config:
    """The small Llama with fields changed, and the feed-forward's width such that work is equal.

    A width that is given stays as it is. With experts it is that of one expert.

    Raises:
        InputError: a field or value that a Config does not have, or a change that leaves no work
            for a feed-forward.
    """
    made = base().replace(**changes)
    if "ff" in changes:
        return made
    one, two = (flops(made.replace(ff=width)) for width in (1, 2))
    width = 1 + round((flops(base()) - one) / (two - one))
    if width < 1:
        raise InputError(
            f"changes are {changes}; their other parts cost more than the whole Llama, so no width "
            "of the feed-forward makes the work equal: give ff"
        )
    return made.replace(ff=width)


@cache
def texts() -> tuple[Array, Array]:
    """Python's documentation as ids of 512 tokens: to learn from, and held out."""
    known, held = split(documents("python-docs"), 0.1)
    r = backend.rng(0, "board", "order")
    joined = ["\n\n".join(part[i] for i in r.permutation(len(part))) for part in (known, held)]
    tokenizer = train_bpe(joined[0][:400_000], VOCABULARY)
    cut = (joined[0][:CHARACTERS], joined[1][:200_000])
    train, test = (encode_documents(tokenizer, (text,)).astype(np.int64) for text in cut)
    return train, test


def draw(seed: int, step: int) -> tuple[Array, Array]:
    """Ids and what follows, (BATCH, CONTEXT) each."""
    ids = texts()[0]
    starts = backend.rng(seed, "board", str(step)).integers(0, len(ids) - CONTEXT - 1, BATCH)
    rows = ids[starts[:, None] + np.arange(CONTEXT + 1)]
    return rows[:, :-1], rows[:, 1:]


@cache
def held() -> tuple[Array, Array]:
    """Held-out windows, (HELD_ROWS, CONTEXT) each."""
    ids = texts()[1]
    starts = np.linspace(0, len(ids) - CONTEXT - 2, HELD_ROWS).astype(int)
    rows = ids[starts[:, None] + np.arange(CONTEXT + 1)]
    return rows[:, :-1], rows[:, 1:]


def held_out(model: Transformer) -> float:
    """Nats per token on text that no model has read."""
    with no_grad():
        return float(np.mean([model.loss(a, b).item() for a, b in zip(*(np.split(x, 3) for x in
                              held()))]))  # fmt: skip


class Balanced:
    """A model for the trainer, whose experts, if it has any, are asked to share the work."""

    def __init__(self, config: Config, seed: int) -> None:
        self.model = Transformer(config, seed)

    def parameters(self) -> list[Any]:
        """Those of the model."""
        return self.model.parameters()

    def loss(self, ids: Array, targets: Array) -> Tensor:
        """Nats per token, and a hundredth of the balance loss of each layer's experts."""
        if self.model.config.experts is None:
            return self.model.loss(ids, targets)
        with nn.watch_routing() as seen:
            loss = self.model.loss(ids, targets)
        for each in seen:
            fair = F.load_balance_loss(each.logits, each.experts)
            loss = loss + fair * (COEFFICIENT / len(seen))
        return loss


def train_one(
    config: Config,
    seed: int,
    lr: float,
    steps: int,
    falls: float,
    after: Callable[[Transformer, int], Any],
) -> Transformer:
    """One model; the rate falls to 0 over the last fifth of `falls` steps."""
    learner = Balanced(config, seed)
    run = descend(learner, draw, seed, lr, falls)
    for step in range(1, steps + 1):
        next(run)
        after(learner.model, step)
    return learner.model


def ablate(
    name: str, steps: int, seed: int = 0, lr: float = RATE, **changes: Any
) -> dict[str, Any]:
    """A row for the board: train the small Llama with some fields changed, for `steps` steps.

    Args:
        name: of the row.
        steps: of training, at a constant rate after warm-up.
        seed: of weights and texts, those of the recorded run with this seed.
        lr: learning rate.
        changes: fields of `minilm.models.Config`; the feed-forward's width is fitted to the work
            unless `ff` is given.

    Returns:
        name, step, nats per held-out token, parameters, FLOPs beside the Llama's, and the changes.

    Raises:
        InputError: a change that a Config refuses.
    """
    config = variant(**changes)
    model = train_one(config, seed, lr, steps, float("inf"), lambda *_: None)
    return {
        "name": name,
        "step": steps,
        "loss": held_out(model),
        "parameters": model.num_parameters(),
        "work": flops(config) / flops(base()),
        "changes": changes,
    }
