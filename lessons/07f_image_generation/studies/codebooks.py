"""Four ways to learn a codebook, and how many codes it takes.

    minilm study run 07f/codebooks --out codebooks.json

Real digits of 8 by 8 pixels become 16 tokens. Four codebooks of 64 codes: learned by gradient from
a wide and from a narrow start, following averages, and following averages with dead codes put onto
vectors of the batch. Then the last one with other numbers of codes, and with patches of 4 by 4, so
that 4 tokens are left. Measured on 500 held-out digits: codes in use, their perplexity, mean square
error, the share that a classifier of real digits still names right, and the Frechet distance.

Three of the four codebooks took the largest rate, .016, the edge of the search; what a larger one
gives was not tried.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune

from ..experiments import make_vqvae, reconstructed

BOOKS: dict[str, dict[str, Any]] = {
    "gradient, wide": {"by_gradient": True, "std": 3.0, "revive": 0.0},
    "gradient, narrow": {"by_gradient": True, "std": 0.1, "revive": 0.0},
    "averages": {"revive": 0.0},
    "revival": {},
    "4 codes": {"codes": 4},
    "16 codes": {"codes": 16},
    "256 codes": {"codes": 256, "revive": 0.125},
    "patches of 4": {"patch": 4, "revive": 0.125},
}
COMPARED = ("gradient, wide", "gradient, narrow", "averages", "revival")  # each has its own rate


def study(
    out: str,
    models: Sequence[str] = tuple(BOOKS),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 300,
    tune_steps: int = 100,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train every codebook; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `BOOKS`.
        seeds: of the split, the weights and the batches.
        steps: of each run.
        tune_steps: of each tuning run.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, BOOKS)

    def tuned(model: str) -> dict[str, Any]:
        def error(lr: float) -> float:
            made = make_vqvae(TUNING_SEED, tune_steps, lr=lr, **BOOKS[model])
            return reconstructed(made, TUNING_SEED)["mse"]

        return tune(4e-3, error, widest=4)

    def run(model: str, seed: int, lr: float) -> dict[str, Any]:
        began = time.process_time()
        made = make_vqvae(seed, steps, lr=lr, **BOOKS[model])
        return {
            "seed": seed,
            "lr": lr,
            "parameters": made.num_parameters(),
            "points": [{"step": steps, **reconstructed(made, seed)}],
            "cpu_seconds": time.process_time() - began,
        }

    return carry_out(
        Record(out, "codebooks", {"steps": steps, "tune_steps": tune_steps}, command),
        [{"model": model} for model in models],
        seeds,
        tuned,
        run,
        lambda run: ", ".join(f"{name} {x:.4g}" for name, x in run["points"][-1].items()),
        say,
        lambda case: case["model"] if case["model"] in COMPARED else "revival",
    )
