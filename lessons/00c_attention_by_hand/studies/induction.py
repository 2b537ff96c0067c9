"""One layer or two: can attention learn to go on as the text did before?

    minilm study run 00c/induction

Olsson et al. (2022, arXiv 2209.11895) found that models with two layers of attention learn to
complete what they have seen before in the text, and that models with one do not: it takes one step
to note who stood before whom and another to look that up. Texts of 32 random words; from the
seventh to tenth word on they are pieces of three to six words that stood there before. Asked
is every word inside a piece whose predecessor was always followed by the same. What would decide it:
the share of right answers of one layer, at the steps that two layers need and at four times that.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm import functional as F
from minilm.models import Config, Transformer
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.until import ENOUGH, run_until, shown, tuned
from minilm.tensor import no_grad

WORDS, LENGTH, BATCH = 16, 32, 32
FRESH, PIECE = (6, 9), (3, 6)  # words before the first piece, and of a piece: least and most
MODELS = {"two layers": (2, 32), "one layer": (1, 32), "one layer, wider": (1, 48)}
LATER = 4  # times the steps that two layers need: what one layer gets


def build(model: str, seed: int) -> Transformer:
    """One of `MODELS`: one head a layer; what a place is enters by turning queries and keys."""
    layers, channels = MODELS[model]
    config = Config(
        vocab_size=WORDS, context=LENGTH, layers=layers, heads=1, channels=channels,
        positions="rope", activation="gelu_tanh",
    )  # fmt: skip
    return Transformer(config, seed=seed)


def texts(seed: int, step: int, count: int = BATCH) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A batch: words, what follows each, and which of them are asked; (B, T) each."""
    rng = backend.rng(seed, "pieces", step)
    words = rng.integers(1, WORDS, (count, LENGTH + 1)).astype(np.int32)
    words[:, 0] = 0  # the start
    asked = np.zeros(words.shape, bool)
    for row, ask in zip(words, asked, strict=True):
        at = int(rng.integers(FRESH[0], FRESH[1] + 1))
        while at <= LENGTH:
            size = min(int(rng.integers(PIECE[0], PIECE[1] + 1)), at - 1, LENGTH + 1 - at)
            start = int(rng.integers(1, at - size + 1))
            row[at : at + size] = row[start : start + size]
            for place in range(at, at + size - 1):
                followers = row[2 : place + 1][row[1:place] == row[place]]
                ask[place] = (followers == row[place + 1]).all()
            at += size
    return words[:, :-1], words[:, 1:], asked[:, :-1]


def batch(seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """What `Transformer.loss` takes: words and the words that follow."""
    return texts(seed, step)[:2]


def exam(model: Transformer) -> dict[str, float]:
    """On 256 new texts: share of the asked words right, and the right one's probability."""
    given, target, asked = texts(9_000_000, 0, 256)
    with no_grad():
        shares = F.softmax(model(given)).data  # (B, T, V)
    of_right = np.take_along_axis(shares, target[..., None].astype(np.int64), -1)[..., 0]
    hit = shares.argmax(-1) == target
    return {"right": float(hit[asked].mean()), "probability": float(of_right[asked].mean())}


def study(
    out: str,
    models: Sequence[str] = tuple(MODELS),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    steps: int = 4000,
    tune_steps: int = 800,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train every model; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `MODELS`.
        seeds: of weights and texts.
        steps: the most that a run takes.
        tune_steps: of each tuning run.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {"steps": steps, "tune_steps": tune_steps, "batch": BATCH, "enough": ENOUGH}
    settings |= {"words": WORDS, "length": LENGTH}

    def make(model: str) -> Callable[[int], Transformer]:
        return lambda seed: build(model, seed)

    return carry_out(
        Record(out, "induction", settings, command),
        [{"model": model} for model in models],
        seeds,
        lambda model: tuned(make(model), batch, 3e-3, tune_steps),
        lambda model, seed, lr: run_until(make(model), batch, exam, seed, lr, steps, every=100),
        shown,
        say,
    )
