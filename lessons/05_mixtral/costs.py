"""What a layer of experts costs: time beside a dense one with the same products, weights that are read."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from minilm import backend
from minilm import functional as F
from minilm.nn import GLU
from minilm.tensor import Tensor

from .mixture import Experts

CHANNELS, WIDTH, TOKENS = 128, 256, 1024  # of one expert; a token uses two, the dense one is 512


def timed(call: Callable[[], Any]) -> float:
    """Milliseconds of the processor for one call: what else the machine does is not counted."""
    began = time.process_time()
    call()
    return 1000 * (time.process_time() - began)


def layer_times(seed: int, repeats: int = 15) -> dict[str, float]:
    """Median ms of a forward and a backward on one core: dense, experts, experts without products.

    The three take turns, so that a machine that slows down slows all of them.
    """
    backend.blas_threads(1)
    std = CHANNELS**-0.5
    layer, dense = Experts(CHANNELS, WIDTH, std, std, seed, "timed"), GLU(CHANNELS, 2 * WIDTH)
    data = backend.rng(seed, "timed").normal(size=(TOKENS, CHANNELS)).astype(np.float32)

    def both(forward: Callable[[Tensor], Tensor]) -> Callable[[], None]:
        def call() -> None:
            forward(Tensor(data, requires_grad=True)).sum().backward()

        return call

    def routing(x: Tensor) -> Tensor:
        weights, order, place, _ = layer.route(x)
        return F.moe_combine(F.moe_permute(x, order, place, layer.k), weights, order, place)

    calls = {"dense": both(dense), "experts": both(layer), "routing alone": both(routing)}
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(repeats + 2):
        for name, call in calls.items():
            spent = timed(call)
            if i >= 2:  # the first calls load and warm up
                taken[name].append(spent)
    backend.blas_threads(backend.threads())
    return {name: float(np.median(spent)) for name, spent in taken.items()}


def experts_hit(chosen: np.ndarray, batch: int, seed: int, draws: int = 400) -> float:
    """Mean number of experts that a batch of random tokens needs; chosen (N, K)."""
    r = backend.rng(seed, "batches", str(batch))
    rows = r.integers(0, len(chosen), (draws, batch))
    return float(np.mean([len(np.unique(chosen[row])) for row in rows]))


def by_chance(batch: int, experts: int = 8, chosen: int = 2) -> float:
    """The same for a router that draws: E (1 - (1 - K / E)^B)."""
    return experts * (1 - (1 - chosen / experts) ** batch)
