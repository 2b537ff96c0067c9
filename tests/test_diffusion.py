"""Diffusion's formulas against published tables, closed forms and samples that must come out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm import InputError
from minilm import diffusion as D

# Step, beta, kept, signal to noise of DDPM's linear schedule (arXiv 2006.11239), by its formula.
DDPM = [
    (1, 1e-4, 0.9999, 9999),
    (10, 2.79279e-4, 0.9981052048, 526.76),
    (100, 0.00207207, 0.8970181457, 8.71045),
    (250, 0.00506006, 0.5240853738, 1.10122),
    (500, 0.01004004, 0.0785872429, 0.0852899),
    (750, 0.01502002, 0.0033505504, 0.00336181),
    (1000, 0.02, 4.035829765e-5, 4.03599e-5),
]
COSINE = [
    (100, 0.9720927371),
    (250, 0.8470121613),
    (500, 0.4938435904),
    (750, 0.1442721024),
    (900, 0.0240917241),
    (1000, 2.4288e-9),
]


# ------------------------------------------------------------------------------------ schedules


@pytest.mark.parametrize(("step", "beta", "kept", "ratio"), DDPM)
def test_linear_schedule(step: int, beta: float, kept: float, ratio: float) -> None:
    table = D.linear()
    assert table[step - 1] == pytest.approx(kept, rel=1e-9, abs=6e-11)
    before = table[step - 2] if step > 1 else 1.0
    assert 1 - table[step - 1] / before == pytest.approx(beta, rel=1e-5)
    assert D.snr(table)[step - 1] == pytest.approx(ratio, rel=1e-5)


def test_first_step_with_more_noise_than_image() -> None:
    assert int(np.argmax(D.snr(D.linear()) < 1)) + 1 == 260


@pytest.mark.parametrize(("step", "kept"), COSINE)
def test_cosine_schedule(step: int, kept: float) -> None:
    assert D.cosine()[step - 1] == pytest.approx(
        kept, rel=2e-5 if step == 1000 else 0, abs=6e-11 * (step < 1000)
    )


def test_latent_diffusion_schedule() -> None:
    sigma = D.snr(D.scaled_linear()) ** -0.5
    assert (sigma[-1], sigma[0]) == pytest.approx((14.615, 0.02917), rel=1e-3)


@pytest.mark.parametrize("make", [D.linear, D.scaled_linear, D.cosine])
def test_zero_terminal(make) -> None:
    kept = make(50)
    ended = D.zero_terminal(kept)
    assert ended[-1] == 0
    assert ended[0] == pytest.approx(kept[0], rel=1e-15)
    assert (np.diff(ended) < 0).all()


@given(st.floats(0.01, 100), st.integers(1, 40))
def test_shift_divides_signal_to_noise(factor: float, steps: int) -> None:
    kept = D.linear(steps, 0.001, 0.3)
    np.testing.assert_allclose(D.snr(D.shift_snr(kept, factor)), D.snr(kept) / factor, rtol=1e-9)
    np.testing.assert_allclose(
        D.log_snr(D.shift_snr(kept, factor)), D.log_snr(kept) - np.log(factor), atol=1e-9
    )


def test_shift_of_cogview3_and_time_of_sd3() -> None:
    kept = D.scaled_linear()
    np.testing.assert_allclose(D.shift_snr(kept, 4), kept / (4 + (1 - 4) * kept), rtol=1e-15)
    np.testing.assert_allclose(D.shift_time([0.25, 0.5, 0.75], 2), [0.4, 0.6667, 0.8571], atol=5e-5)


@given(st.floats(0, 1), st.floats(0.1, 10))
def test_cosine_path_keeps_the_variance(t: float, factor: float) -> None:
    alpha, sigma = D.cosine_path(t, factor)
    assert alpha**2 + sigma**2 == pytest.approx(1)
    plain = D.cosine_path(t)
    assert alpha * plain[1] * factor**0.5 == pytest.approx(sigma * plain[0], abs=1e-12)


# ------------------------------------------------------------------------------------ targets


def test_velocity_by_hand() -> None:
    alpha, sigma = 0.36**0.5, 0.64**0.5
    x = D.mix(1.0, 2.0, alpha, sigma)
    assert (x, D.target("v", 1.0, 2.0, alpha, sigma)) == pytest.approx((2.2, 0.4))
    assert D.convert(0.4, x, alpha, sigma, "v", "image") == pytest.approx(1)
    assert D.convert(0.4, x, alpha, sigma, "v", "noise") == pytest.approx(2)


@given(
    st.sampled_from(D.TARGETS),
    st.sampled_from(D.TARGETS),
    st.floats(0.02, 0.98),
    st.integers(0, 99),
)
def test_targets_round_trip(given_: str, wanted: str, t: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image, noise = rng.standard_normal((2, 3, 4))
    alpha, sigma = D.cosine_path(t)
    x = D.mix(image, noise, alpha, sigma)
    there = D.convert(D.target(given_, image, noise, alpha, sigma), x, alpha, sigma, given_, wanted)
    np.testing.assert_allclose(
        there, D.target(wanted, image, noise, alpha, sigma), rtol=1e-10, atol=1e-10
    )


def test_flow_is_the_velocity_of_the_straight_path() -> None:
    image, noise, t, step = 1.5, -0.5, 0.3, 1e-6
    ahead = D.mix(image, noise, 1 - t - step, t + step)
    here = D.mix(image, noise, 1 - t, t)
    slope = (ahead - here) / step
    assert D.target("flow", image, noise, 1 - t, t) == pytest.approx(slope, rel=1e-6)
    assert D.convert(slope, here, 1 - t, t, "flow", "image") == pytest.approx(image, rel=1e-6)


@pytest.mark.parametrize("kind", ["noise", "image", "v"])
def test_snr_weight_weighs_the_error_of_the_image(kind: str) -> None:
    rng = np.random.default_rng(0)
    image, guess, noise = rng.standard_normal((3, 5))
    for kept in (0.1, 0.5, 0.99):
        alpha, sigma = kept**0.5, (1 - kept) ** 0.5
        x = D.mix(image, noise, alpha, sigma)
        right = D.target(kind, image, noise, alpha, sigma)
        mine = D.convert(guess, x, alpha, sigma, "image", kind)
        ratio = kept / (1 - kept)
        weighted = D.snr_weight(ratio, kind) * np.sum((mine - right) ** 2)
        assert weighted == pytest.approx(min(ratio, 5) * np.sum((guess - image) ** 2))


# ------------------------------------------------------------------------------------ samplers


def test_posterior_variances() -> None:
    kept, x = D.linear(), np.zeros(2)
    assert D.posterior(x, x, kept, 2)[1] == pytest.approx(5.453188e-5, rel=1e-6)
    assert D.posterior(x, x, kept, 1000)[1] == pytest.approx(0.0199999835, rel=1e-8)
    assert D.posterior(x, x, kept, 1)[1] == 0


def test_posterior_is_bayes() -> None:
    """Mean and variance of x at step t - 1, given x0 and x at t, by completing the square."""
    kept, step, image, x = D.linear(20, 0.01, 0.4), 13, 0.7, -0.4
    now, before = kept[step - 1], kept[step - 2]
    grown = now / before  # x_t = sqrt(grown) x_{t-1} + sqrt(1 - grown) e
    precision = grown / (1 - grown) + 1 / (1 - before)
    mean = (np.sqrt(grown) * x / (1 - grown) + np.sqrt(before) * image / (1 - before)) / precision
    found = D.posterior(np.array(image), np.array(x), kept, step)
    assert (float(found[0]), found[1]) == pytest.approx((mean, 1 / precision))


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_single_picture_is_sampled_exactly(eta: float, steps: int) -> None:
    rng = np.random.default_rng(0)
    picture, noise = rng.standard_normal((2, 4, 4))
    found = D.sample_ddim(lambda x, t: picture, noise, D.cosine_path, steps, 0.985, eta, rng)
    np.testing.assert_allclose(found, picture, atol=1e-12)


def test_ddpm_of_a_single_picture() -> None:
    rng = np.random.default_rng(0)
    kept, picture = D.linear(30, 0.01, 0.5), rng.standard_normal((2, 2))
    x = rng.standard_normal((2, 2))
    for step in range(30, 0, -1):
        x = D.ddpm_step(picture, x, kept, step, rng)
    np.testing.assert_allclose(x, picture, atol=1e-12)


def test_ddim_without_fresh_noise_is_deterministic_and_with_it_is_ddpm() -> None:
    kept, step = D.linear(20, 0.01, 0.4), 13
    image, x = np.array([0.3, -0.2]), np.array([1.0, 0.5])
    now, after = ((k**0.5, (1 - k) ** 0.5) for k in (kept[step - 1], kept[step - 2]))
    still = D.ddim_step(image, x, now, after)
    np.testing.assert_array_equal(still, D.ddim_step(image, x, now, after))
    draws = np.stack(
        [D.ddim_step(image, x, now, after, 1.0, np.random.default_rng(s)) for s in range(4000)]
    )
    mean, variance = D.posterior(image, x, kept, step)
    np.testing.assert_allclose(draws.mean(0), mean, atol=4 * (variance / 4000) ** 0.5)
    np.testing.assert_allclose(draws.var(0), variance, rtol=0.1)


CENTRES = np.array([[-2.0, 0.0], [1.5, 1.0], [1.0, -1.5]])
SHARES = np.array([0.5, 0.3, 0.2])
SPREAD = 0.3


def mixture(x: np.ndarray, alpha: float, sigma: float) -> np.ndarray:
    """The exact mean of x0 given x = alpha x0 + sigma e, for three Gaussians in the plane."""
    wide = alpha**2 * SPREAD**2 + sigma**2
    apart = ((x[:, None] - alpha * CENTRES) ** 2).sum(-1)  # (N, 3)
    weight = SHARES * np.exp(-(apart - apart.min(1, keepdims=True)) / (2 * wide))
    weight /= weight.sum(1, keepdims=True)
    pull = alpha * SPREAD**2 / wide
    each = CENTRES + pull * (x[:, None] - alpha * CENTRES)  # (N, 3, 2)
    return (weight[..., None] * each).sum(1)


def recovered(found: np.ndarray) -> None:
    near = ((found[:, None] - CENTRES) ** 2).sum(-1).argmin(1)
    shares = np.bincount(near, minlength=3) / len(found)
    np.testing.assert_allclose(shares, SHARES, atol=0.03)
    for i, centre in enumerate(CENTRES):
        np.testing.assert_allclose(found[near == i].mean(0), centre, atol=0.06)
        np.testing.assert_allclose(found[near == i].std(0), SPREAD, rtol=0.12)


@pytest.mark.parametrize("method", ["euler", "heun"])
def test_a_mixture_is_recovered_by_the_flow(method: str) -> None:
    sigmas = D.edm_sigmas(40 if method == "heun" else 160, 20.0)
    x = 20.0 * np.random.default_rng(1).standard_normal((4000, 2))
    recovered(D.sample_ode(lambda x, sigma: mixture(x, 1.0, sigma), x, sigmas, method))


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_a_mixture_is_recovered_by_ddim(eta: float) -> None:
    rng = np.random.default_rng(2)

    def denoise(x: np.ndarray, t: float) -> np.ndarray:
        return mixture(x, *map(float, D.cosine_path(t)))

    start = rng.standard_normal((4000, 2))
    recovered(D.sample_ddim(denoise, start, D.cosine_path, 200, 0.995, eta, rng))


def test_heun_is_of_second_order() -> None:
    """Halving the steps of a smooth problem quarters Heun's error and halves Euler's."""
    power = 0.7

    def denoise(x: np.ndarray, sigma: float) -> np.ndarray:
        return power / (power + sigma**2) * x

    x = np.array([3.0])
    exact = x * np.sqrt((power + 0.01) / (power + 9))
    errors = {}
    for method in ("euler", "heun"):
        for steps in (20, 40):
            sigmas = np.linspace(3.0, 0.1, steps + 1)
            found = D.sample_ode(denoise, x, sigmas, method)
            errors[method, steps] = float(np.abs(found - exact)[0])
    assert errors["euler", 20] / errors["euler", 40] == pytest.approx(2, rel=0.1)
    assert errors["heun", 20] / errors["heun", 40] == pytest.approx(4, rel=0.15)


# Steps; rms error of the log spectrum of a full run from noise 80, of a second stage from .9 after
# a small picture of half the side, and of a quarter: a field of 32 x 32 with power max(k, 1)^-3 and
# pixel variance .25, exact denoiser, Euler on the grid above.
RELAY = [
    (5, 1.573, 0.668, 0.690),
    (10, 0.768, 0.305, 0.330),
    (20, 0.363, 0.152, 0.182),
    (40, 0.177, 0.081, 0.119),
    (80, 0.088, 0.048, 0.093),
]


@pytest.mark.parametrize(("steps", "full", "half", "quarter"), RELAY)
def test_relay_on_a_gaussian_field(steps: int, full: float, half: float, quarter: float) -> None:
    k = np.fft.fftfreq(32, 1 / 32)
    power = np.maximum(np.hypot(k[:, None], k), 1.0) ** -3
    power *= 0.25 / power.mean()

    def error(high: float, start: np.ndarray) -> float:
        def denoise(x: np.ndarray, sigma: float) -> np.ndarray:
            return power / (power + sigma**2) * x

        ended = D.sample_ode(denoise, np.sqrt(start), D.edm_sigmas(steps, high), "euler")
        return float(np.sqrt(np.mean(np.log(ended**2 / power) ** 2)))

    def small(side: int) -> np.ndarray:
        return power * ((np.abs(k)[:, None] < 16 / side) & (np.abs(k) < 16 / side))

    found = error(80.0, power + 80.0**2), error(0.9, small(2) + 0.81), error(0.9, small(4) + 0.81)
    assert found == pytest.approx((full, half, quarter), abs=1.5e-3)


def test_guidance() -> None:
    free, conditioned = np.array([1.0, 2.0]), np.array([2.0, 0.0])
    np.testing.assert_array_equal(D.guided(free, conditioned, 0), free)
    np.testing.assert_array_equal(D.guided(free, conditioned, 1), conditioned)
    np.testing.assert_array_equal(D.guided(free, conditioned, 3), [4.0, -4.0])


# ------------------------------------------------------------------------------------ blocks


@pytest.mark.parametrize("side", [1, 2, 4])
def test_block_noise_has_a_triangular_covariance(side: int) -> None:
    x = D.block_noise((3000, 16, 16), side, np.random.default_rng(0))
    spread = 4 * side / np.sqrt(x.size)  # some standard errors: neighbours are not independent
    for across, down in [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (1, 1), (0, 2)]:
        found = float((x * np.roll(x, (down, across), (-2, -1))).mean())
        wanted = max(0, 1 - across / side) * max(0, 1 - down / side)
        assert found == pytest.approx(wanted, abs=2 * spread)


@pytest.mark.parametrize(("side", "kept"), [(2, 0.5625), (4, (11 / 16) ** 2), (8, 0.45142)])
def test_pooled_block_noise(side: int, kept: float) -> None:
    rng = np.random.default_rng(1)
    pooled = D.pool(D.block_noise((4000, 16, 16), side, rng), side)
    assert pooled.var() == pytest.approx(kept, rel=0.03)
    plain = D.pool(rng.standard_normal((4000, 16, 16)), side)
    assert plain.var() == pytest.approx(1 / side**2, rel=0.03)


def test_cosine_transform() -> None:
    from scipy.fft import dct

    x = np.random.default_rng(0).standard_normal((5, 8))
    np.testing.assert_allclose(x @ D.dct_matrix(8).T, dct(x, norm="ortho"), atol=1e-12)


def test_blur() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 3, 8, 12))
    np.testing.assert_array_equal(D.blur_patches(x, 0, 4), x)
    blurred = D.blur_patches(x, 1.3, 4)
    np.testing.assert_allclose(D.pool(blurred, 4), D.pool(x, 4), atol=1e-12)  # means stay
    np.testing.assert_allclose(
        D.blur_patches(2 * x - y, 1.3, 4), 2 * blurred - D.blur_patches(y, 1.3, 4), atol=1e-12
    )
    wiped = D.blur_patches(x, 50.0, 4, least=0.0)
    np.testing.assert_allclose(wiped, np.kron(D.pool(x, 4), np.ones((4, 4))), atol=1e-12)
    assert D.blur_patches(x.astype(np.float32), 1.3, 4).dtype == np.float32


# ------------------------------------------------------------------------------------ refusals

ONES = np.ones((2, 2))
REFUSED = {
    "a schedule that rises": (lambda: D.snr([0.5, 0.6]), "kept rises at step 2"),
    "nan in a schedule": (lambda: D.snr([0.5, np.nan]), "nan"),
    "no steps": (lambda: D.linear(0), "steps is 0"),
    "a beta of 1": (lambda: D.linear(10, 1e-4, 1.0), "last is 1.0"),
    "a schedule that stays": (lambda: D.zero_terminal([0.5, 0.5]), "throughout"),
    "a factor of 0": (lambda: D.shift_snr([0.5], 0), "factor is 0"),
    "a time above 1": (lambda: D.cosine_path(1.5), "times must lie"),
    "an unknown target": (lambda: D.target("x0", 1, 1, 1, 0), "target is 'x0'"),
    "an image in nothing": (
        lambda: D.convert(ONES, ONES, 0.0, 1.0, "noise", "image"),
        "alpha is 0",
    ),
    "step 0": (lambda: D.posterior(ONES, ONES, D.linear(5), 0), "step is 0"),
    "eta of 2": (lambda: D.ddim_step(ONES, ONES, (0.6, 0.8), (0.8, 0.6), 2.0), "eta is 2.0"),
    "eta without rng": (lambda: D.ddim_step(ONES, ONES, (0.6, 0.8), (0.8, 0.6), 1.0), "rng"),
    "sigmas that rise": (lambda: D.sample_ode(lambda x, s: x, ONES, [0.1, 0.2]), "do not fall"),
    "an unknown method": (lambda: D.sample_ode(lambda x, s: x, ONES, [1, 0], "rk4"), "rk4"),
    "a side that does not divide": (lambda: D.pool(np.ones((6, 6)), 4), "side is 4"),
    "a negative blur": (lambda: D.blur_patches(ONES, -1, 2), "sigma is -1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_a_sentence(name: str) -> None:
    call, words = REFUSED[name]
    with pytest.raises(InputError, match=words):
        call()
