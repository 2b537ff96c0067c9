"""MemRecall: read a text that is too long for a model, with a memory of a few documents.

A judge goes through the text window by window and scores each document against the question *and*
what is in memory already. The best are taken in (retrieve), all that is in memory is judged once
more together (rehearse), and what no longer fits goes (forget). A second round finds what the first
one's finds point to. What is left is read by a reasoner (CogLTX, Ding et al., NeurIPS 2020).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minilm.errors import InputError

Array = np.ndarray
# question (B, W), kept (B, M, W), candidates (B, N, W) -> scores (B, N)
Judge = Callable[[Array, Array, Array], Array]


@dataclass(frozen=True)
class Round:
    """What one round did, by the numbers of documents.

    Attributes:
        scores: (B, N) of all documents against question and memory.
        taken: (B, new) what was retrieved, best first.
        kept: (B, M) what is in memory after forgetting, best first.
    """

    scores: Array
    taken: Array
    kept: Array


@dataclass(frozen=True)
class Recalled:
    """What is in memory at the end, and how it came there.

    Attributes:
        kept: (B, M) numbers of documents, best first.
        rounds: in their order.
        pairs: pairs of sentences that the judge's attention computed for each question.
    """

    kept: Array
    rounds: list[Round]
    pairs: int


def mem_recall(
    judge: Judge,
    question: Array,
    documents: Array,
    most: int = 4,
    new: int = 2,
    rounds: int = 2,
    window: int = 16,
) -> Recalled:
    """Fill a memory of `most` documents.

    Args:
        judge: scores candidates, given a question and what is kept; higher is more needed.
        question: (B, W) ids.
        documents: (B, N, W) ids.
        most: documents that the memory holds.
        new: documents taken in each round.
        rounds: how often the whole text is gone through.
        window: documents that the judge sees at once, beside question and memory.

    Returns:
        The memory; it holds min(most, N, rounds * new) documents.

    Raises:
        InputError: a number below 1, or no documents.
    """
    for name, value in (("most", most), ("new", new), ("rounds", rounds), ("window", window)):
        if value < 1:
            raise InputError(f"{name} is {value}; it must be 1 or more")
    batch, count = documents.shape[:2]
    if not count:
        raise InputError("documents has no rows to recall from; there must be 1 or more")
    rows = np.arange(batch)[:, None]
    kept, done, pairs = np.zeros((batch, 0), np.int64), [], 0
    for _ in range(rounds):
        memory = documents[rows, kept]  # (B, M, W)
        parts = []
        for start in range(0, count, window):
            part = documents[:, start : start + window]
            parts.append(judge(question, memory, part))
            pairs += (1 + kept.shape[1] + part.shape[1]) ** 2
        scores = np.concatenate(parts, axis=1)  # (B, N)
        left = scores.astype(float)
        left[rows, kept] = -np.inf
        taken = np.argsort(-left, axis=1, kind="stable")[:, : min(new, count - kept.shape[1])]
        held = np.concatenate([kept, taken], axis=1)
        again = judge(question, documents[:, :0], documents[rows, held])  # rehearse, (B, M)
        pairs += (1 + held.shape[1]) ** 2
        best = np.argsort(-again, axis=1, kind="stable")[:, :most]
        kept = np.take_along_axis(held, best, axis=1)
        done.append(Round(scores, taken, kept))
    return Recalled(kept, done, pairs)
