"""The models that are trained while the page runs, and what their tests note."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from minilm.analysis import probes
from minilm.course import budget
from minilm.data.worlds.world import TASKS, Probe, TaskWorld
from minilm.models.transformer import Transformer
from minilm.studies.runs import SIZES, config_of, exam_steps, predictor, train_and_test

from .studies.scaling import Exam

# Shares of the tokens: much translation, so that something happens within 150 steps.
DIET = dict(zip(TASKS, (0.15, 0.05, 0.10, 0.05, 0.50, 0.05, 0.10), strict=True))
# The learning rates that the recorded study tuned for these sizes.
RATES = {"2x16": 0.01, "2x32": 0.014, "2x48": 0.01, "2x64": 0.008}
STEPS = budget(150)


def prompts(world: TaskWorld) -> dict[str, np.ndarray]:
    """Beginnings of lines, for models to go on with: text -> ids (1, T)."""
    name = world.decode(world.fact_names[0])
    texts = (
        "translate pretty squirrel =>",
        "the keys near the box near the door",
        "list pear lemon",
        f"{name} emblem",
        "Ada kitchen Ben store Ada garden Ben office where Ada",
    )
    return {text: world.encode(f". {text}")[None] for text in texts}


@cache
def exam(world: TaskWorld) -> tuple[Exam, Probe]:
    """Held-out windows, and the prompts of translation."""
    made = Exam(world, windows=48, prompts=256, mixture=DIET)
    return made, next(probe for probe in made.probes if probe.name == "translation")


def train_one(world: TaskWorld, size: str, seed: int) -> dict[str, Any]:
    """One model on a stream of its own; `points` holds what its tests noted."""

    def test(model: Transformer) -> dict[str, Any]:
        windows, pairs = exam(world)
        predict, split = predictor(model), windows.loss(model)  # the loss and its parts
        expected = {q: probes.log_softmax(predict(ids)[0, -1]) for q, ids in prompts(world).items()}
        notes = {"loss": split.total, "losses": split.losses, "expected": expected}  # (V,) each
        return notes | probes.score(predict, pairs)  # five scores of the same translations

    tokens = world.sample(STEPS * 32 * 32 + 1, 1000 + seed, DIET).tokens  # 32 windows of 32 words
    config, at = config_of(SIZES[size], world.vocab_size, 32), exam_steps(STEPS, 10, first=12)
    lr = RATES[size]  # tuned for this size in the recorded study
    return train_and_test(config, tokens, test, at, STEPS, batch=32, lr=lr, seed=seed)
