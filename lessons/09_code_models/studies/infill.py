"""Does a model that learns to fill holes write from left to right as well as before?

    minilm study run 09/infill --out infill.json

Bavarian et al. (2022, arXiv 2207.14255) say that it costs nothing, up to nine of ten documents.
Each model sees the same number of tokens, with its own tuned rate; documents are small Python
functions (`minilm.data.worlds.katas`).
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from minilm.data import InfillBatches, encode_documents
from minilm.data.worlds.katas import katas
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, train_and_test, tune
from minilm.train import bits_per_byte

from .. import experiments as E

MODELS = {"holes in 0": 0.0, "holes in 0.5": 0.5, "holes in 0.9": 0.9}  # share with holes
STEPS = 500
START = 1e-2  # the rate around which tuning starts
UNSEEN = 300  # functions to test on


def train_one(model: str, seed: int, lr: float, steps: int) -> dict[str, Any]:
    """One model, tested from left to right on functions it never saw."""
    known = E.exam(seed).known
    keys = {one.key for one in known}
    fresh = katas(UNSEEN, 3000 + seed, levels=E.LEVELS, kinds=E.KINDS, without=keys)
    tokenizer = E.kata_tokenizer()
    ids = encode_documents(tokenizer, [one.text for one in fresh], E.END)
    texts = [one.text for one in known]
    batches = InfillBatches(texts, tokenizer, E.BATCH, E.KATA_CONTEXT, seed, MODELS[model])

    def test(trained: Any) -> dict[str, float]:
        return {"bits": bits_per_byte(trained, ids, tokenizer.byte_lengths)}

    stream = (batches(number) for number in range(steps + 1))
    config = E.kata_config(tokenizer)
    return train_and_test(config, stream, test, [steps // 2, steps], steps, E.BATCH, lr, seed)


def study(
    out: str,
    models: Sequence[str] = tuple(MODELS),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = STEPS,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train every model; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `MODELS`.
        seeds: of documents, weights and cuts.
        steps: of a run; tuning takes half of them.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {"steps": steps, "batch": E.BATCH, "context": E.KATA_CONTEXT}

    def tuned(model: str) -> dict[str, Any]:
        def final(lr: float) -> float:
            return train_one(model, TUNING_SEED, lr, steps // 2)["points"][-1]["bits"]

        return tune(START, final, factor=2.0, widest=5)

    def run(model: str, seed: int, lr: float) -> dict[str, Any]:
        began = time.process_time()
        return {**train_one(model, seed, lr, steps), "cpu_seconds": time.process_time() - began}

    def show(made: dict[str, Any]) -> str:
        return f"{made['points'][-1]['bits']:.4f} bits"

    return carry_out(
        Record(out, "infill", settings, command),
        [{"model": model} for model in models],
        seeds,
        tuned,
        run,
        show,
        say,
    )
