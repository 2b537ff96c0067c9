"""Many rows written at once, as arrays of one shape: what learning from one's own text needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import backend, kernels
from minilm.backend import Array
from minilm.errors import InputError
from minilm.inference.batch import pad_left
from minilm.inference.following import Following, make_cache
from minilm.inference.rules import Rules
from minilm.inference.stopping import Stops


@dataclass(frozen=True)
class Written:
    """What was written after each prompt, T tokens at most.

    Attributes:
        ids: (N, T) int64; where a row has ended, `pad`.
        alive: (N, T) bool, True for tokens that were written, the stop token included.
        logp: (N, T) float32, the logarithm of each token's probability when it was drawn: after
            temperature and filters, so with the usual rules the model's own. Of a greedy choice it
            is the model's own. 0 where a row has ended.
    """

    ids: np.ndarray
    alive: np.ndarray
    logp: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """(N,) int64, tokens written per row."""
        return self.alive.sum(axis=1)

    def rows(self) -> list[list[int]]:
        """The written ids of each row, without what is after its end."""
        return [row[:count].tolist() for row, count in zip(self.ids, self.lengths, strict=True)]


def write_arrays(
    model: Any,
    rows: list[np.ndarray],
    tokens: int,
    rules: Rules,
    stops: Stops,
    seed: int = 0,
    weights: str = "float32",
    known: bool = True,
    samples: int = 1,
    stream: Callable[[np.ndarray], Any] | None = None,
    pad: int = 0,
) -> Written:
    """Continue each prompt `samples` times, all of them side by side.

    Args:
        model, rows, tokens, rules, seed, weights: as in `steps`.
        stops: what ends each of the N rows.
        known: whether the fast decoder knows the model.
        samples: texts for each prompt; N = samples times the prompts, those of one together.
        stream: called after every step with the (N,) new ids, -1 for rows that have ended.
        pad: what stands in `ids` after a row's end.

    Raises:
        InputError: samples below 1; as in `steps`.
    """
    check_samples(samples)
    count, was_training = len(rows) * samples, model.training
    rngs = [backend.rng(seed, "sample", row) for row in range(count)]
    seen = [row.tolist() for row in rows for _ in range(samples)]
    ids = np.full((count, tokens), pad, np.int64)
    alive, logp = np.zeros((count, tokens), bool), np.zeros((count, tokens), np.float32)
    running = np.ones(count, bool)
    model.eval()
    try:
        batch = pad_left(rows)
        cache = make_cache(model, len(rows), batch.ids.shape[1] + tokens)
        follow = Following(model, cache, batch, rules, weights, known)
        logits = follow.prompt()
        if samples > 1:
            follow = follow.grown(samples)
            logits = logits.repeat(samples, axis=0)  # (B, V) -> (N, V)
        for step in range(tokens):
            left = rules.filtered(logits, seen)
            new = rules.pick(left, rngs)
            alive[:, step] = running
            ids[running, step] = new[running]
            logp[running, step] = log_probability(left, new)[running]
            if stream is not None:
                stream(np.where(running, new, -1))
            if stops:
                for row in np.flatnonzero(running):
                    running[row] = not stops.ends(row, int(new[row]))
            if step + 1 == tokens or not running.any():
                break
            if rules.repetition_penalty != 1:
                for line, token in zip(seen, new.tolist(), strict=True):
                    line.append(token)
            logits = follow.logits(new)
    finally:
        model.train(was_training)
    return Written(ids, alive, logp)


def check_samples(samples: int) -> None:
    """Refuse a number of samples that is not a whole number of 1 or more."""
    if not isinstance(samples, (int, np.integer)) or samples < 1:
        raise InputError(f"samples is {samples!r}; it must be a whole number of 1 or more")


def log_probability(logits: Array, ids: np.ndarray) -> np.ndarray:
    """log softmax(logits)[id] of each row: (B, V), (B,) -> (B,) float32, in host memory."""
    losses, _ = kernels.cross_entropy(logits, backend.xp_of(logits).asarray(ids))
    return -backend.to_numpy(losses).astype(np.float32)
