"""Kneser-Ney against the equations written with dictionaries; xz against what it must cost."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm import InputError
from minilm.analysis.ngram import KneserNey
from minilm.analysis.rivals import ngram_bits_per_byte, xz_bits_per_byte

TEXT = (
    "the cat sat on the mat and the dog sat on the log while a cat ate the fat rat " * 3
).encode()


class Dictionaries:
    """Chen & Goodman 1998, equations 25-27, one n-gram at a time."""

    def __init__(self, tokens, order, vocab_size):
        tokens, self.order, self.vocab_size = tuple(tokens), order, vocab_size
        grams = [[tokens[i : i + k] for i in range(len(tokens) - k + 1)] for k in range(order + 1)]
        self.counts = [None] * (order + 1)
        self.counts[order] = Counter(grams[order])
        for k in range(1, order):
            self.counts[k] = Counter(g[1:] for g in set(grams[k + 1]))
        self.discounts = [None] + [self.estimate(self.counts[k]) for k in range(1, order + 1)]
        self.after = [defaultdict(list) for _ in range(order + 1)]
        for k in range(1, order + 1):
            for gram, count in self.counts[k].items():
                self.after[k][gram[:-1]].append(count)

    @staticmethod
    def estimate(counts):
        n = [sum(c == i for c in counts.values()) for i in range(5)]
        if all(n[1:]):
            y = n[1] / (n[1] + 2 * n[2])
            d = [i - (i + 1) * y * n[i + 1] / n[i] for i in (1, 2, 3)]
            if all(0 <= x <= i for i, x in zip((1, 2, 3), d)):
                return [0, *d]
        return [0, 0.5, 1.0, 1.5]

    def probability(self, context, token, k=None):
        k = min(self.order, len(context) + 1) if k is None else k
        if k == 0:
            return 1 / self.vocab_size
        context = tuple(context[len(context) - k + 1 :])
        lower = self.probability(context[1:], token, k - 1)
        followers = self.after[k].get(context)
        if not followers:
            return lower
        count, d = self.counts[k][(*context, token)], self.discounts[k]
        lent = sum(d[min(c, 3)] for c in followers)
        return (count - d[min(count, 3)] + lent * lower) / sum(followers)


@given(st.lists(st.integers(0, 3), min_size=5, max_size=120), st.integers(1, 5), st.data())
def test_it_is_the_equations(tokens, order, data):
    new = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=12))
    ours, theirs = KneserNey(tokens, order, 4), Dictionaries(tokens, order, 4)
    wanted = [theirs.probability(new[:i], new[i]) for i in range(len(new))]
    np.testing.assert_allclose(2 ** -ours.bits(new), wanted, rtol=1e-9)
    whole = [theirs.probability(new, t) for t in range(4)]
    np.testing.assert_allclose(ours.probabilities(new), whole, rtol=1e-9)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_probabilities_of_any_context_sum_to_one(order):
    model = KneserNey(np.frombuffer(TEXT, np.uint8), order)
    for context in (b"", b"t", b"the ", b"on the cat", b"zzzz", bytes([255, 0])):
        p = model.probabilities(np.frombuffer(context, np.uint8))
        assert p.min() > 0
        assert p.sum() == pytest.approx(1, abs=1e-12)


def test_bits_are_those_of_the_distribution():
    model = KneserNey(np.frombuffer(TEXT, np.uint8), 4)
    new = np.frombuffer(b"the rat on a log", np.uint8)
    wanted = [-np.log2(model.probabilities(new[:i])[new[i]]) for i in range(len(new))]
    np.testing.assert_allclose(model.bits(new), wanted, rtol=1e-12)


def test_francisco_is_frequent_but_only_after_san():
    """The example of Chen & Goodman, section 2.7: counts would put "francisco" first."""
    words = "san francisco san francisco san francisco san francisco my dog your dog".split()
    ids = {w: i for i, w in enumerate(dict.fromkeys(words))}
    p = KneserNey([ids[w] for w in words], 2, len(ids)).probabilities([])
    assert p[ids["dog"]] > p[ids["francisco"]]


def test_longer_contexts_help_on_text_that_repeats():
    scores = [ngram_bits_per_byte(TEXT, TEXT[40:120], n) for n in (1, 2, 3, 5)]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 1 < scores[0]


def test_xz_costs_next_to_nothing_for_what_it_knows_and_eight_bits_for_noise():
    noise = np.random.default_rng(0).integers(0, 256, 40_000, dtype=np.uint8).tobytes()
    assert xz_bits_per_byte(noise, noise) < 0.2  # a match is at most 273 bytes long
    assert 7.9 < xz_bits_per_byte(TEXT, noise) < 8.1


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: KneserNey([1, 2], 0), "order is 0; it must be 1 or more"),
        (lambda: KneserNey([1, 2], 5), "tokens holds 2 ids; order 5 needs 5 or more"),
        (lambda: KneserNey([1, 9], 1, 9), "tokens holds 9; ids must be from 0 to .* 8"),
        (lambda: KneserNey([1, 2], 1, 9).bits([-1]), "tokens holds -1"),
        (lambda: xz_bits_per_byte(b"abc", b""), "new is empty"),
        (lambda: ngram_bits_per_byte(b"abcdef", b""), "new is empty"),
    ],
)
def test_mistakes(call, words):
    with pytest.raises(InputError, match=words):
        call()
