"""Distances between two sets of pictures, and yardsticks for them, without a download.

Every figure of a generator stands beside two yardsticks: `sample_class_gaussians`, which learns
nothing but means and covariances, and real pictures against real ones.

Features are rows, (N, D): pixels, the hidden layer of a classifier, or `Pca`. SciPy loads when a
distance is first taken.
"""

from typing import NamedTuple

import numpy as np

from minilm.errors import InputError

Array = np.ndarray
ROWS = 1024  # rows of a table of distances held at once


def check_finite(name: str, numbers: Array) -> None:
    if not np.isfinite(numbers).all():
        raise InputError(f"{name} hold nan or inf; every number must be finite")


def flat(pictures: Array) -> Array:
    """Pictures (N, ...) as rows of float64 numbers, (N, D).

    Raises:
        InputError: fewer than two axes; no picture; numbers that are not finite.
    """
    rows = np.asarray(pictures, dtype=np.float64)
    if rows.ndim < 2 or not rows.size:
        raise InputError(f"pictures are {rows.shape}; they must be (N, ...) with at least one")
    check_finite("pictures", rows)
    return rows.reshape(len(rows), -1)


def _flat_pair(a: Array, b: Array) -> tuple[Array, Array]:
    a, b = flat(a), flat(b)
    if a.shape[1] != b.shape[1]:
        raise InputError(
            f"rows have {a.shape[1]} and {b.shape[1]} numbers; both sets must have as many"
        )
    return a, b


# --- a Gaussian for each class ------------------------------------------------------------------


def moments(rows: Array) -> tuple[Array, Array]:
    """Mean (D,) and covariance (D, D), divided by N - 1, of rows (N, D).

    Raises:
        InputError: fewer than two rows, or what `flat` refuses.
    """
    rows = flat(rows)
    if len(rows) < 2:
        raise InputError(f"there are {len(rows)} rows; a covariance needs at least 2")
    return rows.mean(0), np.atleast_2d(np.cov(rows, rowvar=False))


