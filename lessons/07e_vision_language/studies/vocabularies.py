"""Two vision vocabularies: an eye trained on captions, one trained to read, and both together.

    minilm study run 07e/vocabularies --out vocabularies.json

After Ming Ding (CS25 V4, 41:29) and Vary (arXiv 2312.06109), on the forms of `small_text`: a colour
is named, the number in its box asked for. Four frozen eyes, each with 9 tokens for a page:

    "first"     learnt from captions that name the colours and no number; sees 12 pixels
    "second"    learnt to read the numbers, whatever the colour; sees 24 pixels
    "both"      first and second side by side in each token, half of the width each
    "one"       a single eye that learnt colours and numbers together; the control

The same small language model learns the questions behind each of them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import functional as F
from minilm import nn
from minilm.backend import rng
from minilm.data.images import documents
from minilm.data.images.resize import resize
from minilm.models import Config, Transformer
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.until import descend, run_until, shown, tuned
from minilm.tensor import Tensor, no_grad
from minilm.vision.language import VisionLanguage
from minilm.vision.vary import Beside, TwoVocabularies
from minilm.vision.vit import EyeConfig, ViT

MODELS = ("first", "second", "both", "one")
SIDES = {"first": 12, "second": 24, "one": 24}
SEEN, WIDTH, HEADS, LAYERS = 32, 48, 4, 2
NOISE, BATCH, EYE_BATCH, EYE_LR = 0.25, 32, 32, 3e-3
COLOURS, NOTHING = len(documents.NAMES), 10
FIRST_DIGIT = 2 * COLOURS
VOCABULARY = FIRST_DIGIT + 10
HELD, EXAM = 1_000_000, 500


def labels_of(pages: Sequence[Sequence[documents.Box]]) -> np.ndarray:
    """What stands in each place: (N, 9, 3) of colour (8: none), tens and units (10: none)."""
    labels = np.full((len(pages), documents.PLACES**2, 3), NOTHING)
    labels[:, :, 0] = COLOURS
    for row, page in zip(labels, pages, strict=True):
        for box in page:
            place = documents.PLACES * box.row + box.column
            row[place] = documents.NAMES.index(box.colour), box.number // 10, box.number % 10
    return labels


def scanned(images: np.ndarray, seed: int) -> np.ndarray:
    """Scans of pages, white at 0 and black at 2."""
    return 2 * (1 - documents.scan(images, NOISE, seed))


class Shrunk(nn.Module):
    """An eye that sees pictures of another size."""

    def __init__(self, eye: ViT, side: int) -> None:
        self.eye, self.side = eye, side

    def forward(self, pictures: np.ndarray) -> Tensor:
        return self.eye(resize(pictures, self.side))


class Lesson(nn.Module):
    """An eye and what it is trained by: heads that name what is in each place.

    Args:
        kind: "first", "second" or "one".
        seed: of the first weights.
    """

    def __init__(self, kind: str, seed: int) -> None:
        nn.manual_seed(seed)
        side = SIDES[kind]
        self.eye = Shrunk(ViT(EyeConfig(side, side // documents.PLACES, 1, SEEN, 4)), side)
        self.kind = kind
        self.colour = nn.Linear(SEEN, COLOURS + 1) if kind != "second" else None
        self.digits = nn.Linear(SEEN, 22) if kind != "first" else None

    def loss(self, pictures: np.ndarray, labels: np.ndarray) -> Tensor:
        """Mean cross-entropy of all that the kind of eye is asked: (N, 3, 24, 24), (N, 9, 3)."""
        seen, losses = self.eye(pictures), []  # (N, 9, SEEN)
        if self.colour is not None:
            losses.append(F.cross_entropy(self.colour(seen), labels[:, :, 0]))
        if self.digits is not None:
            logits = self.digits(seen)  # (N, 9, 22)
            losses += [
                F.cross_entropy(logits[:, :, 11 * i : 11 * i + 11], labels[:, :, 1 + i])
                for i in (0, 1)
            ]
        total = losses[0]
        for loss in losses[1:]:
            total = total + loss
        return total

    def right(self, pictures: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Of the boxes that are there: colours named, numbers read."""
        there = labels[:, :, 0] < COLOURS
        with no_grad():
            seen, found = self.eye(pictures), {}
            if self.colour is not None:
                named = self.colour(seen).numpy().argmax(-1)
                found["colours"] = float((named == labels[:, :, 0])[there].mean())
            if self.digits is not None:
                logits = self.digits(seen).numpy()
                hit = [logits[:, :, 11 * i : 11 * i + 11].argmax(-1) for i in (0, 1)]
                both = (hit[0] == labels[:, :, 1]) & (hit[1] == labels[:, :, 2])
                found["numbers"] = float(both[there].mean())
        return found


