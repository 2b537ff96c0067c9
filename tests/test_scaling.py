"""Scaling-law fits against planted laws, published optima and SciPy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm.analysis import scaling
from minilm.errors import InputError

COMPUTE = 5.88e23  # 6 * 70e9 * 1.4e12
# A third law near the refit, so that the arithmetic is checked on very different optima.
THIRD = scaling.Chinchilla(1.8172, 482.01, 2085.43, 0.3478, 0.3658)


@pytest.fixture(scope="module")
def runs():
    r = np.random.default_rng(0)
    size = np.exp(r.uniform(np.log(5e7), np.log(1.6e10), 120))
    tokens = np.exp(r.uniform(np.log(3e8), np.log(3e11), 120))
    return size, tokens


@pytest.mark.parametrize(
    "law, size, tokens, ratio, loss, exponent",
    [
        (scaling.HOFFMANN_ROUNDED, "32.5B", "3.02T", "92.8", "1.9300", ".4516"),
        (scaling.HOFFMANN, "40.7B", "2.41T", "59.0", "1.9177", ".4565"),
        (THIRD, "73.0B", "1.34T", "18.4", "1.9739", ".5126"),
    ],
)
def test_compute_optimal_sizes_are_the_published_table(law, size, tokens, ratio, loss, exponent):
    n, d = law.optimal(COMPUTE)
    assert f"{n / 1e9:.1f}B" == size
    assert f"{d / 1e12:.2f}T" == tokens
    assert f"{d / n:.1f}" == ratio
    assert f"{law.loss(n, d):.4f}" == loss
    assert f"{law.size_exponent:.4f}".lstrip("0") == exponent
    assert 6 * n * d == pytest.approx(COMPUTE, rel=1e-12)
    assert law.alpha * law.A / n**law.alpha == pytest.approx(law.beta * law.B / d**law.beta)


def test_losses_of_chinchilla_and_gopher():
    for law, small, large in (
        (scaling.HOFFMANN_ROUNDED, 1.93665, 1.99326),
        (THIRD, 1.97388, 1.99961),
    ):
        assert round(float(law.loss(70e9, 1.4e12)), 5) == small
        assert round(float(law.loss(280e9, 300e9)), 5) == large


def test_overhead_of_a_small_model_trained_long():
    table = (
        (scaling.HOFFMANN_ROUNDED, 3.7, 28, 9.70),
        (scaling.HOFFMANN, 10.2, 40, 11.68),
        (THIRD, 40.8, 56, 15.84),
    )
    for law, extra, saved, best in table:
        dearer, cheaper = law.overhead(7e9, 1e12)
        assert round(100 * dearer, 1) == extra
        assert round(100 * cheaper) == saved
        assert round(law.cheapest(float(law.loss(7e9, 1e12)))[0] / 1e9, 2) == best


def test_half_size_model_needs_more_compute():
    for law, tokens, extra in ((scaling.HOFFMANN_ROUNDED, 2.42, 20.8), (THIRD, 2.52, 25.9)):
        n, d = law.optimal(COMPUTE)
        more = law.tokens_needed(n / 2, float(law.loss(n, d))) / d
        assert round(more, 2) == tokens
        assert round(100 * (more / 2 - 1), 1) == extra


@given(st.floats(17, 26), st.sampled_from([scaling.HOFFMANN_ROUNDED, scaling.HOFFMANN, THIRD]))
def test_the_optimum_beats_its_neighbours_and_inverts(power, law):
    compute = 10**power
    n, d = law.optimal(compute)
    for factor in (0.9, 1.1):
        assert law.loss(n * factor, compute / 6 / (n * factor)) > law.loss(n, d)
    assert law.cheapest(float(law.loss(n, d))) == pytest.approx((n, d), rel=1e-6)
    assert law.overhead(n, d) == pytest.approx((0, 0), abs=1e-6)


def test_chinchilla_fit_recovers_noiseless_constants(runs):
    for law in (scaling.HOFFMANN, THIRD):
        found = scaling.fit_chinchilla(*runs, law.loss(*runs), tries=6)
        for name in ("E", "A", "B", "alpha", "beta"):
            assert getattr(found, name) == pytest.approx(getattr(law, name), rel=1e-4)
        assert found.objective < 1e-12


def test_chinchilla_fit_ignores_outliers(runs):
    law = scaling.REFIT_2024
    loss = law.loss(*runs).copy()
    loss[::20] *= 1.3
    found = scaling.fit_chinchilla(*runs, loss, tries=6)
    assert found.E == pytest.approx(law.E, rel=0.01)
    assert found.size_exponent == pytest.approx(law.size_exponent, abs=0.01)


def test_chinchilla_fit_is_a_minimum_and_its_objective_is_the_huber_sum(runs):
    noise = np.random.default_rng(1).normal(0, 0.01, 120)
    loss = scaling.HOFFMANN.loss(*runs) * np.exp(noise)
    found = scaling.fit_chinchilla(*runs, loss, tries=6)
    again = scaling.chinchilla_objective(found, *runs, loss)
    assert found.objective == pytest.approx(again, rel=1e-9)
    assert again <= scaling.chinchilla_objective(scaling.HOFFMANN, *runs, loss)
    fields = ("E", "A", "B", "alpha", "beta")
    for name in fields:
        for factor in (0.999, 1.001):
            values = {f: getattr(found, f) for f in fields}
            moved = scaling.Chinchilla(**{**values, name: values[name] * factor})
            assert scaling.chinchilla_objective(moved, *runs, loss) >= again


def test_huber_equals_scipy():
    from scipy.special import huber

    r = np.linspace(-0.01, 0.01, 41)
    np.testing.assert_allclose(scaling.huber(r, 1e-3), huber(1e-3, r), rtol=1e-14)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.5, 4), st.floats(2, 200), st.floats(0.08, 0.9))
def test_power_law_fit_recovers_a_planted_law(floor, coefficient, alpha):
    law = scaling.PowerLaw(floor, coefficient, alpha)
    x = np.geomspace(1e3, 1e8, 12)
    found = scaling.fit_power_law(x, law.loss(x))
    np.testing.assert_allclose(found.loss(x), law.loss(x), rtol=1e-5)
    assert found.loss(1e9) == pytest.approx(law.loss(1e9), rel=1e-3)


def test_power_law_without_constant_is_a_straight_line():
    x = np.geomspace(10, 1e6, 8)
    found = scaling.fit_power_law(x, 7 * x**-0.3, constant=False)
    assert (found.E, found.A, found.alpha) == pytest.approx((0, 7, 0.3), rel=1e-6)
    assert scaling.power_fit(x, 7 * x**-0.3) == pytest.approx((7, -0.3, 1), rel=1e-9)
    assert found.needed(0.7) == pytest.approx(10 ** (1 / 0.3), rel=1e-5)


def test_power_law_floor_is_out_of_reach():
    assert scaling.PowerLaw(2, 5, 0.5).needed(2) == math.inf
    assert scaling.HOFFMANN_ROUNDED.tokens_needed(1e6, 1.7) == math.inf


def test_bootstrap_is_reproducible_and_covers_the_truth():
    x = np.geomspace(1, 1000, 24)
    covered = 0
    for seed in range(60):
        noise = np.random.default_rng(seed).normal(0, 0.05, 24)
        y = 3 * x**-0.4 * np.exp(noise)
        slopes = [
            p for _, p, _ in scaling.bootstrap(scaling.power_fit, x, y, resamples=80, seed=seed)
        ]
        covered += scaling.interval(slopes).covers(-0.4)
    # A 90 % interval of this size covers about 88 %; 60 draws put 3 standard errors at 76 %.
    assert covered >= 46
    one, two = (scaling.bootstrap(scaling.power_fit, x, y, resamples=3, seed=5) for _ in range(2))
    assert one == two


def test_forecast_brackets_a_held_back_point():
    law, x = scaling.PowerLaw(1.5, 30, 0.3), np.geomspace(1e4, 1e6, 9)
    held = 0
    for seed in range(8):
        y = law.loss(x) * np.exp(np.random.default_rng(seed).normal(0, 0.004, 9))
        guess = scaling.forecast(x, y, 1e7, resamples=30, seed=seed)
        assert guess.low <= guess.middle <= guess.high
        held += guess.covers(float(law.loss(1e7)))
    assert held >= 5


def test_isoflop_minimum_finds_the_optimal_size():
    law, budgets, best = scaling.HOFFMANN, np.geomspace(1e19, 1e22, 4), []
    for compute in budgets:
        n, _ = law.optimal(compute)
        sizes = n * np.geomspace(0.5, 2, 9)
        found = scaling.isoflop_minimum(sizes, law.loss(sizes, compute / 6 / sizes))
        assert found.bracketed and found.size == pytest.approx(n, rel=0.02)
        best.append(found.size)
    _, exponent, r2 = scaling.power_fit(budgets, best)
    assert exponent == pytest.approx(law.size_exponent, abs=1e-3) and r2 > 0.9999


def test_isoflop_minimum_is_exact_on_a_parabola_and_says_when_it_is_outside():
    x = np.geomspace(1e3, 1e5, 5)
    loss = 2 + 0.1 * np.log(x / 2e6) ** 2
    found = scaling.isoflop_minimum(x, loss)
    assert (found.size, found.loss) == pytest.approx((2e6, 2.0))
    assert not found.bracketed
    with pytest.raises(InputError, match="opens downwards"):
        scaling.isoflop_minimum(x, 20 - loss)


def test_frontier_keeps_what_nothing_cheaper_beats():
    assert scaling.frontier([3, 1, 2, 2, 4], [1.0, 3.0, 3.5, 2.0, 1.0]).tolist() == [1, 3, 0]


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: scaling.fit_power_law([1, 2, 3], [3, 2, 1]), "at least 4"),
        (lambda: scaling.fit_power_law([1, 2, 3, -1], [3, 2, 1, 1]), "above 0"),
        (lambda: scaling.fit_chinchilla([1] * 6, [1] * 6, [1] * 5), "loss has shape"),
        (lambda: scaling.HOFFMANN.optimal(0), "compute is 0"),
        (lambda: scaling.HOFFMANN.cheapest(1.0), "floor"),
        (lambda: scaling.interval([1, 2], 1.0), "level is 1.0"),
        (lambda: scaling.bootstrap(scaling.power_fit, [1, 2], [1, 2]), "at least 3"),
        (lambda: scaling.interval([], 0.5), "values is empty"),
        (lambda: scaling.isoflop_minimum([1, 2, 2], [1, 2, 3]), "size holds 2 different values"),
    ],
)
def test_bad_input_is_one_sentence(call, words):
    with pytest.raises(InputError, match=words):
        call()


GRID = [(n, d) for n in (1e6, 1e7, 1e8) for d in (1e8, 1e9, 1e10)]
SIZE, TOKENS = np.array(GRID).T


@pytest.mark.parametrize(
    "size, tokens, words",
    [
        (np.full(9, 1e7), TOKENS, "size holds 1 different value, which leaves E, A and alpha und"),
        (np.where(SIZE > 1e7, 1e8, 1e7), TOKENS, "size holds 2 different values"),
        (SIZE, np.full(9, 1e9), "tokens holds 1 different value, which leaves E, B and beta"),
        (np.geomspace(1e6, 1e9, 9), 20 * np.geomspace(1e6, 1e9, 9), "size and tokens change tog"),
        (np.geomspace(1e6, 1e9, 9), np.geomspace(1e6, 1e9, 9) ** 1.5, "size and tokens change"),
        (np.geomspace(1e7, 1.001e7, 9), np.roll(TOKENS, 2), "leaves A, B, alpha and beta undeter"),
        (np.geomspace(1e6, 1e9, 9), 20 * np.ceil(np.geomspace(1e6, 1e9, 9) / 1e4) * 1e4, "change"),
    ],
)
def test_points_that_cannot_tell_size_from_tokens_are_refused(size, tokens, words):
    """Each of these has a second law, far from the first, with the same loss at every point."""
    with pytest.raises(InputError, match=words):
        scaling.fit_chinchilla(size, tokens, scaling.HOFFMANN.loss(size, tokens))


def test_sizes_and_tokens_in_proportion_have_two_laws():
    """Why they are refused: the two exponents can change places."""
    n, law = np.geomspace(1e6, 1e9, 9), scaling.Chinchilla(1.7, 400, 4000, 0.2, 0.5)
    swapped = scaling.Chinchilla(
        law.E, law.B * 20**-law.beta, law.A * 20**law.alpha, law.beta, law.alpha
    )
    np.testing.assert_allclose(law.loss(n, 20 * n), swapped.loss(n, 20 * n), rtol=1e-12)
    assert law.optimal(1e20)[0] > 1000 * swapped.optimal(1e20)[0]


def test_a_small_but_real_grid_is_fitted():
    found = scaling.fit_chinchilla(SIZE, TOKENS, scaling.HOFFMANN.loss(SIZE, TOKENS), tries=6)
    assert found.alpha == pytest.approx(scaling.HOFFMANN.alpha, rel=1e-3)
    assert found.beta == pytest.approx(scaling.HOFFMANN.beta, rel=1e-3)
    assert found.undetermined == ()


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda x, y: scaling.fit_power_law(x[:1].repeat(6), y), "x holds 1 different value, whi"),
        (lambda x, y: scaling.fit_power_law(x[:2].repeat(3), y), "E, A and alpha undetermined; it"),
        (lambda x, y: scaling.fit_power_law(x[:1].repeat(6), y, constant=False), "at least 2"),
        (lambda x, y: scaling.power_fit(x[:1].repeat(6), y), "leaves k and p undetermined"),
        (lambda x, y: scaling.forecast(x[:2].repeat(3), y, 1e9, resamples=2), "at least 3"),
        (lambda x, y: scaling.bootstrap(scaling.power_fit, x[:1].repeat(6), y), "k and p"),
    ],
)
def test_too_few_different_values_are_refused(call, words):
    with pytest.raises(InputError, match=words):
        call(np.geomspace(1e3, 1e8, 6), np.linspace(4, 3, 6))


def test_two_values_are_enough_without_the_constant():
    x = np.array([10.0, 10.0, 1000.0])
    found = scaling.fit_power_law(x, 7 * x**-0.3, constant=False)
    assert (found.A, found.alpha) == pytest.approx((7, 0.3), rel=1e-6)


def test_a_bootstrap_draws_again_what_its_fit_refuses():
    """Of 8 points at 2 places, one draw in 128 has one place only: no slope."""
    x, y = np.array([1.0, 10.0]).repeat(4), np.array([2.0, 1.0]).repeat(4)
    fits = scaling.bootstrap(scaling.power_fit, x, y, resamples=600)
    assert len(fits) == 600
    assert all(p == pytest.approx(-math.log10(2)) for _, p, _ in fits)


def test_a_flat_loss_names_what_it_leaves_open():
    x = np.geomspace(1e3, 1e8, 8)
    law = scaling.fit_power_law(x, np.linspace(3, 3.1, 8))
    assert law.alpha == 0 and law.undetermined == ("E", "A")
    assert scaling.fit_power_law(x, 2 + 7 * x**-0.3).undetermined == ()
    rising = scaling.HOFFMANN.E + 500 * SIZE**-0.3 + 0.1 * np.log(TOKENS)
    found = scaling.fit_chinchilla(SIZE, TOKENS, rising, tries=6)
    assert found.beta == 0 and found.undetermined == ("E", "B")
    assert scaling.Chinchilla(1, 2, 3, 0, 0).undetermined == ("E", "A", "B")


FLAT = {  # exponents that are 0 -> the law
    "alpha": scaling.Chinchilla(1.5, 400, 400, 0.0, 0.3),
    "beta": scaling.Chinchilla(1.5, 400, 400, 0.3, 0.0),
}


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: scaling.PowerLaw(1.5, 2, 0.0).needed(2), "alpha is 0.0, a loss that does not f"),
        (lambda: FLAT["beta"].tokens_needed(1e6, 1e4), "beta is 0.0.*tokens_needed needs beta"),
        (lambda: FLAT["alpha"].optimal(1e20), "alpha is 0.0.*optimal needs alpha above 0"),
        (lambda: FLAT["beta"].optimal(1e20), "beta is 0.0"),
        (lambda: FLAT["alpha"].cheapest(3.0), "alpha is 0.0.*cheapest"),
        (lambda: FLAT["beta"].cheapest(3.0), "beta is 0.0.*cheapest"),
        (lambda: FLAT["alpha"].size_exponent, "alpha is 0.0.*size_exponent"),
        (lambda: FLAT["alpha"].overhead(1e6, 1e8), "alpha is 0.0"),
        (lambda: scaling.Chinchilla(1, 2, 3, 1e-9, 0.3).cheapest(2), "best size and tokens come"),
        (lambda: scaling.Chinchilla(1, 9, 3, 1e-9, 1e-9).optimal(1e20), "finite and above 0"),
    ],
)
def test_an_exponent_of_zero_is_a_sentence_and_no_division_by_it(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_a_tiny_exponent_needs_endlessly_much():
    assert scaling.PowerLaw(1.5, 2, 1e-6).needed(2) == math.inf
    assert scaling.Chinchilla(1, 2, 3, 0.3, 1e-6).tokens_needed(1e6, 1.2) == math.inf


@pytest.mark.parametrize("scale", [1e4, 1e13, 1e25])
def test_a_curve_with_a_step_gets_a_finite_law(scale):
    near = scale * np.geomspace(1, 1.1, 6)
    for loss in (0.4 + 4 * (near / scale) ** -90, [4.4, 4.3, 4.2, 4.1, 2.1, 0.4]):
        law = scaling.fit_power_law(near, loss)
        assert np.isfinite([law.E, law.A, law.alpha]).all() and law.A > 0
        assert np.isfinite(law.loss(near)).all()
