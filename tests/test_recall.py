"""Searching, remembering and answering: BM25, MemRecall, the two-hop world and its readers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm import InputError
from minilm.data.worlds import hops
from minilm.inference.recall import mem_recall
from minilm.inference.retrieval import bm25
from minilm.models.sentences import SentenceJudge, SentenceReader
from minilm.optim import AdamW

# ---------------------------------------------------------------------------------- BM25


def test_bm25_by_hand() -> None:
    docs = [["a", "b"], ["a", "a", "c", "c"], ["d", "d", "d"]]  # mean length 3
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))  # "a" is in two of three
    short = idf * 1 * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 3))
    long = idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 4 / 3))
    assert bm25(["a"], docs) == pytest.approx([short, long, 0], rel=1e-14)
    rare = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    assert bm25(["d", "a", "e"], docs)[2] == pytest.approx(rare * 3 * 2.2 / (3 + 1.2), rel=1e-14)


words = st.lists(st.integers(0, 5), max_size=6)


@settings(max_examples=60, deadline=None)
@given(q=words, docs=st.lists(words, min_size=1, max_size=5))
def test_bm25_counts_words_and_nothing_else(q, docs) -> None:
    scores = bm25(q, docs)
    assert scores.shape == (len(docs),) and (scores >= 0).all()
    for doc, score in zip(docs, scores, strict=True):
        assert (score > 0) == bool(set(q) & set(doc))
    assert bm25(q + q, docs) == pytest.approx(2 * scores)
    assert bm25(q, [doc[::-1] for doc in docs]) == pytest.approx(scores)
    if docs[0]:  # k1 = 0: a word is there or not
        flat = bm25(q, [docs[0] * 2, *docs[1:]], k1=0)
        assert flat[0] == pytest.approx(bm25(q, docs, k1=0)[0])


# ---------------------------------------------------------------------------------- the world


@settings(max_examples=25, deadline=None)
@given(half=st.integers(0, 16), seed=st.integers(0, 999), kind=st.integers(0, 2))
def test_answers_follow_from_what_is_needed(half: int, seed: int, kind: int) -> None:
    texts = hops.draw_hops(5, 2 * half, seed)
    asked = texts.ask(np.zeros(5, int), np.full(5, kind))
    assert asked.documents.shape == (5, 2 + 2 * half, 3)
    for documents, question, answer, needed in zip(
        asked.documents, asked.question, asked.answer, asked.needed, strict=True
    ):
        assert needed.sum() == (2 if kind == 0 else 1)
        said = {first: last for first, _, last in documents[needed].tolist()}
        end = int(question[1])
        while end in said:
            end = said[end]
        assert end == answer
        subjects = documents[:, 0].tolist()
        assert len(set(subjects)) == len(subjects)  # nothing contradicts


def test_the_second_hop_shares_no_word_with_the_question() -> None:
    texts = hops.draw_hops(50, 64, seed=3)
    asked = texts.ask(np.zeros(50, int), np.zeros(50, int))
    for row in range(50):
        second = texts.second[row, 0]
        assert asked.needed[row, second]
        for word in asked.question[row]:
            assert word not in asked.documents[row, second]
        scores = bm25(asked.question[row].tolist(), asked.documents[row].tolist())
        assert (scores > 0).sum() == 1 and scores.argmax() == texts.first[row, 0]


def test_draws_repeat_and_differ() -> None:
    one, same, other = (hops.draw_hops(3, 4, *s).documents for s in ((1, 2), (1, 2), (1, 3)))
    assert (one == same).all() and (one != other).any()
    assert hops.words_of(np.array([hops.ID["ann"], hops.HAS, hops.ID["cup"]])) == "ann has cup"


# ---------------------------------------------------------------------------------- MemRecall


def chain_judge(question, kept, candidates):
    """Knows what it looks for: the question's word, and the last words of what is kept."""
    rows = []
    for q, memory, window in zip(question, kept, candidates, strict=True):
        wanted = {int(q[1]), *(int(m[2]) for m in memory)}
        among = {int(c[0]): int(c[2]) for c in window}
        if int(q[1]) in among:  # a window may hold both hops
            wanted.add(among[int(q[1])])
        rows.append([float(int(c[0]) in wanted) for c in window])
    return np.array(rows)


