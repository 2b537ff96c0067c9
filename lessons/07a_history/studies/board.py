"""A small Llama on Python's documentation, and the same with one part taken out at equal work.

    minilm study run 07a/board --out board.json

Ding (CS25 V4, 13:24-16:11): few changes of the Transformer have lasted since 2017, and the best open
models combine them. Each is taken out of a small Llama by itself; "all six out" has none of them, and
"with experts" puts in a seventh. The width of the feed-forward is fitted, so that every row does the
same products per token. Each row has its own learning rate, tuned on a seed of its own; that of
learned places lies at the edge of the search.

Fixed before the first run: a part is worth something if the loss without it is higher by 0.01 nats
or more on average and in every seed; experts, if the loss with them is lower by as much.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from minilm.models import Transformer
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.until import tuned

from .. import board
from ..board import AT, BATCH, CHANGES, CONTEXT, VOCABULARY, Balanced

STEPS, TUNE_STEPS = 200, 40
START = 8e-3  # the rate around which tuning starts


def study(
    out: str,
    models: Sequence[str] = tuple(CHANGES),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = STEPS,
    tune_steps: int = TUNE_STEPS,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Tune, train and test every row of the board; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names of rows.
        seeds: of weights and texts.
        steps: of a run, 16 windows of 64 tokens each.
        tune_steps: of a tuning run.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, CHANGES)
    settings = {
        "steps": steps, "tune_steps": tune_steps, "batch": BATCH, "context": CONTEXT,
        "vocabulary": VOCABULARY, "characters": board.CHARACTERS,
        "widths": {name: board.variant(**change).F for name, change in CHANGES.items()},
        "work": {name: board.flops(board.variant(**change)) for name, change in CHANGES.items()},
    }  # fmt: skip

    def tune_one(model: str) -> dict[str, Any]:
        config = board.variant(**CHANGES[model])
        return tuned(partial(Balanced, config), board.draw, START, tune_steps, factor=2.0)

    def run(model: str, seed: int, lr: float) -> dict[str, Any]:
        began, testing, points = time.process_time(), 0.0, []

        def after(made: Transformer, step: int) -> None:
            nonlocal testing
            if step in AT or step == steps:
                start = time.process_time()
                annealed = step > steps - steps / 5
                points.append({"step": step, "annealed": annealed, "loss": board.held_out(made)})
                testing += time.process_time() - start

        made = board.train_one(board.variant(**CHANGES[model]), seed, lr, steps, steps, after)
        return {
            "seed": seed,
            "lr": lr,
            "parameters": made.num_parameters(),
            "cpu_seconds": time.process_time() - began - testing,
            "points": points,
        }

    return carry_out(
        Record(out, "board", settings, command),
        [{"model": model} for model in models],
        seeds,
        tune_one,
        run,
        lambda made: f"loss {made['points'][-1]['loss']:.4f}",
        say,
    )
