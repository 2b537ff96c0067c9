"""Readers, judges and searches of lesson 07c: what they train on, and how they are tested."""

from collections.abc import Callable, Iterator

import numpy as np

from minilm import backend
from minilm import functional as F
from minilm.data.worlds.hops import ID, KINDS, WORDS, Asked, draw_hops
from minilm.inference.recall import mem_recall
from minilm.inference.retrieval import bm25
from minilm.models.sentences import SentenceJudge, SentenceReader
from minilm.nn import Module
from minilm.optim import AdamW, clip_grad_norm
from minilm.tensor import no_grad

Array = np.ndarray
Batch = tuple[Array, ...]
SHORT, LONG = (6,), (2, 6, 14, 30, 64)  # distractors of the first and of the later training texts
TESTED = (2, 4, 8, 16, 32, 64)  # distractors of the test's texts
EARLY = 0.5  # share of the steps that see short texts only
ROOM = 4  # documents that the extractors may hand on
WINDOW = 16  # documents that a judge sees at once
SENTENCES = 512  # of a batch
WITHOUT = {ID[w] for w in ("where", "what", "?")}  # a search asks for the rest of a question


def asked(distractors: int, count: int, seed: int, step: int, kind: int | None = None) -> Asked:
    """Fresh texts with one question each, of a random kind where none is given."""
    rng = backend.rng(seed, "asked", step)
    kinds = rng.integers(0, len(KINDS), count) if kind is None else np.full(count, kind)
    chain = rng.integers(0, 1 + distractors // 2, count)
    return draw_hops(count, distractors, seed, step).ask(chain, kinds)


def many(distractors: int, seed: int, step: int) -> Batch:
    """Texts with eight questions or more each: documents, questions, answers."""
    count = max(4, SENTENCES // (2 + distractors))
    each = max(8, 1 + distractors // 2)
    texts, rng = draw_hops(count, distractors, seed, step), backend.rng(seed, "many", step)
    made = []
    for _ in range(each):
        chain = rng.integers(0, texts.people.shape[1], count)
        made.append(texts.ask(chain, rng.integers(0, len(KINDS), count)))
    questions = np.stack([one.question for one in made], axis=1)
    return texts.documents, questions, np.stack([one.answer for one in made], axis=1)


def words_searched(question: Array) -> list[int]:
    return [int(w) for w in question if int(w) not in WITHOUT]


def extract(given: Asked, room: int = ROOM, looks: int = 1) -> Array:
    """The numbers of the `room` documents that BM25 ranks first, (B, room).

    With a second look, the question is asked again with the words of the best document added.
    """
    rows = []
    for question, documents in zip(given.question, given.documents.tolist(), strict=True):
        query = words_searched(question)
        scores = bm25(query, documents)
        for _ in range(looks - 1):
            scores = bm25(query + documents[int(scores.argmax())], documents)
        rows.append(np.argsort(-scores, kind="stable")[:room])
    return np.stack(rows)


def picked(documents: Array, places: Array) -> Array:
    return documents[np.arange(len(documents))[:, None], places]


def full_batches(seed: int, steps: int) -> Iterator[Batch]:
    """Whole texts: short ones first, then of all lengths."""
    for step in range(steps):
        rng = backend.rng(seed, "length", step)
        yield many(int(rng.choice(SHORT if step < EARLY * steps else LONG)), seed, step)


def extracted_batches(seed: int, steps: int) -> Iterator[Batch]:
    """What BM25 hands on of texts of all lengths, one question each."""
    for step in range(steps):
        rng = backend.rng(seed, "length", step)
        given = asked(int(rng.choice(LONG)), 128, seed, step)
        yield (
            picked(given.documents, extract(given)),
            given.question[:, None],
            given.answer[:, None],
        )


def short_batches(seed: int, steps: int) -> Iterator[Batch]:
    """Texts that fit the memory, all that is needed among them: for a reasoner."""
    for step in range(steps):
        yield many(ROOM - 2, seed, step)


def judge_batches(seed: int, steps: int) -> Iterator[Batch]:
    """A question, a memory of needed and other documents, candidates, and which are needed.

    Each document that is needed is in memory, among the candidates or in neither, at random.
    """
    for step in range(steps):
        rng = backend.rng(seed, "memory", step)
        early = step < EARLY * steps
        size = 1 if early else int(rng.integers(0, ROOM + 1))
        window = 4 if early else int(rng.choice((2, 4, 8, 16)))
        chain, kinds = rng.integers(0, 16, 256), rng.choice(len(KINDS), 256, p=(0.6, 0.2, 0.2))
        given = draw_hops(256, 30, seed, step).ask(chain, kinds)
        shape = given.needed.shape
        # Low numbers come first: a needed document goes to memory (0), to the candidates (1 and
        # up), or is treated as any other.
        place = 3 + rng.random(shape)
        lot = rng.choice(3, shape, p=(0.4, 0.5, 0.1))
        to_memory, to_candidates = given.needed & (lot == 0), given.needed & (lot == 1)
        order = np.argsort(np.where(to_candidates, 9, np.where(to_memory, 0, place)), axis=1)
        kept = order[:, :size]
        rest = np.where(to_candidates, 0, place)
        rest[np.arange(len(rest))[:, None], kept] = 9  # what is in memory is no candidate
        left = np.argsort(rest, axis=1)[:, :window]
        left = np.take_along_axis(left, np.argsort(rng.random(left.shape), axis=1), axis=1)
        needed = np.take_along_axis(given.needed, left, axis=1)
        yield given.question, picked(given.documents, kept), picked(given.documents, left), needed


def fit(model: Module, batches: Iterator[Batch], steps: int, lr: float) -> Iterator[float]:
    """AdamW over the batches; the rate rises over 30 steps and falls over the last fifth."""
    optimizer = AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
    for step, batch in enumerate(batches):
        loss = model.loss(*batch)
        loss.backward()
        clip_grad_norm(model.parameters(), 1.0)
        optimizer.step(min(1.0, (step + 1) / 30) * min(1.0, (steps - step) / (steps / 5)))
        optimizer.zero_grad()
        yield loss.item()


def reader(seed: int, layers: int = 3) -> SentenceReader:
    return SentenceReader(len(WORDS), layers=layers, seed=seed)


def judge(seed: int) -> SentenceJudge:
    return SentenceJudge(len(WORDS), layers=1, heads=1, seed=seed)


Choose = Callable[[Asked], Array]  # questions -> the documents that are read, (B, M, 3)


def whole(given: Asked) -> Array:
    return given.documents


def by_bm25(room: int = ROOM, looks: int = 1) -> Choose:
    return lambda given: picked(given.documents, extract(given, room, looks))


def by_memory(model: SentenceJudge, most: int = ROOM, rounds: int = 2) -> Choose:
    def choose(given: Asked) -> Array:
        found = mem_recall(
            model.judge, given.question, given.documents, most=most, rounds=rounds, window=WINDOW
        )
        return picked(given.documents, found.kept)

    return choose


def exam(
    model: SentenceReader, choose: Choose, kind: int, distractors: int, count: int = 200
) -> dict[str, float]:
    """On new texts: share answered right, and the right answer's probability."""
    given = asked(distractors, count, 9_000_000 + distractors, 0, kind)
    with no_grad():
        logits = model(choose(given), given.question[:, None])[:, 0]
        shares = F.softmax(logits).data
    of_right = shares[np.arange(count), given.answer]
    return {
        "right": float((shares.argmax(-1) == given.answer).mean()),
        "probability": float(of_right.mean()),
    }
