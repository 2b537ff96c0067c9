"""How far sliding windows see through layers: a token that all later ones should name."""

import numpy as np

from minilm import backend
from minilm.models import Config, Transformer
from minilm.tensor import no_grad

from .mixture import learn

NEEDLES, NOISE = 8, 8  # what may stand first; what may stand behind it
WINDOW, LENGTH, BATCH = 6, 21, 32  # a query sees itself and the 5 places before it


def config_of(layers: int, window: int | None = WINDOW, channels: int = 32) -> Config:
    """A decoder with a window in each layer."""
    return Config(
        vocab_size=NEEDLES + NOISE, context=LENGTH, layers=layers, heads=2, channels=channels,
        norm="rms", activation="swiglu", positions="rope", bias=False, window=window,
        init_std=0.5 / channels**0.5,
    )  # fmt: skip


def rows(count: int, r: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A needle and then noise, (count, LENGTH); the target of every place is the needle."""
    ids = r.integers(NEEDLES, NEEDLES + NOISE, (count, LENGTH))
    ids[:, 0] = r.integers(0, NEEDLES, count)
    return ids, np.repeat(ids[:, :1], LENGTH, 1)


def trained(layers: int, seed: int, steps: int, lr: float = 4e-3) -> Transformer:
    """A model that has practised on needles."""
    r = backend.rng(seed, "needles")
    batches = (rows(BATCH, r) for _ in range(steps))
    return learn(Transformer(config_of(layers), seed=seed), batches, steps, lr)


def named(model: Transformer, seed: int, count: int = 400) -> np.ndarray:
    """Share of places that name the needle, by their distance to it, (LENGTH,)."""
    ids, targets = rows(count, backend.rng(seed, "needles", "exam"))
    with no_grad():
        return (model(ids).numpy().argmax(-1) == targets).mean(0)


def shadow(layers: int, window: int, length: int, seed: int = 0) -> int:
    """The farthest place whose output moves when the first token changes, in an untrained model."""
    config = config_of(layers, window).replace(context=length)
    model = Transformer(config, seed=seed, dtype=np.float64)
    ids, _ = np.full((1, length), NEEDLES), model.eval()
    other = ids.copy()
    other[0, 0] = 0
    with no_grad():
        moved = (model(ids).numpy() != model(other).numpy()).any((0, 2))
    return int(np.flatnonzero(moved).max())
