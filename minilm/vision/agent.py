"""An agent that works a screen: it sees pixels and a task, and says where to click, or "done".

After CogAgent's web agent (arXiv 2312.08914): the screenshot is a picture in the sequence of a
language model, the task is two words behind it, and the next word is the action: one of the 16
cells of the screen, or "done". The screen that follows is a new question; nothing is remembered. It
learns by imitating an expert (`minilm.data.images.screen_play.demonstrations`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minilm import nn
from minilm.backend import IGNORE, rng
from minilm.data.images.screen_play import Episode, Shown
from minilm.data.images.screens import (
    BACK,
    CELL,
    CLICKS,
    FIELDS,
    LOOKS,
    MORE,
    NO,
    OK,
    PAGES,
    SAVED,
    SIDE,
    Task,
    read,
)
from minilm.errors import InputError
from minilm.models import Config, Transformer
from minilm.vision.language import VisionLanguage
from minilm.vision.vit import EyeConfig, ViT

FIRST_FIELD = len(PAGES)
FIRST_ACTION = FIRST_FIELD + len(FIELDS)
TASKS = 4  # that can be asked of one screen in a row
KINDS, TEXTS = tuple(LOOKS), (*PAGES, *FIELDS, OK, NO, BACK, MORE, SAVED)
VOCABULARY = FIRST_ACTION + CLICKS + 1  # pages, fields, cells, done


def make_eye(channels: int = 48, layers: int = 1, heads: int = 4) -> ViT:
    """An eye for screens, one token for each of the 16 cells, drawn from `nn.manual_seed`."""
    return ViT(EyeConfig(SIDE, CELL, layers, channels, heads))


def make_agent(
    seed: int = 0, channels: int = 48, layers: int = 2, heads: int = 4, eye: ViT | None = None
) -> VisionLanguage:
    """An agent that has learnt nothing but what its eye may have learnt before.

    Args:
        seed: of the first weights.
        channels, heads: of eye and language model.
        layers: blocks of the language model.
        eye: None makes a new one.
    """
    nn.manual_seed(seed)
    eye = make_eye(channels, 1, heads) if eye is None else eye
    config = Config(
        vocab_size=VOCABULARY, context=CLICKS + 2 + 2 * TASKS, layers=layers, heads=heads,
        channels=channels, activation="gelu_tanh", tie=False, init_std=0.5 * channels**-0.5,
    )  # fmt: skip
    language = Transformer(config, seed)
    return VisionLanguage(language, eye, nn.Linear(channels, channels)).learn("all", eye=True)


def inked(pictures: np.ndarray) -> np.ndarray:
    """Pictures from 0 to 1 with white at 0 and black at 2, as the agent's eye sees them."""
    return 2 * (1 - pictures)


def words_of(pages: np.ndarray, fields: np.ndarray) -> np.ndarray:
    """Tasks as ids: indices (N, k) into `PAGES` and into `FIELDS` -> int64 (N, 2 k)."""
    pages = np.asarray(pages)
    return np.stack([pages, FIRST_FIELD + np.asarray(fields)], axis=2).reshape(len(pages), -1)


def imitation_batch(
    shown: Shown, batch: int, seed: int = 0, step: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random rows for `VisionLanguage.loss`: pictures, words and targets.

    Args:
        shown: what the expert did.
        batch: rows, drawn with replacement.
        seed, step: of the draw.
    """
    rows = rng(seed, "imitation", step).integers(0, len(shown.actions), batch)
    words = words_of(shown.pages[rows], shown.fields[rows])  # (N, 2 k)
    targets = np.full_like(words, IGNORE)
    targets[:, 1::2] = FIRST_ACTION + shown.actions[rows]
    return inked(shown.images[rows]), words, targets


def actions_of(model: VisionLanguage, images: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The likeliest action for each screen and task: int64 (N,), cells 0 to 15, or 16 for done."""
    return model.next_logits(inked(images), words)[:, FIRST_ACTION:].argmax(-1)


class Agent:
    """A model as an actor for `minilm.data.images.screen_play.play`.

    Args:
        model: as `make_agent` makes it.
    """

    def __init__(self, model: VisionLanguage) -> None:
        self.model = model

    def __call__(self, images: np.ndarray, tasks: Sequence[Task], step: int = 0) -> list[int]:
        """(N, 3, 32, 32) and N tasks -> N actions."""
        pages = np.array([[PAGES.index(task.page)] for task in tasks])
        fields = np.array([[FIELDS.index(task.field)] for task in tasks])
        return actions_of(self.model, images, words_of(pages, fields)).tolist()


class Success(NamedTuple):
    """Of a set of games, shares from 0 to 1, and the mean number of actions of those done."""

    done: float
    harm: float
    actions: float


def success(episodes: Sequence[Episode]) -> Success:
    """How many tasks were done, how many did harm, and in how many actions they were done."""
    lengths = [len(e.actions) for e in episodes if e.done]
    share = [float(np.mean([getattr(e, name) for e in episodes])) for name in ("done", "harm")]
    return Success(*share, float(np.mean(lengths)) if lengths else float("nan"))


def screen_labels(images: np.ndarray) -> np.ndarray:
    """What stands in each cell of screens: int64 (N, 16, 2), kind and text, 0 and 0 for none.

    For `PatchNaming`, so that an eye can learn to read screens before anybody acts on them.

    Raises:
        InputError: a picture that is no screen.
    """
    labels = np.zeros((len(images), CLICKS, 2), np.int64)
    for row, image in zip(labels, images, strict=True):
        found = read(image)
        if found is None:
            raise InputError("images hold a picture that is no screen; each must be one")
        for kind, text, cell in found:
            row[cell] = KINDS.index(kind) + 1, TEXTS.index(text) + 1
    return labels
