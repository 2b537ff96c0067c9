"""What lesson 10 runs: one model that is entered twice, and ways to compare it with itself."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from minilm import data
from minilm.analysis.curves import t_interval
from minilm.analysis.scaling import forecast
from minilm.models import Config, Transformer
from minilm.studies.runs import stable_then_decay
from minilm.tensor import no_grad
from minilm.train import default_optimizer, train

POOL, RATES = 12, {"tuned": 1e-2, "taken from a paper": 3e-4}
STEPS, BATCH, CONTEXT = 100, 8, 32
PEEKS = 8  # seeds after which the impatient give up
IDEAS = 8  # that the busy try, each on three seeds
DRAWS = 4000


@cache
def texts() -> tuple[np.ndarray, np.ndarray]:
    """Bytes of the Python documentation: to learn from, and to be tested on."""
    known, unseen = data.split(data.documents("python-docs"))
    return tuple(
        np.frombuffer("\n\n".join(part).encode()[:2_000_000], np.uint8).astype(np.int32)
        for part in (known, unseen)
    )


def one_run(seed: int, lr: float, steps: int) -> float:
    """Held-out nats per byte of a GPT of 8,000 weights after a few steps."""
    config = Config(256, CONTEXT, layers=1, heads=1, channels=16, init_std=0.125)
    model = Transformer(config, seed=seed)
    train(
        model, texts()[0], steps, batch=BATCH, context=CONTEXT, seed=seed, progress=False,
        optimizer=default_optimizer(model, lr), schedule=stable_then_decay(steps, 10),
    )  # fmt: skip
    ids = texts()[1]
    starts = np.linspace(0, len(ids) - CONTEXT - 1, 200).astype(int)
    rows = ids[starts[:, None] + np.arange(CONTEXT + 1)]
    with no_grad():
        return model.loss(rows[:, :-1], rows[:, 1:]).item()


def pool(seed: int, steps: int, show: Callable[[range], Any] = iter) -> dict[str, np.ndarray]:
    """Rate -> (12,) losses of the same model with different seeds."""
    return {
        name: np.array([one_run(1000 * seed + k, lr, steps) for k in show(range(POOL))])
        for name, lr in RATES.items()
    }


def wins(losses: dict[str, np.ndarray], seed: int) -> dict[str, float]:
    """How often each way of comparing calls the model better than itself.

    The two sides draw different runs of one pool. A win is what the way's own rule calls one.

    Args:
        losses: of `pool`.
        seed: of the draws.
    """
    rng, tuned = np.random.default_rng(seed), losses["tuned"]

    def sides(count: int) -> tuple[np.ndarray, np.ndarray]:
        drawn = rng.permutation(POOL)[: 2 * count]
        return tuned[drawn[:count]], tuned[drawn[count:]]

    def careful(level: float = 0.95) -> bool:
        base, idea = sides(3)
        return t_interval(base - idea, level).low > 0

    def one_seed() -> bool:
        base, idea = sides(1)
        return bool(base[0] > idea[0])

    def best_of_three() -> bool:
        base, idea = sides(3)
        return bool(base[0] > idea.min())

    def untuned() -> bool:
        base = rng.choice(losses["taken from a paper"], 3, replace=False)
        return t_interval(base - sides(3)[1]).low > 0

    def impatient() -> bool:
        gains = rng.choice(tuned, PEEKS) - rng.choice(tuned, PEEKS)
        return any(t_interval(gains[:n]).low > 0 for n in range(3, PEEKS + 1))

    def busy() -> bool:
        return any(careful() for _ in range(IDEAS))

    ways = {
        "one seed": one_seed,
        "best of three\nagainst one": best_of_three,
        "tuned against\nuntuned": untuned,
        "eight ideas,\nbest shown": busy,
        "more seeds\nuntil it wins": impatient,
        "three seeds,\nboth tuned": careful,
    }
    few = {"eight ideas,\nbest shown": DRAWS // 8, "more seeds\nuntil it wins": DRAWS // 4}
    return {
        name: float(np.mean([way() for _ in range(few.get(name, DRAWS))]))
        for name, way in ways.items()
    }


def planted(good: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The recorded study, and what it would be had it been done in four worse ways."""
    import copy

    faults = {name: copy.deepcopy(good) for name in ("peeking", "untuned baseline", "one seed",
                                                     "moved goalposts")}  # fmt: skip
    faults["peeking"]["forecast"]["time"] = max(run["ended"] for run in good["runs"])
    base = good["pledge"]["fields"]["baseline"]
    for name, found in faults["untuned baseline"]["tuning"].items():
        if name.endswith(base):
            found["losses"] = dict(list(found["losses"].items())[:1])
    first = good["pledge"]["fields"]["seeds"][0]
    one = faults["one seed"]
    one["runs"] = [run for run in one["runs"] if run["seed"] == first]
    moved = {"fields": ["gain"], "runs": len(good["runs"]), "time": good["runs"][-1]["ended"]}
    faults["moved goalposts"]["changes"] = [{**moved, "hash": ""}]
    return {"as it was done": good, **faults}


def hidden_size(record: Any) -> tuple[list[tuple[str, float, float, float]], list[float]]:
    """The largest size of lesson 02's scaling study, forecast three ways, and what it reached.

    Args:
        record: the recorded study: last losses of eight sizes, as many tokens each.

    Returns:
        (name, low, middle, high) for 90 % of new runs each; the loss of every seed.
    """
    sizes = record.cases
    known, hidden = sizes[:-1], sizes[-1]
    at = float(record.parameters[hidden])

    def told(cases: list[Any], floor: bool) -> tuple[float, float, float]:
        rows = [
            (record.parameters[case], record.run(case, seed)["points"][-1]["loss"])
            for case in cases
            for seed in record.seeds_of(case)
        ]
        weights, losses = zip(*rows, strict=True)
        return tuple(forecast(weights, losses, at, 0.9, constant=floor))

    rows = [
        ("line through\nall seven", *told(known, False)),
        ("line through\nthe next three", *told(known[-3:], False)),
        ("with a floor", *told(known, True)),
    ]
    came = [record.run(hidden, seed)["points"][-1]["loss"] for seed in record.seeds_of(hidden)]
    return rows, came
