"""What the studies of lesson 07d and its page share: questions of two hops, documents and noise."""

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilm import backend
from minilm.analysis.ngram import KneserNey
from minilm.backend import IGNORE
from minilm.data.clean.classifier import QualityClassifier
from minilm.data.clean.ranked import keep_best
from minilm.data.corpora import documents, encode_documents
from minilm.data.worlds.animals import AnimalWorld
from minilm.data.worlds.relations import RelationWorld
from minilm.inference import generate
from minilm.inference.graph_search import Edges, best_path, ways
from minilm.models import Config, Transformer
from minilm.models.graph_reader import GraphReader
from minilm.optim import AdamW
from minilm.tensor import no_grad
from minilm.tokenizers import BPE, train_bpe

Array = np.ndarray

# ------------------------------------------------------------------- one question, three levels

WORLD, OTHER = RelationWorld(), AnimalWorld()
HOPS, TEST = 2, 400
ROW = 16  # tokens of a row: four facts, a chain, two questions with answers, or other text
FACT_ROWS, TEXT_ROWS, ASKED_ROWS = 24, 24, 16  # of a batch
LM = Config(
    vocab_size=WORLD.vocab_size + OTHER.vocab_size, context=32, layers=2, heads=4, channels=64,
    norm="rms", positions="rope", bias=False, init_std=0.06,
)  # fmt: skip


class Asked(NamedTuple):
    """Questions to learn from and others to be tested on."""

    learn: Array
    test: Array


@functools.lru_cache(maxsize=8)
def asked(seed: int) -> Asked:
    """The questions of a seed; no way through the graph is in both parts."""
    return Asked(*WORLD.split(TEST, seed))


def meanings(edges: Edges, questions: Array, answers: Array) -> Array:
    """How likely each word means each relation, (W, R): every way that ends right has a vote."""
    votes = np.full((WORLD.wordings, WORLD.relations), 0.02)
    for (start, *words), answer in zip(questions.tolist(), answers.tolist(), strict=True):
        right = [labels for nodes, labels in ways(edges, start, HOPS) if nodes[-1] == answer]
        for labels in right:
            for word, label in zip(words, labels, strict=True):
                votes[word, label] += 1 / len(right)
    return votes / votes.sum(1, keepdims=True)


def judge(likely: Array, words: Sequence[int]) -> Callable[[Sequence[Any]], float]:
    """Scores the labels of a way: the product of their chances, given the question's words."""
    return lambda labels: math.prod(likely[w, r] for w, r in zip(words, labels, strict=True))


def searched(likely: Array, questions: Array) -> Array:
    """Answers (M,) by full search."""
    edges = WORLD.graph()
    found = [best_path(edges, s, len(w), judge(likely, w)) for s, *w in questions.tolist()]
    return np.array([path.end for path in found])


def read_graph(seed: int, count: int, lr: float, steps: int = 200) -> GraphReader:
    """A graph reader that has seen so many questions with their answers."""
    questions = asked(seed).learn[:count]
    answers = WORLD.answers(questions)
    model = GraphReader(WORLD.table, WORLD.wordings, HOPS, seed=seed)
    optimizer, r = AdamW(model.parameters(), lr=lr, weight_decay=0.0), backend.rng(seed, "reader")
    for _ in range(steps):
        rows = r.integers(0, count, min(64, count))
        model.loss(questions[rows], answers[rows]).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


class Corpus:
    """What a plain language model reads: facts, other text, and perhaps questions.

    Args:
        way: "chains", "answers", or "nothing".
        count: how many questions with answers it sees, again and again.
        seed: of questions, order and text.
    """

    def __init__(self, way: str, count: int, seed: int) -> None:
        self.way, self.seed = way, seed
        self.facts = WORLD.facts()
        self.text = OTHER.stream(30_000, seed) + WORLD.vocab_size
        questions = asked(seed).learn[:count]
        self.rows = {"chains": WORLD.chains, "answers": WORLD.direct}.get(way, WORLD.direct)(
            questions if count else asked(seed).learn[:1]
        )

    def __call__(self, number: int) -> tuple[Array, Array]:
        """The batch of a step: ids and targets, (B, 15) each."""
        r = backend.rng(self.seed, "corpus", number)
        four = r.integers(0, len(self.facts), (FACT_ROWS, 4))
        at = r.integers(0, len(self.text) - ROW, TEXT_ROWS)
        parts = [self.facts[four].reshape(FACT_ROWS, ROW), self.text[at[:, None] + np.arange(ROW)]]
        if self.way != "nothing":
            each = ROW // self.rows.shape[1]  # one chain, or two questions with answers
            some = self.rows[r.integers(0, len(self.rows), (ASKED_ROWS, each))]
            some = some.reshape(ASKED_ROWS, -1)  # (B, each, T) -> (B, each T)
            parts.append(np.pad(some, ((0, 0), (0, ROW - some.shape[1])), constant_values=IGNORE))
        rows = np.concatenate(parts)
        return np.where(rows == IGNORE, 0, rows)[:, :-1].astype(np.int32), rows[:, 1:]


