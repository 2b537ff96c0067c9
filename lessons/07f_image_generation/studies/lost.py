"""What quantisation loses: which digit it is, or which font it was drawn in?

    minilm study run 07f/lost --out lost.json

Digits drawn in 16 fonts, 16 by 16 pixels, become 16 tokens of 64 codes. A linear map is fitted
by least squares to read the digit (coarse) and the font (fine) from the pixels, from the vectors
before quantisation, and from the codes after it. The strength of the ridge is chosen on a third
set. Chance is 10 % and 6.2 %.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import Tensor, nn, no_grad
from minilm.data.images import glyphs
from minilm.studies.driver import carry_out
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune
from minilm.train.vq import train_vqvae
from minilm.vision.vq import usage
from minilm.vision.vqvae import VqVae

SIDE, PATCH, CODES = 16, 4, 64
RIDGES = (1e-2, 1e-1, 1.0, 10.0, 100.0)
Part = tuple[np.ndarray, np.ndarray, np.ndarray]  # pictures, digits, fonts


def drawn(seed: int, part: int, count: int) -> Part:
    """Pictures (N, 1, 16, 16), -1 to 1, their digits and their fonts."""
    made = glyphs(count, SIDE, seed=1000 * seed + part)
    return 2 * made.images[:, None] - 1, made.labels, made.fonts


def probe(known: np.ndarray, chosen: np.ndarray, new: np.ndarray, names: list[np.ndarray]) -> float:
    """Share right on new rows (N, D), by ridge regression to one-hot names."""
    mean, std = known.mean(0), known.std(0) + 1e-6
    x, c, n = (np.c_[(rows - mean) / std, np.ones(len(rows))] for rows in (known, chosen, new))
    y, gram = np.eye(names[0].max() + 1)[names[0]], x.T @ x
    maps = [np.linalg.solve(gram + r * np.eye(len(gram)), x.T @ y) for r in RIDGES]
    best = max(maps, key=lambda m: float(((c @ m).argmax(1) == names[1]).mean()))
    return float(((n @ best).argmax(1) == names[2]).mean())


def study(
    out: str,
    sizes: Sequence[int] = (CODES,),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 300,
    tune_steps: int = 80,
    count: int = 3000,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train, encode and probe; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        sizes: numbers of codes.
        seeds: of pictures, weights and batches.
        steps: of the VQ-VAE.
        tune_steps: of a tuning run.
        count: pictures to train on; half as many choose the ridge, half as many test.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """

    def made(size: int, seed: int, lr: float, count_: int) -> tuple[VqVae, list[Part]]:
        parts = [drawn(seed, i, n) for i, n in enumerate((count, count // 2, count // 2))]
        nn.manual_seed(seed)
        model = VqVae(PATCH, size)
        train_vqvae(model, parts[0][0], count_, 64, lr, 0.25, seed)
        return model, parts

    def tuned(size: int) -> dict[str, Any]:
        def error(lr: float) -> float:
            model, parts = made(size, TUNING_SEED, lr, tune_steps)
            back = model.pictures(model.tokens(parts[2][0]), SIDE // PATCH, SIDE // PATCH)
            return float(((back - parts[2][0]) ** 2).mean())

        return tune(4e-3, error, widest=4)

    def run(size: int, seed: int, lr: float) -> dict[str, Any]:
        began = time.process_time()
        model, parts = made(size, seed, lr, steps)
        codes = model.codebook.codes.data
        views: dict[str, list[np.ndarray]] = {"pixels": [], "vectors": [], "codes": []}
        for pictures, _, _ in parts:
            flat = len(pictures), -1
            views["pixels"].append(pictures.reshape(flat))  # (N, 256)
            with no_grad():
                vectors = model.encode(Tensor(pictures)).data
            views["vectors"].append(vectors.reshape(flat))  # (N, T, D) -> (N, T D)
            views["codes"].append(codes[model.tokens(pictures)].reshape(flat))  # -> (N, T D)
        found = {
            f"{view}_{name}": probe(*rows, [part[which] for part in parts])
            for view, rows in views.items()
            for which, name in ((1, "digit"), (2, "font"))
        }
        used = usage(model.tokens(parts[2][0]), size)
        return {
            "seed": seed,
            "lr": lr,
            "parameters": model.num_parameters(),
            "points": [{"step": steps, **found, "used": used.used}],
            "cpu_seconds": time.process_time() - began,
        }

    settings = {"steps": steps, "tune_steps": tune_steps, "count": count}
    return carry_out(
        Record(out, "lost", settings, command),
        [{"size": size} for size in sizes],
        seeds,
        tuned,
        run,
        lambda run: ", ".join(f"{name} {x:.4g}" for name, x in run["points"][-1].items()),
        say,
    )
