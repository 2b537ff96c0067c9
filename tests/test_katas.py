"""Problems with tests: words, code and values say the same; fresh ones are fresh; pass@k; R*."""

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm.analysis.passes import (
    mean_pass_at_k,
    naive_pass_at_k,
    pass_at_k,
    sampling_error,
)
from minilm.analysis.repetition import effective_tokens, fit_r_star
from minilm.data.worlds.katas import KINDS, LEVELS, katas
from minilm.errors import InputError


@pytest.fixture(scope="module")
def some():
    return katas(600, seed=0)


def test_every_solution_passes_its_own_tests(some):
    for one in some:
        names: dict = {}
        exec(compile(one.text, "kata", "exec"), names)
        for arguments, wanted in one.tests:
            got = names["f"](*arguments)
            assert got == wanted and type(got) is type(wanted), one.text


def test_tests_tell_different_problems_apart(some):
    """A body of another problem of the same kind seldom passes: the tests are no rubber stamp."""
    passed = Counter()
    for kind in KINDS:
        mine = [one for one in some if one.kind == kind][:40]
        for one in mine:
            for other in mine:
                if one.key == other.key:
                    continue
                names: dict = {}
                exec(one.prompt + other.solution, names)
                right = all(names["f"](*a) == w for a, w in one.tests)
                passed[right] += 1
    # some pairs ask for the same in other words: sort, then sum; reverse, then sum
    assert passed[True] / sum(passed.values()) < 0.04


def test_the_same_seed_gives_the_same_and_another_gives_others(some):
    assert katas(50, seed=0) == some[:50]
    keys = {one.key for one in some}
    assert len(keys) == 600
    fresh = katas(100, seed=1, without=keys)
    assert not keys & {one.key for one in fresh}
    assert {one.level for one in some} == set(LEVELS) and {one.kind for one in some} == set(KINDS)
    lines = [(one.level, one.solution.count("\n")) for one in some]
    assert all(count == level + 1 for level, count in lines)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"count": 0}, "count is 0"),
        ({"count": 1, "levels": [4]}, "levels is"),
        ({"count": 1, "kinds": ["tree"]}, "kinds is"),
        ({"count": 10**5, "levels": [1], "kinds": ["number"]}, "count is 100000"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, said):
    with pytest.raises(InputError, match=said):
        katas(**options)


# --- pass@k ---


@pytest.mark.parametrize(
    ("n", "c", "k", "value"),
    [
        (10, 3, 1, 0.3),
        (10, 3, 5, 0.9166667),
        (200, 10, 10, 0.4085479),
        (200, 10, 100, 0.9992290),
        (5, 1, 2, 0.4),
        (20, 2, 10, 0.7631579),
    ],
)
def test_pass_at_k_has_its_known_values(n, c, k, value):
    assert pass_at_k(n, c, k) == pytest.approx(value, abs=5e-8)


def test_the_naive_estimate_is_too_low():
    assert naive_pass_at_k(10, 3, 5) == pytest.approx(0.83193, abs=5e-6)
    assert naive_pass_at_k(200, 10, 10) == pytest.approx(0.4012631, abs=5e-8)


@given(st.integers(1, 60), st.data())
def test_it_is_the_share_of_choices_with_a_right_one(n, data):
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    wanted = 1 - math.comb(n - c, k) / math.comb(n, k)
    assert pass_at_k(n, c, k) == pytest.approx(wanted, abs=1e-12)
    assert naive_pass_at_k(n, c, k) <= pass_at_k(n, c, k) + 1e-12


@pytest.mark.parametrize("k", [1, 2, 3])
def test_it_is_unbiased(k):
    """Over all 64 outcomes of six programs the mean is the true chance, to the last digit."""
    p, n = 0.3, 6
    mean = {"ours": 0.0, "naive": 0.0}
    for outcome in range(2**n):
        c = outcome.bit_count()
        weight = p**c * (1 - p) ** (n - c)
        mean["ours"] += weight * pass_at_k(n, c, k)
        mean["naive"] += weight * naive_pass_at_k(n, c, k)
    true = 1 - (1 - p) ** k
    assert mean["ours"] == pytest.approx(true, abs=1e-13)
    assert k == 1 or mean["naive"] < true - 0.01