def fact_recall(model: Transformer) -> float:
    """The share of facts that are known: whom "ann chief" leads to."""
    facts = WORLD.facts()
    with no_grad():
        return float((model(facts[:, :2]).data[:, -1].argmax(-1) == facts[:, 2]).mean())


def other_loss(model: Transformer, seed: int, rows: int = 512) -> float:
    """Nats per token on other text that nobody has read."""
    text = OTHER.stream(6000, 50_000 + seed) + WORLD.vocab_size
    at = backend.rng(seed, "other").integers(0, len(text) - ROW, rows)
    ids = text[at[:, None] + np.arange(ROW)]
    with no_grad():
        return model.loss(ids[:, :-1], ids[:, 1:]).item()


def written(model: Transformer, questions: Array, tokens: int) -> Array:
    """What a model writes behind questions, (M, tokens) ids, greedily."""
    rows = generate(model, WORLD.prompts(questions), tokens, temperature=0)
    return np.array(rows)


def lm_exam(model: Transformer, way: str, questions: Array, hops: int = HOPS) -> dict[str, float]:
    """Shares of answers that are right and of chains that prove them, and the chance of both."""
    answers = WORLD.first_person + WORLD.answers(questions)
    chain = way == "chains"
    text = (WORLD.chains if chain else WORLD.direct)(questions)
    asks = hops + 3
    tokens = text.shape[1] - asks - (0 if chain else 1)
    got = written(model, questions, tokens)
    place = 4 * hops + 1 if chain else 0
    with no_grad():
        losses = model.loss(text[:, :-1], text[:, 1:], reduction="none").data[:, asks - 1 : -1]
    return {
        "right": float((got[:, place] == answers).mean()),
        "proven": float(WORLD.verify(questions, got).mean()) if chain else 0.0,
        "chance": float(np.exp(-losses.sum(1)).mean()),
    }


def shortcut(test: Array, most: bool = False) -> float:
    """Right answers of somebody who knows all facts and not one word of the questions.

    He takes any way of two hops or, with `most`, names whom most of them lead to.
    """
    edges = WORLD.graph()
    total = 0.0
    for question, answer in zip(test, WORLD.answers(test), strict=True):
        ends = [nodes[-1] for nodes, _ in ways(edges, int(question[0]), HOPS)]
        if most:
            often = [ends.count(end) for end in ends]
            ends = sorted({end for end, n in zip(ends, often, strict=True) if n == max(often)})
        total += ends.count(answer) / len(ends)
    return total / len(test)


# ------------------------------------------------------------------------------ data and noise

END, VOCAB, CONTEXT, BATCH = "<|endoftext|>", 512, 64, 12
PIECE = 900  # characters of a document, about
TRUSTED, UNSEEN = 400, 120  # documents that are good for sure, and of the test
NOISES = ("shuffled", "repeated")
_GAPS = re.compile(r"(\s+)")


class Documents(NamedTuple):
    """Documents of the Python reference: trusted, to test on, and all others."""

    trusted: list[str]
    unseen: list[str]
    rest: list[str]


def pieces(text: str, size: int = PIECE) -> list[str]:
    """A text in stretches of whole paragraphs, of at least `size` characters but for the last."""
    found, part = [], ""
    for paragraph in text.split("\n\n"):
        part += paragraph + "\n\n"
        if len(part) >= size:
            found.append(part)
            part = ""
    return [*found, part] if part.strip() else found


@functools.lru_cache(maxsize=4)
def library(seed: int) -> Documents:
    """Pieces of the reference in three parts; no file is in two, and no piece comes twice."""
    files = documents("python-docs")
    order = backend.rng(seed, "documents").permutation(len(files))
    parts: list[list[str]] = [[], [], []]
    seen: set[str] = set()  # some topics share paragraphs
    for i in order:
        made = [p for p in pieces(files[i]) if 300 <= len(p) <= 4 * PIECE and p not in seen]
        made = list(dict.fromkeys(made))
        seen.update(made)
        part = 0 if len(parts[0]) < TRUSTED else 1 if len(parts[1]) < UNSEEN else 2
        parts[part] += made[:12]  # a long file is not half of a part
    mixed = [[part[i] for i in backend.rng(seed, "mix", n).permutation(len(part))]
             for n, part in enumerate(parts)]  # fmt: skip
    return Documents(*mixed)


