"""Filters by quality: a classifier, ranks by perplexity, ROUGE-L, self-instruct."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from minilm.analysis.metrics import gap_recovered
from minilm.analysis.ngram import KneserNey
from minilm.data.clean.classifier import (
    AGAIN,
    QualityClassifier,
    auc,
    fit_logistic,
    hashed_words,
    pairs_of,
)
from minilm.data.clean.overlap import common_subsequence, rouge_l, self_instruct_filter
from minilm.data.clean.ranked import keep_best, perplexity_filter
from minilm.data.corpora import documents
from minilm.errors import InputError

WORDS = st.lists(st.sampled_from("a b c d".split()), max_size=9)


# ------------------------------------------------------------------------- logistic regression


def test_the_fit_is_where_the_gradient_is_nothing() -> None:
    r = np.random.default_rng(0)
    X = r.standard_normal((200, 7)) + 0.5
    y = (X @ r.standard_normal(7) + r.standard_normal(200) > 0.7).astype(float)
    for decay in (0.01, 1.0):
        w, b = fit_logistic(X, y, decay)
        p = 1 / (1 + np.exp(-(X @ w + b)))
        assert np.abs(X.T @ (p - y) / 200 + decay * w).max() < 1e-5
        assert abs((p - y).mean()) < 1e-5


def test_it_is_what_scikit_learn_finds() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    r = np.random.default_rng(1)
    X = r.standard_normal((150, 5))
    y = (X[:, 0] + 0.5 * r.standard_normal(150) > 0).astype(float)
    w, b = fit_logistic(X, y, 0.02)
    other = linear.LogisticRegression(C=1 / (0.02 * 150), tol=1e-8, max_iter=2000).fit(X, y)
    np.testing.assert_allclose(w, other.coef_[0], atol=1e-4)
    assert b == pytest.approx(other.intercept_[0], abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=20))
def test_the_area_counts_pairs(rows) -> None:
    scores, labels = (np.array(column) for column in zip(*rows))
    ones, zeros = scores[labels], scores[~labels]
    if not len(ones) or not len(zeros):
        with pytest.raises(InputError, match="both must occur"):
            auc(scores, labels)
        return
    won = sum((a > b) + 0.5 * (a == b) for a, b in itertools.product(ones, zeros))
    assert auc(scores, labels) == pytest.approx(won / (len(ones) * len(zeros)), abs=1e-12)


def shuffled(text: str, r: np.random.Generator) -> str:
    return " ".join(r.permutation(text.split()))


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [text[:900] for text in documents("python-docs") if len(text) > 400][:260]


def repeated(text: str) -> str:
    lines = [line for line in text.splitlines() if len(line.split()) > 3]
    return "\n".join([lines[len(lines) // 2]] * len(lines))


def test_planted_noise_is_told_apart(texts) -> None:
    """Trained on trusted texts and a mixed crawl, nobody says what is bad in it."""
    trusted, good, rest = texts[:100], texts[100:170], texts[170:]
    pool = good + [repeated(text) for text in rest]
    labels = np.arange(len(pool)) < len(good)
    model = QualityClassifier(trusted, pool)
    scores = model.scores(pool)
    assert scores.shape == (len(pool),) and auc(scores, labels) > 0.9
    again = QualityClassifier(trusted, pool)
    np.testing.assert_array_equal(again.scores(pool), scores)
    assert model.scores([]).shape == (0,)


def test_order_is_seen_where_most_of_the_pool_is_good(texts) -> None:
    """A fifth is shuffled. Words say what a text is about, and drown what pairs say of it."""
    r = np.random.default_rng(0)
    trusted, good, rest = texts[:110], texts[110:222], texts[222:250]
    pool = good + [shuffled(text, r) for text in rest]
    labels = np.arange(len(pool)) < len(good)
    by_pairs = auc(QualityClassifier(trusted, pool).scores(pool), labels)
    words = QualityClassifier(trusted, pool, read=lambda text: text.lower().split())
    assert by_pairs > 0.75 and by_pairs > auc(words.scores(pool), labels) + 0.2


def test_pairs_are_what_stands_between_blanks() -> None:
    assert pairs_of("Ann saw\nbob.") == ["ann saw", "saw bob."]
    assert pairs_of("a b a b") == ["a b", "b a", "a b", AGAIN]
    assert pairs_of("one") == pairs_of("") == []


def test_the_fit_on_sparse_features_is_the_fit() -> None:
    r = np.random.default_rng(2)
    X = r.standard_normal((60, 9)) * (r.random((60, 9)) < 0.4)
    y = (X.sum(1) + r.standard_normal(60) > 0).astype(float)
    dense, thin = fit_logistic(X, y, 0.01), fit_logistic(sparse.csr_array(X), y, 0.01)
    np.testing.assert_allclose(thin[0], dense[0], atol=1e-6)
    assert thin[1] == pytest.approx(dense[1], abs=1e-6)


def test_hashed_words_know_words_and_pairs() -> None:
    found = hashed_words("Ann saw bob", 4096)
    assert found.dtype == np.float32 and np.linalg.norm(found) == pytest.approx(1, abs=1e-6)
    assert (found > 0).sum() == 5  # three words, two pairs
    np.testing.assert_array_equal(found, hashed_words("ann SAW bob", 4096))
    assert (hashed_words("bob saw ann", 4096) > 0).sum() == 5
    assert (hashed_words("bob saw ann", 4096) != found).any()
    assert not hashed_words("  ", 64).any()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: fit_logistic(np.zeros((3, 2)), [0, 1]), r"X has shape \(3, 2\) and y \(2,\)"),
        (lambda: fit_logistic(np.zeros((2, 2)), [1, 1]), r"y holds the labels \[1.0\]"),
        (lambda: fit_logistic(np.zeros((2, 2)), [0, 2]), r"y holds the labels \[0.0, 2.0\]"),
        (lambda: fit_logistic(np.zeros((2, 2)), [0, 1], -1), "decay is -1"),
        (lambda: auc([1, 2], [1]), r"scores has shape \(2,\) and labels \(1,\)"),
        (lambda: QualityClassifier([], ["a"]), "trusted holds 0 texts and others 1"),
        (lambda: keep_best(["a"], [1, 2], 0.5), r"scores has shape \(2,\) for 1 texts"),
        (lambda: keep_best(["a", "b"], [1, math.nan], 0.5), "scores hold nan at place 1"),
        (lambda: keep_best(["a"], [1], 1.5), "share is 1.5; it must be from 0 to 1"),
        (lambda: self_instruct_filter(["a"], threshold=0), "threshold is 0"),
        (lambda: gap_recovered(0.9, 0.95, 0.9), "strong is 0.9 and weak 0.9"),
    ],
)
def test_what_makes_no_sense_is_refused(call, said) -> None:
    with pytest.raises(InputError, match=said):
        call()


# ------------------------------------------------------------------------- ranks


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=30), st.integers(0, 20))
def test_it_keeps_exactly_so_many_of_the_best(scores, twentieths) -> None:
    texts = [f"{i}" for i in range(len(scores))]
    kept = keep_best(texts, scores, twentieths / 20)
    count = -(-twentieths * len(scores) // 20)  # ceil in whole numbers: no float decides
    assert len(kept) == count and kept == sorted(kept, key=int)
    left = set(texts) - set(kept)
    ranked = [(-scores[int(t)], int(t)) for t in kept], [(-scores[int(t)], int(t)) for t in left]
    assert not kept or not left or max(ranked[0]) < min(ranked[1])  # ties: the earlier one


def test_perplexity_finds_shuffled_documents(texts) -> None:
    def bytes_of(text):
        return np.frombuffer(text.encode(), np.uint8).astype(np.int64)

    judge = KneserNey(bytes_of("\n".join(texts[:80])), 5)
    r = np.random.default_rng(0)
    pool = [text if i % 2 else shuffled(text, r) for i, text in enumerate(texts[80:180])]
    kept = perplexity_filter(pool, lambda text: float(judge.bits(bytes_of(text)).mean()), 0.5)
    assert len(kept) == 50
    assert sum(text in kept for text in pool[1::2]) >= 35  # by a coin 25


# ------------------------------------------------------------------------- ROUGE-L


def longest(a, b) -> int:
    """By trying every subsequence of the first."""
    for size in range(len(a), 0, -1):
        for some in itertools.combinations(a, size):
            rest = iter(b)
            if all(word in rest for word in some):
                return size
    return 0


@settings(max_examples=150, deadline=None)
@given(WORDS, WORDS)
def test_a_common_subsequence_is_the_longest_of_all(a, b) -> None:
    wanted = longest(a, b)
    assert common_subsequence(a, b) == wanted == common_subsequence(b, a)
    score = rouge_l(" ".join(a).upper(), " ".join(b))
    if not a or not b:
        assert score == 0.0
    elif wanted:
        precision, recall = wanted / len(a), wanted / len(b)
        assert score == pytest.approx(2 * precision * recall / (precision + recall), abs=1e-12)
    else:
        assert score == 0.0


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, max_size=8), st.lists(WORDS, max_size=3), st.sampled_from((0.3, 0.7, 1)))
def test_the_filter_takes_one_after_the_other(rows, pool, threshold) -> None:
    texts, known = ([" ".join(row) for row in part] for part in (rows, pool))
    taken = []
    for text in texts:
        if all(rouge_l(text, old) < threshold for old in [*known, *taken]):
            taken.append(text)
    assert self_instruct_filter(texts, known, threshold) == taken


def test_the_paper_s_threshold_lets_no_near_copy_in() -> None:
    texts = ["name three red things", "name three blue things", "write a poem about rain"]
    assert self_instruct_filter(texts) == [texts[0], texts[2]]  # 6 / 8 with the first
    assert self_instruct_filter(texts, pool=[texts[2]], threshold=0.8) == texts[:2]


# ------------------------------------------------------------------------- PGR


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 0.9), st.floats(0.01, 0.1), st.floats(-2, 2))
def test_the_gap_recovered_is_linear(weak, gap, share) -> None:
    strong = weak + gap
    found = gap_recovered(weak, weak + share * gap, strong)
    assert found == pytest.approx(share, abs=1e-9)
    assert gap_recovered(weak, weak, strong) == 0 and gap_recovered(weak, strong, strong) == 1
