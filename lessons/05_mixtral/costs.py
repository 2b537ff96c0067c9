"""What a layer of experts costs: time beside a dense one with the same products, weights read."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from minilm import backend
from minilm.nn import GLU, Experts
from minilm.tensor import Tensor, no_grad

from .mixture import CHOSEN, EXPERTS

CHANNELS, WIDTH = (
    512,
    1024,
)  # of one expert: 6 MB; a token uses two, the dense one has twice the width
TOKENS = (1, 4, 16, 64, 256, 1024)  # of a batch


def timed(call: Callable[[], Any]) -> float:
    """Milliseconds of the processor for one call: what else the machine does is not counted."""
    began = time.process_time()
    call()
    return 1000 * (time.process_time() - began)


def layer_times(seed: int, tokens: Sequence[int] = TOKENS) -> dict[int, dict[str, float]]:
    """Median ms of a forward on one core, of one dense feed-forward and of experts, by batch.

    They take turns, so that a machine that slows down slows both, and so that each finds the
    other's weights in the cache, as it would those of other layers in a model.
    """
    layer, dense = Experts(CHANNELS, WIDTH, EXPERTS, CHOSEN), GLU(CHANNELS, CHOSEN * WIDTH)
    found = {}
    for count in tokens:
        data = backend.rng(seed, "timed", str(count)).normal(size=(count, CHANNELS))
        x, taken = Tensor(data.astype(np.float32)), {"dense": [], "experts": []}
        for i in range(2 + max(3, min(15, 512 // count))):
            for name, module in (("dense", dense), ("experts", layer)):
                with no_grad(), threadpool_limits(1, "blas"):
                    spent = timed(lambda module=module, x=x: module(x))
                if i >= 2:  # the first calls load and warm up
                    taken[name].append(spent)
        found[count] = {name: float(np.median(spent)) for name, spent in taken.items()}
    return found


def experts_hit(chosen: np.ndarray, batch: int, seed: int, draws: int = 400) -> float:
    """Mean number of experts that a batch of random tokens needs; chosen (N, K)."""
    r = backend.rng(seed, "batches", str(batch))
    rows = r.integers(0, len(chosen), (draws, batch))
    return float(np.mean([len(np.unique(chosen[row])) for row in rows]))


def by_chance(batch: int) -> float:
    """The same for a router that draws: E (1 - (1 - K / E)^B)."""
    return EXPERTS * (1 - (1 - CHOSEN / EXPERTS) ** batch)
