"""Small text: what a small model reads at 12 and at 24 pixels, and two ways to buy more pixels.

    minilm study run 07e/small_text --out small_text.json

Forms of 24 by 24 dots with four coloured boxes. Of each box three things are asked, by the name of
its colour: where it is, its first digit, its second. All pixels come from one noisy scan, made
smaller for those who see fewer. Every eye cuts its picture into patches of 4 by 4 pixels, so a page
of 12 pixels is 9 tokens and one of 24 is 36, and sees each through a window of 8 by 8. Every eye
was first taught, patch by patch, to name the colour and the digits of the box that the patch
belongs to; then it learns on with the language model.

    "12 px", "24 px"   one picture in the sequence
    "beside"   the page at 12 in the sequence, the one at 24 behind CogAgent's narrow branch
    "zoom"     the page at 12; what the model says to "where?" is cut out of the scan and shown to it
               at 12 pixels too; then it names the digits

All learn with the same number of multiply-adds behind the eyes' lessons: `--steps` are those of "24
px", and who costs less takes more of them. Each has its own rate: on a seed of its own, after a
third of its steps, the rate down at 0, the least loss on pages that are neither trained on nor
tested. A step of "zoom" reads one box of a page, one of the others all four.

After Ming Ding (CS25 V4, 39:37, 41:50, 75:22). What would decide it is in the lesson. A first record
gave all 500 steps at one rate, and "zoom" 2,000 more in a case of its own, added after its result
was seen. The rules are as they were then; equal work and own rates were settled before this record.
"""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from minilm import nn
from minilm.backend import IGNORE, rng
from minilm.data.images import documents
from minilm.data.images.resize import resize
from minilm.models import Config, Transformer
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune
from minilm.studies.until import descend, run_until, shown
from minilm.tensor import no_grad
from minilm.vision.high_resolution import HighResolution
from minilm.vision.language import VisionLanguage
from minilm.vision.naming import PatchNaming
from minilm.vision.narrow import NarrowTransformer
from minilm.vision.overlapping import OverlappingViT
from minilm.vision.vit import EyeConfig
from minilm.vision.zoom import ZoomWords, crop_zoom

from ..costs import BRANCH, FINE, FULL, LAYERS, LOW, PATCH, PLAIN, WIDTH, macs, steps_of

MODELS = (*PLAIN, "beside", "zoom")
HEADS = 4
NOISE, BATCH = 0.25, 32
LR, EYE_LR = 2e-3, 4e-3  # where the search begins; of the eyes' lessons
COLOURS, PLACES = len(documents.NAMES), documents.PLACES**2
WHERE, FIRST, SECOND = range(3)  # what is asked of a colour
FIRST_DIGIT = 3 * COLOURS  # ids below: colour and question
ZOOM = ZoomWords(FIRST_DIGIT + 10, documents.PLACES)
VOCABULARY = ZOOM.first + PLACES
HELD, EXAM = 1_000_000, 300  # seed and size of the test
TUNED, TUNED_ON = 1_100_000, 3  # seed of the pages that judge a rate; part of the steps it gets


def questions(asked: np.ndarray, what: Sequence[int] = (WHERE, FIRST, SECOND)) -> np.ndarray:
    """Colours as questions each: (N, k) -> (N, q k), q of them for each colour."""
    each = [3 * asked + kind for kind in what]
    return np.stack(each, axis=2).reshape(len(asked), -1)


