"""Transformers whose feed-forwards are mixtures of experts, as lesson 05 trains them."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minilm import backend, kernels
from minilm import functional as F
from minilm.models import Config, Transformer
from minilm.nn import Module, Parameter
from minilm.nn.module import normal
from minilm.optim import AdamW, clip_grad_norm
from minilm.tensor import Tensor, no_grad

EXPERTS, CHOSEN = 8, 2
BIAS_STEP = 0.01  # of the bias that balances without a loss (arXiv 2408.15664), per step


class Experts(Module):
    """A router and E gated feed-forwards, of which each token uses K (arXiv 2401.04088, section 2).

    Args:
        channels, ff: C and F of one expert.
        std: of the first weights; those that write to the stream get `down`.

    Attributes:
        banned: (E,) bool, experts that the router must not choose.
        silent: (E,) bool, experts that are chosen and add nothing.
        k: experts of a token; what a trained model does with more or fewer can be asked.
        bias: (E,) added to the router's probabilities when experts are chosen, and only then.
        chosen, probs: of the last call, (N, K) ids and (N, E) the router's softmax.
    """

    def __init__(self, channels: int, ff: int, std: float, down: float, seed: int, name: str):
        def drawn(part: str, shape: tuple[int, ...], deviation: float) -> Parameter:
            return Parameter(normal(backend.rng(seed, "init", name, part), shape, deviation))

        self.router = drawn("router", (EXPERTS, channels), std)
        self.gate = drawn("gate", (EXPERTS, ff, channels), std)
        self.up = drawn("up", (EXPERTS, ff, channels), std)
        self.down = drawn("down", (EXPERTS, channels, ff), down)
        self.banned = np.zeros(EXPERTS, bool)
        self.silent = np.zeros(EXPERTS, bool)
        self.k = CHOSEN
        self.bias = np.zeros(EXPERTS, np.float32)
        self.chosen: np.ndarray = np.zeros((0, CHOSEN), np.int64)
        self.probs: Any = None

    def forward(self, x: Tensor) -> Tensor:  # (..., C) -> (..., C)
        flat = x.reshape(-1, x.shape[-1])  # (N, C)
        weights, order, place, offsets = self.route(flat)
        out = F.expert_feed_forward(
            flat, weights, self.gate, self.up, self.down, order, place, offsets
        )
        return out.reshape(*x.shape)

    def route(self, flat: Tensor) -> tuple[Tensor, np.ndarray, np.ndarray, np.ndarray]:
        """Who goes where: flat (N, C) -> weights (N, K), and the order of `sort_by_expert`."""
        logits = F.linear(flat, self.router)  # (N, E)
        self.probs = F.softmax(logits)
        wanted = np.where(self.banned, -np.inf, self.probs.data + self.bias)
        self.chosen = np.argsort(-wanted, axis=1, kind="stable")[:, : self.k]  # (N, K)
        weights = F.softmax(logits.gather(self.chosen, 1))  # (N, K), over the chosen alone
        if self.silent.any():
            weights = weights * (~self.silent[self.chosen]).astype(np.float32)
        return weights, *kernels.sort_by_expert(self.chosen, EXPERTS)

    def load(self) -> np.ndarray:
        """Share of the last call's choices that went to each expert, (E,); sums to 1."""
        return np.bincount(self.chosen.ravel(), minlength=EXPERTS) / self.chosen.size

    def balance(self) -> Tensor:
        """E sum f_i P_i of the last call (arXiv 2101.03961, equation 4); 1 where all is even."""
        even = (EXPERTS * self.load()).astype(np.float32)
        return (self.probs.mean(0) * even).sum()

    def shift(self) -> None:
        """Make experts with less than their share likelier to be chosen (arXiv 2408.15664)."""
        self.bias += BIAS_STEP * np.sign(1 / EXPERTS - self.load()).astype(np.float32)


def config_of(vocab_size: int, context: int, layers: int, channels: int, ff: int) -> Config:
    """Mistral's block at another size: RMS norm, RoPE, grouped queries, SwiGLU, no biases."""
    heads = channels // 16
    return Config(
        vocab_size=vocab_size, context=context, layers=layers, heads=heads,
        kv_heads=max(1, heads // 2), channels=channels, ff=ff, norm="rms", activation="swiglu",
        positions="rope", bias=False, tie=False, init_std=0.5 / channels**0.5,
    )  # fmt: skip


def mixture(config: Config, seed: int) -> Transformer:
    """The model of a config with E experts of width `config.ff` in the place of one."""
    model, std = Transformer(config, seed=seed), config.init_std
    for i, block in enumerate(model.blocks):
        down = std / (2 * config.layers) ** 0.5
        block.feed_forward = Experts(
            config.channels, config.F, std, down, seed, f"blocks.{i}.experts"
        )
    return model


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
    biased: bool = False,
    after: Callable[[int], Any] | None = None,
) -> Transformer:
    """AdamW on next tokens and, for experts, `coefficient` times the mean balance loss.

    The rate rises over 30 steps, stays, and falls to 0 in the last fifth. `biased` balances by
    shifting the choice instead. `after` gets the number of each step once it is taken.
    """
    layers = experts_of(model)
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = AdamW(groups, lr=lr, betas=(0.9, 0.95), weight_decay=0.05)
    for step in range(steps):
        loss = model.loss(*next(batches))
        if layers and coefficient:
            for layer in layers:
                loss = loss + layer.balance() * (coefficient / len(layers))
        loss.backward()
        clip_grad_norm(model.parameters(), 1.0)
        optimizer.step(min(1.0, (step + 1) / 30) * min(1.0, (steps - step) / (steps / 5)))
        optimizer.zero_grad()
        if biased:
            for layer in layers:
                layer.shift()
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
