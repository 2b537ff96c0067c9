"""A small classifier that names pictures, and what a generator is measured by with it.

The names and the distances of generated pictures come from it; it never sees a generated one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minilm import functional as F
from minilm import nn
from minilm.analysis.pictures import copying, frechet, precision_recall
from minilm.backend import rng
from minilm.optim import AdamW
from minilm.tensor import Tensor, no_grad
from minilm.train import examples, train


class Judge(nn.Module):
    """A perceptron over pixels; its last hidden layer is the space of the distances.

    Args:
        pixels: numbers of a picture.
        classes: names.
        hidden, features: widths of the two hidden layers.
    """

    def __init__(self, pixels: int, classes: int, hidden: int = 192, features: int = 48) -> None:
        self.first = nn.Linear(pixels, hidden)
        self.second = nn.Linear(hidden, features)
        self.last = nn.Linear(features, classes)

    def _seen(self, x: Any) -> Tensor:  # (B, ...) -> (B, features)
        rows = np.asarray(x, np.float32).reshape(len(x), -1)
        return F.relu(self.second(F.relu(self.first(rows))))

    def forward(self, x: Any) -> Tensor:  # (B, ...) -> (B, classes)
        return self.last(self._seen(x))

    def features(self, x: np.ndarray) -> np.ndarray:
        """float64 (N, features) of pictures (N, ...)."""
        with no_grad():
            return self._seen(x).data.astype(np.float64)

    def names(self, x: np.ndarray) -> np.ndarray:
        """The class of each picture: (N,)."""
        with no_grad():
            return self(x).data.argmax(-1)


def train_judge(
    pictures: np.ndarray, labels: np.ndarray, seed: int = 0, steps: int = 1500, **settings: Any
) -> Judge:
    """A judge of pictures (N, H, W), -1 to 1, trained with shifts by a pixel and a little noise."""
    nn.manual_seed(seed)
    judge = Judge(pictures[0].size, int(labels.max()) + 1)

    def draw(number: int) -> tuple[np.ndarray, np.ndarray]:
        random = rng(seed, "judge", number)
        rows = random.integers(0, len(pictures), 64)
        x = pictures[rows].copy()
        for i in np.flatnonzero(random.random(64) < 0.5):
            x[i] = np.roll(x[i], random.integers(-1, 2), axis=random.integers(0, 2))
        noise = random.standard_normal(x.shape, dtype=np.float32)
        return x + np.float32(0.05) * noise, labels[rows]

    def loss(model: Judge, batch: tuple[np.ndarray, np.ndarray]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1], label_smoothing=0.05)

    optimizer = AdamW(judge.parameters(), lr=2e-3, betas=(0.9, 0.99), weight_decay=0.01)
    train(judge, draw, steps, loss=loss, weigh=examples, optimizer=optimizer, **settings)
    return judge


class Measured(NamedTuple):
    """What a set of generated pictures is worth."""

    right: float  # share that the judge names as asked
    frechet: float  # to held-out pictures, on the judge's features
    precision: float
    recall: float
    copies: float  # share nearer to a training picture than 99 % of the held-out ones


def measure(
    judge: Judge, fake: np.ndarray, labels: np.ndarray, known: np.ndarray, held: np.ndarray
) -> Measured:
    """Generated pictures beside held-out ones.

    Args:
        judge: trained on real pictures.
        fake: (N, ...), asked for as `labels` (N,).
        known: the pictures that were trained on, for the copying test.
        held: real pictures that nobody trained on.
    """
    mine, real = judge.features(fake), judge.features(held)
    precision, recall = precision_recall(real, mine)
    return Measured(
        float((judge.names(fake) == labels).mean()),
        frechet(mine, real),
        precision,
        recall,
        copying(
            fake.reshape(len(fake), -1), known.reshape(len(known), -1), held.reshape(len(held), -1)
        ).copies,
    )
