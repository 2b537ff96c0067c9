"""A small model that trains on one process, for tests that train it on many."""

import numpy as np

from minilm.models import Transformer, gpt2
from minilm.optim import AdamW

CONFIG = gpt2(layers=3, heads=2, channels=16, vocab_size=20, context=8)
STEPS = 20


def build() -> Transformer:
    return Transformer(CONFIG, seed=0, dtype=np.float64)


def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
    ids = np.random.default_rng(step).integers(0, 20, (8, 9))
    return ids[:, :-1], ids[:, 1:]


def optimizer(params):
    return AdamW(params, lr=1e-2, weight_decay=0.1)


def alone() -> dict[str, np.ndarray]:
    model = build()
    adam = optimizer(model.parameters())
    for step in range(STEPS):
        model.loss(*batch(step)).backward()
        adam.step()
        adam.zero_grad()
    return model.state_dict()
