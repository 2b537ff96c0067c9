"""What lesson 07fb runs beside its page: noise at several sizes, exact fields, one small training."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm.analysis.pictures import sample_class_gaussians
from minilm.data.images import photographs, split_digits
from minilm.diffusion import block_noise, cosine_path, edm_sigmas, pool, sample_ode
from minilm.diffusion.dit import DiT, DiTConfig
from minilm.diffusion.training import fit, noisy_batches

BATCH = 64  # of the model that the lesson trains while you wait
HALVINGS = (1, 2, 4, 8)
BLOCKS = (2, 4, 8)
WAVES = (1, 8)  # the wave numbers of the photograph: from, and below


def photograph() -> np.ndarray:
    """ "china" in grey, mean 0 and variance 1: (416, 608)."""
    grey = photographs()["china"].mean(-1)[:416, :608].astype(np.float64)
    return (grey - grey.mean()) / grey.std()


def band_power(picture: np.ndarray) -> float:
    """Mean power of the long waves, 1 to 7 to the picture."""
    height, width = picture.shape
    power = np.abs(np.fft.fft2(picture, norm="ortho")) ** 2
    down, right = np.fft.fftfreq(height, 1 / height), np.fft.fftfreq(width, 1 / width)
    length = np.hypot(down[:, None], right)
    return float(power[(length >= WAVES[0]) & (length < WAVES[1])].mean())


def signal_to_noise(seed: int) -> dict[int, float]:
    """Of the long waves, picture halved so many times, each size with its own noise of strength 1."""
    picture, random = photograph(), backend.rng(seed, "hiding")
    found = {}
    for s in HALVINGS:
        small = pool(picture, s)
        noise = [band_power(random.standard_normal(small.shape)) for _ in range(48)]
        found[s] = band_power(small) / float(np.mean(noise))
    return found


def falls(seeds: Sequence[int]) -> dict[str, list[float]]:
    """By what factor the signal to noise falls with each halving, per seed."""
    found = [signal_to_noise(seed) for seed in seeds]
    pairs = list(zip(HALVINGS, HALVINGS[1:]))
    return {f"1/{a} to 1/{b}": [row[a] / row[b] for row in found] for a, b in pairs}


def kept(seeds: Sequence[int]) -> dict[str, list[float]]:
    """Variance that pooling leaves of independent noise and of block noise, per seed."""
    found: dict[str, list[float]] = {}
    for seed in seeds:
        random = backend.rng(seed, "blocks")
        for s in BLOCKS:
            noises = {
                "independent": random.standard_normal((300, 32, 32)),
                "block": block_noise((300, 32, 32), s, random),
            }
            for name, noise in noises.items():
                found.setdefault(f"{name}, s = {s}", []).append(float(pool(noise, s).var()))
    return found


# -------------------------------------------------------------------- fields with an exact denoiser


def radius(side: int) -> np.ndarray:
    k = np.fft.fftfreq(side, 1 / side)
    return np.hypot(k[:, None], k)


def field(side: int, small: int = 8, power: float = 3.0) -> np.ndarray:
    """Power of every wave of a field that falls as k^-3; the small picture has pixel variance 1.

    A picture of s times the side shows the same waves with s^2 times the power, and new ones.
    """

    def falling(n: int) -> np.ndarray:
        k = radius(n)
        return np.where(k > 0, np.maximum(k, 1e-9) ** -power, 0.0)

    return falling(side) / falling(small).mean() * (side / small) ** 2


def after_ddim(power: np.ndarray, shift: float, steps: int) -> np.ndarray:
    """Variance of each wave after DDIM from noise, on the cosine path with SNR / shift^2."""
    times = np.linspace(0.999, 0.0, steps + 1)
    alphas, sigmas = cosine_path(times, shift**2)
    gain = np.ones_like(power)
    for a, s, b, r in zip(alphas, sigmas, alphas[1:], sigmas[1:], strict=False):
        expected = a * power / (a * a * power + s * s)  # x0 for an x of 1
        gain *= b * expected + r * (1 - a * expected) / s
    return gain**2


def _octaves(error: np.ndarray, k: np.ndarray) -> float:
    octave = np.floor(np.log2(np.maximum(k, 1)) + 1e-9).astype(int)
    rows = [np.mean(error[(octave == o) & (k > 0)] ** 2) for o in np.unique(octave)]
    return float(np.sqrt(np.mean(rows)))


def _log(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(found, 1e-300) / np.maximum(true, 1e-300))


MEASURES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], float]] = {
    "the small picture's waves": lambda v, p, k: float(
        np.sqrt(np.mean(_log(v, p)[(k > 0) & (k <= 4)] ** 2))
    ),
    "each octave once": lambda v, p, k: _octaves(_log(v, p), k),
    "distance per pixel": lambda v, p, k: float(
        np.sqrt(np.mean((np.sqrt(v) - np.sqrt(p)) ** 2)) * 8 / len(p)
    ),
    "all waves alike": lambda v, p, k: float(np.sqrt(np.mean(_log(v, p)[k > 0] ** 2))),
}


def best_shifts(steps: int = 50) -> tuple[dict[str, dict[int, float]], dict[str, list]]:
    """Per measure: s -> best shift of log SNR against that of 8 x 8, over 2 ln s; and the curves
    of 64 x 64, (shift of log SNR, error)."""
    grid = np.linspace(-4.0, 6.0, 401)  # ln of the shift
    best: dict[str, dict[int, float]] = {name: {} for name in MEASURES}
    curves: dict[str, list] = {}
    for s in HALVINGS:
        power, k = field(8 * s), radius(8 * s)
        seen = [after_ddim(power, float(np.exp(g)), steps) for g in grid]
        for name, measure in MEASURES.items():
            errors = [measure(v, power, k) for v in seen]
            best[name][s] = float(2 * grid[int(np.argmin(errors))])
            if s == HALVINGS[-1]:
                curves[name] = [2 * grid - best[name][1], np.array(errors)]
    over = {
        name: {s: float((row[s] - row[1]) / (2 * np.log(s))) for s in HALVINGS[1:]}
        for name, row in best.items()
    }
    return over, curves


def field_errors(counts: Sequence[int] = (5, 10, 20, 40, 80)) -> dict[int, dict[str, float]]:
    """Error of the log spectrum of a 32 x 32 field, all the way from noise 80 and from .9.

    Power max(k, 1)^-3, pixel variance .25; Euler on Karras' grid with a last step to 0. The second
    stage starts from the small picture, which lacks the waves beyond its own side.
    """
    power = np.maximum(radius(32), 1.0) ** -3
    power *= 0.25 / power.mean()
    k = np.abs(np.fft.fftfreq(32, 1 / 32))

    def error(steps: int, high: float, start: np.ndarray) -> float:
        ended = sample_ode(
            lambda x, sigma: power / (power + sigma**2) * x,
            np.sqrt(start),
            edm_sigmas(steps, high),
            "euler",
        )
        return float(np.sqrt(np.mean(np.log(ended**2 / power) ** 2)))

    small = {s: power * ((k[:, None] < 16 / s) & (k < 16 / s)) for s in (2, 4)}
    return {
        n: {
            "full": error(n, 80.0, power + 6400.0),
            **{f"s = {s}": error(n, 0.9, small[s] + 0.81) for s in (2, 4)},
        }
        for n in counts
    }


# ----------------------------------------------------------------------------------- the digits


def train_small(seed: int, steps: int) -> tuple[DiT, np.ndarray, np.ndarray, list[float]]:
    """A short training on real digits: model, pictures (N, 8, 8), labels, losses."""
    split = split_digits(seed)
    known = 2 * split.images - 1
    model = DiT(DiTConfig(), seed)
    draw = noisy_batches(known[:, None], split.labels, np.int64(10), BATCH, seed)
    run = fit(model, draw, steps, ema=0.99)
    return model, known, split.labels, run.losses


def nearest(drawn: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The training picture that is nearest to each drawn one, and how far it is."""
    a, b = drawn.reshape(len(drawn), -1), known.reshape(len(known), -1)
    apart = np.linalg.norm(a[:, None] - b[None], axis=-1)  # (drawn, known)
    return known[apart.argmin(1)], apart.min(1)


def unpacked(text: str, side: int) -> np.ndarray:
    """Recorded pictures, a letter a pixel: (N, side, side), -1 to 1."""
    return np.array([int(letter, 16) for letter in text]).reshape(-1, side, side) / 7.5 - 1


def path_of(model: Any, digit: int, seed: int, steps: int = 20) -> list[np.ndarray]:
    """What the model expects before each step, as a digit draws itself: (8, 8) each."""
    from minilm.diffusion.generate import draw_pictures

    seen: list[np.ndarray] = []
    draw_pictures(
        model, np.array([digit]), backend.rng(seed, "path"), steps, 1.5,
        after=lambda image: seen.append(image[0, 0]),
    )  # fmt: skip
    return seen


def gaussians(known: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """One digit of each kind from its Gaussian: (10, 8, 8)."""
    return sample_class_gaussians(known, labels, 1, backend.rng(0, "gaussians"))[0]
