"""Real text: the loss of models of several sizes that may spend the same compute.

    minilm study run 02/budgets --out budgets.json

The text is Python's own documentation, which every machine with Python has. At each budget of C
FLOPs every size N reads D = C / 6N tokens, and its learning rate falls to 0 just there, as in
Hoffmann et al. 2022 (arXiv 2203.15556, approach 2). The rate is tuned for each size.

Rules, set before the runs; each is asked of every seed, of its best loss at each budget:

- more compute reliably lowers the loss: it is lower at each budget than at the one before, and a
  decade of compute brings at the end at least half of what it brought at the beginning;
- the loss can be predicted: a straight line on log-log paper through all budgets but the largest
  misses the loss at the largest by less than a quarter of the fall to it (partly: by half);
- every budget has a best size: neither the smallest nor the largest size tried wins, at any
  budget; and the best size of the largest budget is above that of the smallest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from minilm import backend, data
from minilm.analysis import accounting, metrics, probes
from minilm.data.held_out import hold_out
from minilm.errors import InputError
from minilm.models.config import Config
from minilm.models.transformer import Transformer
from minilm.studies.driver import carry_out, known
from minilm.studies.record import Record
from minilm.studies.runs import SIZES, TUNING_SEED, Size, config_of, predictor, train_and_test, tune
from minilm.tokenizers import train_bpe

CONTEXT, VOCABULARY = 64, 2048
SAMPLE = 400_000  # characters that the tokenizer is trained on
LADDER = {"1x8": Size(1, 8, 1, 2e-2), **SIZES}
BUDGETS = (3e10, 1e11, 3e11, 1e12)
AT_BUDGET = {  # five sizes around the best one; the others would read next to nothing
    3e10: ("1x8", "1x16", "1x32", "2x48", "2x64"),
    1e11: ("1x8", "1x16", "1x32", "2x48", "2x64"),
    3e11: ("1x8", "1x16", "1x32", "2x48", "2x64"),
    1e12: ("1x16", "1x32", "2x48", "2x64", "3x96"),
}
KINDS = ("start of a word", "rest of a word", "punctuation", "digit", "space or line end")
SENTENCE = (
    "When a function is called, the arguments are evaluated from left to right, "
    "and then the body of the function is executed."
)


@dataclass(frozen=True)
class Text:
    """A tokenizer, ids to learn from, and ids of documents that are kept for tests."""

    tokenizer: Any
    train: np.ndarray  # (n,) all documents but those held out, in a fixed random order
    test: np.ndarray  # (m,)
    kinds: np.ndarray  # (V,) the kind of each token, index into KINDS


def kind_of(piece: str) -> int:
    """What a token is: index into KINDS."""
    bare = piece.strip(" \n\t")
    if not bare:
        return 4
    if re.fullmatch(r"[^\W\d_]+", bare):
        return 0 if piece[0] in " \n\t" or bare[0].isupper() else 1
    return 3 if bare.isdigit() else 2


@cache
def text() -> Text:
    """Python's documentation in tokens; the same on every machine with the same Python."""
    documents, unseen = hold_out(data.documents("python-docs"))
    order = backend.rng(0, "budgets", "order").permutation(len(documents))
    documents = [documents[i] for i in order]
    length = np.cumsum([len(one) for one in documents])
    sample = documents[: int(np.searchsorted(length, SAMPLE)) + 1]
    tokenizer = train_bpe(sample, VOCABULARY, special=["<|endoftext|>"])
    pieces = [tokenizer.decode([i]) for i in range(VOCABULARY)]
    return Text(
        tokenizer,
        data.encode_documents(tokenizer, documents),
        data.encode_documents(tokenizer, unseen),
        np.array([kind_of(piece) for piece in pieces]),
    )


def config(size: str) -> Config:
    """A decoder whose head is its token table, so that 6 N counts what a token costs."""
    return config_of(LADDER[size], VOCABULARY, CONTEXT).replace(tie=True, positions="rope")


def token_losses(model: Transformer, ids: np.ndarray) -> np.ndarray:
    """-log p of every token but the first of each row: (B, T) ids -> (B, T - 1) nats."""
    logp = probes.log_softmax(predictor(model)(ids[:, :-1]))  # (B, T - 1, V)
    return -np.take_along_axis(logp, ids[:, 1:, None].astype(np.int64), axis=-1)[..., 0]


