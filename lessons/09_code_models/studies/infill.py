"""Does a model that learns to fill holes write from left to right as well as before?

    minilm study run 09/infill --out infill.json

Bavarian et al. (2022, arXiv 2207.14255) say that it costs nothing, up to nine of ten documents.
Each model sees the same number of tokens, with its own tuned rate; documents are small Python
functions (`minilm.data.worlds.katas`), and the holes that are asked for are single lines.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from minilm.data import InfillBatches, encode_documents
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, train_and_test, tune
from minilm.train import bits_per_byte

from .. import experiments as E

MODELS = {"holes in 0": 0.0, "holes in 0.5": 0.5, "holes in 0.9": 0.9}  # share with holes
STEPS = 500
START = 8e-3  # the rate around which tuning starts


def train_one(model: str, seed: int, lr: float, steps: int, at: Sequence[int]) -> dict[str, Any]:
    """One model, tested left to right on documents it never saw, and on holes in them."""
    known, fresh = E.kata_world(seed)
    tokenizer, texts = E.kata_tokenizer(), [one.text for one in known]
    ids = encode_documents(tokenizer, [one.text for one in fresh], E.END)
    batches = InfillBatches(texts, tokenizer, E.BATCH, E.CONTEXT, seed, MODELS[model])

    def test(model: Any) -> dict[str, float]:
        found = {"bits": bits_per_byte(model, ids, tokenizer.byte_lengths, limit=25_000)}
        for order in ("psm", "spm", "prefix"):
            found[order] = E.filled(model, tokenizer, fresh, order)
        return found

    stream = (batches(number) for number in range(steps + 1))
    return train_and_test(E.kata_config(tokenizer), stream, test, at, steps, E.BATCH, lr, seed)


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
    settings = {"steps": steps, "batch": E.BATCH, "context": E.CONTEXT, "vocabulary": E.VOCAB}

    def tuned(model: str) -> dict[str, Any]:
        def final(lr: float) -> float:
            half = steps // 2
            return train_one(model, TUNING_SEED, lr, half, [half])["points"][-1]["bits"]

        return tune(START, final, factor=2.0, widest=4)

    def run(model: str, seed: int, lr: float) -> dict[str, Any]:
        began = time.process_time()
        made = train_one(model, seed, lr, steps, [steps])
        return {**made, "cpu_seconds": time.process_time() - began}

    def show(made: dict[str, Any]) -> str:
        last = made["points"][-1]
        return f"{last['bits']:.4f} bits, holes {last['psm']:.2f} {last['spm']:.2f} {last['prefix']:.2f}"

    return carry_out(
        Record(out, "infill", settings, command),
        [{"model": model} for model in models],
        seeds,
        tuned,
        run,
        show,
        say,
    )
