"""Word vectors, fact editing and retrieval: definitions, slopes, and what must not change."""

import numpy as np
import pytest

from minilm import InputError
from minilm.analysis.editing import rewrite, rome_edit
from minilm.analysis.skipgram import cooccurrences, pmi, sgns_step, skip_gram
from minilm.data.toys.topics import topic_words
from minilm.inference.retrieval import Index, retrieve
from minilm.nn import Linear


def test_cooccurrences_by_hand():
    counts = cooccurrences(np.array([0, 1, 2, 1]), 2, 3)
    assert counts.tolist() == [[0, 1, 1], [1, 2, 2], [1, 2, 0]]
    assert cooccurrences(np.array([0]), 3, 2).sum() == 0


def test_pmi_is_zero_for_independent_words_and_shifts_by_log_k():
    counts = np.outer([1, 2, 5], [4, 3, 3])
    np.testing.assert_allclose(pmi(counts), 0, atol=1e-12)
    np.testing.assert_allclose(pmi(counts, 5), -np.log(5), atol=1e-12)
    assert pmi(np.eye(2))[0].tolist() == [np.log(2), -np.inf]


def test_a_step_follows_the_slope():
    r = np.random.default_rng(0)
    words, contexts = r.normal(size=(6, 4)), r.normal(size=(6, 4))
    center, context = np.array([1, 1, 3]), np.array([0, 2, 0])
    negatives = np.array([[0, 4], [4, 4], [1, 5]])

    def loss(u, v):
        total = 0.0
        for c, o, ns in zip(center, context, negatives, strict=True):
            total -= np.log(1 / (1 + np.exp(-u[c] @ v[o])))
            total -= sum(np.log(1 / (1 + np.exp(u[c] @ v[n]))) for n in ns)
        return total

    u, v = words.copy(), contexts.copy()
    assert sgns_step(u, v, center, context, negatives, 1.0) == pytest.approx(
        loss(words, contexts) / 3
    )
    for table, after, first in ((words, u, True), (contexts, v, False)):
        slopes = np.zeros_like(table)
        for place in np.ndindex(table.shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = table.copy()
                moved[place] += step
                ends.append(loss(moved, contexts) if first else loss(words, moved))
            slopes[place] = (ends[0] - ends[1]) / 2e-6
        np.testing.assert_allclose(table - after, slopes, atol=1e-7)


def test_skip_gram_finds_the_shifted_pmi():
    counts = cooccurrences(topic_words(20_000, words=40, topics=5, seed=1), 3, 40)
    words, contexts = skip_gram(counts, channels=24, steps=1500)
    assert words.dtype == contexts.dtype == np.float32
    often = counts >= 100
    assert np.corrcoef((words @ contexts.T)[often], pmi(counts, 5)[often])[0, 1] > 0.9


def test_skip_gram_keeps_its_feet_on_every_text():
    """20 texts, in some of which one word takes a twentieth of all places."""
    for seed in range(20):
        counts = cooccurrences(topic_words(30_000, words=100, topics=10, seed=seed), 3, 100)
        words, contexts = skip_gram(counts, channels=24, steps=250, seed=seed)
        often = counts >= 50
        assert np.corrcoef((words @ contexts.T)[often], pmi(counts, 5)[often])[0, 1] > 0.85
        assert np.abs(words).max() < 4


def test_skip_gram_says_that_it_diverges():
    counts = cooccurrences(topic_words(20_000, words=40, topics=5, seed=1), 3, 40)
    with pytest.raises(InputError, match=r"lr is 1, with which the loss is .*; it must be smaller"):
        skip_gram(counts, channels=24, lr=1.0)


def test_topics_keep_company():
    ids = topic_words(5000, seed=2)
    assert ids.min() >= 0 and ids.max() < 200
    assert (ids == topic_words(5000, seed=2)).all()
    counts = cooccurrences(ids, 1, 200)
    shuffled = cooccurrences(np.random.default_rng(0).permutation(ids), 1, 200)
    assert (counts**2).sum() > 1.3 * (shuffled**2).sum()


def test_an_edit_writes_one_answer_and_keeps_those_orthogonal_to_it():
    r = np.random.default_rng(0)
    w, keys = r.normal(size=(5, 7)), r.normal(size=(50, 7))
    c, key, value = keys.T @ keys / 50, r.normal(size=7), r.normal(size=5)
    after = rome_edit(w, c, key, value)
    np.testing.assert_allclose(after @ key, value, atol=1e-12)
    other = r.normal(size=7)
    direction = np.linalg.inv(c) @ key
    other -= direction * (other @ direction) / (direction @ direction)
    np.testing.assert_allclose(after @ other, w @ other, atol=1e-12)
    assert np.linalg.matrix_rank(after - w) == 1


def test_rewrite_changes_a_layer():
    r = np.random.default_rng(1)
    layer, keys = Linear(6, 4, bias=False), r.normal(size=(80, 6)).astype(np.float32)
    value = np.arange(4, dtype=np.float32)
    rewrite(layer, keys, keys[3], value)
    assert layer.weight.data.dtype == np.float32
    np.testing.assert_allclose(layer.weight.data @ keys[3], value, atol=1e-5)
    with pytest.raises(InputError, match="bias"):
        rewrite(Linear(6, 4), keys, keys[3], value)


def test_retrieve_orders_by_cosine_and_breaks_ties_by_place():
    db = np.array([[0, 0], [2, 0], [0, 3], [5, 0], [1, 1], [-1, 0]], float)
    assert retrieve(np.array([7.0, 0]), db, 6).tolist() == [1, 3, 4, 0, 2, 5]
    assert retrieve(np.zeros(2), db, 3).tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="k is 7"):
        retrieve(np.zeros(2), db, 7)
    with pytest.raises(InputError, match="q has shape"):
        retrieve(np.zeros(3), db, 1)


def test_an_index_finds_the_text_that_shares_words():
    texts = ["the cat sat on the mat", "stocks fell on monday", "a recipe for lentil soup"]
    assert Index(texts).search("how do I cook a soup?", 1) == texts[2:]
    with pytest.raises(InputError, match="texts is empty"):
        Index([])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: cooccurrences(np.array([0, 3]), 1, 3), "tokens holds 3; ids must be"),
        (lambda: cooccurrences(np.array([0, 1]), 0, 3), "window is 0"),
        (lambda: topic_words(0), "n is 0"),
        (lambda: rome_edit(np.eye(2), np.eye(3), np.ones(2), np.ones(2)), "shapes"),
    ],
)
def test_bad_input_is_refused(call, said):
    with pytest.raises(InputError, match=said):
        call()
