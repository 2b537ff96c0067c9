"""Distances between sets of pictures: against closed forms and planted cases."""

import math
import subprocess
import sys

import numpy as np
import pytest

from minilm import InputError
from minilm.analysis.pictures import (
    Pca,
    copying,
    frechet,
    frechet_of_moments,
    moments,
    nearest,
    precision_recall,
    sample_class_gaussians,
)
from minilm.analysis.spectrum import power, rings, spectrum_error
from minilm.data.images import split_digits


def rng(seed=0):
    return np.random.default_rng(seed)


def with_moments(n, mean, covariance, seed=0):
    """n rows whose sample mean and covariance are exactly these."""
    x = rng(seed).standard_normal((n, len(mean)))
    x -= x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return x @ np.linalg.cholesky(covariance).T + mean


# --- class Gaussians ----------------------------------------------------------------------------


def test_samples_have_the_mean_and_covariance_of_their_class():
    covs = [np.array([[2.0, 0.6], [0.6, 1.0]]), np.array([[0.5, -0.3], [-0.3, 0.4]])]
    means = [np.array([3.0, -1.0]), np.array([-4.0, 2.0])]
    x = np.concatenate([with_moments(50, m, c) for m, c in zip(means, covs)])
    far = np.array([[-99.0, 99.0], [99.0, -99.0], [-99.0, 99.0]])  # so that nothing is clipped
    labels = np.array([5] * 50 + [7] * 50 + [9] * 3)
    made, named = sample_class_gaussians(np.concatenate([x, far]), labels, 40_000, rng(1))
    assert made.shape == (120_000, 2) and np.array_equal(np.unique(named), [5, 7, 9])
    for label, mean, cov in zip((5, 7), means, covs):
        got_mean, got_cov = moments(made[named == label])
        assert np.allclose(got_mean, mean, atol=5 * math.sqrt(2 / 40_000))
        assert np.allclose(got_cov, cov, atol=5 * 2 * math.sqrt(2 / 40_000))


def test_samples_keep_shape_dtype_range_and_a_constant_pixel():
    pictures = rng().uniform(0.2, 0.8, (60, 3, 4)).astype(np.float32)
    pictures[:, 0, 0] = 0.25
    made, named = sample_class_gaussians(pictures, np.arange(60) % 2, 200, rng(1))
    assert made.shape == (400, 3, 4) and made.dtype == np.float32
    assert made.min() >= pictures.min() and made.max() <= pictures.max()
    assert np.allclose(made[:, 0, 0], 0.25, atol=1e-6)
    again, _ = sample_class_gaussians(pictures, np.arange(60) % 2, 200, rng(1))
    assert np.array_equal(made, again)


def test_fewer_pictures_than_pixels_give_samples_in_the_plane_that_they_span():
    x = rng().standard_normal((3, 10))
    made, _ = sample_class_gaussians(x, np.zeros(3, int), 50, rng(2))
    inside = (made > x.min() + 1e-9).all(1) & (made < x.max() - 1e-9).all(1)  # not clipped
    plane = np.linalg.svd(x - x.mean(0))[2][2:]  # (8, 10), what no picture differs in
    assert inside.sum() > 5
    assert np.allclose((made[inside] - x.mean(0)) @ plane.T, 0, atol=1e-6)


# --- Frechet distance ---------------------------------------------------------------------------


def test_frechet_of_gaussians_with_known_distance():
    eye = np.eye(3)
    assert frechet_of_moments(np.zeros(3), eye, np.array([3.0, 4.0, 0.0]), eye) == pytest.approx(25)
    a, b = np.diag([1.0, 4.0, 9.0]), np.diag([4.0, 4.0, 1.0])  # commute: sum of (root - root)^2
    assert frechet_of_moments(np.zeros(3), a, np.zeros(3), b) == pytest.approx(1 + 0 + 4)
    flat = np.diag([1.0, 0.0, 0.0])  # singular
    assert frechet_of_moments(np.zeros(3), flat, np.zeros(3), eye) == pytest.approx(2)


def test_frechet_of_two_by_two_that_do_not_commute():
    """tr (A B)^(1/2) = sqrt(tr A B + 2 sqrt(det A B)) for two by two."""
    a, b = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, -0.7], [-0.7, 3.0]])
    cross = math.sqrt(np.trace(a @ b) + 2 * math.sqrt(np.linalg.det(a @ b)))
    expected = 5 + np.trace(a) + np.trace(b) - 2 * cross
    assert frechet_of_moments(np.zeros(2), a, np.array([1.0, 2.0]), b) == pytest.approx(expected)
    x, y = with_moments(40, np.zeros(2), a), with_moments(70, np.array([1.0, 2.0]), b, 1)
    assert frechet(x, y) == pytest.approx(expected)
    assert frechet(y, x) == pytest.approx(expected)


