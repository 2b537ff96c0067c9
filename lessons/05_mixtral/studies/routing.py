"""What eight experts do with three kinds of text, under five ways of balancing them.

    minilm study run 05/routing --out routing.json

Decoders of three layers, each with 8 experts of which a token uses 2, learn to predict the prose of
Python's documentation, its library's code and questions of maths. Five ways to balance the load:
the Switch loss with a coefficient of 0 (none), .001, .01 or .1, and a bias on the choice that has no
loss at all (arXiv 2408.15664). Each has its own learning rate, tuned on a seed of its own. On text
that no model saw, the record holds the loss, every expert's share, what the first choice depends on
(beside permutation nulls), how often neighbours agree, and what it costs to delete an expert: one
alone, or the same index in every layer, by forbidding it (the router takes the next best) or by
silencing it (its output is 0).
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.analysis.routing import load, without_expert
from minilm.models import Transformer
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune

from .. import domains, routing
from ..mixture import CHOSEN, EXPERTS, config_of, learn, losses, mixture, routings

LAYERS, CHANNELS, FF = 3, 48, 96
STEPS, TUNE_STEPS = 500, 150
MODELS = {"none": 0.0, "0.001": 0.001, "0.01": 0.01, "0.1": 0.1, "bias": 0.0}
DEAD = 0.1  # of the even share: an expert with less counts as dead
WAYS = ("banned", "silent")


def train_one(model: str, seed: int, lr: float, steps: int) -> Transformer:
    """One model, balanced in one of the ways of `MODELS`."""
    config = config_of(domains.VOCABULARY, domains.CONTEXT, LAYERS, CHANNELS, FF)
    made = mixture(config, seed, "balanced" if model == "bias" else "top_k")
    return learn(made, domains.batches(seed), steps, lr, MODELS[model])


def by_domain(model: Transformer) -> list[float]:
    """Nats per token of the held-out text, each domain and then all."""
    ids, targets, domain = domains.exam()
    nats = losses(model, ids, targets, len(ids)).mean(1)
    return [*(float(nats[domain == d].mean()) for d in range(len(domains.DOMAINS))),
            float(nats.mean())]  # fmt: skip


def looked_at(experts: np.ndarray, seed: int) -> dict[str, Any]:
    """What one layer's choices (N, K) on the held-out text depend on."""
    ids, _, domain = domains.exam()
    chosen = experts.reshape(*ids.shape, CHOSEN)  # (N, K) -> (B, T, K)
    first, token = chosen[..., 0].ravel(), ids.ravel()
    place = np.tile(np.arange(ids.shape[1]), len(ids))
    kind = np.repeat(domain, ids.shape[1])
    told = {
        "token": routing.depends(first, token, seed),
        "domain": routing.depends(first, kind, seed),
        "position": routing.depends(first, place, seed),
        "domain beyond token": routing.depends(first, kind, seed, within=token),
        "token beyond domain": routing.depends(first, token, seed, within=kind),
        **routing.repeats(chosen, seed),
    }
    shares = [np.bincount(chosen[domain == d].ravel(), minlength=EXPERTS) / chosen[domain == d].size
              for d in range(len(domains.DOMAINS))]  # fmt: skip
    return {
        "load": load(experts, EXPERTS).tolist(),
        "domains": [share.tolist() for share in shares],
        "told": {name: list(share) for name, share in told.items()},
    }


def deletions(model: Transformer) -> dict[str, Any]:
    """Nats that a deletion adds: {way: {"single": (L, E), "index": (E,)}}."""
    whole = by_domain(model)[-1]

    def without(index: int, layers: list[int], way: str) -> float:
        with without_expert(model, index, layers, rerouted=way == "banned"):
            return by_domain(model)[-1] - whole

    return {
        way: {
            "single": [[without(e, [i], way) for e in range(EXPERTS)] for i in range(LAYERS)],
            "index": [without(e, list(range(LAYERS)), way) for e in range(EXPERTS)],
        }
        for way in WAYS
    }


def study(
    out: str,
    models: Sequence[str] = tuple(MODELS),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = STEPS,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train every model and look at its routing; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `MODELS`.
        seeds: of weights, batches and permutations.
        steps: of a run, 15 windows of 64 tokens each.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {"steps": steps, "tune_steps": TUNE_STEPS, "layers": LAYERS, "channels": CHANNELS,
                "ff": FF, "experts": EXPERTS, "chosen": CHOSEN, "dead": DEAD,
                "vocabulary": domains.VOCABULARY, "context": domains.CONTEXT}  # fmt: skip

    def tuned(model: str) -> dict[str, Any]:
        return tune(
            6e-3, lambda lr: by_domain(train_one(model, TUNING_SEED, lr, TUNE_STEPS))[-1], widest=5
        )

    def run(model: str, seed: int, lr: float) -> dict[str, Any]:
        began = time.process_time()
        trained = train_one(model, seed, lr, steps)
        seconds = time.process_time() - began
        nats = by_domain(trained)
        said = routings(trained, domains.exam()[0])
        layers = [looked_at(each.experts, seed) for each in said]
        point = {"step": steps, "nats": nats, "layers": layers}
        if model == "0.01":
            point["deletions"] = deletions(trained)
        made = {"seed": seed, "lr": lr, "parameters": trained.num_parameters()}
        return {**made, "cpu_seconds": seconds, "points": [point]}

    def show(made: dict[str, Any]) -> str:
        last = made["points"][-1]
        most = max(max(layer["load"]) for layer in last["layers"])
        return f"loss {last['nats'][-1]:.4f}, largest share {most:.2f}"

    return carry_out(
        Record(out, "routing", settings, command),
        [{"model": model} for model in models],
        seeds,
        tuned,
        run,
        show,
        say,
    )
