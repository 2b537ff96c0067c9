"""What lesson 06 runs beside its page: one pass at many settings, solved weights, the table, lamps."""

import functools
import time
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from minilm import backend, explicit
from minilm import functional as F
from minilm.course import progress
from minilm.lamp import Listener, NaiveBayes, Utterance, household
from minilm.lamp.simulate import Heard, listen
from minilm.nn import manual_seed
from minilm.tensor import Tensor, no_grad

TINY = np.finfo(np.float64).tiny
ROWS, LENGTH = 800, 50  # texts of a warm start


def loss_of(x: np.ndarray, y: np.ndarray, u: np.ndarray) -> float:
    """Nats per character of a softmax layer."""
    return F.cross_entropy(Tensor(np.asarray(x, np.float64) @ u), y).item()


def unigram(warm: ModuleType, amount: int, seed: int) -> float:
    """Held-out nats of counting single characters."""
    parts = warm.task("8 bits K=2", amount, seed)
    share = np.bincount(parts["train"][1], minlength=warm.V) + 1.0
    return float(-np.log(share / share.sum())[parts["test"][1]].mean())


@functools.cache
def one_pass(warm: ModuleType, bits: int, k: int, amount: int, seed: int) -> tuple[float, float]:
    """Nats of the explicit solution on its own text and on held-out text."""
    parts = warm.task(f"{bits} bits K={k}", amount, seed)
    u = warm.start(parts, "warm 1")
    return loss_of(*parts["train"], u), loss_of(*parts["test"], u)


def entropy(x: np.ndarray, y: np.ndarray) -> float:
    """H(y | x) of pairs of ids, by its definition, in nats."""
    found = 0.0
    for a in np.unique(x):
        share = np.bincount(y[x == a]) / (x == a).sum()
        found -= (x == a).mean() * sum(p * np.log(p) for p in share if p)
    return float(found)


def optimum(ids: np.ndarray, size: int) -> dict[str, float]:
    """K = 1: how far the solved layer is from the entropy, and its gradient from 0."""
    x, y = ids[:-1], ids[1:]
    counts = explicit.Counts(size, size)
    counts.add(np.eye(size)[x], y)
    weights = Tensor(counts.solution(), requires_grad=True)
    loss = F.cross_entropy(Tensor(np.eye(size)[x]) @ weights, y)
    loss.backward()
    return {
        "loss - entropy": abs(loss.item() - entropy(x, y)),
        "gradient": float(np.abs(weights.grad).max()),
    }


def bayes_apart(seed: int) -> float:
    """Largest difference between the layer's shares and naive Bayes, factor by factor."""
    rng = backend.rng(seed, "bayes")
    x = rng.multinomial(4, rng.dirichlet(np.ones(6)), 500).astype(float)
    y = np.concatenate([np.arange(5), rng.integers(0, 5, 495)])
    f = explicit.cooc(x, np.eye(5)[y]) + 1.0
    shares = F.softmax(Tensor(x @ explicit.explicit_solution(f, 4))).data
    worst = 0.0
    for row, found in zip(x, shares, strict=True):
        posterior = f.sum(axis=0) / f.sum()
        for feature, amount in enumerate(row):
            posterior = posterior * (f[feature] / f.sum(axis=0)) ** amount
        worst = max(worst, float(np.abs(found - posterior / posterior.sum()).max()))
    return worst


def twice(warm: ModuleType, copies: Sequence[int], seed: int) -> np.ndarray:
    """Held-out nats where the last character stands in the features several times."""
    parts = warm.task("60 bits K=2", 50_000, seed)
    last = {name: (x[:, -warm.V :], y) for name, (x, y) in parts.items()}
    losses = []
    for times in copies:
        wide = {name: (np.tile(x, times), y) for name, (x, y) in last.items()}
        losses.append(loss_of(*wide["test"], warm.start(wide, "warm 1")))
    return np.array(losses)


# --------------------------------------------------------------------------------------- SAFFU


def chain(length: int, seed: int, size: int = 60) -> np.ndarray:
    """Tokens that depend on the two before them, with Zipf's frequencies."""
    rng = backend.rng(seed, "chain")
    zipf = 1 / np.arange(1, size + 1)
    zipf /= zipf.sum()
    likely = rng.choice(size, (size, size, 3), p=zipf)
    mixed, pick = rng.random(length) < 0.3, rng.integers(0, 3, length)
    noise = rng.choice(size, length, p=zipf)
    text = [0, 1]
    for i in range(length - 2):
        text.append(int(noise[i] if mixed[i] else likely[text[-2], text[-1], pick[i]]))
    return np.array(text)


