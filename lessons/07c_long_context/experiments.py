"""Readers, judges and searches of lesson 07c: what they train on, and how they are tested."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from minilm import backend
from minilm.data.worlds.hops import ID, KINDS, PLACES, WHAT, WHERE, WORDS, Asked, draw_hops
from minilm.inference.recall import mem_recall
from minilm.inference.retrieval import bm25
from minilm.models.sentences import SentenceJudge, SentenceReader
from minilm.nn import Module
from minilm.optim import AdamW, clip_grad_norm

Array = np.ndarray
Batch = tuple[Array, ...]
SHORT, LONG = (6,), (2, 6, 14, 30, 64)  # distractors of the first and of the later training texts
TESTED = (2, 8, 32, 64)  # distractors of the test's texts
FAR = TESTED[-1]
EARLY = 0.3  # share of a reader's steps that see short texts only
EASY = 0.7  # share of a judge's steps with one sentence in memory and four candidates
ROOM = 4  # documents that the extractors may hand on
WINDOW = 16  # documents that a judge sees at once
SENTENCES, TEXTS = 512, 150  # of a batch, of a test
STEPS, RATE = 250, 5e-3  # of a reader and of a judge; found on seed 0
WITHOUT = {ID[w] for w in ("where", "what", "?")}  # a search asks for the rest of a question


def asked(distractors: int, count: int, seed: int, step: int, kind: int) -> Asked:
    """Fresh texts with one question of a kind each."""
    chain = backend.rng(seed, "asked", step).integers(0, 1 + distractors // 2, count)
    return draw_hops(count, distractors, seed, step).ask(chain, np.full(count, kind))


def full_batches(seed: int, steps: int) -> Iterator[Batch]:
    """Texts with eight questions or more of one hop each: short texts first, then of all lengths."""
    for step in range(steps):
        rng = backend.rng(seed, "many", step)
        distractors = int(rng.choice(SHORT if step < EARLY * steps else LONG))
        count, each = max(4, SENTENCES // (2 + distractors)), max(8, 1 + distractors // 2)
        texts, made = draw_hops(count, distractors, seed, step), []
        for _ in range(each):
            chain = rng.integers(0, texts.people.shape[1], count)
            made.append(texts.ask(chain, rng.integers(1, 3, count)))
        questions = np.stack([one.question for one in made], axis=1)
        yield texts.documents, questions, np.stack([one.answer for one in made], axis=1)


def extract(questions: Array, documents: Array, room: int = ROOM) -> Array:
    """The `room` documents of each text (B, N, 3) that BM25 ranks first for its question (B, 3)."""
    rows = []
    for question, texts in zip(questions.tolist(), documents.tolist(), strict=True):
        scores = bm25([word for word in question if word not in WITHOUT], texts)
        rows.append(np.argsort(-scores, kind="stable")[:room])
    return picked(documents, np.stack(rows))


def picked(documents: Array, places: Array) -> Array:
    return documents[np.arange(len(documents))[:, None], places]


def judge_batches(seed: int, steps: int) -> Iterator[Batch]:
    """A question, a memory of needed and other documents, candidates, and which are needed.

    Each document that is needed is in memory, among the candidates or in neither, at random.
    """
    for step in range(steps):
        rng = backend.rng(seed, "memory", step)
        early = step < EASY * steps
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


def trained(model: Module, batches: Iterator[Batch]) -> Module:
    """A reader or a judge after `STEPS` steps."""
    for _ in fit(model, batches, STEPS, RATE):
        pass
    return model


def train_reader(seed: int) -> SentenceReader:
    model = SentenceReader(len(WORDS), layers=2, seed=seed)
    return trained(model, full_batches(seed, STEPS))


def train_judge(seed: int) -> SentenceJudge:
    model = SentenceJudge(len(WORDS), layers=1, heads=1, seed=seed)
    return trained(model, judge_batches(seed, STEPS))


Read = Callable[[Array], Array]  # questions (B, 3) -> the documents that are read (B, M, 3)


def think(reader: SentenceReader, question: Array, read: Read) -> Array:
    """Answers (B,) to "where ann ?": first "what ann ?", then "where" with the answer."""
    what, where = question.copy(), question.copy()
    what[:, 0], where[:, 0] = WHAT, WHERE
    where[:, 1] = reader.answer(read(what), what)
    return reader.answer(read(where), where)


def remembered(judge: SentenceJudge, given: Asked, most: int = ROOM, rounds: int = 2) -> Array:
    """What a memory of `most` sentences holds in the end, (B, M, 3)."""
    found = mem_recall(
        judge.judge, given.question, given.documents, most=most, rounds=rounds, window=WINDOW
    )
    return picked(given.documents, found.kept)


def commonest(documents: Array) -> Array:
    """The place (B,) that each text (B, N, 3) names most often: an answer without a question."""
    places = np.array([ID[place] for place in PLACES])
    return places[(documents[..., 2, None] == places).sum(1).argmax(1)]


def exam(reader: SentenceReader, judge: SentenceJudge, distractors: int) -> dict[str, float]:
    """Shares right on new texts, of two hops and of one, for each way to choose what is read."""
    two = asked(distractors, TEXTS, 9_000_000 + distractors, 0, kind=0)
    one = asked(distractors, TEXTS, 9_000_000 + distractors, 1, kind=1)
    texts = two.documents
    first, memory = extract(two.question, texts), remembered(judge, two)
    ways: dict[str, Read] = {
        "full": lambda question: texts,
        "search": lambda question: first,
        "twice": lambda question: extract(question, texts),
        "memory": lambda question: memory,
    }
    found = {
        name: float((think(reader, two.question, read) == two.answer).mean())
        for name, read in ways.items()
    }
    found["commonest place"] = float((commonest(texts) == two.answer).mean())
    for name, read in (("full", one.documents), ("search", extract(one.question, one.documents))):
        found[f"{name}, one hop"] = float((reader.answer(read, one.question) == one.answer).mean())
    return found


def handed_on(reader: SentenceReader, rooms: Sequence[int]) -> list[float]:
    """Shares right on two hops at the most distractors, when BM25 hands on so many documents."""
    given = asked(FAR, TEXTS, 9_000_000 + FAR, 0, kind=0)
    found = []
    for room in rooms:
        read = extract(given.question, given.documents, room)
        right = think(reader, given.question, lambda _, read=read: read) == given.answer
        found.append(float(right.mean()))
    return found


def memories(
    reader: SentenceReader, judge: SentenceJudge, sizes: Sequence[int], rounds: Sequence[int]
) -> Array:
    """Shares right on two hops at the most distractors, (rounds, sizes)."""
    given = asked(FAR, TEXTS, 9_000_000 + FAR, 0, kind=0)
    table = np.zeros((len(rounds), len(sizes)))
    for i, times in enumerate(rounds):
        for j, most in enumerate(sizes):
            read = remembered(judge, given, most, times)
            right = think(reader, given.question, lambda _, read=read: read) == given.answer
            table[i, j] = right.mean()
    return table
