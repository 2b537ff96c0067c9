"""Chain of thought: sums answered at once or step by step, by models of three sizes.

    minilm study run 01/thinking --out thinking.json

The first talk of CS25 V4 (46:13-46:30): writing the steps helps larger models, and "we don't really
see the same performance for smaller models". Four numbers are added modulo 17. Every size is
trained both ways with a rate tuned for it (at once on runs of half the length: after short ones
every rate is at chance), until 95 % of new sums are right or the steps are used up. What would
decide it: steps to 95 %, and the share right at a quarter of the steps and at all.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.data import toys
from minilm.models import Config, Transformer
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.until import ENOUGH, run_until, shown, tuned
from minilm.tensor import no_grad

MODULUS, ADDITIONS, BATCH = 17, 3, 64
TASKS = {"at once": False, "step by step": True}
WIDTHS = (8, 16, 32)


def thinker(width: int, seed: int) -> Transformer:
    """A two-layer GPT of this many channels."""
    size = {"layers": 2, "heads": max(1, width // 16), "channels": width}
    vocab = MODULUS + 1  # the numbers, and a sign that says "now answer"
    start = 0.5 / width**0.5
    return Transformer(Config(vocab_size=vocab, context=8, init_std=start, **size), seed=seed)


def sums(written: bool, batch: int = BATCH) -> Callable[[int, int], Sequence[np.ndarray]]:
    """Seed and step -> ids and targets of new sums."""

    def draw(seed: int, step: int) -> Sequence[np.ndarray]:
        number = 100_000 * seed + step
        return toys.modular_chain(batch, ADDITIONS, MODULUS, written, seed=number).joined()

    return draw


def answers(model: Transformer, written: bool, examples: int = 512) -> dict[str, float]:
    """On new sums: share of right answers, and the probability of the right one.

    The model writes its steps by itself, the likeliest number each time.
    """
    new = toys.modular_chain(examples, ADDITIONS, MODULUS, written, seed=9_000_000)
    ids = np.concatenate([new.source, new.fed[:, :1]], axis=1)  # (N, 5)
    with no_grad():
        for _ in range(new.target.shape[1]):
            logits = model(ids).data[:, -1]  # (N, 5 + i, V) -> (N, V)
            ids = np.concatenate([ids, logits.argmax(-1)[:, None]], axis=1)
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p = p[np.arange(len(p)), new.target[:, -1]] / p.sum(-1)
    right = ids[:, -1] == new.target[:, -1]
    return {"right": float(right.mean()), "probability": float(p.mean())}


def study(
    out: str,
    tasks: Sequence[str] = tuple(TASKS),
    sizes: Sequence[int] = WIDTHS,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    steps: int = 3000,
    tune_steps: int = 1000,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train every size both ways; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        tasks: "at once", "step by step" or both.
        sizes: channels of the models.
        seeds: of weights and sums.
        steps: the most that a run takes.
        tune_steps: of each tuning run, step by step.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("tasks", tasks, TASKS)
    settings = {"steps": steps, "tune_steps": tune_steps, "batch": BATCH, "enough": ENOUGH}
    settings |= {"modulus": MODULUS, "additions": ADDITIONS}

    def parts(task: str, size: int) -> tuple:
        written = TASKS[task]
        return (
            lambda seed: thinker(size, seed),
            sums(written),
            lambda model: answers(model, written),
        )

    def tune(task: str, size: int) -> dict[str, Any]:
        build, draw, _ = parts(task, size)
        if TASKS[task]:
            late = size == min(WIDTHS)  # it begins to learn late, and by luck: longer, three seeds
            length, runs = (steps, 3) if late else (tune_steps, 2)
            return tuned(build, draw, 5e-3, length, factor=2, runs=runs)
        return tuned(build, draw, 1e-2, steps // 2, slack=0)  # a short run stays at chance

    return carry_out(
        Record(out, "thinking", settings, command),
        [{"task": task, "size": size} for task, size in itertools.product(tasks, sizes)],
        seeds,
        tune,
        lambda task, size, seed, lr: run_until(*parts(task, size), seed, lr, steps, every=100),
        shown,
        say,
    )
