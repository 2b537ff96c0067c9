"""What lesson 00c runs beside its page: two heads written by hand, and models that were trained."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from minilm import backend, use
from minilm import functional as F
from minilm.course import budget, progress
from minilm.models import Transformer, gpt, gpt2
from minilm.studies.until import descend
from minilm.tensor import Tensor, no_grad

STEPS = budget(1000)  # of the models that the lesson trains itself
LR = 1e-3  # what the recorded study's tuning chose for two layers


def two_heads(
    words: int, places: int, sharp: float = 50.0, loud: float = 4.0
) -> tuple[Transformer, dict[str, np.ndarray]]:
    """A GPT-2 that looks for the last two words, and if they never stood together for the last."""
    C = 3 * words + places
    D = C // 2  # channels of a head
    now, place, before, earlier = np.split(
        np.arange(C), np.cumsum([words, places, words])
    )  # the word, its place, the word before it, the word before that
    model = Transformer(
        gpt2(layers=2, heads=2, channels=C, vocab_size=words, context=places), dtype=np.float64
    )
    w = {
        name: np.full_like(a, "norm" in name and "weight" in name)
        for name, a in model.state_dict().items()
    }
    w["tokens.weight"][:, now] = np.eye(words)
    w["positions.weight"][:, place] = np.eye(places)
    q, k, v = w["stack.blocks.0.attention.qkv.weight"].reshape(3, 2, D, C)  # head, row, column
    out = w["stack.blocks.0.attention.out.weight"].reshape(C, 2, D)
    for head, note in enumerate((before, earlier)):  # this head looks head + 1 places back
        asked = np.maximum(np.arange(places) - head - 1, 0)
        q[head, asked, place] = sharp
        k[head, np.arange(places), place] = 1
        v[head, np.arange(words), now] = 1
        out[note, head, np.arange(words)] = np.sqrt(2 / (C - 2))  # undoes the norm's stretch
    q, k, v = w["stack.blocks.1.attention.qkv.weight"].reshape(3, 2, D, C)[:, 0]  # one head works
    out = w["stack.blocks.1.attention.out.weight"].reshape(C, 2, D)[:, 0]
    for part, (mine, yours, weight) in enumerate(((now, before, 2), (before, earlier, 1))):
        rows = np.arange(part * words, (part + 1) * words)
        q[rows, mine] = weight * sharp
        k[rows, yours] = 1
    v[np.arange(words), now] = 1
    out[now, np.arange(words)] = loud
    model.load_state_dict(w)
    return model, w


def right(
    texts_and_answers: Sequence[tuple[list[int], int]], w: dict[str, np.ndarray], heads: int
) -> float:
    """Share of the texts, %, of which the likeliest next word is the right one."""
    hits = [gpt.gpt(ids, w, heads)[-1].argmax() == answer for ids, answer in texts_and_answers]
    return 100 * float(np.mean(hits))


def sureness(
    texts_and_answers: Sequence[tuple[list[int], int]], w: dict[str, np.ndarray], heads: int
) -> float:
    """Probability of the right word: its geometric mean over the texts."""
    logs = []
    for ids, answer in texts_and_answers:
        logits = gpt.gpt(ids, w, heads)[-1]  # (V,)
        logs.append(logits[answer] - np.logaddexp.reduce(logits))
    return float(np.exp(np.mean(logs)))


def slopes_apart(rows: int = 200) -> float:
    """Largest difference of the tape's gradient of the loss from p - y, over random logits."""
    rng = backend.rng(0, "logits")
    logits = 5 * rng.standard_normal((rows, 16))
    came = rng.integers(0, 16, rows)
    guess = Tensor(logits, requires_grad=True)
    F.cross_entropy(guess, came, reduction="sum").backward()
    return float(np.abs(guess.grad - (gpt.softmax(logits) - np.eye(16)[came])).max())


def train_all(induction: ModuleType, seeds: Sequence[int]) -> list[Transformer]:
    """The study's model of two layers, once per seed, side by side."""
    models = [induction.build("two layers", seed) for seed in seeds]

    def train_one(pair: tuple[int, Transformer]) -> None:
        seed, model = pair
        steps = descend(model, induction.batch, seed, LR)
        for _ in range(STEPS):
            next(steps)
            bar.update()

    with progress(total=STEPS * len(models)) as bar:
        backend.parallel(train_one, zip(seeds, models, strict=True))
    return models


def shares(model: Transformer, ids: np.ndarray) -> list[np.ndarray]:
    """What each layer's head looks at in one text: (T, T) per layer."""
    seen, attention = [], F.attention

    def watched(q: Tensor, k: Tensor, v: Tensor, **named: Any) -> Tensor:
        mixed, weights = attention(q, k, v, return_weights=True, **named)
        seen.append(weights.data[0, 0])
        return mixed

    with use(attention=watched), no_grad():
        model(ids[None])
    return seen


def maps(
    model: Transformer, induction: ModuleType, text: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """The shares of both layers in one new text, and its words."""
    ids = induction.texts(8_000_000, 0, 8)[0][text]
    return shares(model, ids), ids


def where_they_look(model: Transformer, induction: ModuleType) -> dict[str, list[float]]:
    """Per layer: the share of the word before, and of the word that followed the same word earlier.

    Means over the asked words of 64 new texts; "evenly" is what equal shares would give.
    """
    given, _, asked = induction.texts(7_000_000, 0, 64)
    found: dict[str, list[list[float]]] = {"before": [], "followed": [], "evenly": []}
    for ids, ask in zip(given, asked, strict=True):
        both = shares(model, ids)
        for place in np.flatnonzero(ask):
            earlier = 1 + np.flatnonzero(ids[1:place] == ids[place]) + 1  # behind each copy
            found["before"].append([float(s[place, place - 1]) for s in both])
            found["followed"].append([float(s[place, earlier].sum()) for s in both])
            found["evenly"].append([len(earlier) / (place + 1)] * len(both))
    return {name: np.mean(rows, axis=0).tolist() for name, rows in found.items()}