def test_it_counts_choices_and_fewer_failures_than_k_are_certain():
    right = [True, False, False, True, False]
    hits = [any(chosen) for chosen in combinations(right, 2)]
    assert pass_at_k(5, 2, 2) == pytest.approx(np.mean(hits))
    assert pass_at_k(5, 3, 3) == 1.0 and pass_at_k(5, 0, 5) == 0.0
    assert mean_pass_at_k(10, [3, 0, 10], 1) == pytest.approx((0.3 + 0 + 1) / 3)


def test_the_error_of_a_score_is_that_of_its_draws() -> None:
    chances = np.array([0.1, 0.5, 0.9, 0.0])
    assert sampling_error(10, chances, 1) == pytest.approx(
        np.sqrt(0.09 + 0.25 + 0.09) / 40**0.5 / 2
    )
    draws = np.random.default_rng(0).binomial(8, chances, (4000, 4))
    scores = [mean_pass_at_k(8, row, 3) for row in draws]
    assert sampling_error(8, chances, 3) == pytest.approx(np.std(scores), rel=0.05)
    with pytest.raises(InputError, match="chances is not"):
        sampling_error(4, [1.2], 1)


@pytest.mark.parametrize(
    ("numbers", "said"), [((0, 0, 1), "n is 0"), ((5, 6, 1), "c is 6"), ((5, 1, 6), "k is 6")]
)
def test_impossible_numbers_are_refused(numbers, said):
    with pytest.raises(InputError, match=said):
        pass_at_k(*numbers)
    with pytest.raises(InputError, match="right is empty"):
        mean_pass_at_k(5, [], 1)


# --- repetition ---


@pytest.mark.parametrize(("epochs", "value"), [(4, 3.73), (16, 10.58), (44, 15.45)])
def test_repeated_tokens_are_worth_what_the_law_says(epochs, value):
    assert effective_tokens(1.0, epochs, r_star=15.39) == pytest.approx(value, abs=5e-3)
    assert effective_tokens(100.0, 1, r_star=15.39) == 100.0


@pytest.mark.parametrize("r_star", [2.0, 15.39, 60.0])
def test_the_fit_finds_the_r_star_that_made_the_losses(r_star):
    epochs = np.array([1, 2, 4, 8, 16])

    def loss(tokens):
        return 1.5 + 2.0 * tokens**-0.3

    fresh = loss(np.geomspace(1, 16, 400))
    dense = np.geomspace(1, 16, 400)
    found, _ = fit_r_star(dense, loss(effective_tokens(1.0, dense, r_star)), fresh)
    assert found == pytest.approx(r_star, rel=0.01)
    exact, worth = fit_r_star(
        epochs, loss(effective_tokens(1.0, epochs, r_star)), loss(epochs.astype(float))
    )
    assert worth[0] == pytest.approx(1) and (np.diff(worth) > 0).all()
    assert fit_r_star(epochs, loss(epochs.astype(float)), loss(epochs.astype(float)))[0] == np.inf
    assert fit_r_star(epochs, np.full(5, loss(1.0)), loss(epochs.astype(float)))[0] == 0.0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: effective_tokens(0, 2, 1), "unique is 0"),
        (lambda: effective_tokens(1, 2, 0), "r_star is 0"),
        (lambda: effective_tokens(1, 0.5, 1), "epochs is 0.5"),
        (lambda: fit_r_star([1, 2], [2, 1], [2, 1]), "2, 2 and 2 entries"),
        (lambda: fit_r_star([1, 2, 3], [3, 2, 1], [1, 2, 3]), "fresh is"),
    ],
)
def test_a_law_of_nothing_is_refused(call, said):
    with pytest.raises(InputError, match=said):
        call()
