"""Does a stack with its norms behind the sub-layers need a warm-up, and one with them before it not?

    minilm study run 07a/norms --out norms.json

Xiong et al. 2020 (arXiv 2002.04745), one of the changes that Ding names (CS25 V4, 13:24). Decoders of
eight layers as in 2017, without smaller first weights for depth and without clipped gradients, are
trained by Adam at four rates, with 20 steps of warm-up and without. A run holds all rates of one case.

Fixed before the first run: post-norm needs the warm-up if, without it, its loss at its best rate is
higher by 0.1 nats or more in every seed; pre-norm does not, if for it this is less than 0.1.

The stored record is no test: after 60 steps all cases stand at what counting single tokens gives.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from minilm.studies.driver import refuse_unknown
from minilm.studies.record import Record

from .. import norms

CASES = {"pre": ("pre", 0), "pre, warmed": ("pre", 20), "post": ("post", 0),
         "post, warmed": ("post", 20)}  # fmt: skip
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
LAYERS, STEPS = 8, 60


def study(
    out: str,
    models: Sequence[str] = tuple(CASES),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = STEPS,
    layers: int = LAYERS,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train every case at every rate; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names of cases.
        seeds: of weights and texts.
        steps: of a run, 16 windows of 32 tokens each.
        layers: of the stack.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, CASES)
    settings = {"steps": steps, "layers": layers, "channels": norms.CHANNELS, "rates": RATES,
                "batch": norms.BATCH, "context": norms.CONTEXT}  # fmt: skip
    record = Record(out, "norms", settings, command)
    left = [(s, m) for s in seeds for m in models if not record.has(model=m, seed=s)]
    for position, (seed, model) in enumerate(left):
        record.data["missing"] = [f"{m} seed {s}" for s, m in left[position + 1 :]]
        began = time.process_time()
        found = norms.row(*CASES[model], seed, RATES, layers, steps)
        record.add({
            "model": model, "seed": seed, "cpu_seconds": time.process_time() - began,
            "points": [{"step": steps, "lr": lr, "loss": x} for lr, x in zip(RATES, found)],
        })  # fmt: skip
        say(f"{model} seed {seed}: {', '.join(f'{x:.3f}' for x in found)}")
    return record.data
