"""Four times as long: when does a small GPT overtake counting? In bits and in first guesses.

    minilm study run 00/longer --out longer.json

The GPT of lesson 00 on the Python documentation, for as many steps as the lesson takes and for four
times as many, beside Kneser-Ney counts of the same tokens. Each seed draws other weights, another
order of the text and other held-out documents. The learning rate is tuned once, on short runs and a
seed of its own.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import data
from minilm.analysis.ngram import KneserNey
from minilm.data.held_out import hold_out
from minilm.models import Transformer, gpt2
from minilm.studies.driver import carry_out
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune
from minilm.tensor import no_grad
from minilm.tokenizers import train_bpe
from minilm.train import bits_per_byte, train

VOCAB = 1024
SHAPE = {"context": 128, "layers": 2, "heads": 4, "channels": 128, "positions": "rope"}
CONFIG = gpt2(vocab_size=VOCAB, **SHAPE)
ORDERS = {"tokens": 1, "pairs": 2, "triples": 3}


def texts(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids to learn from, ids to be tested on, and how many bytes each id stands for."""
    known, unseen = hold_out(data.documents("python-docs"), seed=seed)
    tokenizer = train_bpe(known, VOCAB, special=["<|endoftext|>"])
    ids = (data.encode_documents(tokenizer, part) for part in (known, unseen))
    return *ids, tokenizer.byte_lengths


def first_guesses(
    model: Transformer, counter: KneserNey | None, ids: np.ndarray, windows: int = 12
) -> tuple[float, float]:
    """How often the likeliest token is the one that comes: of a GPT, and of a counter.

    Args:
        model: with a context of T tokens.
        counter: asked at the same places, after the same text; None for the model alone.
        ids: (N,) held-out text.
        windows: of T tokens, evenly spread; their second halves are guessed.

    Returns:
        Two shares from 0 to 1, the second nan without a counter.
    """
    context = model.config.context
    half = context // 2
    starts = np.linspace(0, len(ids) - context - 1, windows).astype(int)
    rows = ids[starts[:, None] + np.arange(context + 1)]  # (windows, T + 1)
    with no_grad():
        guessed = model(rows[:, :-1]).numpy().argmax(-1)  # (windows, T, V) -> (windows, T)
    right = (guessed == rows[:, 1:])[:, half:].mean()
    if counter is None:
        return float(right), float("nan")
    places = [(row, k) for row in rows for k in range(half, context)]
    counted = [
        counter.probabilities(row[k - 1 : k + 1]).argmax() == row[k + 1] for row, k in places
    ]
    return float(right), float(np.mean(counted))


def study(
    out: str,
    amounts: Sequence[int] = (800, 3200),
    seeds: Sequence[int] = (0, 1, 2),
    tune_steps: int = 200,
    batch: int = 8,
    tests: int = 8,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Tune once, train for every amount with every seed; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        amounts: steps of a run.
        seeds: of weights, order and held-out documents.
        tune_steps: of the runs that the learning rate is tuned on.
        batch: sequences of 128 tokens per step.
        tests: points along a run.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    settings = {"vocab_size": VOCAB, **SHAPE, "batch": batch, "tests": tests}
    settings["tune_steps"] = tune_steps

    def run(amount: int, seed: int, lr: float) -> dict[str, Any]:
        known, unseen, sizes = texts(seed)
        model, points = Transformer(CONFIG, seed=seed), []

        def report(step: int, log: Any) -> Sequence[str]:
            limit = None if step == amount else 12_000  # on the way a part of the text will do
            points.append({"step": step, "bits": bits_per_byte(model, unseen, sizes, limit=limit)})
            return ()

        began = time.process_time()
        how = {"steps": amount, "batch": batch, "lr": lr, "seed": seed}
        train(model, known, **how, report=report, report_every=amount // tests, progress=False)
        made = {"seed": seed, "lr": lr, "parameters": model.num_parameters()}
        made["cpu_seconds"] = time.process_time() - began
        counters = {name: KneserNey(known, order, VOCAB) for name, order in ORDERS.items()}
        total = sizes[unseen].sum()
        made["counted"] = {
            name: counter.bits(unseen).sum() / total for name, counter in counters.items()
        }
        right, counted = first_guesses(model, counters["triples"], unseen, windows=24)
        return {**made, "right": right, "right_triples": counted, "points": points}

    def tuned(amount: int) -> dict[str, Any]:
        known, unseen, sizes = texts(TUNING_SEED)

        def final_bits(lr: float) -> float:
            model = Transformer(CONFIG, seed=TUNING_SEED)
            train(model, known, tune_steps, batch=batch, lr=lr, seed=TUNING_SEED, progress=False)
            return bits_per_byte(model, unseen, sizes, limit=24_000)

        return tune(5e-3, final_bits)

    def show(made: dict[str, Any]) -> str:
        bits, triples = made["points"][-1]["bits"], made["counted"]["triples"]
        return f"{bits:.3f} bits per byte, triples {triples:.3f}, first guess {made['right']:.1%}"

    cases = [{"amount": amount} for amount in amounts]
    record = Record(out, "longer", settings, command)
    return carry_out(record, cases, seeds, tuned, run, show, say, tuned_as=lambda case: "all")
