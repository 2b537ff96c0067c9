"""By heart or looked up: a small GPT learns facts as often as they are asked for, or reads them.

    minilm study run 01/remembering --out remembering.json

The first talk of CS25 V4 asks (21:48) how retrieval compares with learning everything in the
parameters, and says (36:01) that it suits facts. 2,000 facts are asked with Zipf's frequencies: the
thousandth a thousandth as often as the first. The lesson trains both models live; this study trains
the one that remembers four times as long. What would decide it: right answers by rank.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm.analysis.probes import log_softmax
from minilm.data.toys.facts import FactTable
from minilm.inference.retrieval import retrieve
from minilm.models import Config, Transformer
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.until import run_until, shown
from minilm.tensor import no_grad

FACTS = FactTable(facts=2000)
BANDS = {
    "1–10": (0, 10),
    "11–100": (10, 100),
    "101–1,000": (100, 1000),
    "1,001–2,000": (1000, 2000),
}
BATCH, LR, LENGTH, NOISE = 128, 1e-2, 24, 0.8
MODELS = ("by heart",)

_names = backend.rng(0, "names").normal(size=(FACTS.names, 2, LENGTH))  # a name first, or second
KEYS = _names[FACTS.rows[:, 0], 0] + _names[FACTS.rows[:, 1], 1]  # (facts, LENGTH)


def reader(seed: int) -> Transformer:
    """A two-layer GPT for facts: two names, and the value that belongs to them."""
    size = {"layers": 2, "heads": 2, "channels": 32, "ff": 64, "positions": "rope"}
    return Transformer(Config(FACTS.vocab_size, context=8, init_std=0.1, **size), seed=seed)


def search(ranks: np.ndarray, seed: int) -> np.ndarray:
    """The fact that a search finds for each question; what it searches with is noisy."""
    noise = backend.rng(seed, "noise").normal(0, NOISE, (len(ranks), LENGTH))
    return np.array([retrieve(q, KEYS, 1)[0] for q in KEYS[ranks] + noise])


def asked(ranks: np.ndarray, shown: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Questions as (ids, targets); the facts `shown`, if any, stand before them."""
    ids, targets = FACTS.ask(ranks).joined()
    if shown is None:
        return ids, targets
    page = FACTS.rows[shown].astype(ids.dtype)
    return np.hstack([page, ids]), np.hstack([np.full_like(page, -100), targets])


def by_heart(seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """A batch of questions, common ones more often."""
    return asked(backend.rng(seed, "asked", step).choice(2000, BATCH, p=FACTS.probability))


def with_book(seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The same with the right fact before each question."""
    ranks = backend.rng(seed, "asked", step).choice(2000, BATCH, p=FACTS.probability)
    return asked(ranks, ranks)


def recalled(model: Transformer, seed: int, look_up: bool = False) -> dict[str, np.ndarray]:
    """In each band of ranks, for 200 questions: (3, 200).

    Whether the answer was right, whether the search was, and the right answer's log-probability.
    """
    found = {}
    for name, (low, high) in BANDS.items():
        ranks = backend.rng(seed, "band", low).integers(low, high, 200)
        hits = search(ranks, seed) if look_up else ranks
        ids, targets = asked(ranks, hits if look_up else None)
        with no_grad():
            logits = model(ids).data[:, -1]  # (200, V)
        right = targets[:, -1]
        logs = log_softmax(logits)[np.arange(len(right)), right]
        found[name] = np.stack([logits.argmax(-1) == right, hits == ranks, logs])
    return found


def percent(closed: list, opened: list) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `recalled` gave, one of each a seed: by heart, looked up, the search; (seeds, bands)."""
    by_heart, looked, hits = (
        np.array([[100 * found[band][row].mean() for band in BANDS] for found in results])
        for results, row in ((closed, 0), (opened, 0), (opened, 1))
    )
    return by_heart, looked, hits


def sureness(closed: list, opened: list) -> dict[str, np.ndarray]:
    """Probability of the right answer, its geometric mean over the questions: (seeds, bands)."""
    return {
        name: np.exp([[found[band][2].mean() for band in BANDS] for found in results])
        for name, results in (("by heart", closed), ("looked up", opened))
    }


def study(
    out: str,
    models: Sequence[str] = MODELS,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    steps: int = 2000,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train the model that remembers; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: "by heart".
        seeds: of weights and questions.
        steps: of each run.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)

    def exam(model: Transformer) -> dict[str, float]:
        shares = {name: float(hit[0].mean()) for name, hit in recalled(model, 0).items()}
        return {"right": min(shares.values()), **shares}

    return carry_out(
        Record(out, "remembering", {"steps": steps, "batch": BATCH, "facts": 2000}, command),
        [{"model": model} for model in models],
        seeds,
        lambda model: {"lr": LR},
        lambda model, seed, lr: run_until(reader, by_heart, exam, seed, lr, steps, 250, True),
        shown,
        say,
    )
