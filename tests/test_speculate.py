"""Speculative decoding writes what the model alone writes: the same text, or the same odds."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from minilm import InputError
from minilm.inference import Rules, generate
from minilm.inference.drafts import LookupDraft, ModelDraft, Reader, distribution
from minilm.inference.speculate import (
    accept,
    expected_speedup,
    expected_tokens,
    overlap,
    speculate,
    write,
)
from minilm.models import Config, Transformer

V, LONG = 4, 3  # tokens of the model that can be listed, and of its texts


def model(seed, noise=0.1, layers=2, **fields):
    base = dict(vocab_size=67, context=128, heads=4, channels=32, positions="rope")
    made = Transformer(Config(**base | {"layers": layers} | fields), seed).eval()
    rng = np.random.default_rng(seed)
    for parameter in made.parameters():
        parameter.data += rng.normal(0, noise, parameter.shape).astype(np.float32)
    return made


def near(made, noise, seed=9):
    """A model that guesses as `made` does, roughly."""
    other = Transformer(made.config).eval()
    rng = np.random.default_rng(seed)
    for ours, theirs in zip(other.parameters(), made.parameters()):
        ours.data[...] = theirs.data + rng.normal(0, noise, theirs.shape)
    return other


TARGET = model(0)
DRAFT = near(TARGET, 0.02)


@pytest.mark.parametrize("guesses", [0, 1, 4, 30])
@pytest.mark.parametrize("kind", ["a near model", "another model", "look-up"])
def test_greedy_is_equal_token_by_token(kind, guesses):
    rng, kept = np.random.default_rng(1), 0
    for _ in range(3):
        prompt = rng.integers(0, 67, rng.integers(1, 20))
        draft = {
            "a near model": lambda: ModelDraft(DRAFT, Rules(0.0)),
            "another model": lambda: ModelDraft(model(5, layers=1), Rules(0.0)),
            "look-up": LookupDraft,
        }[kind]()
        found = speculate(TARGET, prompt, 80, draft, guesses=guesses)
        assert found.ids == generate(TARGET, prompt, 80, temperature=0)
        assert found.kept + found.rounds == 80
        kept += found.kept
    assert (kept > 0) == (guesses > 0 and kind != "another model") or kind == "another model"


def test_a_good_draft_saves_rounds():
    found = speculate(TARGET, [1, 2, 3], 100, ModelDraft(TARGET, Rules(0.0)), guesses=4)
    assert (found.rounds, found.kept, found.acceptance) == (20, 80, 1.0)


def tables(made, rules):
    """The exact distribution after every text of up to LONG tokens."""
    texts = [t for n in range(LONG) for t in itertools.product(range(V), repeat=n)]
    reader = Reader(made, rules)
    return {text: reader.probabilities([0, *text], [])[0] for text in texts}


class Listed:
    """A target and a draft that look their distributions up."""

    def __init__(self, table):
        self.table = table

    def probabilities(self, ids, guessed):
        text = (*ids[1:], *guessed)
        first = len(ids) - 1
        return np.array([self.table[text[:n]] for n in range(first, len(text) + 1)])

    def propose(self, ids, count, rng):
        text, rows = tuple(ids[1:]), []
        for _ in range(count):
            row = self.table[text]
            rows.append(row)
            at = min(int(np.searchsorted(row.cumsum(), rng.random(), side="right")), V - 1)
            text = (*text, at)
        return list(text[len(ids) - 1 :]), np.array(rows)


class Stubborn:
    """A draft that is always certain, and mostly wrong."""

    def propose(self, ids, count, rng):
        return [1] * count, None


RULES = Rules(temperature=0.9, top_k=3)
P, Q = (
    tables(model(seed, 0.4, vocab_size=V, context=8), RULES)
    for seed in (1, 2)
)  # fmt: skip


@pytest.mark.parametrize("draft", [Listed(Q), Stubborn()], ids=["a model", "certain"])
def test_texts_have_the_targets_probabilities(draft):
    """Chi-square of 100,000 texts against all 64 that there are."""
    rng, counts = np.random.default_rng(0), np.zeros((V,) * LONG)
    kept = looked = 0
    for _ in range(100_000):
        found = write(Listed(P), draft, [0], LONG, None, rng, guesses=2)
        counts[tuple(found.ids)] += 1
        kept, looked = kept + found.kept, looked + found.kept + found.refused
    exact = np.ones((V,) * LONG)
    for text in itertools.product(range(V), repeat=LONG):
        exact[text] = np.prod([P[text[:n]][text[n]] for n in range(LONG)])
    assert abs(exact.sum() - 1) < 1e-9
    possible = exact > 0
    assert 8 <= possible.sum() < 64 and counts[~possible].sum() == 0  # top-k forbids some
    often = exact * counts.sum() >= 20  # the others are one case together

    def cases(shares):
        return np.append(shares[often], shares[possible & ~often].sum() + 1e-9)

    observed = cases(counts)

    def p_value(shares):
        expected = cases(shares)
        return chisquare(observed, expected * observed.sum() / expected.sum()).pvalue

    assert often.sum() > 20
    assert p_value(exact) > 1e-3
    other = np.ones((V,) * LONG)
    for text in itertools.product(range(V), repeat=LONG):
        other[text] = np.prod([Q[text[:n]][text[n]] for n in range(LONG)])
    assert p_value(0.95 * exact + 0.05 * other) < 1e-3  # a twentieth of the draft would be seen
    assert 0 < kept < looked


def test_acceptance_is_the_overlap():
    """Theorem 3.5: the sum of min(p, q), one minus the total variation."""
    rng = np.random.default_rng(3)
    p, q = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5))
    alpha = overlap(p, q)
    assert abs(alpha - (1 - np.abs(p - q).sum() / 2)) < 1e-12
    draws, kept, count = rng.choice(5, 40_000, p=q), 0, np.zeros(5)
    for token in draws.tolist():
        new = accept([token], q[None], np.array([p, p]), rng)
        kept += len(new) == 2
        count[new[0]] += 1
    sigma = (alpha * (1 - alpha) / 40_000) ** 0.5
    assert abs(kept / 40_000 - alpha) < 4 * sigma
    assert chisquare(count, p * 40_000).pvalue > 1e-3


@pytest.mark.parametrize("guesses", [1, 3, 6])
def test_tokens_a_round_by_the_formula(guesses):
    """Equation 1, where every place has the same p and q, so guesses are kept independently."""
    rng = np.random.default_rng(4)
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    alpha = overlap(p, q)
    rounds, total = 8000, 0
    for _ in range(rounds):
        guessed = rng.choice(3, guesses, p=q).tolist()
        total += len(accept(guessed, np.tile(q, (guesses, 1)), np.tile(p, (guesses + 1, 1)), rng))
    assert abs(total / rounds - expected_tokens(alpha, guesses)) < 4 * guesses / rounds**0.5
    assert (
        expected_tokens(1.0, guesses) == guesses + 1 == expected_tokens(1 - 1e-12, guesses).round(6)
    )
    # The paper's table 1: alpha 0.8, five guesses, a free draft.
    assert abs(expected_speedup(0.8, 5, 0.0) - 3.69) < 0.01
    assert expected_speedup(0.8, 5, 0.1) == expected_tokens(0.8, 5) / 1.5


@settings(max_examples=50)
@given(st.data())
def test_accept_gives_a_beginning_of_the_guesses_and_one_more(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    k = data.draw(st.integers(0, 5))
    p, q = rng.dirichlet(np.full(6, 0.3), k + 1), rng.dirichlet(np.full(6, 0.3), k)
    guessed = [int(rng.choice(6, p=row)) for row in q]
    new = accept(guessed, data.draw(st.sampled_from([q, None])), p, rng)
    assert 1 <= len(new) <= k + 1
    assert new[:-1] == guessed[: len(new) - 1]
    assert p[len(new) - 1, new[-1]] > 0
    if len(new) <= k:
        assert new[-1] != guessed[len(new) - 1]


def test_look_up_finds_the_longest_then_the_latest():
    draft, rng = LookupDraft(2), np.random.default_rng(0)
    assert draft.propose([1, 2, 3, 9, 2, 4, 1, 2], 3, rng) == ([3, 9, 2], None)
    assert draft.propose([5, 2, 3, 9, 2, 4, 1, 2], 1, rng) == ([4], None)
    assert draft.propose([1, 2, 3], 3, rng) == ([], None)
    assert draft.propose([7], 3, rng) == ([], None)
    with pytest.raises(InputError, match="longest is 0"):
        LookupDraft(0)


def test_rules_and_repetition_penalty_reach_every_place():
    rules = Rules(temperature=0.7, top_p=0.9, repetition_penalty=1.4)
    ids, guessed = [1, 2, 3], [4, 5]
    found = Reader(TARGET, rules).probabilities(ids, guessed)
    logits = TARGET(np.array([[*ids, *guessed]])).data[0]
    for i in range(3):
        seen = [[*ids, *guessed][: 3 + i]]
        right = distribution(rules, logits[2 + i : 3 + i], seen)[0]
        np.testing.assert_allclose(found[i], right, atol=1e-5)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-12)


def test_stops_and_refusals():
    whole = speculate(TARGET, [1], 30, ModelDraft(DRAFT, Rules(0.0))).ids
    stop = whole[7]
    found = speculate(TARGET, [1], 30, ModelDraft(DRAFT, Rules(0.0)), stop=[stop])
    assert found.ids == whole[: whole.index(stop) + 1]
    with pytest.raises(InputError, match="tokens is 0"):
        speculate(TARGET, [1], 0, LookupDraft())
    with pytest.raises(InputError, match="guesses is -1"):
        speculate(TARGET, [1], 3, LookupDraft(), guesses=-1)
    with pytest.raises(InputError, match="the model's context of 128"):
        speculate(TARGET, [1] * 100, 29, LookupDraft())
    with pytest.raises(InputError, match="several prompts"):
        speculate(TARGET, [[1], [2]], 2, LookupDraft())
