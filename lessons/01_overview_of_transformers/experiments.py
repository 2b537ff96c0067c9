"""The small experiments of lesson 01, which it runs live and shows with `source`."""

import re

import numpy as np

from minilm import backend, nn
from minilm import functional as F
from minilm.analysis.editing import rome_edit
from minilm.analysis.skipgram import cooccurrences, pmi, skip_gram
from minilm.course import budget
from minilm.data import documents
from minilm.data.toys.topics import topic_words
from minilm.tensor import Tensor

BACK = 50  # steps back that the fading gradient is followed


def documentation() -> tuple[np.ndarray, np.ndarray, int]:
    """A quarter of Python's documentation as ids of words: nine tenths, one tenth, how many words.

    Words that the first part does not have are 0.
    """
    texts = documents("python-docs")[::4]
    words = [re.findall(r"\w+|[^\w\s]", text.lower()) for text in texts]
    cut = int(0.9 * len(words))
    known = sorted({word for text in words[:cut] for word in text})
    number = {word: i for i, word in enumerate(known, 1)}
    told, asked = (
        np.array([number.get(word, 0) for text in part for word in text])
        for part in (words[:cut], words[cut:])
    )
    return told, asked, len(known) + 1


def seen(told: np.ndarray, asked: np.ndarray, n: int) -> float:
    """Share of the asked sequences of n words that the counted text holds."""
    old, new = ({tuple(ids[i : i + n]) for i in range(len(ids))} for ids in (told, asked))
    return len(old & new) / len(new)


def vectors_and_counts(seed: int, negatives: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """A text of 20 hidden topics: pmi - log k, and u . v, of its frequent pairs."""
    counts = cooccurrences(topic_words(100_000, seed=seed), window=3, vocab_size=200)
    u, v = skip_gram(counts, channels=32, negatives=negatives, steps=budget(600), seed=seed)
    often = counts >= 50
    return pmi(counts, negatives)[often], (u @ v.T)[often]


def fading(
    kind: str, seed: int, gain: float = 1.0, forget: float = 1.0, time: int = 60, width: int = 64
) -> np.ndarray:
    """Size of the last output's gradient at each step back, as a share of that one step back."""
    nn.manual_seed(seed)
    r = backend.rng(seed, "fading")
    x = Tensor(r.normal(size=(8, time, width)).astype(np.float32), requires_grad=True)  # (B, T, C)
    if kind == "attention":
        out = nn.Attention(width, heads=4)(x, nn.Sight(causal=True))  # (B, T, C)
    else:
        layer = getattr(nn, kind)(width, width)  # RNN or LSTM
        layer.u.data *= np.float32(gain)  # the matrix that every step multiplies with
        if kind == "LSTM":
            layer.b.data[width : 2 * width] = forget  # how far the forget gate is open
        out, _ = layer(x)
    g = np.zeros(out.shape, np.float32)
    g[:, -1] = r.normal(size=(8, width))  # an error at the last output alone
    out.backward(g)
    size = np.linalg.norm(x.grad, axis=-1).mean(0)[::-1]  # (B, T, C) -> (T,), last word first
    return size[1 : BACK + 1] / size[1]


def heads_apart(seed: int, alike: bool) -> float:
    """How far apart the gradients of two heads are, as a share of the length of one."""
    nn.manual_seed(seed)
    layer = nn.Attention(32, heads=2, bias=False, dtype=np.float64)
    heads = layer.qkv.weight.data.reshape(3, 2, 16, 32)  # (3 C, C) -> (q k v, H, D, C)
    if alike:  # the second head starts with the numbers of the first
        heads[:, 1] = heads[:, 0]
        layer.out.weight.data[:, 16:] = layer.out.weight.data[:, :16]
    r = backend.rng(seed, "sentences")
    given, error = (r.normal(size=(8, 12, 32)) for _ in range(2))  # (B, T, C)
    layer(Tensor(given), nn.Sight(causal=True)).backward(error)
    one, other = layer.qkv.weight.grad.reshape(3, 2, 16, 32).swapaxes(0, 1)  # (3, D, C) each
    return float(np.linalg.norm(one - other) / np.linalg.norm(one))


def recurrent(time: int, width: int = 16) -> Tensor:
    """h = tanh(W x + U h), written out step by step."""
    x = Tensor(np.ones((1, time, width), np.float32))
    w, u = (nn.Parameter(np.eye(width, dtype=np.float32)) for _ in range(2))
    h = Tensor(np.zeros((1, width), np.float32))
    for t in range(time):
        h = F.tanh(F.linear(x[:, t], w) + F.linear(h, u))  # (B, C)
    return h


def chain(out: Tensor) -> int:
    """The longest path back along the tape, in steps that had to wait for each other."""
    depth: dict[int, int] = {}
    todo = [out]
    while todo:
        at = todo[-1]
        read = at.inputs if hasattr(at, "inputs") else at._inputs or ()
        before = [t for t in read if isinstance(t, Tensor)]
        waiting = [t for t in before if id(t) not in depth]
        if waiting:
            todo += waiting
        else:
            depth[id(at)] = 1 + max((depth[id(t)] for t in before), default=-1)
            todo.pop()
    return depth[id(out)]


def edit(seed: int, wise: bool) -> tuple[float, np.ndarray]:
    """One of 60 facts rewritten: error of the new answer, and how far the others move.

    Moves are shares of the length of the answer. A wise edit goes along C^-1 k, a plain one along k.
    """
    r = backend.rng(seed, "facts")
    keys = r.normal(size=(60, 32)) * np.linspace(0.2, 2, 32)  # some directions are used more
    w = r.normal(size=(16, 32)) / 32**0.5
    c = keys.T @ keys / len(keys) if wise else np.eye(32)
    new = r.normal(size=16)
    before, after = keys @ w.T, keys @ rome_edit(w, c, keys[7], new).T  # (60, 16) each
    moved = np.linalg.norm(after - before, axis=1) / np.linalg.norm(before, axis=1)
    return float(np.abs(after[7] - new).max()), np.delete(moved, 7)
