"""Real digits: does a small diffusion model beat a Gaussian per class, and at what price is it led?

    minilm study run 07fb/digits --out digits.json

A DiT of 318,000 parameters learns 1,297 handwritten digits of 8 by 8 pixels. Beside it stand two
yardsticks: one Gaussian per class, which learns nothing but means and covariances, and real
training pictures. Everything is measured against 500 held-out digits, on the features of a judge
that saw real training digits only. The last model is then distilled: a student for 8 steps, from it
one for 4, for 2 and for 1, beside the model itself in as few.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.analysis.pictures import sample_class_gaussians
from minilm.backend import rng
from minilm.data.images import split_digits
from minilm.diffusion.distil import distilling_batches
from minilm.diffusion.dit import DiT, DiTConfig, dit_flops
from minilm.diffusion.generate import draw_pictures
from minilm.diffusion.judge import Judge, measure, train_judge
from minilm.diffusion.training import fit, noisy_batches
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import whole

SHAPE = DiTConfig()  # 8 by 8, patches of 2, width 64, 4 layers
LR, EMA, BATCH = 2e-3, 0.998, 64
LABELS = np.repeat(np.arange(10), 50)  # what is asked for
GUIDANCE = (1.0, 1.5, 3.0)
SHOWN = 4  # pictures of each digit that are kept, for each guidance
PREDICTS = ("v", "image", "noise")


class Exam:
    """What generated digits of one split are measured by."""

    def __init__(self, seed: int) -> None:
        split = split_digits(seed)
        self.known, self.labels = 2 * split.images - 1, split.labels  # (N, 8, 8), -1 to 1
        self.held, self.held_labels = 2 * split.held_images - 1, split.held_labels
        self.seed = seed
        self.judge: Judge = train_judge(self.known, self.labels, seed, progress=False)

    def sit(self, fake: np.ndarray, labels: np.ndarray = LABELS) -> dict[str, float]:
        """Right, Frechet distance, precision, recall, copies."""
        fake = fake.reshape(-1, *self.known.shape[1:])
        return measure(self.judge, fake, labels, self.known, self.held)._asdict()

    def draw(self, model: DiT, steps: int, guidance: float, predicts: str = "v") -> np.ndarray:
        """500 digits: (500, 1, 8, 8)."""
        random = rng(self.seed, "exam")
        return draw_pictures(model, LABELS, random, steps, guidance, predicts)

    def yardsticks(self) -> dict[str, Any]:
        """One Gaussian per class; real training pictures; the judge on held-out ones."""
        random = rng(self.seed, "gaussians")
        fake, labels = sample_class_gaussians(self.known, self.labels, 50, random)
        named = float((self.judge.names(self.held) == self.held_labels).mean())
        real = random.permutation(len(self.known))[:500]
        return {
            "gaussian": self.sit(fake, labels),
            "real": self.sit(self.known[real], self.labels[real]),
            "judge": named,
        }


def written(pictures: np.ndarray) -> str:
    """Pictures of 8 by 8 in one letter a pixel, 0 (paper) to f (ink), row after row."""
    grey = np.clip(np.rint((pictures.ravel() + 1) * 7.5), 0, 15).astype(int)
    return "".join("0123456789abcdef"[g] for g in grey)


def read(text: str) -> np.ndarray:
    """What `written` wrote: (N, 8, 8), -1 to 1."""
    return np.array([int(letter, 16) for letter in text]).reshape(-1, 8, 8) / 7.5 - 1


def few(fake: np.ndarray) -> str:
    """The first pictures of each digit, written."""
    return written(fake.reshape(10, 50, 8, 8)[:, :SHOWN])


def learn(
    network: DiT,
    draw: Callable[[int], Any],
    steps: int,
    lr: float,
    test: Callable[[int], dict[str, Any]],
) -> tuple[list[dict[str, Any]], float]:
    """Train, with tests at a quarter, a half and the end: what they found, and the processor
    seconds of the training alone."""
    points, testing = [], 0.0

    def look(run: Any) -> None:
        nonlocal testing
        if run.step in (steps // 4, steps // 2):
            began = time.process_time()
            with run.ema.applied():
                points.append(test(run.step))
            testing += time.process_time() - began

    began = time.process_time()
    whole(fit(network, draw, steps, lr=lr, ema=EMA, after_step=look, progress=False))
    spent = time.process_time() - began - testing
    return [*points, test(steps)], spent


def run_one(model: str, seed: int, lr: float, steps: int, distil: int) -> dict[str, Any]:
    """Train one model that predicts `model`, tested four times; then distil it, if it says v."""
    exam, network = Exam(seed), DiT(SHAPE, seed)
    draw = noisy_batches(exam.known[:, None], exam.labels, np.int64(10), BATCH, seed, model)

    def test(step: int) -> dict[str, Any]:
        found = exam.sit(exam.draw(network, 20, 1.0, model))
        return {"step": step, "flops": dit_flops(SHAPE, BATCH) * step, **found}

    points, spent = learn(network, draw, steps, lr, test)
    guided = {}
    for w in GUIDANCE:
        fake = exam.draw(network, 20, w, model)
        guided[f"{w:g}"] = {**exam.sit(fake), "pictures": few(fake)}
    made = {
        "seed": seed,
        "lr": lr,
        "parameters": network.num_parameters(),
        "cpu_seconds": spent,
        "points": points,
        "guided": guided,
        "yardsticks": exam.yardsticks(),
    }
    return made | ({"distilled": distilled(exam, network, distil)} if model == "v" else {})


def distilled(exam: Exam, teacher: DiT, steps: int) -> dict[str, Any]:
    """A student for 8, 4, 2 and 1 passes, each from the one before; and the model in as few."""
    first, found = teacher, {}
    for passes in (8, 4, 2, 1):
        student = DiT(SHAPE, exam.seed)
        student.load_state_dict(teacher.state_dict())
        draw = distilling_batches(
            teacher, exam.known[:, None], exam.labels, passes, BATCH, exam.seed
        )
        whole(fit(student, draw, steps, lr=LR / 4, ema=0.98, progress=False))
        fake, plain = exam.draw(student, passes, 1.0), exam.draw(first, passes, 1.0)
        found[str(passes)] = {
            "student": {**exam.sit(fake), "pictures": few(fake)},
            "model": {**exam.sit(plain), "pictures": few(plain)},
        }
        teacher = student
    return found


def study(
    out: str,
    models: Sequence[str] = ("v",),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 2500,
    distil: int = 250,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train, test, lead and distil models of the digits; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: what is predicted, "v", "image", "noise".
        seeds: of weights, order and split.
        steps: of training, batch 64.
        distil: steps of each student.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, PREDICTS)
    settings = {"steps": steps, "distil": distil, "batch": BATCH, "ema": EMA, "asked": len(LABELS)}

    def shown(made: dict[str, Any]) -> str:
        last, gauss = made["points"][-1], made["yardsticks"]["gaussian"]
        return (
            f"right {last['right']:.3f}, distance {last['frechet']:.2f} (Gaussians "
            f"{gauss['frechet']:.2f}), recall {last['recall']:.2f}, copies {last['copies']:.3f}"
        )

    return carry_out(
        Record(out, "digits", settings, command),
        [{"model": model} for model in models],
        seeds,
        lambda model: {"lr": LR, "why": "the pilot's; one rate for all, not tuned"},
        lambda model, seed, lr: run_one(model, seed, lr, steps, distil),
        shown,
        say,
    )