class Exam:
    """Held-out text in windows, and one sentence.

    Args:
        windows: of 64 tokens that are scored, each with one token before them.
    """

    def __init__(self, windows: int = 256) -> None:
        words = text()
        room = CONTEXT + 1
        held = words.test[: windows * room].reshape(-1, room)  # (m,) -> (windows, T + 1)
        self.ids, self.kinds = held, words.kinds[held[:, 1:]]
        sentence = [words.tokenizer.encode("\n")[0], *words.tokenizer.encode(SENTENCE)]
        self.sentence = np.array([sentence])

    def sit(self, model: Transformer) -> dict[str, Any]:
        """Mean loss, its split over kinds of tokens, and the loss of each token of the sentence."""
        parts = [token_losses(model, self.ids[i : i + 32]) for i in range(0, len(self.ids), 32)]
        split = metrics.per_task_loss(-np.concatenate(parts), self.kinds, KINDS)
        return {
            "loss": split.total,
            "losses": split.losses,
            "sentence": token_losses(model, self.sentence)[0].tolist(),
        }


def steps_for(size: str, budget: float, batch: int) -> int:
    """Steps after which 6 N D reaches the budget."""
    weights = accounting.count_parameters(config(size)).total
    return max(1, round(budget / (6 * weights * batch * CONTEXT)))


def run_one(
    size: str, seed: int, lr: float, steps: int, batch: int, test: Callable[..., Any]
) -> dict[str, Any]:
    """Train one model, over the text again and again if need be, and test it at its end."""
    ids, order = text().train, backend.rng(seed, "budgets", "windows")

    def batches() -> Any:
        while True:
            shift = int(order.integers(CONTEXT))
            rows = np.arange(shift, len(ids) - CONTEXT - 1, CONTEXT)
            rows = rows[order.permutation(len(rows))]
            for k in range(0, len(rows) - batch, batch):
                at = rows[k : k + batch, None] + np.arange(CONTEXT + 1)  # (B, T + 1)
                yield ids[at[:, :-1]], ids[at[:, 1:]]

    return train_and_test(
        config(size), batches(), test, [steps], steps=steps, batch=batch, lr=lr, seed=seed
    )


def study(
    out: str,
    budgets: Sequence[float] = BUDGETS,
    seeds: Sequence[int] = (0, 1, 2),
    tune_steps: int = 200,
    batch: int = 8,
    windows: int = 256,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Tune every size, train it at every budget with every seed; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        budgets: FLOPs of a run, counted as 6 N D.
        seeds: of weights and of the order of the text.
        tune_steps: of each tuning run.
        batch: windows of 64 tokens per step.
        windows: held-out windows of the exam.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    known("budgets", [f"{b:g}" for b in budgets], [f"{b:g}" for b in AT_BUDGET])
    if tune_steps < 10:
        raise InputError(f"tune_steps is {tune_steps}; it must be 10 or more")
    exam, words = Exam(windows), text()
    shares = np.bincount(exam.kinds.ravel(), minlength=len(KINDS)) / exam.kinds.size
    settings = {
        "text": "python-docs",
        "tokens": len(words.train),
        "vocabulary": VOCABULARY,
        "tune_steps": tune_steps,
        "batch": batch,
        "context": CONTEXT,
        "windows": windows,
        "weights": dict(zip(KINDS, shares.tolist(), strict=True)),
        "sentence": [words.tokenizer.decode([int(i)]) for i in exam.sentence[0]],
    }

    def tuned(size: str, budget: float) -> dict[str, Any]:
        def final_loss(lr: float) -> float:
            made = run_one(size, TUNING_SEED, lr, tune_steps, batch, exam.sit)
            return made["points"][-1]["loss"]

        return tune(LADDER[size].lr, final_loss)

    def run(size: str, budget: float, seed: int, lr: float) -> dict[str, Any]:
        return run_one(size, seed, lr, steps_for(size, budget, batch), batch, exam.sit)

    return carry_out(
        Record(out, "budgets", settings, command),
        [{"size": size, "budget": budget} for budget in budgets for size in AT_BUDGET[budget]],
        seeds,
        tuned,
        run,
        lambda made: f"loss {made['points'][-1]['loss']:.4f}",
        say,
        tuned_as=lambda case: case["size"],
    )
