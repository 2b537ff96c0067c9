"""Metrics and curve shapes against hand-made cases, identities and SciPy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm.analysis import curves, metrics
from minilm.errors import InputError

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(1, 400), st.integers(1, 9))
def test_task_losses_sum_to_the_total_exactly(seed, n, tasks):
    r = np.random.default_rng(seed)
    logp, labels = -r.exponential(2, n), r.integers(0, tasks, n)
    split = metrics.per_task_loss(logp, labels)
    assert math.isclose(sum(split.weights.values()), 1, abs_tol=1e-12)
    total = sum(split.weights[k] * split.losses[k] for k in split.losses)
    assert math.isclose(total, split.total, rel_tol=1e-12)
    for k, loss in split.losses.items():
        assert math.isclose(loss, float(np.mean(-logp[labels == k])), rel_tol=1e-12)


def test_task_losses_take_names_and_any_shape():
    split = metrics.per_task_loss(
        np.float32([[-1, -2], [-3, -4]]), np.array([[0, 0], [2, 0]]), "abc"
    )
    assert split.losses == {"a": pytest.approx(7 / 3), "c": 3.0}
    assert split.weights == {"a": 0.75, "c": 0.25} and split.total == 2.5


def test_exact_match_and_token_accuracy():
    target = np.array([[1, 2, 3], [4, 5, 6]])
    predicted = np.array([[1, 2, 3], [4, 0, 6]])
    assert metrics.exact_match(predicted, target) == 0.5
    assert metrics.token_accuracy(predicted, target) == pytest.approx(5 / 6)
    assert metrics.position_accuracy(predicted, target).tolist() == [1, 0.5, 1]
    assert metrics.exact_match_if_independent([1, 0.5, 1]) == 0.5


def test_the_mirage_table():
    p = metrics.mirage_accuracy(np.array([1e9, 1e10, 1e11]))
    assert [f"{v:.4f}" for v in p] == ["0.3679", "0.7289", "0.9048"]
    assert [f"{v:.4f}" for v in metrics.power_match(p, 5)] == ["0.0067", "0.2057", "0.6065"]
    tenth = metrics.power_match(p, 10)
    assert f"{tenth[0]:.1e}" == "4.5e-05"
    assert [f"{v:.4f}" for v in tenth[1:]] == ["0.0423", "0.3679"]
    assert [f"{v:.3f}" for v in -np.log(p)] == ["1.000", "0.316", "0.100"]
    needed = [f"{metrics.accuracy_needed(0.5, n):.4f}" for n in (5, 10, 20)]
    assert needed == ["0.8706", "0.9330", "0.9659"]


def test_brier_is_the_mean_squared_distance():
    r = np.random.default_rng(0)
    p = r.dirichlet(np.ones(7), (5, 3))
    target = r.integers(0, 7, (5, 3))
    loops = np.mean(
        [((p[i, j] - np.eye(7)[target[i, j]]) ** 2).sum() for i in range(5) for j in range(3)]
    )
    assert metrics.brier(p, target) == pytest.approx(loops, rel=1e-12)
    assert metrics.brier(np.eye(4), np.arange(4)) == 0
    assert metrics.brier(np.eye(4), (np.arange(4) + 1) % 4) == 2


words = st.text("abc", max_size=7)


@given(words, words, words)
def test_edit_distance_is_a_metric(a, b, c):
    d = metrics.edit_distance
    assert d(a, b) == d(b, a) and d(a, a) == 0 and (d(a, b) > 0) == (a != b)
    assert d(a, c) <= d(a, b) + d(b, c)
    assert abs(len(a) - len(b)) <= d(a, b) <= max(len(a), len(b))


@given(words, words)
def test_edit_distance_equals_the_recursion(a, b):
    def slow(i, j):
        if i == 0 or j == 0:
            return i + j
        if a[i - 1] == b[j - 1]:
            return slow(i - 1, j - 1)
        return 1 + min(slow(i - 1, j), slow(i, j - 1), slow(i - 1, j - 1))

    a, b = a[:5], b[:5]
    assert metrics.edit_distance(a, b) == slow(len(a), len(b))


def test_edit_distance_of_kitten():
    assert metrics.edit_distance("kitten", "sitting") == 3
    assert metrics.mean_edit_distance(np.array([[1, 2, 3]]), np.array([[2, 3, 1]])) == 2


def test_bits_per_byte_and_perplexity():
    assert metrics.bits_per_byte(math.log(256), 10, 10) == pytest.approx(8)
    assert metrics.bits_per_byte(2.0, 100, 400) == pytest.approx(0.5 / math.log(2))
    assert metrics.perplexity(math.log(50)) == pytest.approx(50)


COMPUTE = np.geomspace(1e12, 1e17, 8)
SERIES = {
    "smooth": [0.1, 0.18, 0.3, 0.37, 0.5, 0.62, 0.7, 0.81],
    "flat": [0.25, 0.26, 0.24, 0.25, 0.27, 0.25, 0.24, 0.26],
    "inverse": [0.8, 0.71, 0.66, 0.5, 0.42, 0.33, 0.2, 0.15],
    "uncorrelated": [0.3, 0.5, 0.2, 0.55, 0.25, 0.5, 0.28, 0.35],
    "emergent": [0.0, 0.01, 0.02, 0.0, 0.01, 0.02, 0.4, 0.8],
}


@pytest.mark.parametrize("name", SERIES)
def test_each_class_has_its_series(name):
    assert curves.classify_curve(COMPUTE, SERIES[name]) == name
    order = np.random.default_rng(3).permutation(8)
    assert curves.classify_curve(COMPUTE[order], np.array(SERIES[name])[order]) == name
    assert set(SERIES) == set(curves.CLASSES)


def test_emergence_is_measured_from_chance():
    score = 0.25 + 0.75 * np.array(SERIES["emergent"])
    assert curves.classify_curve(COMPUTE, score, chance=0.25) == "emergent"
    assert curves.classify_curve(COMPUTE, score, chance=0.0) == "smooth"


@given(seeds, st.integers(3, 30))
def test_rank_correlation_and_monotone_equal_scipy(seed, n):
    from scipy.optimize import isotonic_regression
    from scipy.stats import rankdata

    r = np.random.default_rng(seed)
    x, y = r.integers(0, 6, n), r.integers(0, 6, n)
    a, b = rankdata(x), rankdata(y)
    expected = np.corrcoef(a, b)[0, 1] if np.ptp(x) and np.ptp(y) else 0.0
    assert curves.rank_correlation(x, y) == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(curves.monotone(y), isotonic_regression(y).x, atol=1e-12)
    falling = isotonic_regression(y, increasing=False).x
    np.testing.assert_allclose(curves.monotone(y, rising=False), falling, atol=1e-12)


def test_the_t_interval_has_its_published_values():
    # Extra hours of sleep of ten patients, Student 1908, table 1; the interval is R's
    # t.test(extra ~ group, data = sleep, paired = TRUE).
    sleep = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    found = curves.t_interval(sleep)
    assert found == pytest.approx((0.7001142, 1.58, 2.4598858), abs=1e-7)
    for n, table in ((2, 12.706), (3, 4.303), (5, 2.776), (10, 2.262), (30, 2.045)):
        values = np.arange(n, dtype=float)
        error = values.std(ddof=1) / math.sqrt(n)
        low, middle, high = curves.t_interval(values)
        assert (high - middle) / error == pytest.approx(table, abs=5e-4)
        assert middle - low == pytest.approx(high - middle)


def test_a_t_interval_of_three_misses_as_often_as_it_says():
    draws = np.random.default_rng(0).standard_normal((4000, 3))
    missed = np.mean([not curves.t_interval(row, 0.9).covers(0.0) for row in draws])
    assert missed == pytest.approx(0.10, abs=0.015)
    short = np.abs(draws.mean(1)) < 2 * draws.std(1, ddof=1) / math.sqrt(3)
    assert short.mean() == pytest.approx(0.816, abs=0.02)  # two standard errors, as often used


def test_width_of_a_logistic_is_its_closed_form():
    x = np.linspace(-4, 4, 801)
    for scale in (0.2, 0.5):
        y = 1 / (1 + np.exp(-x / scale))
        width = curves.width_10_90(10.0**x, y, 0, 1)
        assert width == pytest.approx(2 * scale * math.log(9), abs=1e-3)
        assert curves.width_10_90(10.0**x, 3 - y, 3, 2) == pytest.approx(width, abs=1e-9)
        assert curves.width_10_90(10.0**x, y**5, 0, 1) < width


def test_width_is_nan_when_the_rise_is_unfinished():
    assert math.isnan(curves.width_10_90([1, 10, 100], [0, 0.2, 0.6], 0, 1))
    assert math.isnan(curves.width_10_90([1, 10, 100], [0.4, 0.6, 1], 0, 1))


def test_crossing_and_onset():
    x = [1, 10, 100, 1000]
    assert curves.crossing(x, [4, 3, 2, 1], [3, 2.5, 2.5, 2]) == pytest.approx(10**1.5)
    assert curves.crossing(x, [4, 3, 2, 1], [3, 3, 3, 3]) == 10
    assert math.isnan(curves.crossing(x, [4, 3, 2, 1], [0, 0, 0, 0]))
    assert curves.onset(x, [0, 0, 0.5, 1], 0.25) == pytest.approx(10**1.5)
    assert math.isnan(curves.onset(x, [0, 0, 0, 0.1], 0.5))


def test_reading_between_points():
    assert curves.read_at([1, 100], [3, 1], 10) == pytest.approx(2)
    assert math.isnan(curves.read_at([1, 100], [3, 1], 1000))
    assert curves.at_matched_loss([3, 2, 2.5, 1], [0, 1, 1, 5], 2.25) == pytest.approx(0.75)
    assert curves.at_matched_loss([3, 2], [0, 1], 3) == 0
    assert math.isnan(curves.at_matched_loss([3, 2], [0, 1], 1))
    assert math.isnan(curves.at_matched_loss([3, 2], [0, 1], 4))


def test_the_u_shape_truth_table():
    assert [curves.ushape(*p) for p in ((1, 0, 0), (1, 1, 0), (1, 1, 1))] == [1, 0, 1]
    assert [curves.ushape(0, f, i) for f in (0, 1) for i in (0, 1)] == [0, 0, 0, 0]


@given(*[st.floats(0, 1)] * 3)
def test_the_u_shape_is_a_probability(repeat, fix, instruction):
    p = curves.ushape(repeat, fix, instruction)
    assert 0 <= p <= repeat and p >= curves.ushape(repeat, fix, 0)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: metrics.per_task_loss([0.1], [0, 1]), "labels has shape"),
        (lambda: metrics.per_task_loss([], []), "logp is empty"),
        (lambda: metrics.per_task_loss([-1.0], [3], "ab"), "names has 2"),
        (lambda: metrics.exact_match([1], [1, 2]), "predicted has shape"),
        (lambda: metrics.power_match(1.5, 3), "accuracy is 1.5"),
        (lambda: metrics.brier(np.ones((1, 2)), [0]), "sum to 1"),
        (lambda: metrics.bits_per_byte(1.0, 0, 1), "tokens is 0"),
        (lambda: curves.classify_curve([1, 2, 3], [1, 2, 3]), "at least 4"),
        (lambda: curves.classify_curve([1, 2, 2, 3], [1, 2, 3, 4]), "different"),
        (lambda: curves.ushape(2, 0, 0), "repeat is 2"),
        (lambda: curves.t_interval([1.0]), "n >= 2"),
        (lambda: curves.t_interval([1.0, math.nan]), "must be finite"),
        (lambda: curves.t_interval([1.0, 2.0], 1.0), "level is 1.0"),
        (lambda: curves.width_10_90([1, 2], [1, 1]), "two different levels"),
    ],
)
def test_bad_input_is_one_sentence(call, words):
    with pytest.raises(InputError, match=words):
        call()
