"""One model for three tasks against three models for one task each (CogView2's CogLM).

    minilm study run 07f/universal --out universal.json

A label and the 16 tokens of a real digit stand in one sequence, and masks decide what is learned:
to draw the digit of a label, to tell the label of a digit, to fill in half of its tokens. The
universal model learns all three, each in a third of its rows; a specialist learns one, with the
same shape, the same number of operations and a rate of its own. Measured on 500 held-out digits.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.backend import rng
from minilm.optim import AdamW
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune, whole
from minilm.tensor import no_grad
from minilm.train import train
from minilm.vision import coglm

from .. import experiments as E

MODELS = {"universal": coglm.KINDS, **{kind: (kind,) for kind in coglm.KINDS}}
LAYOUT, VQ_STEPS = E.TOKENS, 300
EXAMS = 4  # ways to hide that "fill" is examined by


def exam_loss(writer: Any, rows: np.ndarray, kind: str, seed: int) -> float:
    """Nats per hidden token of held-out rows."""
    random = rng(seed, "exam", kind)
    writer.eval()
    with no_grad():
        losses = [
            coglm.loss(writer, coglm.masked(rows, coglm.hide(kind, LAYOUT, len(rows), random)))
            for _ in range(EXAMS if kind == "fill" else 1)
        ]
    return float(np.mean([loss.item() for loss in losses]))


def study(
    out: str,
    models: Sequence[str] = tuple(MODELS),
    amounts: Sequence[int] = (1, 3),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 200,
    tune_steps: int = 80,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train and examine; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: "universal", "draw", "tell", "fill".
        amounts: budgets, in so many times `steps`.
        seeds: of the split, the weights and the batches.
        steps: of a budget of 1.
        tune_steps: of a tuning run.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    books: dict[int, Any] = {}

    def fitted(model: str, seed: int, lr: float, count: int) -> tuple[Any, np.ndarray]:
        if seed not in books:
            books[seed] = E.make_vqvae(seed, VQ_STEPS)
        known, held = (E.rows_of(LAYOUT, seed, part, books[seed]) for part in (False, True))
        writer = E.make_writer(LAYOUT, seed, kind="encoder")
        optimizer = AdamW(writer.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0.05)
        batches = coglm.draw_batches(known, LAYOUT, MODELS[model], E.BATCH, seed)
        how = {"loss": coglm.loss, "weigh": coglm.scored, "optimizer": optimizer, "ema": 0.99}
        run = whole(train(writer, batches, count, progress=False, **how))
        for name, parameter in writer.named_parameters():
            parameter.data[...] = run.ema.averages[name]
            parameter.touch()
        return writer, held

    def tuned(model: str, amount: int) -> dict[str, Any]:
        def loss(lr: float) -> float:
            writer, held = fitted(model, TUNING_SEED, lr, tune_steps)
            return float(np.mean([exam_loss(writer, held, k, 0) for k in MODELS[model]]))

        return tune(3e-3, loss, widest=4)

    def run(model: str, amount: int, seed: int, lr: float) -> dict[str, Any]:
        began, data = time.process_time(), E.digits(seed)
        writer, held = fitted(model, seed, lr, amount * steps)
        found: dict[str, Any] = {}
        for kind in MODELS[model]:
            found[f"{kind}_loss"] = exam_loss(writer, held, kind, seed)
        random = rng(seed, "written")
        if "draw" in MODELS[model]:
            asked = LAYOUT.rows(E.LABELS[:, None], np.zeros((len(E.LABELS), LAYOUT.picture), int))
            hidden = coglm.hide("draw", LAYOUT, 1, random)[0]
            codes = coglm.fill(writer, LAYOUT, asked, hidden, random)[:, LAYOUT.of_picture]
            made = books[seed].pictures(codes, E.DOWN, E.DOWN)
            found |= {f"draw_{k}": v for k, v in data.measure(made).items()}
        if "tell" in MODELS[model]:
            hidden = coglm.hide("tell", LAYOUT, 1, random)[0]
            told = coglm.fill(writer, LAYOUT, held, hidden, random, temperature=0)
            found["tell_right"] = float((told == held).all(1).mean())
        if "fill" in MODELS[model]:
            hidden = coglm.hide("fill", LAYOUT, len(held), random)
            filled = coglm.fill(writer, LAYOUT, held, hidden, random)
            made = books[seed].pictures(filled[:, LAYOUT.of_picture], E.DOWN, E.DOWN)
            found |= {f"fill_{k}": v for k, v in data.measure(made, data.held_labels).items()}
        return {
            "seed": seed,
            "lr": lr,
            "parameters": writer.num_parameters(),
            "points": [{"step": amount * steps, **found}],
            "judge_right": float((data.judge.names(data.held) == data.held_labels).mean()),
            "cpu_seconds": time.process_time() - began,
        }

    settings = {"steps": steps, "tune_steps": tune_steps, "vq_steps": VQ_STEPS, "batch": E.BATCH}
    return carry_out(
        Record(out, "universal", settings, command),
        [{"model": model, "amount": amount} for amount in amounts for model in models],
        seeds,
        tuned,
        run,
        lambda run: ", ".join(f"{name} {x:.4g}" for name, x in run["points"][-1].items()),
        say,
        lambda case: case["model"],
    )