@pytest.mark.parametrize("distractors", [0, 2, 16, 64])
@pytest.mark.parametrize("window", [1, 5, 100])
def test_two_rounds_find_two_hops(distractors: int, window: int) -> None:
    texts = hops.draw_hops(20, distractors, seed=4)
    asked = texts.ask(np.zeros(20, int), np.zeros(20, int))
    found = mem_recall(
        chain_judge, asked.question, asked.documents, most=3, new=1, rounds=2, window=window
    )
    assert np.take_along_axis(asked.needed, found.kept, axis=1).sum(1).tolist() == [2] * 20
    assert len(found.rounds) == 2
    assert np.take_along_axis(asked.needed, found.rounds[0].kept, axis=1).all()


def test_memory_holds_what_it_may_and_each_thing_once() -> None:
    texts = hops.draw_hops(6, 8, seed=5)
    asked = texts.ask(np.zeros(6, int), np.zeros(6, int))
    for most, new, rounds, size in ((1, 2, 2, 1), (4, 2, 3, 4), (99, 4, 9, 10), (99, 3, 1, 3)):
        found = mem_recall(
            chain_judge, asked.question, asked.documents, most=most, new=new, rounds=rounds
        )
        assert found.kept.shape == (6, size)
        assert all(len(set(row)) == size for row in found.kept.tolist())


def test_pairs_of_the_judge_are_counted() -> None:
    texts = hops.draw_hops(1, 6, seed=0)  # 8 documents
    asked = texts.ask(np.zeros(1, int), np.zeros(1, int))
    found = mem_recall(
        chain_judge, asked.question, asked.documents, most=2, new=1, rounds=2, window=4
    )
    first, second = 2 * (1 + 0 + 4) ** 2 + (1 + 1) ** 2, 2 * (1 + 1 + 4) ** 2 + (1 + 2) ** 2
    assert found.pairs == first + second


# ---------------------------------------------------------------------------------- models


def test_a_reader_sees_no_other_question_and_no_order() -> None:
    texts = hops.draw_hops(2, 6, seed=1)
    asks = [texts.ask(np.full(2, chain), np.zeros(2, int)) for chain in (0, 1)]
    model = SentenceReader(len(hops.WORDS), channels=16, layers=2, seed=3)
    both = model(texts.documents, np.stack([a.question for a in asks], 1)).data
    assert both.shape == (2, 2, len(hops.WORDS)) and both.dtype == np.float32
    for i, one in enumerate(asks):
        alone = model(texts.documents[:, ::-1], one.question[:, None]).data[:, 0]
        assert alone == pytest.approx(both[:, i], abs=2e-5)
    assert (model.answer(texts.documents, asks[0].question) == both[:, 0].argmax(-1)).all()


def test_readers_and_judges_learn_one_text_by_heart() -> None:
    texts = hops.draw_hops(8, 4, seed=2)
    asked = texts.ask(np.zeros(8, int), np.zeros(8, int))
    reader = SentenceReader(len(hops.WORDS), channels=32, layers=1, seed=0)
    judge = SentenceJudge(len(hops.WORDS), channels=32, layers=1, seed=0)
    nothing = asked.documents[:, :0]
    for model, batch in (
        (reader, (asked.documents, asked.question[:, None], asked.answer[:, None])),
        (judge, (asked.question, nothing, asked.documents, asked.needed)),
    ):
        optimizer = AdamW(model.parameters(), lr=1e-2)
        first = model.loss(*batch).item()
        for _ in range(60):
            model.loss(*batch).backward()
            optimizer.step()
            optimizer.zero_grad()
        assert model.loss(*batch).item() < 0.2 * first
    likely = judge.judge(asked.question, nothing, asked.documents)
    assert ((likely > 0.5) == asked.needed).mean() > 0.9


REFUSED = {
    "an odd number": (lambda: hops.draw_hops(1, 3), "distractors is 3"),
    "too many": (lambda: hops.draw_hops(1, 80), "distractors is 80"),
    "no text": (lambda: hops.draw_hops(0, 2), "count is 0"),
    "no documents": (lambda: bm25(["a"], []), "docs is empty"),
    "b above 1": (lambda: bm25(["a"], [["a"]], b=2), "b 2"),
    "no words": (lambda: SentenceReader(9, words=0), "words is 0"),
    "no room": (
        lambda: mem_recall(chain_judge, np.zeros((1, 3)), np.zeros((1, 2, 3)), most=0),
        "most is 0",
    ),
    "nothing to recall": (
        lambda: mem_recall(chain_judge, np.zeros((1, 3)), np.zeros((1, 0, 3))),
        "documents has no rows",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_a_sentence(name: str) -> None:
    call, said = REFUSED[name]
    with pytest.raises(InputError, match=said):
        call()