def answers(numbers: np.ndarray, places: np.ndarray | None = None) -> np.ndarray:
    """Places, if given, and both digits, as ids: (N, k) -> (N, 3 k) or (N, 2 k)."""
    each = [] if places is None else [ZOOM.first + places]
    each += [FIRST_DIGIT + numbers // 10, FIRST_DIGIT + numbers % 10]
    return np.stack(each, axis=2).reshape(len(numbers), -1)


def eye_of(side: int, width: int = WIDTH) -> OverlappingViT:
    """An eye for pictures of this side that has learnt nothing."""
    return OverlappingViT(EyeConfig(side, PATCH, 1, width, width // 12))


def taught_eye(
    side: int, width: int, seed: int, count: int, steps: int
) -> tuple[OverlappingViT, list[float]]:
    """An eye taught patch by patch, and what it names right in boxes of unseen pages."""
    nn.manual_seed(seed)
    eye, times = eye_of(side, width), side // PATCH // documents.PLACES
    lesson = PatchNaming(eye, width, (COLOURS + 1, 11, 11))

    def labelled(pages: Pages, step: int, rows: Any) -> tuple[np.ndarray, np.ndarray]:
        scans = pages.rows(step, rows)[0]
        return resize(scans, side), pages.labels(times)[rows]

    def batch(seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        rows = rng(seed, "eye", side, step).integers(0, count, BATCH)
        return labelled(pages_of(seed, count), step, rows)

    run = descend(lesson, batch, seed, EYE_LR, falls=steps)
    for _ in range(steps):
        next(run)
    pictures, labels = labelled(held_pages(), 0, slice(None))
    there = labels[:, :, 0] < COLOURS
    with no_grad():
        said = [logits.numpy().argmax(-1) for logits in lesson(pictures)]
    right = [float((x == labels[:, :, k])[there].mean()) for k, x in enumerate(said)]
    return eye, right


@lru_cache(maxsize=8)
def _taught(side: int, width: int, *key: int) -> tuple[OverlappingViT, list[float]]:
    return taught_eye(side, width, *key)


def eye_for(side: int, width: int, *key: int) -> tuple[OverlappingViT, list[float]]:
    """A copy of the taught eye; key is seed, pages and steps."""
    taught, right = _taught(side, width, *key)
    copy = eye_of(side, width)
    copy.load_state_dict(taught.state_dict())
    return copy, right


def build(model: str, seed: int, count: int, eye_steps: int) -> VisionLanguage:
    """A language model that has learnt nothing behind eyes that were taught."""
    side = PLAIN.get(model, LOW)
    eye, _ = eye_for(side, WIDTH, seed, count, eye_steps)
    fine = eye_for(FULL, FINE, seed, count, eye_steps)[0] if model == "beside" else None
    nn.manual_seed(seed)
    size = {"layers": LAYERS, "heads": HEADS, "channels": WIDTH, "activation": "gelu_tanh"}
    config = Config(
        vocab_size=VOCABULARY, context=80, tie=False, init_std=0.5 * WIDTH**-0.5, **size
    )
    projector = nn.Linear(WIDTH, WIDTH)
    if model == "beside":
        language = NarrowTransformer(config, FINE, BRANCH, 2, seed)
        return HighResolution(language, eye, projector, fine).learn("all", eye=True)
    language = Transformer(config, seed)
    return VisionLanguage(language, eye, projector).learn("all", eye=True)


def zoomed(pages: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The named places of scans, cut out and enlarged: (N, 3, 24, 24), (N,) -> (N, 3, 12, 12)."""
    whole = (0.0, 0.0, float(FULL), float(FULL))
    boxes = [ZOOM.box(ZOOM.first + int(place), whole) for place in places]
    return np.stack([crop_zoom(page, box, LOW) for page, box in zip(pages, boxes, strict=True)])


def parts_of(model: str, pages: np.ndarray, ids: np.ndarray) -> tuple:
    """What a model that does not zoom reads: scans (N, 3, 24, 24) and questions (N, q)."""
    if model in PLAIN:
        return resize(pages, PLAIN[model]), ids
    return pages, resize(pages, LOW), ids


class Pages:
    """Pages of a seed, scanned anew for each batch, with a question for every box."""

    def __init__(self, seed: int, count: int) -> None:
        self.seed, forms = seed, documents.forms(count, seed)
        self.images = forms.images
        boxes = [[(b.colour, b.number, 3 * b.row + b.column) for b in page] for page in forms.boxes]
        named = [[(documents.NAMES.index(c), n, p) for c, n, p in page] for page in boxes]
        self.asked, self.numbers, self.places = np.array(named).transpose(2, 0, 1)  # (N, 4) each

    def labels(self, times: int) -> np.ndarray:
        """Colour (8: none), tens and units (10: none) of each of (3 times)^2 patches: (N, T, 3)."""
        found = np.full((len(self.images), documents.PLACES**2, 3), 10)
        found[:, :, 0] = COLOURS
        numbers = self.numbers
        each = np.stack([self.asked, numbers // 10, numbers % 10], axis=2)  # (N, 4, 3)
        np.put_along_axis(found, self.places[:, :, None], each, axis=1)
        grid = found.reshape(-1, documents.PLACES, documents.PLACES, 3)
        return grid.repeat(times, 1).repeat(times, 2).reshape(len(found), -1, 3)

    def rows(self, step: int, rows: Any = slice(None)) -> tuple[np.ndarray, ...]:
        """Scans (N, 3, 24, 24), white at 0 and black at 2; colours, numbers, places (N, 4)."""
        pages = documents.scan(self.images[rows], NOISE, 1000 * self.seed + step)
        return 2 * (1 - pages), self.asked[rows], self.numbers[rows], self.places[rows]


@lru_cache(maxsize=2)
def pages_of(seed: int, count: int) -> Pages:
    """The training pages of a seed, drawn once."""
    return Pages(seed, count)


@cache
def held_pages(seed: int = HELD) -> Pages:
    """The pages of the test, or those that judge a rate."""
    return Pages(seed, EXAM)


class Course:
    """Training and test of one model: what `run_until` asks for."""

    def __init__(self, model: str, count: int, eye_steps: int) -> None:
        self.model, self.count, self.eye_steps = model, count, eye_steps

    def build(self, seed: int) -> VisionLanguage:
        """The model of a seed."""
        return build(self.model, seed, self.count, self.eye_steps)

    def draw(self, seed: int, step: int) -> tuple:
        """A batch for `loss`."""
        rows = rng(seed, "rows", step).integers(0, self.count, BATCH)
        return self.asked_of(*pages_of(seed, self.count).rows(step, rows))

    def asked_of(
        self, pages: np.ndarray, asked: np.ndarray, numbers: np.ndarray, places: np.ndarray
    ) -> tuple:
        """What `loss` takes, from `Pages.rows`."""
        if self.model != "zoom":
            ids = questions(asked)
            return (*parts_of(self.model, pages, ids), answers(numbers, places))
        last = places[:, -1:]
        where = np.concatenate([questions(asked, (WHERE,)), ZOOM.first + last], axis=1)  # (N, 5)
        nothing = np.full_like(last, IGNORE)
        targets = [ZOOM.first + places, nothing, answers(numbers[:, -1:])]
        ids = questions(asked[:, -1:], (FIRST, SECOND))
        seen = zoomed(pages, last[:, 0])
        return resize(pages, LOW), where, seen, ids, np.concatenate(targets, axis=1)

    def rate(self, steps: int) -> dict[str, Any]:
        """The model's own learning rate, as `tune` finds it."""

        def loss_of(lr: float) -> float:
            made = self.build(TUNING_SEED)
            run = descend(made, self.draw, TUNING_SEED, lr, falls=steps)
            for _ in range(steps):
                next(run)
            with no_grad():
                return made.loss(*self.asked_of(*held_pages(TUNED).rows(0))).item()

        return tune(LR, loss_of, widest=4, slack=0.02)

    def exam(self, made: VisionLanguage) -> dict[str, float]:
        """On pages that were never trained on: whole numbers, digits, and boxes found."""
        pages, asked, numbers, places = held_pages().rows(0)
        said, named = read_with(self.model, made, pages, asked)
        wanted = answers(numbers[:, -said.shape[1] // 2 :])
        hit = (said == wanted).reshape(-1, 2)  # (N k, 2)
        found = {"right": float(hit.all(1).mean()), "digits": float(hit.mean())}
        return {**found, "named": float((named == ZOOM.first + places).mean())}


def read_with(
    model: str, made: Any, pages: np.ndarray, asked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What a model says to scans and colours (N, k): ids of digits (N, 2 k), of places (N, k).

    One that zooms is asked where all boxes are, and reads the last one: digits (N, 2).
    """
    n, k = asked.shape
    with no_grad():
        if model != "zoom":
            logits = made(*parts_of(model, pages, questions(asked))).numpy()[:, -3 * k :]
            said = logits.argmax(-1).reshape(n, k, 3)
            return said[:, :, 1:].reshape(n, -1), said[:, :, 0]
        small, where = resize(pages, LOW), questions(asked, (WHERE,))
        logits = made(small, where).numpy()[:, -k:, ZOOM.first :]
        named = ZOOM.first + logits.argmax(-1)  # (N, k)
        where = np.concatenate([where, named[:, -1:]], axis=1)
        seen = zoomed(pages, named[:, -1] - ZOOM.first)
        ids = questions(asked[:, -1:], (FIRST, SECOND))
        return made(small, where, seen, ids).numpy()[:, -2:].argmax(-1), named


def study(
    out: str,
    models: Sequence[str] = MODELS,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 800,
    eye_steps: int = 1000,
    count: int = 4000,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train every way of seeing small text; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: "12 px", "24 px", "beside", "zoom" or some of them.
        seeds: of weights and pages.
        steps: of "24 px", batch 32; the others learn with as many multiply-adds.
        eye_steps: of an eye's own training before, batch 32.
        count: training pages, each scanned anew when it comes up.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {"steps": steps, "eye_steps": eye_steps, "count": count, "batch": BATCH}
    settings |= {"noise": NOISE, "width": WIDTH, "layers": LAYERS, "exam": EXAM}

    def run(model: str, seed: int, lr: float) -> dict[str, Any]:
        course, long = Course(model, count, eye_steps), steps_of(model, steps)
        made = run_until(
            course.build, course.draw, course.exam, seed, lr, long, long // 4, True, long
        )
        sides = [(PLAIN.get(model, LOW), WIDTH)] + [(FULL, FINE)] * (model == "beside")
        eyes = [eye_for(*side, seed, count, eye_steps)[1] for side in sides]
        spent = {"macs": macs(model), "trained": long * BATCH * macs(model, 4)}
        return {**made, **spent, "taken": long, "eyes": eyes}  # steps; the last test may be earlier

    return carry_out(
        Record(out, "small_text", settings, command),
        [{"model": model} for model in models],
        seeds,
        lambda model: Course(model, count, eye_steps).rate(steps_of(model, steps) // TUNED_ON),
        run,
        shown,
        say,
    )
