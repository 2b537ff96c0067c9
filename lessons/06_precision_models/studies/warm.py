"""A softmax layer, solved first or started at zero: where does each end?

    minilm study run 06/warm

Jake Williams (CS25 V4, 23:17-24:19): a warm start begins far below the perplexity of chance, stays
ahead at the same learning rate, and needs fewer steps. The task is the next character of the Python
documentation (the 59 most frequent and one for all others), from the last K, each as a bit-cipher.
Warm layers are the explicit solution; both sides then take five epochs of gradient descent, each at
a rate tuned for it. What would decide it: the held-out loss after one epoch and after five, of warm
and cold, over bits, K and the amount of text. Text and order of batches depend on the seed.

Three warm settings of 8 bits and 5,000 characters took the smallest rate, .0039, the edge of the
search: after its start a warm layer hardly wants to move there.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm.data import corpora
from minilm.explicit import bit_cipher, context_features, cooc, explicit_solution
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune

V, BATCH = 60, 64
BITS, REACH, AMOUNTS = (8, 16, 60), (2, 4, 8), (5_000, 50_000)
SIZES = tuple(f"{bits} bits K={k}" for bits in BITS for k in REACH)
STARTS = {"cold": None, "warm 1": 1.0, "warm 30": 30.0}  # name -> smoothing of the solution
HELD_OUT = 10_000  # characters, half of them to tune on


@functools.cache
def characters() -> tuple[np.ndarray, np.ndarray]:
    """All text to train on and all held out, as ids from 0 to V - 1, rare ones last."""
    train, held_out = (
        "\n".join(part) for part in corpora.split(corpora.documents("python-docs"), 0.1)
    )
    codes = [np.frombuffer(text.encode("utf-32-le"), np.uint32) for text in (train, held_out)]
    kinds, counts = np.unique(codes[0], return_counts=True)
    kept = kinds[np.argsort(-counts, kind="stable")[: V - 1]]
    place = {int(code): i for i, code in enumerate(kept)}
    known = np.array([place.get(i, V - 1) for i in range(1 + max(int(c.max()) for c in codes))])
    return known[codes[0]], known[codes[1]]


@functools.lru_cache(maxsize=2)
def task(size: str, amount: int, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Features and next characters, to train on, to tune on, and to test on."""
    bits, k = (int(word.strip("K=")) for word in size.split()[::2])
    train, held_out = characters()
    rng = backend.rng(seed, "stretch", amount)
    at = int(rng.integers(len(train) - amount))
    known = train[at : at + amount]
    vectors = bit_cipher(np.bincount(known, minlength=V), bits)
    at = int(rng.integers(len(held_out) - HELD_OUT))
    half = at + HELD_OUT // 2
    new = {"tune": held_out[at:half], "test": held_out[half : at + HELD_OUT]}
    parts = {"train": known, **new}
    return {
        name: (context_features(ids, vectors, radius=k)[:-1].astype(np.float32), ids[1:])
        for name, ids in parts.items()
    }


def loss_of(x: np.ndarray, y: np.ndarray, u: np.ndarray) -> float:
    """Nats per character."""
    logits = (x @ u).astype(np.float64)
    top = logits.max(axis=1)
    total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return float(np.mean(total - logits[np.arange(len(y)), y]))


def start(parts: dict[str, tuple[np.ndarray, np.ndarray]], model: str) -> np.ndarray:
    """(D, V): zeros, or the explicit solution."""
    x, y = parts["train"]
    alpha = STARTS[model]
    if alpha is None:
        return np.zeros((x.shape[1], V), np.float32)
    k = float(x.sum() / len(x))
    f = cooc(x, np.eye(V)[y]) + k / x.shape[1]  # one even example of each: none is impossible
    return explicit_solution(f, k, alpha).astype(np.float32)


def epoch(x: np.ndarray, y: np.ndarray, u: np.ndarray, lr: float, rng: np.random.Generator) -> None:
    """One pass of gradient descent over shuffled batches, in place."""
    order = rng.permutation(len(y))
    for i in range(0, len(y), BATCH):
        rows, target = x[order[i : i + BATCH]], y[order[i : i + BATCH]]
        logits = rows @ u
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p[np.arange(len(target)), target] -= 1
        u -= np.float32(lr / len(target)) * (rows.T @ p)


def run_one(
    model: str, size: str, amount: int, seed: int, lr: float, epochs: int
) -> dict[str, Any]:
    """One start and its epochs, tested before the first and after each."""
    parts, began = task(size, amount, seed), time.process_time()
    u, rng = start(parts, model), backend.rng(seed, "order")
    points = []
    for done in range(epochs + 1):
        if done:
            epoch(*parts["train"], u, lr, rng)
        points.append({"epoch": done} | {name: loss_of(*part, u) for name, part in parts.items()})
    return {
        "seed": seed,
        "lr": lr,
        "parameters": u.size,
        "cpu_seconds": time.process_time() - began,
        "points": points,
    }


def shown(run: dict[str, Any]) -> str:
    """A run in a few words."""
    return " ".join(f"{run['points'][i]['test']:.3f}" for i in (0, 1, -1))


def study(
    out: str,
    models: Sequence[str] = tuple(STARTS),
    sizes: Sequence[str] = SIZES,
    amounts: Sequence[int] = AMOUNTS,
    seeds: Sequence[int] = (0, 1, 2),
    epochs: int = 5,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Start and train every layer of the grid; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `STARTS`.
        sizes: names from `SIZES`.
        amounts: characters to train on.
        seeds: of the stretch of text and the order of batches.
        epochs: of each run.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, STARTS)
    refuse_unknown("sizes", sizes, SIZES)
    settings = {"epochs": epochs, "batch": BATCH, "held_out": HELD_OUT, "vocabulary": V}

    def tuned(model: str, size: str, amount: int) -> dict[str, Any]:
        def final(lr: float) -> float:
            last = run_one(model, size, amount, TUNING_SEED, lr, epochs)["points"][-1]["tune"]
            return last if np.isfinite(last) else np.inf

        return tune(1.0, final, factor=4.0, widest=6, slack=0.001)

    return carry_out(
        Record(out, "warm", settings, command),
        [
            {"model": model, "size": size, "amount": amount}
            for size in sizes
            for amount in amounts
            for model in models
        ],
        seeds,
        tuned,
        lambda **case: run_one(**case, epochs=epochs),
        shown,
        say,
    )
