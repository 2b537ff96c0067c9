"""The loop in which every model that lesson 01 trains live learns."""

from collections.abc import Callable, Sequence

import numpy as np

from minilm import backend
from minilm.course import budget, progress
from minilm.nn import Module
from minilm.optim import AdamW, clip_grad_norm, cosine


def fit(
    models: Sequence[Module],
    draw: Callable[[int, int], Sequence[np.ndarray]],
    steps: int,
    seeds: Sequence[int],
    lr: float = 1e-2,
) -> None:
    """Train one model per seed; draw(seed, step) gives the arrays that a model's loss takes."""
    steps = budget(steps)  # more or fewer where `minilm run 01 --budget` asks for it

    def train_one(pair: tuple[int, Module]) -> None:
        seed, model = pair
        optimizer = AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
        for step in range(steps):
            loss = model.loss(*draw(seed, step))  # how wrong it is, in nats
            loss.backward()  # the gradient of every number in it
            clip_grad_norm(model.parameters(), 1.0)  # no step longer than this
            optimizer.step(cosine(step, steps, warmup=20))  # the rate rises, then falls to 0
            optimizer.zero_grad()
            bar.update()

    with progress(total=steps * len(models)) as bar:
        backend.parallel(train_one, zip(seeds, models, strict=True))