def sample_class_gaussians(
    pictures: Array, labels: Array, count: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Draw from one Gaussian for each class, the yardstick of a model that has learned nothing.

    Each has the mean and covariance of the pictures of its class; what leaves their range is
    clipped to it.

    Args:
        pictures: (N, ...).
        labels: integers (N,).
        count: how many of each class, n.
        rng: where the randomness comes from.

    Returns:
        Pictures (K n, ...) of the dtype of `pictures`, and labels (K n,), class after class.

    Raises:
        InputError: as many labels as pictures are not given; a class with one picture; a count
            below 1; what `flat` refuses.
    """
    pictures, labels = np.asarray(pictures), np.asarray(labels)
    rows = flat(pictures)
    if labels.shape != (len(rows),):
        raise InputError(f"labels are {labels.shape}; they must be ({len(rows)},), as the pictures")
    if count < 1:
        raise InputError(f"count is {count}; it must be 1 or more")
    classes = np.unique(labels)
    drawn = []
    for label in classes:
        mean, covariance = moments(rows[labels == label])
        values, axes = np.linalg.eigh(covariance)
        spread = np.sqrt(np.maximum(values, 0))  # (D,): few pictures leave some at 0
        drawn.append(mean + (rng.standard_normal((count, len(mean))) * spread) @ axes.T)
    made = np.concatenate(drawn).clip(rows.min(), rows.max()).astype(pictures.dtype)
    return made.reshape(-1, *pictures.shape[1:]), np.repeat(classes, count)


# --- Frechet distance ---------------------------------------------------------------------------


def frechet_of_moments(mean_a: Array, cov_a: Array, mean_b: Array, cov_b: Array) -> float:
    """Squared Frechet distance of two Gaussians, |a - b|^2 + tr(A + B - 2 (A B)^(1/2)).

    Dowson and Landau 1982; of pictures, Heusel et al. 2017 (arXiv 1706.08500, eq. 6). The root's
    trace is the sum of the roots of the eigenvalues of A^(1/2) B A^(1/2), a symmetric matrix, so
    covariances may be singular.

    Args:
        mean_a, mean_b: (D,).
        cov_a, cov_b: (D, D), symmetric, no eigenvalue below 0.

    Raises:
        InputError: shapes that do not fit, or numbers that are not finite.
    """
    given = [np.asarray(x, dtype=np.float64) for x in (mean_a, cov_a, mean_b, cov_b)]
    mean_a, cov_a, mean_b, cov_b = given
    size = mean_a.size
    if [x.shape for x in given] != [(size,), (size, size)] * 2:
        shapes = ", ".join(str(x.shape) for x in given)
        raise InputError(f"moments are {shapes}; they must be (D,), (D, D), (D,), (D, D)")
    check_finite("moments", np.concatenate([x.ravel() for x in given]))
    values, axes = np.linalg.eigh(cov_a)
    root = (axes * np.sqrt(np.maximum(values, 0))) @ axes.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0)).sum()
    shift = ((mean_a - mean_b) ** 2).sum()
    return float(shift + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def frechet(a: Array, b: Array) -> float:
    """`frechet_of_moments` of two sets of features, (N, D) and (M, D).

    Small sets overstate it: compare figures of equal N and M only.

    Raises:
        InputError: fewer than two rows, rows of different length, or what `flat` refuses.
    """
    a, b = _flat_pair(a, b)
    return max(frechet_of_moments(*moments(a), *moments(b)), 0.0)  # rounding may go below 0


class Pca:
    """Features that need no training: the first principal components of a set of pictures.

    Fixed once on real pictures, they are the same for every generator that is compared. With as
    many components as numbers, distances are those of the pictures themselves.

    Args:
        pictures: (N, ...).
        size: how many components.

    Raises:
        InputError: a size that is not from 1 to the numbers of a picture, fewer than two
            pictures, or what `flat` refuses.
    """

    def __init__(self, pictures: Array, size: int) -> None:
        mean, covariance = moments(pictures)
        if not 1 <= size <= len(mean):
            raise InputError(f"size is {size}; it must be from 1 to {len(mean)}")
        values, axes = np.linalg.eigh(covariance)  # from the smallest to the largest
        self.mean = mean  # (D,)
        self.axes = axes[:, ::-1][:, :size]  # (D, size)
        self.kept = float(values[::-1][:size].sum() / values.sum()) if values.sum() else 1.0

    def __call__(self, pictures: Array) -> Array:
        """Features (N, size) of pictures (N, ...)."""
        rows, _ = _flat_pair(pictures, self.mean[None])
        return (rows - self.mean) @ self.axes


# --- neighbours ---------------------------------------------------------------------------------


def nearest(a: Array, b: Array, k: int = 1) -> Array:
    """Euclidean distance of each row of `a` to its k-th nearest row of `b`: (N,).

    Raises:
        InputError: a k that is not from 1 to the rows of `b`, rows of different length, or what
            `flat` refuses.
    """
    from scipy.spatial.distance import cdist

    a, b = _flat_pair(a, b)
    if not 1 <= k <= len(b):
        raise InputError(f"k is {k}; it must be from 1 to the number of rows, {len(b)}")
    parts = [a[i : i + ROWS] for i in range(0, len(a), ROWS)]
    return np.concatenate([np.partition(cdist(part, b), k - 1, axis=1)[:, k - 1] for part in parts])


def _share_inside(points: Array, centres: Array, k: int) -> float:
    """The share of the points that lie in the ball of a centre to its k-th nearest other one."""
    from scipy.spatial.distance import cdist

    radius = nearest(centres, centres, k + 1)  # the first is the centre itself
    parts = [points[i : i + ROWS] for i in range(0, len(points), ROWS)]
    return float(np.concatenate([(cdist(p, centres) <= radius).any(1) for p in parts]).mean())


def precision_recall(real: Array, fake: Array, k: int = 3) -> tuple[float, float]:
    """How many fakes look real, and how much of the real they cover; each from 0 to 1.

    Precision is the share of fakes inside a ball of a real one, as wide as the distance to its
    k-th nearest other real one; recall the same with the sets exchanged (Kynkäänniemi et al. 2019,
    arXiv 1904.06991, eq. 1-3).

    Raises:
        InputError: a k that is not from 1 to the size of a set less 1, rows of different length,
            or what `flat` refuses.
    """
    real, fake = _flat_pair(real, fake)
    most = min(len(real), len(fake)) - 1
    if not 1 <= k <= most:
        raise InputError(
            f"k is {k}; it must be from 1 to the rows of the smaller set less 1, {most}"
        )
    return _share_inside(fake, real, k), _share_inside(real, fake, k)


class Copying(NamedTuple):
    """How near samples are to the training pictures, beside held-out ones."""

    distance: float  # median distance of a sample to its nearest training picture
    held_distance: float  # the same of held-out pictures
    copies: float  # share of samples nearer than all but `share` of the held-out pictures


def copying(fake: Array, train: Array, held: Array, share: float = 0.01) -> Copying:
    """Whether samples are copies of training pictures.

    A held-out picture cannot be a copy, so what is nearer to the training pictures than the
    nearest `share` of them is suspect. A generator as good as real pictures has `copies` about
    `share`.

    Raises:
        InputError: a share that is not between 0 and 1, rows of different length, or what `flat`
            refuses.
    """
    if not 0 < share < 1:
        raise InputError(f"share is {share}; it must be between 0 and 1")
    far, usual = nearest(fake, train), nearest(held, train)
    copies = float((far < np.quantile(usual, share)).mean())
    return Copying(float(np.median(far)), float(np.median(usual)), copies)
