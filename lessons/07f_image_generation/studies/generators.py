"""Pixels or tokens: what the same number of operations buys.

    minilm study run 07f/generators --out generators.json

One Transformer writes real digits of 8 by 8 pixels, once pixel by pixel (64 of 17 grey levels,
nothing is lost), once token by token (16 of 64 codes). Both get the same number of training
operations, of which the tokens' side also pays for its VQ-VAE. Reconstructions must be named right
in 95 % before anything is compared. Two yardsticks stand beside both: one Gaussian per class, and
real digits against real ones.

The pixels' side took the largest rate, .012, the edge of the search; what a larger one gives was not
tried.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune, whole

from .. import experiments as E

MODELS = {"tokens": E.TOKENS, "pixels": E.PIXELS}
VQ_STEPS = 300


def steps_of(model: str, amount: int, unit: float) -> int:
    """Steps that a budget of so many units of 10^12 operations pays for."""
    paid = E.vqvae_flops(VQ_STEPS) if model == "tokens" else 0.0
    return max(1, round((amount * unit * 1e12 - paid) / E.flops(MODELS[model])))


def study(
    out: str,
    models: Sequence[str] = tuple(MODELS),
    amounts: Sequence[int] = (1, 4),
    seeds: Sequence[int] = (0, 1, 2),
    unit: float = 0.25,
    tune_unit: float = 0.08,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train and draw; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: "tokens", "pixels".
        amounts: budgets, in units.
        seeds: of the split, the weights and the batches.
        unit: 10^12 training operations of a budget of 1.
        tune_unit: 10^12 training operations of a tuning run, the VQ-VAE's not counted.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    books: dict[int, Any] = {}

    def book(model: str, seed: int) -> Any:
        if model == "pixels":
            return None
        if seed not in books:
            books[seed] = E.make_vqvae(seed, VQ_STEPS)
        return books[seed]

    def fitted(model: str, seed: int, lr: float, steps: int) -> tuple[Any, float]:
        layout, vqvae = MODELS[model], book(model, seed)
        writer = E.make_writer(layout, seed)
        known = E.rows_of(layout, seed, False, vqvae)
        whole(E.fit_writer(writer, known, layout, steps, lr, seed))
        return writer, E.loss_on(writer, E.rows_of(layout, seed, True, vqvae), layout)

    def tuned(model: str, amount: int) -> dict[str, Any]:
        steps = round(tune_unit * 1e12 / E.flops(MODELS[model]))
        return tune(3e-3, lambda lr: fitted(model, TUNING_SEED, lr, steps)[1], widest=4)

    def run(model: str, amount: int, seed: int, lr: float) -> dict[str, Any]:
        began, steps, data = time.process_time(), steps_of(model, amount, unit), E.digits(seed)
        vqvae = book(model, seed)
        if vqvae is not None:
            readable = E.reconstructed(vqvae, seed)["right"]
            if readable < E.READABLE:
                raise InputError(
                    f"reconstructions of seed {seed} are named right in {100 * readable:.1f} %; "
                    f"generators are compared from {100 * E.READABLE:.0f} % on"
                )
        writer, held_loss = fitted(model, seed, lr, steps)
        made = E.drawn(writer, MODELS[model], vqvae, E.LABELS, seed)
        shown = made[np.arange(0, len(made), E.EACH // 2)]  # two of each digit
        return {
            "seed": seed,
            "lr": lr,
            "parameters": writer.num_parameters(),
            "epochs": steps * E.BATCH / len(data.known),
            "points": [{"step": steps, "held_loss": held_loss, **data.measure(made)}],
            "yardsticks": E.yardsticks(seed),
            "shown": E.letters(shown),
            "cpu_seconds": time.process_time() - began,
        }

    settings = {"unit": unit, "tune_unit": tune_unit, "vq_steps": VQ_STEPS, "batch": E.BATCH}
    return carry_out(
        Record(out, "generators", settings, command),
        [{"model": model, "amount": amount} for amount in amounts for model in models],
        seeds,
        tuned,
        run,
        lambda run: ", ".join(f"{name} {x:.4g}" for name, x in run["points"][-1].items()),
        say,
        lambda case: case["model"],
    )
