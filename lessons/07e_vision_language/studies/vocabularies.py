"""Two vision vocabularies: an eye trained on captions, one trained to read, and both together.

    minilm study run 07e/vocabularies --out vocabularies.json

After Ming Ding (CS25 V4, 41:29) and Vary (arXiv 2312.06109), on the pages and questions of
`small_text`. Four frozen eyes, each with 9 tokens for a page, one for each place:

    "first"     learnt the colours, as captions name them, and no number; sees 12 pixels
    "second"    learnt to read the numbers, whatever the colour; sees 24 pixels
    "both"      first and second side by side in each token, half of the width each
    "one"       a single eye that learnt colours and numbers together, at 24 pixels; the control

The same small language model learns the questions behind each of them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import nn
from minilm.backend import rng
from minilm.course import lesson_folder
from minilm.data.images import documents
from minilm.data.images.resize import resize
from minilm.models import Config, Transformer
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.until import descend, run_until, shown
from minilm.tensor import Tensor, no_grad
from minilm.vision.language import VisionLanguage
from minilm.vision.naming import PatchNaming
from minilm.vision.vary import Beside, TwoVocabularies
from minilm.vision.vit import EyeConfig, ViT

text = lesson_folder("07e").study("small_text")

MODELS = ("first", "second", "both", "one")
SIDES = {"first": 12, "second": 24, "one": 24}
KINDS = {"first": (0,), "second": (1, 2), "one": (0, 1, 2)}  # colour, tens, units
CLASSES = (text.COLOURS + 1, 11, 11)
SEEN, BATCH = 32, 32
LR, EYE_LR = 2e-3, 4e-3
WHY = "the smallest of a pilot at 12 pixels; one rate for all, not tuned"


class Shrunk(nn.Module):
    """An eye that sees pages of 24 pixels at another size."""

    def __init__(self, side: int) -> None:
        self.eye, self.side = ViT(EyeConfig(side, side // documents.PLACES, 1, SEEN, 4)), side

    def forward(self, pictures: np.ndarray) -> Tensor:  # (N, 3, 24, 24) -> (N, 9, SEEN)
        return self.eye(resize(pictures, self.side))


class Frozen(nn.Module):
    """An eye that does not learn any more: its weights are none of the model's parameters."""

    def __init__(self, eye: nn.Module) -> None:
        self._eye = (eye,)

    def forward(self, pictures: np.ndarray) -> Tensor:
        with no_grad():
            return self._eye[0](pictures)


def taught(kind: str, seed: int, count: int, steps: int) -> tuple[Shrunk, list[float]]:
    """An eye taught place by place, and what it names right in the boxes of unseen pages."""
    nn.manual_seed(seed)
    eye, pages = Shrunk(SIDES[kind]), text.pages_of(seed, count)
    lesson = PatchNaming(eye, SEEN, [CLASSES[k] for k in KINDS[kind]])
    labels = pages.labels(1)[:, :, KINDS[kind]]

    def batch(seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        rows = rng(seed, "eye", kind, step).integers(0, count, BATCH)
        return pages.rows(step, rows)[0], labels[rows]

    run = descend(lesson, batch, seed, EYE_LR, falls=steps)
    for _ in range(steps):
        next(run)
    held = text.held_pages()
    return eye, lesson.right(held.rows(0)[0], held.labels(1)[:, :, KINDS[kind]])


_eyes: dict[tuple, tuple[Shrunk, list[float]]] = {}  # of the seed that is in use


def eye_for(kind: str, *key: int) -> tuple[Shrunk, list[float]]:
    """The taught eye, frozen behind every model; key is seed, pages and steps."""
    if any(known[1:] != key for known in _eyes):
        _eyes.clear()
    if (kind, *key) not in _eyes:
        _eyes[kind, *key] = taught(kind, *key)
    return _eyes[kind, *key]


def build(model: str, seed: int, *key: int) -> VisionLanguage:
    """A language model that has learnt nothing, behind frozen eyes."""
    if model == "both":
        first, second = (eye_for(kind, seed, *key)[0].eye for kind in ("first", "second"))
        eye: nn.Module = TwoVocabularies(first, second, (SIDES["first"], SIDES["second"]))
    else:
        eye = eye_for(model, seed, *key)[0]
    nn.manual_seed(seed)
    config = Config(
        vocab_size=text.VOCABULARY, context=32, layers=text.LAYERS, heads=text.HEADS,
        channels=text.WIDTH, activation="gelu_tanh", tie=False, init_std=0.5 * text.WIDTH**-0.5,
    )  # fmt: skip
    projector = Beside((SEEN, SEEN), text.WIDTH) if model == "both" else nn.Linear(SEEN, text.WIDTH)
    return VisionLanguage(Transformer(config, seed), Frozen(eye), projector)


def study(
    out: str,
    models: Sequence[str] = MODELS,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 600,
    eye_steps: int = 800,
    count: int = 4000,
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
        count: training pages.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {"steps": steps, "eye_steps": eye_steps, "count": count, "noise": text.NOISE}
    settings |= {"batch": BATCH, "eye_lr": EYE_LR, "seen": SEEN, "width": text.WIDTH}

    def draw(seed: int, step: int) -> tuple[np.ndarray, ...]:
        rows = rng(seed, "rows", step).integers(0, count, BATCH)
        pages, asked, numbers, places = text.pages_of(seed, count).rows(step, rows)
        return pages, text.questions(asked), text.answers(numbers, places)

    def exam(made: VisionLanguage) -> dict[str, float]:
        pages, asked, numbers, places = text.held_pages().rows(0)
        ids = text.questions(asked)
        with no_grad():
            said = made(pages, ids).numpy()[:, -ids.shape[1] :].argmax(-1)
        said = said.reshape(len(pages), -1, 3)
        hit = said == text.answers(numbers, places).reshape(said.shape)  # (N, 4, 3)
        both = hit[:, :, 1:]
        shares = {"right": both.all(2).mean(), "digits": both.mean(), "named": hit[:, :, 0].mean()}
        return {name: float(share) for name, share in shares.items()}

    def run(model: str, seed: int, lr: float) -> dict[str, Any]:
        made = run_until(
            lambda seed: build(model, seed, count, eye_steps),
            draw, exam, seed, lr, steps, steps // 4, True, steps,
        )  # fmt: skip
        kinds = ("first", "second") if model == "both" else (model,)
        return {**made, "eyes": {kind: eye_for(kind, seed, count, eye_steps)[1] for kind in kinds}}

    return carry_out(
        Record(out, "vocabularies", settings, command),
        [{"model": model} for model in models],
        seeds,
        lambda model: {"lr": LR, "why": WHY},
        run,
        shown,
        say,
    )
