"""Small models of Mistral's shape, with one feed-forward or with experts, and how they are trained."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minilm import functional as F
from minilm import nn
from minilm.models import Config, Transformer
from minilm.nn.experts import Experts, Routing
from minilm.optim import AdamW, clip_grad_norm
from minilm.tensor import no_grad

EXPERTS, CHOSEN = 8, 2
BIAS_STEP = 0.01  # of the bias that balances without a loss (arXiv 2408.15664), per step


def config_of(vocab_size: int, context: int, layers: int, channels: int, ff: int) -> Config:
    """Mistral's block at another size: RMS norm, RoPE, grouped queries, SwiGLU, no biases."""
    heads = channels // 16
    return Config(
        vocab_size=vocab_size, context=context, layers=layers, heads=heads,
        kv_heads=max(1, heads // 2), channels=channels, ff=ff, norm="rms", activation="swiglu",
        positions="rope", bias=False, tie=False, init_std=0.5 / channels**0.5,
    )  # fmt: skip


def mixture(config: Config, seed: int, router: str = "top_k") -> Transformer:
    """The model of a config with E experts of width `config.ff` in the place of one."""
    routed = config.replace(experts=EXPERTS, experts_per_token=CHOSEN, router=router)
    return Transformer(routed, seed=seed)


def experts_of(model: Transformer) -> list[Experts]:
    """The mixtures of a model, first layer first; none in a dense one."""
    parts = [block.feed_forward for block in model.blocks]
    return [part for part in parts if isinstance(part, Experts)]


def learn(
    model: Transformer,
    batches: Iterator[tuple[np.ndarray, np.ndarray]],
    steps: int,
    lr: float,
    coefficient: float = 0.0,
    after: Callable[[int], Any] | None = None,
) -> Transformer:
    """AdamW on next tokens and, for experts, `coefficient` times the mean balance loss.

    The rate rises over 30 steps, stays, and falls to 0 in the last fifth. Balanced routers shift
    their biases after each step. `after` gets the number of each step once it is taken.
    """
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = AdamW(groups, lr=lr, betas=(0.9, 0.95), weight_decay=0.05)
    for step in range(steps):
        with nn.watch_routing() as seen:
            loss = model.loss(*next(batches))
        if coefficient:
            for each in seen:
                fair = F.load_balance_loss(each.logits, each.experts)
                loss = loss + fair * (coefficient / len(seen))
        loss.backward()
        clip_grad_norm(model.parameters(), 1.0)
        optimizer.step(min(1.0, (step + 1) / 30) * min(1.0, (steps - step) / (steps / 5)))
        optimizer.zero_grad()
        if model.config.router == "balanced":
            nn.balance(seen, BIAS_STEP)
        if after is not None:
            after(step + 1)
    return model


def losses(model: Transformer, ids: np.ndarray, targets: np.ndarray, part: int = 64) -> np.ndarray:
    """Nats of every token, (B, T)."""
    with no_grad():
        rows = range(0, len(ids), part)
        found = [model.loss(ids[i : i + part], targets[i : i + part], reduction="none")
                 for i in rows]  # fmt: skip
    return np.concatenate([each.numpy() for each in found])


def routings(model: Transformer, ids: np.ndarray) -> list[Routing]:
    """What every layer's router says of the tokens ids (B, T), first layer first."""
    with no_grad(), nn.watch_routing() as seen:
        model.hidden(ids)
    return seen