def test_frechet_of_a_set_and_itself_is_0_and_turning_changes_nothing():
    x, y = rng().standard_normal((30, 5)), 2 + rng(1).standard_normal((40, 5))
    turn = np.linalg.qr(rng(2).standard_normal((5, 5)))[0]
    assert 0 <= frechet(x, x) < 1e-9
    assert frechet(x @ turn, y @ turn) == pytest.approx(frechet(x, y))


def test_pca_finds_the_planted_directions_and_all_of_them_keep_every_distance():
    turn = np.linalg.qr(rng().standard_normal((6, 6)))[0]
    x = with_moments(80, np.arange(6.0), turn @ np.diag([9.0, 4, 1, 0.1, 0.1, 0.1]) @ turn.T)
    features = Pca(x, 2)
    assert features.kept == pytest.approx(13 / 14.3)
    assert np.allclose(np.abs(features.axes.T @ turn[:, :2]), np.eye(2), atol=1e-8)
    mean, covariance = moments(features(x))
    assert np.allclose(mean, 0, atol=1e-9) and np.allclose(covariance, np.diag([9, 4]), atol=1e-8)
    y = rng(1).standard_normal((30, 6))
    every = Pca(x, 6)
    assert frechet(every(x), every(y)) == pytest.approx(frechet(x, y))
    assert frechet(features(x), features(y)) < frechet(x, y)


# --- neighbours ---------------------------------------------------------------------------------


def test_nearest_of_points_on_a_line():
    a, b = np.array([[0.0], [10.0]]), np.array([[1.0], [3.0], [6.0]])
    assert nearest(a, b).tolist() == [1, 4]
    assert nearest(a, b, 2).tolist() == [3, 7]
    assert nearest(a, b, 3).tolist() == [6, 9]


def test_nearest_in_parts_is_nearest_at_once():
    a, b = rng().standard_normal((2500, 3)), rng(1).standard_normal((50, 3))
    brute = np.sort(np.sqrt(((a[:, None] - b) ** 2).sum(-1)), 1)[:, 2]
    assert np.allclose(nearest(a, b, 3), brute)


def test_precision_and_recall_of_planted_sets():
    low = np.arange(10.0)[:, None]
    high = 1000 + low
    real = np.concatenate([low, high])
    assert precision_recall(real, real) == (1, 1)
    assert precision_recall(real, low) == (1, 0.5)  # good, but one of two modes
    assert precision_recall(low, np.concatenate([low, high])) == (0.5, 1)  # all of it, and half bad
    assert precision_recall(low, high) == (0, 0)


def test_the_radius_is_that_of_the_kth_other_point():
    real = np.array([[0.0], [1.0], [3.0], [100.0]])  # radii for k = 1: 1, 1, 2, 97
    fake = np.array([[2.0], [-1.0], [-1.1], [2.9]])
    assert precision_recall(real, fake, k=1)[0] == 0.75
    assert precision_recall(real, fake, k=2)[0] == 1  # radii 3, 2, 3, 99


def test_copies_are_found_by_their_share():
    train, held, new = (rng(i).standard_normal((400, 16)) for i in range(3))
    copies = train[:100] + 1e-3 * rng(9).standard_normal((100, 16))
    found = copying(np.concatenate([copies, new[:300]]), train, held)
    assert 0.25 <= found.copies <= 0.27  # the planted quarter, and about one in 100 of the rest
    honest = copying(new, train, held)
    assert honest.copies <= 0.03
    assert honest.distance == pytest.approx(honest.held_distance, rel=0.05)
    assert copying(train, train, held).distance == 0
    assert copying(train, train, held).copies == 1


# --- spectrum -----------------------------------------------------------------------------------


def test_power_is_parsevals_and_white_noise_is_flat():
    x = rng().standard_normal((2000, 6, 8))
    assert power(x).mean() == pytest.approx((x**2).mean())
    assert np.allclose(power(x), 1, atol=5 / math.sqrt(2000) * math.sqrt(2))


def test_a_wave_is_found_at_its_length():
    row = np.arange(16)
    wave = np.sqrt(2) * np.cos(2 * np.pi * (3 * row[:, None] + 4 * row) / 16)  # length 5
    found = rings(wave)
    assert found.shape == (9,)
    assert found.argmax() == 5 and np.delete(found, 5).max() < 1e-20
    assert power(wave).sum() == pytest.approx(256) and power(wave)[3, 4] == pytest.approx(128)
    diagonal = np.cos(2 * np.pi * 2 * (row[:, None] + row) / 16)  # length 2.83
    assert rings(diagonal).argmax() == 3
    across = np.cos(2 * np.pi * 2 * row / 16)[None] + np.zeros((16, 1))
    assert rings(across).argmax() == 2


