"""What lesson 07e and its studies run: a small language model that learns to see scenes.

The language model first learns from text alone: English, and scenes told in words with questions
and answers. Then pictures take the place of the words.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minilm import functional as F
from minilm import nn
from minilm.backend import IGNORE, rng
from minilm.data import documents
from minilm.data.images import asking, scenes
from minilm.models import Config, Transformer
from minilm.nn import Linear, Module, Sequential
from minilm.optim import AdamW
from minilm.tensor import Tensor, no_grad
from minilm.train import default_optimizer, examples, train
from minilm.vision.clip import Clip, clip_loss
from minilm.vision.language import VisionLanguage
from minilm.vision.projectors import Mlp2x, Strided, as_grid, of_grid
from minilm.vision.qformer import QFormer
from minilm.vision.reconstruct import Painter, covered_batches
from minilm.vision.vit import EyeConfig, ViT, seen

CONTEXT, BATCH = 36, 32
CHANNELS, LAYERS, HEADS = 64, 3, 4
ASKED = 3  # questions about one scene
ABOUT = ("colour", "kind", "where", "cell")  # the sorts of questions that are learned
MOST = 2  # things on a board; fewer kinds and things than the world has, or training takes hours
KINDS = ("square", "ring", "cross", "bar", "stairs", "3", "4", "7")
CAPTION = 13  # tokens: a start, and the full caption of two things
ENGLISH = 500  # English words that have an id of their own
ROW = ASKED * (asking.LONGEST + 1)  # tokens of the questions and answers about one scene
LIVE_EYE, LIVE_TEXT, LIVE_STEPS = 90, 300, 200  # steps of what the lesson trains itself
START = asking.WORDS.index(asking.START)


# --- texts --------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def english() -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """The words that have ids (the scenes' first), and two streams of ids: to learn and held out.

    The text is what Python's own documentation says; words that are not frequent share one id.
    """
    words = re.findall(r"[a-z]+", " ".join(documents("python-docs")).lower())
    frequent = [w for w, _ in Counter(words).most_common(ENGLISH) if w not in asking.WORDS]
    names = (*asking.WORDS, *frequent, "<rare>")
    ids = {word: i for i, word in enumerate(names)}
    stream = np.array([ids.get(word, len(names) - 1) for word in words])
    cut = len(stream) * 9 // 10
    return names, stream[:cut], stream[cut:]


class Talks(NamedTuple):
    """Scenes with several questions each, as ids."""

    pictures: np.ndarray  # (N, 3, 20, 20)
    captions: np.ndarray  # (N, 13), a start and the full caption
    asked: np.ndarray  # (N, ROW), question, answer, question, answer ...
    targets: np.ndarray  # (N, ROW), the answers where their question mark stands, else ignored
    scenes: list


@lru_cache(maxsize=8)
def talks(count: int, seed: int) -> Talks:
    """Random scenes, and `ASKED` random questions about each."""
    random, made, asked = rng(seed, "talks"), scenes.scenes(count, seed, MOST, KINDS), []
    for scene in made:
        told: list[str] = []
        while len(told) < 2 * ASKED:
            question = asking.ask(scene, ABOUT[random.integers(len(ABOUT))], random)
            if question:
                told += [question, str(asking.answer(scene, question))]
        asked.append(" ".join(told))
    ids = asking.encode(asked, ROW)
    captions = asking.encode([f"{asking.START} {scenes.caption(s)}" for s in made], CAPTION)
    mark = asking.WORDS.index("?")
    targets = np.where(ids == mark, np.roll(ids, -1, 1), IGNORE)
    return Talks(scenes.draw_all(made), captions, ids, targets, made)


def told(given: Talks) -> tuple[np.ndarray, np.ndarray]:
    """Caption, questions and answers as one text each: ids and targets (N, 36)."""
    rows = np.zeros((len(given.asked), CONTEXT + 1), np.int64)
    for row, caption, asked in zip(rows, given.captions, given.asked, strict=True):
        text = np.concatenate([caption[caption > 0], asked[asked > 0]])[: CONTEXT + 1]
        row[: len(text)] = text
    return rows[:, :-1], np.where(rows[:, 1:] > 0, rows[:, 1:], IGNORE)


def english_batch(stream: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Windows of English: (count, 37)."""
    starts = random.integers(0, len(stream) - CONTEXT - 1, count)
    return stream[starts[:, None] + np.arange(CONTEXT + 1)]


def text_batches(seed: int, pool: Talks) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """Batches of text: half English, half scenes that are told and asked about."""
    stream, (ids, targets) = english()[1], told(pool)

    def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
        random = rng(seed, "text", step)
        window = english_batch(stream, BATCH // 2, random)
        chosen = random.integers(0, len(ids), BATCH // 2)
        return (
            np.concatenate([window[:, :-1], ids[chosen]]),
            np.concatenate([window[:, 1:], targets[chosen]]),
        )

    return batch


# --- the language model -------------------------------------------------------------------------


def make_language(seed: int) -> Transformer:
    """Three layers of 64 channels with rotary positions."""
    config = Config(
        vocab_size=len(english()[0]), context=128, layers=LAYERS, heads=HEADS, channels=CHANNELS,
        positions="rope", activation="gelu_tanh", init_std=0.5 / CHANNELS**0.5,
    )  # fmt: skip
    return Transformer(config, seed=seed)


@lru_cache(maxsize=2)
def read_texts(seed: int, steps: int, lr: float = 4e-3, count: int = 6000) -> dict[str, Any]:
    """The weights of a language model that has read texts only."""
    model = make_language(seed)
    fit(model, text_batches(seed, talks(count, 1000 + seed)), steps, lr)
    return model.state_dict()


def language(seed: int, steps: int) -> Transformer:
    """A fresh copy of the language model that has read texts only."""
    model = make_language(seed)
    model.load_state_dict(read_texts(seed, steps))
    return model


def fit(model: Any, batch: Callable, steps: int, lr: float, **how: Any) -> Any:
    """Train what is not frozen, with AdamW."""
    optimizer = default_optimizer(model, lr, weight_decay=0.02)
    return train(model, batch, steps, optimizer=optimizer, progress=False, **how)


def text_loss(model: Transformer, seed: int = 0) -> dict[str, float]:
    """Nats per word on held-out English, and on scenes that are told: what text costs it."""
    window = english_batch(english()[2], 128, rng(seed, "held english"))
    ids, targets = told(talks(200, 900 + seed))
    with no_grad():
        return {
            "english": model.loss(window[:, :-1], window[:, 1:]).item(),
            "told": model.loss(ids, targets).item(),
        }


def exam(count: int, seed: int) -> asking.Exam:
    """One question about each of `count` new scenes."""
    return asking.exam(count, seed, ABOUT, MOST, KINDS)


def reads_captions(model: Transformer, test: asking.Exam) -> float:
    """Share of questions that it answers from the full caption, in words: what language can do."""
    right = 0
    for scene, question, answer in zip(test.scenes, test.questions, test.answers, strict=True):
        text = f"{asking.START} {scenes.caption(scene)} {question}"
        with no_grad():
            logits = model(asking.encode([text])).numpy()[0, -1]
        right += asking.WORDS[logits[: len(asking.WORDS)].argmax()] == answer
    return right / len(test.answers)


# --- the eye ------------------------------------------------------------------------------------


def make_eye(seed: int, **how: Any) -> ViT:
    """16 patches of 5 by 5 pixels, two layers of 64 channels."""
    nn.manual_seed(seed)
    return ViT(EyeConfig(**how))


def clip_batches(pool: Talks, seed: int, batch: int = 64) -> Callable[[int], tuple]:
    """Pictures and their full captions."""

    def draw(step: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = rng(seed, "clip", step).integers(0, len(pool.pictures), batch)
        return pool.pictures[chosen], pool.captions[chosen]

    return draw


def train_clip(seed: int, steps: int, lr: float = 2e-3, count: int = 6000) -> Clip:
    """An eye and a reader that learned from pictures and captions."""
    model = Clip(make_eye(seed), len(asking.WORDS), CAPTION, seed=seed)
    optimizer = AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.02)
    batches = clip_batches(talks(count, 1000 + seed), seed)
    train(model, batches, steps, loss=clip_loss, optimizer=optimizer, progress=False)
    return model


@lru_cache(maxsize=4)
def eye_of(kind: str, seed: int, steps: int) -> ViT:
    """An eye: "clip", "paint" (it learned to fill in), or "none" (nothing learned)."""
    if kind == "clip":
        return train_clip(seed, steps).eye
    eye = make_eye(seed)
    if kind == "paint":
        pool = talks(6000, 1000 + seed).pictures
        batches = covered_batches(pool, eye.config.tokens, 64, seed=seed)
        painter = Painter(eye)
        fit(painter, batches, steps, 2e-3, loss=lambda m, b: m.loss(*b), weigh=examples)
    return eye


@lru_cache(maxsize=6)
def looked(kind: str, seed: int, steps: int, count: int, which: int) -> np.ndarray:
    """What a frozen eye sees of `talks(count, which)`: (N, 16, 64)."""
    return seen(eye_of(kind, seed, steps), talks(count, which).pictures)


# --- the model that sees ------------------------------------------------------------------------


class Pooled(Module):
    """The mean of each square of four patches, then two layers: the plainest way to 4 tokens."""

    def __init__(self, in_channels: int, channels: int) -> None:
        self.mlp = Mlp2x(in_channels, channels)

    def forward(self, x: Tensor) -> Tensor:  # (N, 16, I) -> (N, 4, C)
        grid = as_grid(x)  # (N, I, 4, 4)
        n, i, g, _ = grid.shape
        return self.mlp(of_grid(F.mean(grid.reshape(n, i, g // 2, 2, g // 2, 2), axis=(3, 5))))


def make_projector(kind: str) -> Module:
    """A projector from the eye's 64 channels to the language model's 64."""
    if kind == "linear":
        return Linear(64, CHANNELS)
    if kind == "mlp":
        return Mlp2x(64, CHANNELS)
    if kind == "pooled":
        return Pooled(64, CHANNELS)
    if kind == "strided":
        return Strided(64, CHANNELS)
    queries = int(kind.removeprefix("queries "))
    former = QFormer(64, queries, words=len(asking.WORDS), longest=CAPTION)
    return Sequential(former, Linear(64, CHANNELS))


def games(projector: Module, looks: np.ndarray, captions: np.ndarray, random: Any) -> Tensor:
    """The sum of the losses of BLIP-2's three games: contrast, match and tell."""
    parts = projector[0].losses(Tensor(looks), captions, random)
    return parts.contrast + parts.match + parts.tell


def pretrain_queries(
    projector: Module, sight: np.ndarray, pool: Talks, steps: int, lr: float, seed: int
) -> None:
    """BLIP-2's first stage: the three games, on what the frozen eye sees."""

    def batch(step: int) -> tuple:
        random = rng(seed, "queries", step)
        chosen = random.integers(0, len(sight), 32)
        return sight[chosen], pool.captions[chosen], np.array(step)

    def loss(_: Any, batch: tuple) -> Tensor:
        return games(projector, *batch[:2], rng(seed, "negatives", int(batch[2])))

    fit(projector[0], batch, steps, lr, loss=loss)


def games_loss(projector: Module, sight: np.ndarray, pool: Talks, seed: int) -> float:
    """What the three games cost on scenes that were not trained on, nats."""
    with no_grad():
        parts = [
            games(projector, sight[i : i + 32], pool.captions[i : i + 32], rng(seed, "held", i))
            for i in range(0, len(sight), 32)
        ]
    return float(np.mean([part.item() for part in parts]))


def shown_batches(
    sight: np.ndarray, pool: Talks, seed: int, batch: int = BATCH
) -> Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """What the eye sees of scenes, with captions and with questions in turn.

    After a picture the model has to write the full caption; after another one, only the answers to
    questions count.
    """
    told = np.where(pool.captions[:, 1:] > 0, pool.captions[:, 1:], IGNORE)

    def draw(step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        chosen = rng(seed, "shown", step).integers(0, len(sight), batch)
        if step % 2 == 0:
            return sight[chosen], pool.captions[chosen, :-1], told[chosen]
        return sight[chosen], pool.asked[chosen], pool.targets[chosen]

    return draw


def answers(model: VisionLanguage, sight: np.ndarray, exam: asking.Exam) -> np.ndarray:
    """Which questions of an exam are answered right: (N,) bool. Only words of the world count."""
    right = np.zeros(len(exam.answers), bool)
    lengths = np.array([len(question.split()) for question in exam.questions])
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        ids = asking.encode([exam.questions[i] for i in rows])
        best = model.next_logits(sight[rows], ids)[:, : len(asking.WORDS)].argmax(-1)
        right[rows] = [asking.WORDS[b] == exam.answers[i] for b, i in zip(best, rows)]
    return right


def by_sort(right: np.ndarray, exam: asking.Exam) -> dict[str, float]:
    """The share answered right, of all and of each sort of question."""
    sorts = np.array(exam.about)
    found = {about: float(right[sorts == about].mean()) for about in ABOUT if about in sorts}
    return {"right": float(right.mean()), **found}


def blind(pool: Talks, exam: asking.Exam) -> dict[str, float]:
    """The best that can be done without looking: the most frequent answer to each question."""
    counts: dict[str, Counter] = {}
    for asked in asking.decode(pool.asked):
        words: Sequence[str] = asked.split()
        begin = 0
        for at, word in enumerate(words):
            if word == "?":
                question = " ".join(words[begin : at + 1])
                counts.setdefault(question, Counter())[words[at + 1]] += 1
                begin = at + 2
    right = np.array(
        [
            question in counts and counts[question].most_common(1)[0][0] == answer
            for question, answer in zip(exam.questions, exam.answers, strict=True)
        ]
    )
    return by_sort(right, exam)


def unbound(exam: asking.Exam) -> float:
    """What is right on average for one who sees which colours, kinds and cells there are, and guesses.

    It knows an empty cell; it does not know which colour, kind and place belong together.
    """
    chances = []
    for scene, about, answer in zip(exam.scenes, exam.about, exam.answers, strict=True):
        there = {
            "colour": {thing.colour for thing in scene},
            "kind": {thing.kind for thing in scene},
            "where": {thing.cell for thing in scene},
        }
        there["cell"] = there["kind"]
        chances.append(1 / len(there[about]) if answer in there[about] else 1.0)
    return float(np.mean(chances))


def contrast_exam(clips: dict[int, Clip], new: Talks) -> dict[str, list[float]]:
    """Of new pictures: the share whose own caption is the nearest of all, and the loss."""
    found: dict[str, list[float]] = {"nearest": [], "loss": []}
    for model in clips.values():
        logits = model.logits(new.pictures, new.captions)
        found["nearest"].append(float((logits.argmax(1) == np.arange(len(logits))).mean()))
        with no_grad():
            found["loss"].append(model.loss(new.pictures, new.captions).item())
    return found
