"""Real digits once more, with enough of them drawn for their distance to be believed.

    minilm study run 07fb/distance --out distance.json

The model and its training are those of `07fb/digits`, whose record asked the same of sets of 500
drawn digits; two seeds of three met it. But a Frechet distance of small sets is too large, and the
nearer to the truth, the larger the share of that: there 500 *real* digits of the training set came
to 0.93 where the rule asked for 0.87. So the distance is now taken on four sets of 500 together, of
the model and of the Gaussians alike, and that of real digits on all that were trained on. What has
its threshold for 500 digits (recall, copies, and the rest) is the mean of the four sets.

This is a change of the measure after data were seen. The four sets were chosen on seed 7, which no
record has, before these seeds were run; the threshold of two thirds is the old one, and so are the
training and the 20 passes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.analysis.pictures import frechet, sample_class_gaussians
from minilm.backend import rng
from minilm.diffusion.dit import DiT, dit_flops
from minilm.diffusion.generate import draw_pictures
from minilm.diffusion.training import noisy_batches
from minilm.studies.driver import carry_out
from minilm.studies.record import Record

from .digits import BATCH, EMA, LABELS, LR, SHAPE, Exam, learn

SETS, PASSES = 4, 20


def marks(exam: Exam, sets: Sequence[np.ndarray]) -> dict[str, float]:
    """The marks of four sets of 500 digits: the distance of all, the mean of the rest."""
    each = [exam.sit(one) for one in sets]
    found = {name: float(np.mean([mark[name] for mark in each])) for name in each[0]}
    features = exam.judge.features(np.concatenate([one.reshape(-1, 8, 8) for one in sets]))
    return found | {
        "frechet": frechet(features, exam.judge.features(exam.held)),
        "frechet_of_500": found["frechet"],
    }


def drawn(exam: Exam, model: DiT, guidance: float = 1.0) -> list[np.ndarray]:
    """Four sets of 500 digits, (500, 1, 8, 8) each."""
    return [
        draw_pictures(model, LABELS, rng(exam.seed, "distance", at), PASSES, guidance)
        for at in range(SETS)
    ]


def yardsticks(exam: Exam) -> dict[str, dict[str, float]]:
    """One Gaussian per class; real training digits, all of them for the distance."""
    random = rng(exam.seed, "gaussians")
    sets = [sample_class_gaussians(exam.known, exam.labels, 50, random)[0] for _ in range(SETS)]
    some = random.permutation(len(exam.known))[: len(LABELS)]
    real = exam.sit(exam.known[some], exam.labels[some])
    all_real = frechet(exam.judge.features(exam.known), exam.judge.features(exam.held))
    return {
        "gaussian": marks(exam, sets),
        "real": real | {"frechet": all_real, "frechet_of_500": real["frechet"]},
    }


def run_one(seed: int, lr: float, steps: int) -> dict[str, Any]:
    """Train one model that predicts v, tested at a quarter, a half and the end."""
    exam, network = Exam(seed), DiT(SHAPE, seed)
    draw = noisy_batches(exam.known[:, None], exam.labels, np.int64(10), BATCH, seed, "v")

    def test(step: int) -> dict[str, Any]:
        flops = dit_flops(SHAPE, BATCH) * step
        return {"step": step, "flops": flops, **marks(exam, drawn(exam, network))}

    points, spent = learn(network, draw, steps, lr, test)
    return {
        "seed": seed,
        "lr": lr,
        "parameters": network.num_parameters(),
        "cpu_seconds": spent,
        "points": points,
        "guided": marks(exam, drawn(exam, network, 1.5)),
        "yardsticks": yardsticks(exam),
    }


def study(
    out: str,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 2500,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train and test models of the digits; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        seeds: of weights, order and split.
        steps: of training, batch 64.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    settings = {"steps": steps, "batch": BATCH, "ema": EMA, "sets": SETS, "passes": PASSES}

    def shown(made: dict[str, Any]) -> str:
        last, gauss = made["points"][-1], made["yardsticks"]["gaussian"]
        return (
            f"distance {last['frechet']:.3f} (Gaussians {gauss['frechet']:.3f}), recall "
            f"{last['recall']:.3f}, copies {last['copies']:.4f}, guided right "
            f"{made['guided']['right']:.4f}"
        )

    return carry_out(
        Record(out, "distance", settings, command),
        [{"model": "v"}],
        seeds,
        lambda model: {"lr": LR, "why": "the pilot's; one rate, not tuned"},
        lambda model, seed, lr: run_one(seed, lr, steps),
        shown,
        say,
    )