class World:
    """Pages of one seed, and the eyes that were trained on them."""

    def __init__(self, seed: int, count: int, eye_steps: int) -> None:
        self.seed, self.count, self.eye_steps = seed, count, eye_steps
        self.forms = documents.forms(count, seed)
        self.labels = labels_of(self.forms.boxes)
        held = documents.forms(EXAM, HELD)
        self.held = (scanned(held.images, HELD), held, labels_of(held.boxes))
        self.eyes: dict[str, Lesson] = {}

    def rows(self, stream: str, step: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """Scans of random pages, and which they are."""
        rows = rng(self.seed, stream, step).integers(0, self.count, batch)
        return scanned(self.forms.images[rows], 1000 * self.seed + step), rows

    def eye(self, kind: str) -> Lesson:
        """An eye, trained once for all models that look through it."""
        if kind not in self.eyes:
            lesson = Lesson(kind, self.seed)

            def batch(seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
                scans, rows = self.rows(f"eye {kind}", step, EYE_BATCH)
                return scans, self.labels[rows]

            run = descend(lesson, batch, self.seed, EYE_LR, falls=self.eye_steps)
            for _ in range(self.eye_steps):
                next(run)
            self.eyes[kind] = lesson
        return self.eyes[kind]


_worlds: dict[tuple, World] = {}


def world_of(*key: int) -> World:
    """The world of a seed, made once."""
    if key not in _worlds:
        _worlds.clear()
        _worlds[key] = World(*key)
    return _worlds[key]


def build(model: str, world: World, seed: int) -> VisionLanguage:
    """A language model behind frozen eyes."""
    if model == "both":
        first, second = (world.eye(kind).eye.eye for kind in ("first", "second"))
        eye: nn.Module = TwoVocabularies(first, second, (SIDES["first"], SIDES["second"]))
    else:
        eye = world.eye(model).eye
    nn.manual_seed(seed)
    config = Config(
        vocab_size=VOCABULARY, context=16, layers=LAYERS, heads=HEADS, channels=WIDTH,
        activation="gelu_tanh", tie=False, init_std=0.5 * WIDTH**-0.5,
    )  # fmt: skip
    projector = Beside((SEEN, SEEN), WIDTH) if model == "both" else nn.Linear(SEEN, WIDTH)
    return VisionLanguage(Transformer(config, seed), eye, projector).learn("all")


def study(
    out: str,
    models: Sequence[str] = MODELS,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 1200,
    eye_steps: int = 1200,
    tune_steps: int = 300,
    count: int = 8000,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train the eyes and a language model behind each; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: "first", "second", "both", "one" or some of them.
        seeds: of weights and pages.
        steps: of the language model's training, batch 32.
        eye_steps: of an eye's, batch 32.
        tune_steps: of each tuning run of the language model.
        count: training pages.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {"steps": steps, "eye_steps": eye_steps, "tune_steps": tune_steps, "count": count}
    settings |= {"noise": NOISE, "batch": BATCH, "eye_lr": EYE_LR, "seen": SEEN, "width": WIDTH}

    def draw(seed: int, step: int) -> tuple[np.ndarray, ...]:
        world = world_of(seed, count, eye_steps)
        scans, rows = world.rows("questions", step, BATCH)
        asked, numbers = world.forms.asked[rows], world.forms.numbers[rows]
        ids = np.stack([2 * asked, 2 * asked + 1], axis=1)
        return scans, ids, FIRST_DIGIT + np.stack([numbers // 10, numbers % 10], axis=1)

    def parts(model: str) -> Callable[[int], VisionLanguage]:
        return lambda seed: build(model, world_of(seed, count, eye_steps), seed)

    def exam(seed: int) -> Callable[[VisionLanguage], dict[str, float]]:
        def test(made: VisionLanguage) -> dict[str, float]:
            scans, held, _ = world_of(seed, count, eye_steps).held
            ids = np.stack([2 * held.asked, 2 * held.asked + 1], axis=1)
            with no_grad():
                said = made(scans, ids).numpy()[:, -2:].argmax(-1)
            hit = said == FIRST_DIGIT + np.stack([held.numbers // 10, held.numbers % 10], axis=1)
            return {"right": float(hit.all(1).mean()), "digits": float(hit.mean())}

        return test

    def run(model: str, seed: int, lr: float) -> dict[str, Any]:
        made = run_until(parts(model), draw, exam(seed), seed, lr, steps, steps // 4, True, steps)
        world = world_of(seed, count, eye_steps)
        kinds = ("first", "second") if model == "both" else (model,)
        scans, _, labels = world.held
        return {**made, "eyes": {kind: world.eye(kind).right(scans, labels) for kind in kinds}}

    return carry_out(
        Record(out, "vocabularies", settings, command),
        [{"model": model} for model in models],
        seeds,
        lambda model: tuned(parts(model), draw, 3e-3, tune_steps, slack=0.0),
        run,
        shown,
        say,
    )
