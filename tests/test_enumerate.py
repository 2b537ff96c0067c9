"""Listing texts: posteriors by Bayes, distances by their formulas."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm.analysis import enumerate as listing
from minilm.analysis.enumerate import Texts, enum_posterior
from minilm.errors import InputError


@given(st.integers(1, 4), st.integers(1, 4))
def test_every_text_is_listed_once_and_found_again(tokens: int, longest: int) -> None:
    texts = Texts(tokens, longest)
    wanted = [t for n in range(longest + 1) for t in itertools.product(range(tokens), repeat=n)]
    assert [texts.text(i) for i in range(len(texts))] == wanted
    rubbish = np.where(np.arange(longest) < texts.lengths[:, None], texts.ids, 99)
    np.testing.assert_array_equal(texts.index(rubbish, texts.lengths), np.arange(len(texts)))


def test_a_parent_is_the_text_without_its_last_token() -> None:
    texts = Texts(3, 3)
    assert texts.parents[0] == -1
    for place in range(1, len(texts)):
        assert texts.text(texts.parents[place]) == texts.text(place)[:-1]


def test_posterior_is_bayes_by_hand() -> None:
    # A coin that ends a text half of the time; what is known is that the text holds one 1.
    texts = Texts(2, 2)

    def log_joint(ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        inside = np.arange(2) < lengths[:, None]
        return np.where((ids * inside).sum(1) == 1, lengths * np.log(0.25), -np.inf)

    p, log_z = enum_posterior(texts, log_joint)
    # (1) has 1/4; (0, 1) and (1, 0) have 1/16 each: 3/8 together
    assert np.exp(log_z) == pytest.approx(3 / 8)
    found = {texts.text(i): p[i] for i in np.flatnonzero(p)}
    assert found == pytest.approx({(1,): 2 / 3, (0, 1): 1 / 6, (1, 0): 1 / 6})


@given(st.integers(0, 999))
def test_distances_by_their_meaning(seed: int) -> None:
    p, q = np.random.default_rng(seed).dirichlet(np.ones(5), 2)
    events = [list(s) for n in range(6) for s in itertools.combinations(range(5), n)]
    assert listing.total_variation(p, q) == pytest.approx(
        max(p[e].sum() - q[e].sum() for e in events)
    )
    # KL + entropy is the cross-entropy
    assert listing.kl(p, q) + listing.entropy(p) == pytest.approx(-(p * np.log(q)).sum())
    assert listing.kl(p, p) == 0


def test_a_lost_mode_is_seen_from_one_side_only() -> None:
    p, q = np.full(101, 1 / 101), np.full(101, 1 / 100)
    q[100] = 0
    assert listing.kl(q, p) == pytest.approx(np.log(101 / 100))
    assert listing.kl(p, q) == np.inf


def test_top_texts_are_counted() -> None:
    p = np.array([0.4, 0.3, 0.2, 0.1])
    rng = np.random.default_rng(0)
    assert listing.found_of_top(p, np.array([0.5, 0.0, 0.5, 0.0]), rng, 200, 2) == 1
    assert listing.found_of_top(p, p, rng, 500, 4) == 4


def test_what_exact_draws_show_of_the_likeliest() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(60, 0.3))
    chances = listing.shown_of_top(p, 200, 20)
    assert chances.shape == (21,) and chances.sum() == pytest.approx(1)
    seen = [listing.found_of_top(p, p, rng, 200, 20) for _ in range(2000)]
    assert chances @ np.arange(21) == pytest.approx(np.mean(seen), abs=0.1)
    least = int(np.median(seen))
    assert chances[least:].sum() == pytest.approx(np.mean(np.array(seen) >= least), abs=0.05)


REFUSED = {
    "no tokens": (lambda: Texts(0, 2), "tokens is 0"),
    "too many": (lambda: Texts(50, 6), "at most 1,000,000"),
    "a text too long": (lambda: Texts(2, 2).index(np.zeros((1, 2)), np.array([3])), "not on the"),
    "an odd shape": (lambda: Texts(2, 2).index(np.zeros((1, 3)), np.array([1])), "ids have shape"),
    "nan": (lambda: enum_posterior(Texts(1, 1), lambda i, n: np.array([0, np.nan])), "nan"),
    "impossible": (lambda: listing.normalise([-np.inf, -np.inf]), "all are -inf"),
    "another shape": (lambda: enum_posterior(Texts(1, 1), lambda i, n: np.zeros(3)), "gave shape"),
    "unequal": (lambda: listing.kl(np.ones(2), np.ones(3)), "q has shape"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_a_sentence(name: str) -> None:
    call, words = REFUSED[name]
    with pytest.raises(InputError, match=words):
        call()
