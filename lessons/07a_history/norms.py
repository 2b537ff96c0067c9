"""Norms before or behind a sub-layer, at the start of training: gradients by depth, and warm-up."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm import backend
from minilm.models import Config, Transformer
from minilm.optim import AdamW
from minilm.tensor import no_grad

from .board import VOCABULARY, held, texts

Array = np.ndarray
CHANNELS, CONTEXT, BATCH = 32, 32, 16


def config_of(position: str, layers: int) -> Config:
    """A decoder as in 2017: layer norms before ("pre") or behind ("post") each sub-layer."""
    return Config(
        VOCABULARY,
        CONTEXT,
        layers,
        2,
        CHANNELS,
        activation="relu",
        norm_position=position,
        tie=False,
    )


def xavier(model: Transformer, seed: int) -> Transformer:
    """Every matrix drawn anew with variance 2 / (rows + columns), as the paper's theory has it.

    No matrix is made smaller because the stack is deep (Xiong et al. 2020, arXiv 2002.04745).
    """
    for name, p in model.named_parameters():
        if p.ndim == 2:
            std = (2 / sum(p.shape)) ** 0.5
            p.data = backend.rng(seed, "xavier", name).normal(0, std, p.shape).astype(p.dtype)
    return model


def batch(seed: int, step: int) -> tuple[Array, Array]:
    """Ids and what follows, (BATCH, CONTEXT) each."""
    ids = texts()[0]
    starts = backend.rng(seed, "norms", str(step)).integers(0, len(ids) - CONTEXT - 1, BATCH)
    rows = ids[starts[:, None] + np.arange(CONTEXT + 1)]
    return rows[:, :-1], rows[:, 1:]


def gradients(position: str, layers: int, seed: int) -> Array:
    """(layers,): the gradient's length in each block's last matrix, before the first step."""
    model = xavier(Transformer(config_of(position, layers), seed), seed)
    model.loss(*batch(seed, 0)).backward()
    return np.array(
        [np.linalg.norm(b.feed_forward.down.weight.grad) for b in model.blocks], dtype=np.float64
    )


def train_one(position: str, warmup: int, lr: float, seed: int, layers: int, steps: int) -> float:
    """Nats per held-out token after `steps` of Adam; the rate rises over `warmup` steps."""
    model = xavier(Transformer(config_of(position, layers), seed), seed)
    optimizer = AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.0)
    for step in range(steps):
        loss = model.loss(*batch(seed, step))
        if not np.isfinite(loss.item()):
            return float(np.log(VOCABULARY))  # no better than knowing nothing
        loss.backward()
        optimizer.step(min(1.0, (step + 1) / warmup) if warmup else 1.0)
        optimizer.zero_grad()
    ids, targets = (part[:, :CONTEXT] for part in held())
    with no_grad():
        last = model.loss(ids, targets).item()
    return min(last, float(np.log(VOCABULARY))) if np.isfinite(last) else float(np.log(VOCABULARY))


def row(position: str, warmup: int, seed: int, rates: Any, layers: int, steps: int) -> list[float]:
    """`train_one` at every rate."""
    return [train_one(position, warmup, lr, seed, layers, steps) for lr in rates]