def spoilt(text: str, noise: str, rng: np.random.Generator) -> str:
    """A document without sense, as long as the text.

    "shuffled": its words in random order, its blanks and lines where they were. "repeated": one of
    its lines again and again.
    """
    if noise == "shuffled":
        parts = _GAPS.split(text)
        words = [i for i, part in enumerate(parts) if part and not part.isspace()]
        for i, j in zip(words, rng.permutation(words), strict=True):
            parts[i], parts[j] = parts[j], parts[i]
        return "".join(parts)
    lines = [line for line in text.splitlines() if len(line.split()) >= 4] or [text[:80]]
    line = lines[int(rng.integers(len(lines)))] + "\n"
    return line * max(1, len(text) // len(line))


class Crawl(NamedTuple):
    """A pool of documents and which of them are good, (N,) bool."""

    texts: list[str]
    good: Array


@functools.lru_cache(maxsize=4)
def crawl(seed: int, noise: str, share: float, size: int) -> Crawl:
    """`size` good documents and as many spoilt ones as make up their share, in random order."""
    rest = library(seed).rest
    good = rest[:size]
    count = round(len(good) * share / (1 - share))
    rng = backend.rng(seed, "noise", noise)
    source = rest[size:] or rest
    bad = [spoilt(source[i % len(source)], noise, rng) for i in range(count)]
    order = rng.permutation(len(good) + count)
    texts = [*good, *bad]
    return Crawl([texts[i] for i in order], order < len(good))


@functools.lru_cache(maxsize=4)
def judge_of_bytes(seed: int) -> KneserNey:
    """A 5-gram model of the trusted documents' bytes."""
    return KneserNey(_bytes("\n\n".join(library(seed).trusted)), 5)


def _bytes(text: str) -> Array:
    return np.frombuffer(text.encode(), np.uint8).astype(np.int64)


def surprise(seed: int, texts: Sequence[str]) -> Array:
    """Bits per byte of each text under the model of trusted ones, (N,)."""
    found = _bytes("".join(texts))
    ends = np.cumsum([len(text.encode()) for text in texts])
    bits = judge_of_bytes(seed).bits(found)
    return np.array([part.mean() for part in np.split(bits, ends[:-1])])


def scores(way: str, seed: int, pool: Crawl) -> Array:
    """How good a filter finds each document, (N,): the higher the better."""
    if way == "perplexity":
        return -surprise(seed, pool.texts)
    if way == "classifier":
        some = backend.rng(seed, "crawl").permutation(len(pool.texts))[:600]
        others = [pool.texts[i] for i in some]  # as they come: nobody says which are good
        return QualityClassifier(library(seed).trusted, others).scores(pool.texts)
    return pool.good.astype(float)


def chosen(way: str, seed: int, pool: Crawl) -> list[str]:
    """What a filter keeps of a pool: as many documents as are good in it."""
    if way == "none":
        return pool.texts
    return keep_best(pool.texts, scores(way, seed, pool), float(pool.good.mean()))


@functools.cache
def tokenizer() -> BPE:
    """Learnt from documents of a seed that no run uses."""
    return train_bpe(library(1000).rest[:500], VOCAB, special=[END])


def ids_of(texts: Sequence[str]) -> Array:
    return encode_documents(tokenizer(), list(texts), END)


# ------------------------------------------------------------------------------ small things

TEMPLATES = (
    "Who is the {a} of the {b} of {n} ?",
    "Name the {a} of {n} 's {b} .",
    "Tell me the {a} of the {b} of {n} please .",
    "{n} has a {b} . Who is that person 's {a} ?",
)


def instructions(count: int, seed: int) -> list[str]:
    """Instructions as a small model writes them: a few moulds, over and over."""
    r = backend.rng(seed, "instructions")
    kinds, people = WORLD.words[4 : 4 + WORLD.relations], WORLD.words[WORLD.first_person :]
    made = []
    for _ in range(count):
        a, b = (kinds[i] for i in r.integers(0, len(kinds), 2))
        mould = TEMPLATES[int(r.integers(len(TEMPLATES)))]
        made.append(mould.format(a=a, b=b, n=people[int(r.integers(len(people)))]))
    return made
