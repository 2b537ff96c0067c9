"""What a router does: loads, repeats, what its choices say of the text, what an expert is worth.

The input is who was chosen: (..., T, K) ints, the K experts of T tokens in a row, as `routes` takes
them from a model. Chance baselines of uniform routing are in `costs` (`same_first_expert`,
`shared_expert`, `distinct_experts`); a router that is not even repeats itself by that alone, so
each measure here has a null of its own, from shuffled tokens. Information is in nats.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import backend, nn
from minilm import functional as F
from minilm.errors import InputError
from minilm.nn.experts import Experts, Router, Routing
from minilm.tensor import Tensor, no_grad


def routes(model: Any, ids: np.ndarray) -> np.ndarray:
    """The experts of every token in every layer: ids (B, T) -> (L, B, T, K) int64.

    Args:
        model: a Transformer with experts; it is read as it is, in training or not.
        ids: (B, T) ints.

    Raises:
        InputError: a model without experts.
    """
    with no_grad(), nn.watch_routing() as seen:
        model.hidden(ids)
    if not seen:
        raise InputError("model has no experts; config.experts must be a number to route among")
    batch, time = np.shape(ids)
    # (B T, K) -> (B, T, K)
    return np.stack([each.experts.reshape(batch, time, -1) for each in seen])


def load(experts: np.ndarray, count: int) -> np.ndarray:
    """The share of all choices that fell on each expert: (..., K) -> (count,), adding up to 1.

    Raises:
        InputError: nothing was chosen, or an expert beyond `count`.
    """
    flat = _flat(experts, count)
    return np.bincount(flat, minlength=count) / flat.size


def imbalance(experts: np.ndarray, count: int) -> float:
    """The largest load over the mean load: 1 where all are alike, `count` where one has all."""
    return float(load(experts, count).max() * count)


def random_imbalance(
    count: int, chosen: int, tokens: int, draws: int = 400, seed: int = 0
) -> float:
    """The mean of `imbalance` over batches of tokens that choose evenly and at random.

    Args:
        count: experts.
        chosen: different ones that each token takes.
        tokens: in a batch.
        draws: batches.
        seed: of the draws.

    Raises:
        InputError: chosen out of range; no tokens or draws.
    """
    if not 1 <= chosen <= count:
        raise InputError(f"chosen is {chosen}; it must be from 1 to {count}")
    for name, value in (("tokens", tokens), ("draws", draws)):
        if value < 1:
            raise InputError(f"{name} is {value}; it must be at least 1")
    rng = backend.rng(seed, "random imbalance")
    total = 0.0
    for _ in range(draws):
        scores = rng.random((tokens, count), np.float32)
        total += imbalance(np.argpartition(scores, chosen - 1, axis=1)[:, :chosen], count)
    return total / draws


@dataclass(frozen=True)
class Repeats:
    """How often neighbours in a text share experts.

    first   the first choices of both are the same (chance: 1 / E)
    any     they have at least one of their choices in common
    """

    first: float
    any: float


def repeats(experts: np.ndarray) -> Repeats:
    """Of all pairs of consecutive tokens, those that share experts: (..., T, K).

    Raises:
        InputError: fewer than two tokens in a row.
    """
    experts = np.asarray(experts)
    if experts.ndim < 2 or experts.shape[-2] < 2:
        raise InputError(f"experts has shape {experts.shape}; it must be (..., T, K), T at least 2")
    before, after = experts[..., :-1, :], experts[..., 1:, :]
    same = before[..., :, None] == after[..., None, :]  # (..., T - 1, K, K)
    return Repeats(
        first=float((before[..., 0] == after[..., 0]).mean()),
        any=float(same.any((-2, -1)).mean()),
    )


def shuffled_repeats(experts: np.ndarray, draws: int = 20, seed: int = 0) -> Repeats:
    """The mean of `repeats` with the tokens of each row in random order: what the loads alone give.

    Raises:
        InputError: no draws; as `repeats`.
    """
    if draws < 1:
        raise InputError(f"draws is {draws}; it must be at least 1")
    experts, rng = np.asarray(experts), backend.rng(seed, "shuffled repeats")
    found = []
    for _ in range(draws):
        order = rng.random(experts.shape[:-1]).argsort(-1)  # (..., T)
        found.append(repeats(np.take_along_axis(experts, order[..., None], -2)))
    return Repeats(
        first=float(np.mean([each.first for each in found])),
        any=float(np.mean([each.any for each in found])),
    )


@dataclass(frozen=True)
class Information:
    """What the choice of experts says of a label, in nats.

    nats    mutual information of the counts, which is above 0 by chance already
    null    its mean where labels are dealt out anew
    high    its 95th percentile there
    """

    nats: float
    null: float
    high: float

    @property
    def excess(self) -> float:
        """What is more than chance."""
        return self.nats - self.null


def mutual_information(experts: np.ndarray, labels: np.ndarray) -> float:
    """Between a choice and a label, from their counts, in nats.

    Args:
        experts: (N, K) or (N,); each choice of a token counts.
        labels: (N,) of anything that sorts: domains, token ids, positions.

    Raises:
        InputError: two numbers of tokens, or none.
    """
    return _information(*_counted(experts, labels))


def information(
    experts: np.ndarray, labels: np.ndarray, draws: int = 100, seed: int = 0
) -> Information:
    """Mutual information beside its permutation null.

    Args:
        experts, labels: as in `mutual_information`.
        draws: permutations of the labels; a token's choices stay together.
        seed: of the permutations.

    Raises:
        InputError: no draws; as `mutual_information`.
    """
    if draws < 1:
        raise InputError(f"draws is {draws}; it must be at least 1")
    chosen, codes, sizes = _counted(experts, labels)
    rng = backend.rng(seed, "information")
    null = [_information(chosen, rng.permutation(codes), sizes) for _ in range(draws)]
    return Information(
        nats=_information(chosen, codes, sizes),
        null=float(np.mean(null)),
        high=float(np.percentile(null, 95)),
    )


def _counted(
    experts: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Choices (N, K) and labels (N,) as numbers from 0, and how many there are of both."""
    experts, labels = np.asarray(experts), np.asarray(labels)
    experts = experts[:, None] if experts.ndim == 1 else experts
    if experts.ndim != 2 or labels.shape != experts.shape[:1] or not experts.size:
        raise InputError(
            f"experts has shape {experts.shape} and labels {labels.shape}; they must be (N, K) and "
            "(N,), N at least 1"
        )
    codes = np.unique(labels, return_inverse=True)[1].reshape(-1)
    return experts, codes, (int(codes.max()) + 1, int(experts.max()) + 1)


