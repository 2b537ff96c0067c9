"""Longer than trained: a small GPT copies strings of up to 8 letters, and then longer ones.

    minilm study run 01/lengths --out lengths.json

Ours, for the weaknesses that the first talk of CS25 V4 lists (07:13, 27:03). A model whose positions
are a table of learnt rows cannot do it: rows beyond the training lengths are untrained, which is a
fault built in. So two schemes without a table stand beside it: RoPE, which turns queries and keys by
an angle that grows with the place, and no positions at all. Each gets a rate tuned for it. What
would decide it: whole strings right at 8, 10 and 12 letters, after the steps and after four times
as many.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm.data import toys
from minilm.models import Config, Transformer
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.until import ENOUGH, run_until, shown, tuned
from minilm.tensor import no_grad

LETTERS, LONGEST, BATCH = 16, 8, 32
MODELS = ("learned", "rope", "none")
ASKED = (6, 8, 9, 10, 12, 16)


def build(model: str, seed: int) -> Transformer:
    """A two-layer GPT with this scheme of positions."""
    size = {"layers": 2, "heads": 2, "channels": 32, "init_std": 0.1, "positions": model}
    return Transformer(Config(vocab_size=LETTERS + 3, context=64, **size), seed=seed)


def strings(seed: int, step: int) -> Sequence[np.ndarray]:
    """Ids and targets to copy; all of one length, which changes from step to step."""
    size = int(backend.rng(seed, "length", step).integers(1, LONGEST + 1))
    return toys.copy(BATCH, size, LETTERS, seed=100_000 * seed + step).joined()


def strings_right(model: Transformer, examples: int = 128) -> dict[str, float]:
    """On new strings: share of letters right at the trained length, whole strings at each length.

    The letters before are given right, so a whole string is right if every next letter is.
    """
    found: dict[str, float] = {}
    for size in ASKED:
        new = toys.copy(examples, size, LETTERS, seed=9_000_000 + size)
        with no_grad():
            logits = model(new.joined()[0]).data[:, size:]  # (N, 2 S + 1, V) -> (N, S + 1, V)
        hit = logits.argmax(-1) == new.target
        if size == LONGEST:
            found["right"] = float(hit.mean())
        p = np.exp(logits - logits.max(-1, keepdims=True))
        p = np.take_along_axis(p, new.target[..., None].astype(np.int64), -1)[..., 0] / p.sum(-1)
        found |= {f"whole {size}": float(hit.all(1).mean()), f"probability {size}": float(p.mean())}
    return found


def study(
    out: str,
    models: Sequence[str] = MODELS,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    steps: int = 6400,
    tune_steps: int = 400,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train every scheme of positions; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: "learned", "rope", "none" or some of them.
        seeds: of weights and strings.
        steps: of the longer run of each; the shorter one has a quarter of them.
        tune_steps: of each tuning run.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {"steps": steps, "tune_steps": tune_steps, "batch": BATCH, "enough": ENOUGH}
    settings |= {"letters": LETTERS, "longest": LONGEST}

    def parts(model: str) -> tuple:
        return lambda seed: build(model, seed), strings, strings_right

    return carry_out(
        Record(out, "lengths", settings, command),
        [{"model": model, "amount": n} for n in (steps // 4, steps) for model in models],
        seeds,
        lambda model, amount: tuned(*parts(model)[:2], 5e-3, tune_steps),
        lambda model, amount, seed, lr: run_until(
            *parts(model), seed, lr, amount, amount // 4, go_on=True, falls=amount
        ),
        shown,
        say,
        tuned_as=lambda case: case["model"],
    )
