"""What the float32 copy of the weights is worth, in float16 and in bfloat16.

    minilm study run 07b/precision --out precision.json

A net of 64-64-10 learns handwritten digits with Adam. Weights, activations and gradients are
rounded to 16 bits; Adam's mean and variance stay in float32. Either Adam changes a float32 copy of
the weights, from which the rounded ones are made in each step, or it changes the rounded weights
themselves. Every way has its own learning rate, tuned on a seed of its own by the loss it ends with;
with four times the steps the rates are the same. The rate falls in a line to 0.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm.data.images import split_digits
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune

BATCH, HIDDEN = 64, 64
LONG = ", 4x"


def half(x: np.ndarray) -> np.ndarray:
    """Rounded to float16: 11 bits of precision, from 6e-8 to 65504."""
    with np.errstate(over="ignore"):
        return x.astype(np.float16).astype(np.float32)


def brain(x: np.ndarray) -> np.ndarray:
    """Rounded to bfloat16: 8 bits of precision, the range of float32."""
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    up = ((bits >> 16) & 1) + np.uint32(0x7FFF)  # to the nearest, ties to even
    return ((bits + up) & np.uint32(0xFFFF0000)).view(np.float32)


ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "float32": lambda x: x,
    "float16": half,
    "bfloat16": brain,
}
# name -> what weights, activations and gradients are rounded to, and whether there is a copy
WAYS = {
    "float32": ("float32", True),
    "float16, copy": ("float16", True),
    "float16 alone": ("float16", False),
    "bfloat16, copy": ("bfloat16", True),
    "bfloat16 alone": ("bfloat16", False),
}
MODELS = (*WAYS, "bfloat16, copy" + LONG, "bfloat16 alone" + LONG)


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def final_loss(kind: str, copy: bool, rate: float, seed: int, steps: int) -> float:
    """Train; nats a picture on those it was trained on.

    Args:
        kind: of `ROUNDINGS`.
        copy: whether Adam changes a float32 copy, or the rounded weights themselves.
        rate: of Adam; it falls in a line to 0.
        seed: of the split, the weights and the batches.
        steps: of 64 pictures.
    """
    data, rounded, random = split_digits(seed), ROUNDINGS[kind], backend.rng(seed, "digits")
    x, labels = data.images.reshape(-1, 64).astype(np.float32), data.labels
    weights = [
        (random.standard_normal((a, b)) / a**0.5).astype(np.float32)
        for a, b in ((64, HIDDEN), (HIDDEN, 10))
    ]
    if not copy:
        weights = [rounded(W) for W in weights]
    m, v = ([np.zeros_like(W) for W in weights] for _ in range(2))
    for t in range(1, steps + 1):
        rows = random.integers(0, len(x), BATCH)
        A, B = (rounded(W) for W in weights)
        h = rounded(np.maximum(x[rows] @ A, 0))
        p = _softmax(rounded(h @ B))
        p[np.arange(BATCH), labels[rows]] -= 1
        g = rounded(p / BATCH)
        slopes = [x[rows].T @ rounded(rounded(g @ B.T) * (h > 0)), h.T @ g]
        now = rate * (1 - t / steps)
        for i, slope in enumerate(slopes):
            s = rounded(slope)
            m[i] += 0.1 * (s - m[i])
            v[i] += 0.001 * (s * s - v[i])
            step = now * (m[i] / (1 - 0.9**t)) / (np.sqrt(v[i] / (1 - 0.999**t)) + 1e-8)
            weights[i] = weights[i] - step if copy else rounded(weights[i] - step)
    A, B = (rounded(W) for W in weights)
    p = _softmax(np.maximum(x @ A, 0) @ B)
    return float(-np.log(np.maximum(p[np.arange(len(x)), labels], 1e-30)).mean())


def study(
    out: str,
    models: Sequence[str] = MODELS,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 1000,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train every way; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `WAYS`, two of them also with ", 4x" behind.
        seeds: of the split, the weights and the batches.
        steps: of each run, and of each tuning run.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)

    def tuned(model: str) -> dict[str, Any]:
        way = WAYS[model.removesuffix(LONG)]
        return tune(3e-2, lambda lr: final_loss(*way, lr, TUNING_SEED, steps), widest=9)

    def run(model: str, seed: int, lr: float) -> dict[str, Any]:
        began, times = time.process_time(), 4 if model.endswith(LONG) else 1
        loss = final_loss(*WAYS[model.removesuffix(LONG)], lr, seed, times * steps)
        return {
            "seed": seed,
            "lr": lr,
            "points": [{"step": times * steps, "loss": loss}],
            "cpu_seconds": time.process_time() - began,
        }

    return carry_out(
        Record(out, "precision", {"steps": steps}, command),
        [{"model": model} for model in models],
        seeds,
        tuned,
        run,
        lambda run: f"{run['points'][-1]['loss']:.3g} nats",
        say,
        lambda case: case["model"].removesuffix(LONG),
    )