def _information(experts: np.ndarray, codes: np.ndarray, sizes: tuple[int, int]) -> float:
    cells = codes[:, None] * sizes[1] + experts
    # (N, K) -> (N K,) -> (labels, experts)
    joint = np.bincount(cells.reshape(-1), minlength=sizes[0] * sizes[1]).reshape(sizes)
    joint = joint / joint.sum()
    apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / apart[seen])).sum())


def mixtures(model: nn.Module) -> list[Experts]:
    """Every mixture of experts of a model, from the first layer on.

    Raises:
        InputError: there is none.
    """
    found = [module for module in model.modules() if isinstance(module, Experts)]
    if not found:
        raise InputError("model has no experts; config.experts must be a number to route among")
    return found


@contextlib.contextmanager
def without_expert(
    model: nn.Module, expert: int, layers: Sequence[int] | None = None, rerouted: bool = False
) -> Iterator[None]:
    """Inside, an expert is gone: it answers 0, or is `rerouted`: tokens take their next choice.

    Args:
        model: one with experts.
        expert: its number.
        layers: where it is gone, among the layers with experts; None: everywhere.
        rerouted: choose among the others, instead of losing the expert's share.

    Raises:
        InputError: an expert or a layer that does not exist; rerouting with none to spare.
    """
    blocks = mixtures(model)
    layers = range(len(blocks)) if layers is None else layers
    for layer in layers:
        if not 0 <= layer < len(blocks):
            raise InputError(f"layers has {layer}; there are {len(blocks)} layers with experts")
    here = [blocks[layer] for layer in layers]
    for block in here:
        count = len(block.gate.weight.data)
        if not 0 <= expert < count:
            raise InputError(f"expert is {expert}; it must be from 0 to {count - 1}")
        if rerouted and block.router.chosen >= count:
            raise InputError(
                f"rerouted is True and a token uses {block.router.chosen} of {count} experts; one "
                "must be left to take over"
            )
    undo: list[Callable[[], None]] = []
    try:
        for block in here:
            if rerouted:
                undo.append(_put(block, block.router))
                block.router = _Without(block.router, expert)
            else:
                kept = block.down.weight.data
                undo.append(_put_back(block, kept))
                block.down.weight.data = kept.copy()
                block.down.weight.data[expert] = 0
        yield
    finally:
        for each in undo:
            each()


def _put(block: Experts, router: Router) -> Callable[[], None]:
    return lambda: setattr(block, "router", router)


def _put_back(block: Experts, weight: np.ndarray) -> Callable[[], None]:
    return lambda: setattr(block.down.weight, "data", weight)


class _Without(nn.Module):
    """A router that never chooses one expert."""

    def __init__(self, router: Router, expert: int) -> None:
        self.inner, self.expert, self.chosen = router, expert, router.chosen

    def forward(self, x: Tensor) -> Routing:  # (N, C) -> Routing of N tokens
        logits = self.inner.logits(x)
        scores = self.inner.scores(logits).copy()
        scores[:, self.expert] = np.finfo(scores.dtype).min
        return Routing(logits, *F.top_k_gate(logits, self.chosen, by=scores), self.inner)


def permute_experts(block: Experts, order: Sequence[int]) -> None:
    """Renumber the experts of a layer, in place: number i is what was `order[i]`.

    What the layer computes stays the same: its numbers mean nothing, and "expert 3" of one layer
    has nothing to do with "expert 3" of another.

    Raises:
        InputError: an order that is none.
    """
    order = np.asarray(order)
    count = len(block.gate.weight.data)
    if sorted(order.tolist()) != list(range(count)):
        raise InputError(f"order is {order.tolist()}; it must have each of 0 to {count - 1} once")
    parameters = [block.gate.weight, block.up.weight, block.down.weight]
    for router in block.router.modules():
        parameters += [held for held in vars(router).values() if isinstance(held, Tensor)]
    for parameter in parameters:
        parameter.data = parameter.data[order]


def _flat(experts: np.ndarray, count: int) -> np.ndarray:
    flat = np.asarray(experts).reshape(-1)  # (..., K) -> (N K,)
    if not flat.size or flat.min() < 0 or flat.max() >= count:
        what = f"go from {flat.min()} to {flat.max()}" if flat.size else "is empty"
        raise InputError(f"experts {what}; there must be some, from 0 to {count - 1}")
    return flat
