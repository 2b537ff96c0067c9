"""Copying through one vector or with attention: how many steps until strings come out right.

    minilm study run 01/copying --out copying.json

The first talk of CS25 V4 (09:40, 16:00): one hidden vector for all of the text is a bottleneck, and
attention removes it. Two recurrent nets copy strings of 1 to 12 letters: one reads, one writes.
Between them stands the reader's last state, of 32, 64 or 128 units, or attention to all its states.
Every model gets a rate tuned for it. What would decide it: steps until 95 % of the letters of
12-letter strings are right.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import backend, nn
from minilm import functional as F
from minilm.data import toys
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.until import ENOUGH, run_until, shown, tuned
from minilm.tensor import Tensor, no_grad

LETTERS, LONGEST, BATCH = 16, 12, 32
MODELS = {
    "attention": (32, True),
    "one vector of 32": (32, False),
    "one vector of 64": (64, False),
    "one vector of 128": (128, False),
}
LIVE = ("attention", "one vector of 32")  # what the lesson trains itself


class Copier(nn.Module):
    """Two LSTMs: one reads, one writes. Between them the last state, or attention to all."""

    def __init__(self, units: int, attend: bool, seed: int) -> None:
        nn.manual_seed(seed)
        self.tokens = nn.Embedding(LETTERS + 3, units, std=0.3)
        self.reader, self.writer = nn.LSTM(units, units), nn.LSTM(units, units)
        self.query = nn.Linear(units, units, bias=False) if attend else None
        self.mix = nn.Linear(2 * units, units) if attend else None
        self.head = nn.Linear(units, LETTERS + 3)

    def forward(self, given: np.ndarray, fed: np.ndarray) -> Tensor:  # (B, S), (B, T)
        read, last = self.reader(self.tokens(given))  # (B, S, C) and the last state
        state, _ = self.writer(self.tokens(fed), last)  # (B, T, C)
        if self.query is not None:
            q, k = (F.expand_dims(x, 1) for x in (self.query(state), read))  # (B, 1, T or S, C)
            found = F.squeeze(F.attention(q, k, k), 1)  # (B, T, C): keys are values here
            state = F.tanh(self.mix(F.concatenate([found, state], axis=2)))  # (B, T, 2 C) -> C
        return self.head(state)  # (B, T, V)

    def loss(self, given: np.ndarray, fed: np.ndarray, target: np.ndarray) -> Tensor:
        return F.cross_entropy(self(given, fed), target)


def build(model: str, seed: int) -> Copier:
    """One of `MODELS`."""
    units, attend = MODELS[model]
    return Copier(units, attend, seed)


def strings(seed: int, step: int) -> Sequence[np.ndarray]:
    """A batch to copy; all of one length, which changes from step to step."""
    size = int(backend.rng(seed, "length", step).integers(1, LONGEST + 1))
    pairs = toys.copy(BATCH, size, LETTERS, seed=100_000 * seed + step)
    return pairs.source, pairs.fed, pairs.target


def letters_right(model: Copier, size: int, examples: int = 128) -> dict[str, float]:
    """On new strings of this length: share of letters right, and the right one's probability."""
    new = toys.copy(examples, size, LETTERS, seed=9_000_000 + size)
    with no_grad():
        p = F.softmax(model(new.source, new.fed)).data
    of_right = np.take_along_axis(p, new.target[..., None].astype(np.int64), -1)
    hit = p.argmax(-1) == new.target
    return {"right": float(hit.mean()), "probability": float(of_right.mean())}


def looks(model: Copier, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Where it looks while it writes one string: weights (size + 1, size), and the letters."""
    one = toys.copy(1, size, LETTERS, seed=5)
    with no_grad():
        read, last = model.reader(model.tokens(one.source))
        state, _ = model.writer(model.tokens(one.fed), last)
        scores = model.query(state).data[0] @ read.data[0].T / read.shape[-1] ** 0.5  # (T, S)
    return F.softmax(Tensor(scores)).data, one.source[0]


def study(
    out: str,
    models: Sequence[str] = tuple(MODELS),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    steps: int = 3000,
    tune_steps: int = 240,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train every model; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `MODELS`.
        seeds: of weights and strings.
        steps: the most that a run takes.
        tune_steps: of each tuning run.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {"steps": steps, "tune_steps": tune_steps, "batch": BATCH, "enough": ENOUGH}
    settings |= {"letters": LETTERS, "longest": LONGEST}

    def parts(model: str) -> tuple:
        return lambda seed: build(model, seed), strings, lambda made: letters_right(made, LONGEST)

    return carry_out(
        Record(out, "copying", settings, command),
        [{"model": model} for model in models],
        seeds,
        lambda model: tuned(*parts(model)[:2], 1e-2, tune_steps),
        lambda model, seed, lr: run_until(*parts(model), seed, lr, steps, every=60),
        shown,
        say,
    )