def test_spectrum_error_in_closed_form():
    x = rng().standard_normal((10, 8, 8))
    assert spectrum_error(x, x) == 0
    assert spectrum_error(3 * x, x) == pytest.approx(math.log(9))
    assert spectrum_error(x, 3 * x) == pytest.approx(math.log(9))
    louder = np.fft.fft2(x)
    louder[:, :, 0] *= 2  # a power of 4 in an eighth of the waves
    assert spectrum_error(np.fft.ifft2(louder).real, x) == pytest.approx(math.log(4) / math.sqrt(8))
    assert spectrum_error(np.roll(x, 3, axis=2), x) == pytest.approx(0, abs=1e-12)


# --- real pictures ------------------------------------------------------------------------------


def test_yardsticks_of_the_handwritten_digits_are_in_order():
    """Real pictures, one Gaussian for each class, one for all of them, noise: in this order."""
    split = split_digits(seed=0)
    features = Pca(split.images, 16)
    classes, _ = sample_class_gaussians(split.images, split.labels, 50, rng(1))
    alike, _ = sample_class_gaussians(split.images, np.zeros(len(split.images)), 500, rng(1))
    noise = rng(2).uniform(0, 1, (500, 8, 8))
    held = features(split.held_images)
    sets = (split.images[:500], classes, alike, noise)
    precise = [precision_recall(held, features(x))[0] for x in sets]
    assert precise == sorted(precise, reverse=True) and precise[0] > 0.85
    assert precision_recall(split.held_images, noise) == (0, 0)  # in all 64 numbers
    assert frechet(features(split.images), held) < 0.1 * frechet(features(noise), held)
    honest = copying(classes, split.images, split.held_images)
    assert honest.copies < 0.05
    assert copying(split.images[:500], split.images, split.held_images).copies == 1


# --- what is refused, what is loaded ------------------------------------------------------------

X, NAN = np.zeros((4, 3)), np.full((4, 3), np.nan)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: frechet(X, X[:1]), "there are 1 rows; a covariance needs at least 2"),
        (lambda: frechet(X, X[:, :2]), "rows have 3 and 2 numbers"),
        (lambda: frechet(X, NAN), "pictures hold nan or inf"),
        (lambda: frechet(X[0], X), "pictures are (3,); they must be (N, ...)"),
        (lambda: frechet(X[:0], X), "pictures are (0, 3)"),
        (
            lambda: frechet_of_moments(X[0], np.eye(3), X[0, :2], np.eye(3)),
            "moments are (3,), (3, 3), (2,), (3, 3); they must be (D,), (D, D)",
        ),
        (lambda: frechet_of_moments(X[0], np.eye(3), NAN[0], np.eye(3)), "moments hold nan"),
        (lambda: Pca(X, 4), "size is 4; it must be from 1 to 3"),
        (lambda: Pca(X, 2)(X[:, :2]), "rows have 2 and 3 numbers"),
        (lambda: nearest(X, X, 5), "k is 5; it must be from 1 to the number of rows, 4"),
        (lambda: precision_recall(X, X, 4), "k is 4; it must be from 1 to the rows of the"),
        (lambda: copying(X, X, X, 1.0), "share is 1.0; it must be between 0 and 1"),
        (
            lambda: sample_class_gaussians(X, np.zeros(3), 1, rng()),
            "labels are (3,); they must be (4,), as the pictures",
        ),
        (lambda: sample_class_gaussians(X, np.arange(4), 1, rng()), "there are 1 rows"),
        (lambda: sample_class_gaussians(X, np.zeros(4), 0, rng()), "count is 0"),
        (lambda: power(np.zeros(3)), "pictures are (3,); they must be (..., H, W)"),
        (lambda: power(NAN), "pictures hold nan or inf"),
        (lambda: spectrum_error(X + 1, X), "the first pictures have no power in 11 waves"),
        (lambda: spectrum_error(rng().random((4, 4)), rng().random((4, 5))), "(4, 4) and (4, 5)"),
    ],
)
def test_what_is_refused(call, text):
    with pytest.raises(InputError) as error:
        call()
    assert text in str(error.value)


def test_scipy_loads_when_a_distance_is_taken():
    source = (
        "import sys, minilm.analysis.pictures, minilm.analysis.spectrum\n"
        "print('scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
