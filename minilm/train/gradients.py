"""The gradients of one step: on the CPU split over threads, on a GPU batch after batch."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from minilm import backend
from minilm.backend import IGNORE, is_half, xp_of
from minilm.nn.dropout import dropout_seed
from minilm.tensor import Tensor

# Operations of a step (6 per weight and token) from which splitting it over threads pays: below,
# two threads wait for each other's Python longer than they save.
_SPLIT_FROM = 1e9


def gradients_on_cpu(
    model: Any,
    params: list[Tensor],
    source: Iterator[tuple[np.ndarray, np.ndarray]],
    count: int,
    seed: int,
    step: int,
    scale: float = 1.0,
) -> float:
    """Set every parameter's ``grad`` for one step; returns the loss in nats per token.

    Args:
        scale: what the gradients are multiplied by.
    """
    pieces = []
    size = sum(p.numel() for p in params)
    for _ in range(count):
        x, y = next(source)
        large = 6 * size * x.size >= _SPLIT_FROM
        ways = min(backend.threads(), len(x)) if large else 1
        if ways == 1:
            pieces.append((x, y, 1 / count))
            continue
        # Each shard's loss is a mean over its own scored targets, so that is what it weighs.
        scored = max(1, np.count_nonzero(y != IGNORE))
        for a, b in zip(np.array_split(x, ways), np.array_split(y, ways)):
            pieces.append((a, b, np.count_nonzero(b != IGNORE) / (scored * count)))
    xp = xp_of(params[0].data)

    def work(job: tuple[int, tuple[np.ndarray, np.ndarray, float]]) -> tuple[float, dict]:
        number, (a, b, share) = job
        into: dict[Tensor, Any] = {}
        with dropout_seed(seed, step, number):
            loss = model.loss(xp.asarray(a), xp.asarray(b))
        loss.backward(xp.full_like(loss.data, share * scale), into=into)
        return loss.item() * share, into

    results = backend.parallel(work, enumerate(pieces))
    first, *others = [into for _, into in results]
    own = Counter(id(g) for g in first.values())
    for p in params:
        total = first.pop(p, None)
        # Two leaves may have been given one array, or a view: only an array of its own is added to.
        safe = total is not None and total.base is None and own[id(total)] == 1
        for into in others:
            more = into.pop(p, None)
            if more is None:
                continue
            if total is None:
                total = more
            elif safe:
                total += more
            else:
                total, safe = total + more, True
        p.grad = total
    return sum(loss for loss, _ in results)


def gradients_on_gpu(
    model: Any,
    params: list[Tensor],
    source: Iterator[tuple[Any, Any]],
    count: int,
    seed: int,
    step: int,
    scale: float = 1.0,
) -> float:
    """``gradients_on_cpu`` for batches that are on the GPU, which is waited for once.

    16-bit gradients of several batches are added up in float32.
    """
    xp = xp_of(params[0].data)
    total: dict[Tensor, Any] = {}
    loss_sum = 0.0
    for number in range(count):
        x, y = next(source)
        into: dict[Tensor, Any] = {}
        with dropout_seed(seed, step, number):
            loss = model.loss(x, y)
        loss.backward(xp.full_like(loss.data, scale / count), into=into)
        loss_sum = loss_sum + loss.data
        for p, g in into.items() if count > 1 else ():
            wide = g.astype(np.float32) if is_half(g) else g
            total[p] = wide if p not in total else total[p] + wide
    for p in params:
        p.grad = (total if count > 1 else into).get(p)
    return float(loss_sum) / count
