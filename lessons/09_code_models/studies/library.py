"""What a corpus is worth with copies, after filters, and read again: the standard library.

    minilm study run 09/library --out library.json

Ben Allal's talk of CS25 V4: near duplicates were the filter that paid most; dropping files without
comments made no difference; dropping repositories with fewer than five stars removed more than 70 %
and gave the worst model. Muennighoff et al. (2023, arXiv 2305.16264): up to four epochs cost almost
nothing. One model, 2 layers of 64 channels, each corpus with its own tuned rate; losses are on
files that no model saw.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm.data import batches, encode_documents
from minilm.data.clean.filters import comment_ratio
from minilm.data.clean.near_duplicates import dedup
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, train_and_test, tune
from minilm.train import bits_per_byte

from .. import experiments as E

MODELS = {  # name: share of the study's steps
    "deduplicated": 0.75,
    "with copies": 0.75,
    "with copies, 2x": 1.5,
    "all files": 0.875,
    "commented files": 0.875,
    "starred files": 0.875,
    "repeated": 1.0,
    "fresh": 1.0,
}
STEPS = 480
START = 8e-3
PER_STEP = E.BATCH * E.CONTEXT
SHORT = 1500  # characters of a document that is copied
UNIQUE = 90_000  # tokens of the corpus with copies, before they were planted
POPULAR = 0.05  # share of its documents that have all the copies
EDITS = 0.2  # most lines of a copy that differ
POOL = 140_000  # tokens before filters
COMMENTED = 0.01  # least share of comments
STARRED = 0.3  # what is left of the files
AGAIN = 40  # steps of one pass in "repeated"


def edited(text: str, share: float, rng: np.random.Generator) -> str:
    """A copy in which so many of the lines were changed: left out, doubled, or a word replaced."""
    out = []
    for line in text.splitlines(keepends=True):
        if rng.random() >= share:
            out.append(line)
        elif (how := rng.integers(3)) == 1:
            out += [line, line]
        elif how == 2:
            words = line.split(" ")
            words[int(rng.integers(len(words)))] = f"name_{rng.integers(100)}"
            out.append(" ".join(words).rstrip("\n") + "\n")
    return "".join(out)


def with_copies(seed: int) -> tuple[list[str], list[str]]:
    """A corpus of which half is copies of a few documents, and those few."""
    unique = E.pool(seed, UNIQUE, SHORT)
    rng = backend.rng(seed, "copies")
    popular = unique[: max(1, round(POPULAR * len(unique)))]
    copies: list[str] = []
    while sum(map(len, copies)) < sum(map(len, unique)):
        original = popular[len(copies) % len(popular)]
        copies.append(edited(original, rng.uniform(0, EDITS), rng))
    return unique + copies, popular


def corpus(model: str, seed: int) -> list[str]:
    """The documents of a case."""
    if model in ("deduplicated", "with copies", "with copies, 2x"):
        raw = with_copies(seed)[0]
        return dedup(raw) if model == "deduplicated" else raw
    if model == "repeated":
        return E.pool(seed, AGAIN * PER_STEP + 1)
    if model == "fresh":
        return E.pool(seed, round(STEPS * MODELS[model]) * PER_STEP + 1)
    chosen = E.pool(seed, POOL)
    if model == "commented files":
        return [text for text in chosen if _commented(text)]
    if model == "starred files":
        rng = backend.rng(seed, "stars")
        return [text for text in chosen if rng.random() < STARRED]
    return chosen


def _commented(text: str) -> bool:
    """Whether the piece has comments; one that is no Python by itself counts its # signs."""
    ratio = comment_ratio(text)
    if ratio == 0:
        ratio = sum(len(line.partition("#")[2]) for line in text.splitlines()) / len(text)
    return ratio >= COMMENTED


def train_one(model: str, seed: int, lr: float, steps: int, at: Sequence[int]) -> dict[str, Any]:
    """One model on one corpus, tested on files it never saw, and on what it can recite."""
    texts = corpus(model, seed)
    world = E.library(SHORT if "dup" in model or "copies" in model else E.LONGEST)
    tokenizer = world.tokenizer
    tokens = encode_documents(tokenizer, texts, E.END)
    unseen = encode_documents(tokenizer, world.test, E.END)[:60_000]
    rows: dict[str, list[np.ndarray]] = {}
    if world.train is E.library(SHORT).train:
        raw, popular = with_copies(seed)
        once = [text for text in E.pool(seed, UNIQUE, SHORT) if text not in popular]
        for name, group in (("copied", popular), ("once", once)):
            long = [encode_documents(tokenizer, [text], E.END) for text in group]
            rows[name] = ([row for row in long if len(row) > 60] * 60)[:60]

    def test(model: Any) -> dict[str, float]:
        found = {"bits": bits_per_byte(model, unseen, tokenizer.byte_lengths, limit=25_000)}
        for name in ("copied", "once"):
            found[name] = E.recited(model, rows[name], seed) if rows else 0.0
        return found

    made = train_and_test(
        E.model_config(tokenizer),
        batches(tokens, E.BATCH, E.CONTEXT, seed),
        test,
        at,
        steps,
        E.BATCH,
        lr,
        seed,
    )
    return {**made, "documents": len(texts), "unique": len(tokens)}


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
        seeds: of corpus, weights and order.
        steps: of a run, times what `MODELS` says; tuning takes half of them.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {"steps": steps, "batch": E.BATCH, "context": E.CONTEXT, "vocabulary": E.VOCAB}
    settings |= {"unique": UNIQUE, "pool": POOL, "again": AGAIN}

    def tuned(model: str) -> dict[str, Any]:
        half = round(steps * min(1.0, MODELS[model])) // 2

        def final(lr: float) -> float:
            return train_one(model, TUNING_SEED, lr, half, [half])["points"][-1]["bits"]

        return tune(START, final, factor=2.0, widest=4, slack=0.002)

    def run(model: str, seed: int, lr: float) -> dict[str, Any]:
        began, last = time.process_time(), round(steps * MODELS[model])
        if model in ("repeated", "fresh"):
            at = [AGAIN * n for n in (1, 2, 3, 4, 6, 8, 9, last // AGAIN)]
        else:
            at = [last // 8, last // 4, last // 2, last]
        return {**train_one(model, seed, lr, last, at), "cpu_seconds": time.process_time() - began}

    def show(made: dict[str, Any]) -> str:
        last = made["points"][-1]
        return (
            f"{last['bits']:.4f} bits, {made['unique']:,} tokens, recites {last['copied']:.2f} of "
            f"what was copied, {last['once']:.2f} of the rest"
        )

    return carry_out(
        Record(out, "library", settings, command),
        [{"model": model} for model in models],
        seeds,
        tuned,
        run,
        show,
        say,
        tuned_as=lambda case: case["model"].removesuffix(", 2x"),
    )
