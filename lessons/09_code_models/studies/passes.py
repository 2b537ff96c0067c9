"""How good is a code model, how does one ask, and what do test problems in its training data do?

    minilm study run 09/passes --out passes.json

One model learns small Python functions (`minilm.data.worlds.katas`). Its test problems are hidden in
its training data 0, 1, 10 or 100 times. It is then examined on these and on problems drawn later,
which nobody can have seen; the one without a leak at several temperatures. Programs run in the
sandbox. The learning rate is tuned once, on the data without a leak.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm.data import batches, encode_documents
from minilm.data.worlds.katas import Kata, katas
from minilm.inference.solving import judge, write_programs
from minilm.sandbox.programs import Programs
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, train_and_test, tune
from minilm.train import bits_per_byte

from .. import experiments as E

MODELS = {"0 copies": 0, "1 copy": 1, "10 copies": 10, "100 copies": 100}
STEPS = 500
START = 8e-3
PROBLEMS = 48  # of each examination, the same number of each level
SAMPLES = 20
TEMPERATURES = (0.2, 0.6, 1.0, 1.4)


def problems(seed: int) -> tuple[list[Kata], list[Kata], list[Kata]]:
    """Problems to train on, a benchmark that was published, and one drawn afterwards."""
    known = katas(E.KATAS, seed)
    keys = {one.key for one in known}
    published = [
        one
        for level in (1, 2, 3)
        for one in katas(PROBLEMS // 3, 2000 + seed, levels=[level], without=keys)
    ]
    keys |= {one.key for one in published}
    later = [
        one
        for level in (1, 2, 3)
        for one in katas(PROBLEMS // 3, 3000 + seed, levels=[level], without=keys)
    ]
    return known, published, later


def train_one(
    model: str, seed: int, lr: float, steps: int, exam: Callable[[Any], dict[str, Any]] | None
) -> dict[str, Any]:
    """One model, examined at its end; without an examination its loss on later problems."""
    known, published, later = problems(seed)
    tokenizer = E.kata_tokenizer()
    texts = [one.text for one in known] + [one.text for one in published] * MODELS[model]
    order = backend.rng(seed, "leak").permutation(len(texts))
    tokens = encode_documents(tokenizer, [texts[i] for i in order], E.END)
    unseen = encode_documents(tokenizer, [one.text for one in later], E.END)

    def test(trained: Any) -> dict[str, Any]:
        found = {"bits": bits_per_byte(trained, unseen, tokenizer.byte_lengths)}
        return found if exam is None else {**found, **exam(trained)}

    config = E.kata_config(tokenizer)
    return train_and_test(
        config, batches(tokens, E.BATCH, E.CONTEXT, seed), test, [steps], steps, E.BATCH, lr, seed
    )


def examined(
    model: Any, asked: Sequence[Kata], temperature: float, seed: int, programs: Programs
) -> list[int]:
    """How many of the samples for each problem pass."""
    prompts = [one.prompt for one in asked]
    written = write_programs(
        model, E.kata_tokenizer(), prompts, SAMPLES, temperature, E.CONTEXT // 2, seed
    )
    return [int(n) for n in judge(asked, written, programs).sum(1)]


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
        seeds: of problems, weights and samples.
        steps: of a run; tuning takes half of them.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {"steps": steps, "batch": E.BATCH, "problems": PROBLEMS, "samples": SAMPLES}

    def tuned(model: str) -> dict[str, Any]:
        def final(lr: float) -> float:
            return train_one("0 copies", TUNING_SEED, lr, steps // 2, None)["points"][-1]["bits"]

        return tune(START, final, factor=2.0, widest=4)

    with Programs() as programs:

        def run(model: str, seed: int, lr: float) -> dict[str, Any]:
            _, published, later = problems(seed)

            def exam(trained: Any) -> dict[str, Any]:
                asked = TEMPERATURES if model == "0 copies" else TEMPERATURES[:1]
                found = {
                    f"later at {t:g}": examined(trained, later, t, seed, programs) for t in asked
                }
                found["published at 0.2"] = examined(trained, published, 0.2, seed, programs)
                return found

            began = time.process_time()
            made = train_one(model, seed, lr, steps, exam)
            return {**made, "cpu_seconds": time.process_time() - began}

        def show(made: dict[str, Any]) -> str:
            last = made["points"][-1]
            rates = {k: np.mean(v) / SAMPLES for k, v in last.items() if isinstance(v, list)}
            return ", ".join(f"{name}: {rate:.2f}" for name, rate in rates.items())

        return carry_out(
            Record(out, "passes", settings, command),
            [{"model": model} for model in models],
            seeds,
            tuned,
            run,
            show,
            say,
            tuned_as=lambda case: "all",
        )
