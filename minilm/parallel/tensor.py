"""Tensor parallelism: a layer's matrices cut over ranks (Shoeybi et al. 2019, arXiv 1909.08053).

The first matrix of a pair is cut by its outputs, the second by its inputs, so that what lies
between them (heads, or channels of the feed-forward net) never has to meet. Each pair costs one
all_reduce of (B, T, C) in forward, where the partial sums meet, and one in backward, where the
gradients of the common input do: two and two a layer.

Norms, embeddings and the biases behind a sum stay whole on every rank, and stay equal, because all
ranks see the same gradients of them.
"""

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.models import Transformer
from minilm.nn import Linear, Module, Parameter
from minilm.parallel.communicator import Communicator
from minilm.tensor import Tensor, primitive


@primitive
def copy_to(x: np.ndarray, comm: Communicator):
    """The same array on every rank; backward sums what the ranks found. Megatron's f."""
    return x, lambda g: (lambda: comm.all_reduce(g), None)


@primitive
def reduce_from(x: np.ndarray, comm: Communicator):
    """The sum over ranks; backward hands the gradient to each. Megatron's g."""
    return comm.all_reduce(x), lambda g: (g, None)


@primitive
def split_cross_entropy(logits: np.ndarray, targets: np.ndarray, comm: Communicator):
    """Mean cross-entropy in nats where each rank has its share of the vocabulary.

    Three small all_reduces in place of one of all logits: the largest, the total, and the logit of
    the target, N numbers each.

    Args:
        logits: (N, V / P); rank r has the ids from r V / P on.
        targets: (N,) whole numbers below V; the same on every rank.
        comm: the ranks.

    Raises:
        InputError: a target is not an id.
    """
    n, width = logits.shape
    targets = np.asarray(targets)
    if targets.size and not (0 <= targets.min() and targets.max() < width * comm.size):
        raise InputError(f"a target is out of range; ids go from 0 to {width * comm.size - 1}")
    top = comm.all_reduce(logits.max(-1), "max")  # (N,)
    e = np.exp(logits - top[:, None])
    total = comm.all_reduce(e.sum(-1))  # (N,)
    own = targets - comm.rank * width
    mine = (own >= 0) & (own < width)
    rows = np.flatnonzero(mine)
    of_target = np.zeros_like(top)
    of_target[rows] = logits[rows, own[rows]] - top[rows]
    loss = (np.log(total) - comm.all_reduce(of_target)).mean().astype(logits.dtype)

    def pullback(g: Any) -> tuple:
        slope = e / total[:, None]
        slope[rows, own[rows]] -= 1
        return (slope * (g / n)).astype(logits.dtype), None, None

    return loss, pullback


class RowLinear(Module):
    """A linear map cut by its inputs: partial sums meet, then the bias is added once."""

    def __init__(self, comm: Communicator, whole: Linear) -> None:
        self._comm = comm
        self.weight = Parameter(_cut(whole.weight.data, comm, axis=1))
        self.bias = whole.bias

    def forward(self, x: Tensor) -> Tensor:  # (..., in / P) -> (..., out)
        y = reduce_from(F.linear(x, self.weight, None), self._comm)
        return y if self.bias is None else y + self.bias


class _Split(Module):
    """A pair of maps of which this rank has its share: the input's gradients meet before it."""

    def __init__(self, comm: Communicator, inside: Module) -> None:
        self._comm, self.inside = comm, inside

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self.inside(copy_to(x, self._comm), *args, **kwargs)


def _cut(x: np.ndarray, comm: Communicator, axis: int) -> np.ndarray:
    return np.ascontiguousarray(np.split(x, comm.size, axis)[comm.rank])


def _cut_heads(x: np.ndarray, comm: Communicator, groups: list[int]) -> np.ndarray:
    """This rank's heads of packed queries, keys and values; `groups` are the rows of the three."""
    parts = np.split(x, np.cumsum(groups)[:-1])
    return np.concatenate([_cut(part, comm, 0) for part in parts])


def split_tensors(comm: Communicator, model: Transformer) -> None:
    """Leave this rank its share of every block's matrices, in place.

    Args:
        comm: the ranks; each starts from the same whole model.
        model: a decoder or encoder of blocks with self-attention and a feed-forward net.

    Raises:
        InputError: the ranks do not divide heads, key and value heads, or the feed-forward's width;
            a model of experts.
    """
    if model.config.experts is not None:
        raise InputError(
            f"config.experts is {model.config.experts}; split_tensors cuts one feed-forward per "
            "block, not a mixture of experts"
        )
    for block in model.stack.blocks:
        attention, net = block.attention, block.feed_forward
        width = net.up.weight.shape[0]
        for name, count in (
            ("heads", attention.heads),
            ("kv_heads", attention.kv_heads),
            ("the feed-forward's width", width),
        ):
            if count % comm.size:
                raise InputError(f"{name} is {count}; it must be a multiple of {comm.size} ranks")
        rows = [n * attention.head_size for n in (attention.heads, *2 * (attention.kv_heads,))]
        for whole, cut in (
            (attention.qkv, lambda x, rows=rows: _cut_heads(x, comm, rows)),
            *((one, lambda x: _cut(x, comm, 0)) for one in _first_maps(net)),
        ):
            whole.weight = Parameter(cut(whole.weight.data))
            if whole.bias is not None:
                whole.bias = Parameter(cut(whole.bias.data))
        attention.heads //= comm.size
        attention.kv_heads //= comm.size
        attention.out, net.down = (RowLinear(comm, one) for one in (attention.out, net.down))
        block.attention, block.feed_forward = (_Split(comm, one) for one in (attention, net))


def _first_maps(net: Module) -> list[Linear]:
    return [net.up] + ([net.gate] if hasattr(net, "gate") else [])


def join_tensors(comm: Communicator, model: Transformer) -> dict[str, np.ndarray]:
    """The state of the whole model on every rank, under its usual names: to save, to compare."""
    state = {}
    for name, x in model.state_dict().items():
        plain = name.replace(".inside.", ".")
        part = plain.split(".")
        if plain == name or (part[-2] in ("out", "down") and part[-1] == "bias"):
            state[plain] = x
            continue
        parts = comm.all_gather(x)
        if part[-2] in ("out", "down"):
            state[plain] = np.concatenate(parts, axis=1)
        elif part[-2] == "qkv":
            one = model.stack.blocks[int(part[2])].attention.inside
            rows = np.cumsum([one.heads * one.head_size, one.kv_heads * one.head_size])
            thirds = zip(*(np.split(p, rows) for p in parts), strict=True)
            state[plain] = np.concatenate([np.concatenate(third) for third in thirds])
        else:
            state[plain] = np.concatenate(parts)
    return state