def gain_of_solved_weights(warm: ModuleType, seed: int) -> dict[str, float]:
    """Nats that a solved W saves on held-out text, against even weights, all else solved."""
    known, held_out = warm.characters()
    at = int(backend.rng(seed, "texts").integers(len(known) - ROWS * LENGTH))
    made = chain(ROWS * LENGTH + 10_000, seed)
    texts = {
        "Python documentation": (known[at : at + ROWS * LENGTH], held_out[:10_000], 8),
        "chain of pairs": (made[:-10_000], made[-10_000:], 3),
    }
    return {name: _gain(*text) for name, text in texts.items()}


def _gain(known: np.ndarray, new: np.ndarray, radius: int) -> float:
    known, new = known.reshape(-1, LENGTH), new.reshape(-1, LENGTH)
    losses = []
    for weigh in (False, True):
        manual_seed(0)
        vectors = explicit.bit_cipher(np.bincount(known.ravel(), minlength=60), 16)
        model = explicit.SaffuModel(vectors, 16, radius=radius)
        explicit.warm_start(model, [known], weigh=weigh)
        with no_grad():
            losses.append(F.cross_entropy(model(new[:, :-1]), new[:, 1:]).item())
    return losses[0] - losses[1]


def table_or_not(width: int = 64, slots: int = 16, rows: int = 4000) -> dict[str, list[float]]:
    """Comparisons made and looked up: the difference, operations, and seconds, three times."""
    rng = backend.rng(0, "table")
    vectors = explicit.bit_cipher(rng.integers(1, 99, 500), width)
    ids, w = rng.integers(0, 500, (rows, slots)), rng.standard_normal((slots, slots))
    table = explicit.compare_table(vectors)
    found: dict[str, list[float]] = {"apart": [], "seconds made": [], "seconds looked up": []}
    for _ in range(4):
        began = time.process_time()
        made = explicit.saffu_attend(vectors[ids], w).data
        between = time.process_time()
        looked_up = explicit.attend_cached(ids, table, w).data
        found["seconds made"].append(between - began)
        found["seconds looked up"].append(time.process_time() - between)
        found["apart"].append(float(np.abs(made - looked_up).max()))
    return {name: values[1:] for name, values in found.items()}  # the first warms the caches


# ---------------------------------------------------------------------------------------- lamps

MAKES = {
    "the lamp": Listener,
    "counted only": lambda seed: Listener(seed, trains=False),
    "naive Bayes": lambda seed: NaiveBayes(),
}


HOUSEHOLDS = 4  # for each seed: after 150 turns some 80 are left, too few to tell 90 % from 85


def streams(seed: int, noise: float = 0.1) -> list[list[Utterance]]:
    """Twenty minutes in each of the households of a seed.

    None of them is one of those by which the lamp's model was chosen, households 0 to 5.
    """
    return [list(household(2000 + 100 * seed + i, 20.0, noise)) for i in range(HOUSEHOLDS)]


def lamps(seeds: Sequence[int]) -> dict[str, list[list[Heard]]]:
    """Every kind of lamp hears every household: kind -> seed -> household."""
    found: dict[str, list[list[Heard]]] = {name: [] for name in MAKES}
    with progress(total=len(MAKES) * len(seeds)) as bar:
        for seed in seeds:
            talk = streams(seed)
            for name, make in MAKES.items():
                found[name].append([listen(make(seed), stream) for stream in talk])
                bar.update()
    return found


def late(heard: Sequence[Heard], after: int = 150) -> float:
    """Share right after the first turns, %."""
    return 100 * float(np.concatenate([one.right[after:] for one in heard]).mean())


def false_triggers(heard: Sequence[Heard]) -> float:
    """Share of chatter that switched the lamp, %, in the second halves."""
    halves = [(one, slice(len(one.stream) // 2, None)) for one in heard]
    false = sum(one.false_triggers[half].sum() for one, half in halves)
    return 100 * float(false / sum(one.chatter[half].sum() for one, half in halves))


def taught(conversation: Sequence[tuple[str, str]]) -> tuple[Any, list[bool]]:
    """A new lamp after a conversation, and whether each guess was right."""
    model, right = Listener(0), []
    for text, symbol in conversation:
        guess = model.guess(text)
        right.append(guess == symbol)
        model.learn(text, symbol, corrected=guess != symbol)
    return model, right
