"""What a router's choices depend on and how often they repeat, beside permutation nulls."""

from typing import NamedTuple

import numpy as np

from minilm import backend
from minilm.analysis import routing
from minilm.analysis.routing import mutual_information

TIMES = 20  # permutations of a null
SAME, SHARED = 1 / 8, 13 / 28  # two draws of 2 of 8: same first choice, at least one in common


class Share(NamedTuple):
    """A number, and its mean where the order was destroyed."""

    found: float
    null: float


def depends(
    expert: np.ndarray, label: np.ndarray, seed: int, within: np.ndarray | None = None
) -> Share:
    """I(expert; label) and its null; `within` asks for what the label adds to another one.

    The null permutes labels, among tokens of the same `within` where there is one: few tokens of
    a kind give information by chance alone.
    """
    if within is None:
        told = routing.information(expert, label, TIMES, seed)
        return Share(told.nats, told.null)
    r, count = backend.rng(seed, "null"), int(label.max()) + 1
    alone, groups = mutual_information(expert, within), np.argsort(within, kind="stable")

    def added(labels: np.ndarray) -> float:
        return mutual_information(expert, within * count + labels) - alone

    nulls, shuffled = [], np.empty_like(label)
    for _ in range(TIMES):
        shuffled[groups] = label[np.lexsort((r.random(len(label)), within))]
        nulls.append(added(shuffled))
    return Share(added(label), float(np.mean(nulls)))


def repeats(chosen: np.ndarray, seed: int) -> dict[str, Share]:
    """Neighbours with the same first choice, and with a choice in common: chosen (B, T, K).

    The null shuffles the tokens of each row, which keeps every expert's load.
    """
    found, null = routing.repeats(chosen), routing.shuffled_repeats(chosen, TIMES, seed)
    return {"same": Share(found.first, null.first), "shared": Share(found.any, null.any)}
