"""Prompts with one right answer and with several, and a small model that learns to answer them."""

from __future__ import annotations

import numpy as np

from minilm import backend
from minilm.course import budget
from minilm.models import Config, Transformer
from minilm.optim import AdamW, cosine
from minilm.tensor import no_grad

OPEN, PROMPTS = np.array([1, 2, 4, 8]), 16  # right answers to a prompt; four prompts of each kind


def draw(seed: int, step: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prompts and one right answer to each, (n, 1) both, and how many would be right, (n,)."""
    r = backend.rng(seed, "open", step)
    prompt = r.integers(0, PROMPTS, n)  # (n,); prompt p allows OPEN[p % 4] answers of its own
    many = OPEN[prompt % 4]  # (n,)
    return prompt[:, None], (8 * prompt + r.integers(0, many))[:, None], many


def ask_openly(seed: int) -> tuple[list[float], list[float]]:
    """Train on one answer at a time; loss, and % of drawn answers right, by how many are right."""
    steps = budget(300)
    model = Transformer(Config(8 * PROMPTS, 1, layers=1, heads=2, channels=32, init_std=0.1), seed)
    optimizer = AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    for step in range(steps):
        prompt, answer, _ = draw(seed, step, 128)
        model.loss(prompt, answer).backward()
        optimizer.step(cosine(step, steps, warmup=20))
        optimizer.zero_grad()
    prompt, answer, many = draw(seed, -1, 2000)
    with no_grad():
        logits = model(prompt).data[:, 0].astype(np.float64)  # (n, 1, V) -> (n, V)
    logp = logits - np.log(np.exp(logits).sum(1, keepdims=True))  # (n, V)
    loss = -np.take_along_axis(logp, answer, 1)[:, 0]  # (n,) nats
    drawn = (logp + backend.rng(seed, "draw").gumbel(size=logp.shape)).argmax(1) - 8 * prompt[:, 0]
    right = (drawn >= 0) & (drawn < many)  # (n,): one of the prompt's own answers
    return [loss[many == k].mean() for k in OPEN], [100 * right[many == k].mean() for k in OPEN]
