"""Three kinds of text: the prose of Python's documentation, its library's code, questions of maths."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from minilm import backend
from minilm.data.corpora import documents, encode_documents, split
from minilm.tokenizers import train_bpe

DOMAINS = ("prose", "code", "maths")
VOCABULARY, CONTEXT = 512, 64
CHARACTERS = 600_000  # of each domain, to train on
HELD = 120_000  # characters of each domain that no model trains on


class Texts(NamedTuple):
    """The ids of every domain, in order of `DOMAINS`, and the words behind them."""

    train: tuple[np.ndarray, ...]
    held: tuple[np.ndarray, ...]
    words: tuple[str, ...]


def questions(characters: int, seed: int) -> str:
    """Questions of maths with their answers, after the manner of school books."""
    r, lines, size = backend.rng(seed, "maths"), [], 0
    while size < characters:
        a, b, x = (int(n) for n in r.integers(2, 100, 3))
        line = (
            f"What is {a} + {b}?\n{a + b}\n",
            f"Work out {a} - {b}.\n{a - b}\n",
            f"Calculate {a} * {b}.\n{a * b}\n",
            f"Solve {a}*x + {b} = {a * x + b} for x.\n{x}\n",
            f"Let f(n) = {a}*n - {b}. Determine f({x}).\n{a * x - b}\n",
            f"Put {a}, {b}, {x} in increasing order.\n{', '.join(map(str, sorted((a, b, x))))}\n",
        )[r.integers(6)]
        lines.append(line)
        size += len(line)
    return "".join(lines)


@cache
def texts() -> Texts:
    """The corpora, cut to equal length and encoded by one byte-pair tokenizer of all three."""
    kept: list[tuple[str, str]] = []
    for name in ("python-docs", "python-code"):
        train, held = split(documents(name), 0.1)
        r = backend.rng(0, "domains", name)
        joined = ["\n\n".join(part[i] for i in r.permutation(len(part))) for part in (train, held)]
        kept.append((joined[0][:CHARACTERS], joined[1][:HELD]))
    kept.append((questions(CHARACTERS, 0), questions(HELD, 1)))
    sample = "\n".join(text[: CHARACTERS // 2] for text, _ in kept)
    tokenizer = train_bpe(sample, VOCABULARY)
    ids = [[encode_documents(tokenizer, (text,)) for text in pair] for pair in kept]
    words = tuple(tokenizer.decode([i]) for i in range(VOCABULARY))
    return Texts(tuple(i[0] for i in ids), tuple(i[1] for i in ids), words)


def rows_of(stream: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Windows of a stream, (n, CONTEXT + 1)."""
    return stream[starts[:, None] + np.arange(CONTEXT + 1)]


def batches(seed: int, each: int = 5) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Training batches without end: `each` windows of every domain."""
    r = backend.rng(seed, "domains", "batches")
    while True:
        rows = [rows_of(s, r.integers(0, len(s) - CONTEXT - 1, each)) for s in texts().train]
        made = np.concatenate(rows)
        yield made[:, :-1], made[:, 1:]


@cache
def exam(each: int = 96) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Held-out windows: ids and targets (3 each, CONTEXT), and the domain of each row."""
    rows = []
    for stream in texts().held:
        rows.append(rows_of(stream, np.linspace(0, len(stream) - CONTEXT - 2, each).astype(int)))
    made = np.concatenate(rows)
    return made[:, :-1], made[:, 1:], np.repeat(np.arange(len(DOMAINS)), each)
