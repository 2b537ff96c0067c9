"""What a router's choices say: load, repeats, and what they depend on, beside a permutation null."""

from typing import NamedTuple

import numpy as np

from minilm import backend

TIMES = 20  # permutations of a null
SAME, SHARED = 1 / 8, 13 / 28  # two draws of 2 of 8: same first choice, at least one in common


class Share(NamedTuple):
    """A number, and its mean where the order was destroyed."""

    found: float
    null: float

    @property
    def beyond(self) -> float:
        """What is left of it above the null."""
        return self.found - self.null


def information(a: np.ndarray, b: np.ndarray) -> float:
    """Mutual information of two lists of whole numbers, (n,) each, in nats, from their counts."""
    joint = np.zeros((int(a.max()) + 1, int(b.max()) + 1))
    np.add.at(joint, (a, b), 1.0)
    joint /= joint.sum()
    outer = joint.sum(1, keepdims=True) * joint.sum(0)
    some = joint > 0
    return float((joint[some] * np.log(joint[some] / outer[some])).sum())


def depends(
    expert: np.ndarray, label: np.ndarray, seed: int, within: np.ndarray | None = None
) -> Share:
    """I(expert; label) and its null; `within` asks for what the label adds to another one.

    The null permutes labels, among tokens of the same `within` where there is one: few tokens of
    a kind give information by chance alone.
    """
    r, count = backend.rng(seed, "null"), int(label.max()) + 1

    def asked(labels: np.ndarray) -> float:
        if within is None:
            return information(expert, labels)
        return information(expert, within * count + labels) - information(expert, within)

    nulls = []
    for _ in range(TIMES):
        if within is None:
            nulls.append(asked(r.permutation(label)))
        else:
            shuffled, groups = np.empty_like(label), np.argsort(within, kind="stable")
            random = np.lexsort((r.random(len(label)), within))
            shuffled[groups] = label[random]
            nulls.append(asked(shuffled))
    return Share(asked(label), float(np.mean(nulls)))


def repeats(chosen: np.ndarray, seed: int) -> dict[str, Share]:
    """Neighbours with the same first choice, and with a choice in common: chosen (B, T, K).

    The null shuffles the tokens of each row, which keeps every expert's load.
    """

    def rates(c: np.ndarray) -> tuple[float, float]:
        same = (c[:, 1:, 0] == c[:, :-1, 0]).mean()
        common = (c[:, 1:, :, None] == c[:, :-1, None, :]).any((2, 3)).mean()
        return float(same), float(common)

    r = backend.rng(seed, "repeats")
    nulls = [rates(shuffle(chosen, r)) for _ in range(TIMES)]
    found, null = rates(chosen), np.mean(nulls, 0)
    return {"same": Share(found[0], float(null[0])), "shared": Share(found[1], float(null[1]))}


def shuffle(chosen: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """The tokens of each row in random order."""
    order = r.random(chosen.shape[:2]).argsort(1)
    return np.take_along_axis(chosen, order[..., None], 1)
