"""Real text: Python's own documentation in tokens, and a small model's loss at each of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from minilm import backend, data
from minilm.analysis import probes
from minilm.data.held_out import hold_out
from minilm.models.config import Config
from minilm.models.transformer import Transformer
from minilm.studies.runs import SIZES, config_of, predictor
from minilm.tokenizers import train_bpe

CONTEXT, VOCABULARY = 64, 2048
SAMPLE = 400_000  # characters that the tokenizer is trained on
READ = 900_000  # characters for a model to read: more than it can in a few seconds
KINDS = ("start of a word", "rest of a word", "punctuation", "digit", "space or line end")
SENTENCE = (
    "When a function is called, the arguments are evaluated from left to right, "
    "and then the body of the function is executed."
)


@dataclass(frozen=True)
class Text:
    """A tokenizer, ids to learn from, and ids of documents that are kept for tests."""

    tokenizer: Any
    train: np.ndarray  # (n,) documents in a fixed random order
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
    sample, read = (documents[: int(np.searchsorted(length, n)) + 1] for n in (SAMPLE, READ))
    tokenizer = train_bpe(sample, VOCABULARY, special=["<|endoftext|>"])
    pieces = [tokenizer.decode([i]) for i in range(VOCABULARY)]
    return Text(
        tokenizer,
        data.encode_documents(tokenizer, read),
        data.encode_documents(tokenizer, unseen),
        np.array([kind_of(piece) for piece in pieces]),
    )


def config() -> Config:
    """A small decoder whose head is its token table."""
    return config_of(SIZES["2x48"], VOCABULARY, CONTEXT).replace(tie=True, positions="rope")


def token_losses(model: Transformer, ids: np.ndarray) -> np.ndarray:
    """-ln p of every token but the first of each row: (B, T + 1) ids -> (B, T) nats."""
    logp = probes.log_softmax(predictor(model)(ids[:, :-1]))  # (B, T, V)
    return -np.take_along_axis(logp, ids[:, 1:, None].astype(np.int64), axis=-1)[..., 0]


def held_out(model: Transformer, windows: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """The loss and the kind of each token of some held-out windows, (windows, T) each."""
    words = text()
    ids = words.test[: windows * (CONTEXT + 1)].reshape(-1, CONTEXT + 1)  # -> (windows, T + 1)
    losses = [token_losses(model, ids[k : k + 32]) for k in range(0, len(ids), 32)]
    return np.concatenate(losses), words.kinds[ids[:, 1:]]
