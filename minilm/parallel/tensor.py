"""Tensor parallelism: a layer's matrices cut over ranks (Shoeybi et al. 2019, arXiv 1909.08053).

The first matrix of a pair is cut by its outputs, the second by its inputs, so that what lies
between them (heads, or channels of the feed-forward net) never has to meet. Each pair costs one
all_reduce of (B, T, C) in forward, where the partial sums meet, and one in backward, where the
gradients of the common input do: two and two a layer.

Norms, embeddings and the biases behind a sum stay whole on every rank, and stay equal, because all
ranks see the same gradients of them.

With `sequence`, what lies between the pairs is cut by tokens, so that norms and residual sums, too,
are done once and kept once: the two all_reduces become a reduce_scatter and an all_gather, which
send as much (Korthikanti et al. 2022, arXiv 2205.05198). Each rank then sees its own tokens'
gradients of the norms, which are summed.
"""

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.backend import IGNORE
from minilm.errors import InputError
from minilm.models import Transformer
from minilm.nn import Embedding, Linear, Module, Parameter
from minilm.parallel.communicator import Communicator
from minilm.parallel.moves import copy_to, gather_tokens, reduce_from, sum_to_tokens
from minilm.tensor import Tensor, primitive

_NORMS = ("norm1", "norm2", "after_norm1", "after_norm2")  # of a block; some have the first two


@primitive
def split_cross_entropy(logits: np.ndarray, targets: np.ndarray, comm: Communicator):
    """Mean cross-entropy in nats where each rank has its share of the vocabulary.

    Three small all_reduces in place of one of all logits: the largest, the total, and the logit of
    the target, N numbers each.

    Args:
        logits: (N, V / P); rank r has the ids from r V / P on.
        targets: (N,) whole numbers below V, or IGNORE; the same on every rank.
        comm: the ranks.

    Raises:
        InputError: a target is not an id.
    """
    width = logits.shape[1]
    targets = np.asarray(targets)
    kept = targets != IGNORE
    n = max(1, int(kept.sum()))
    if kept.any() and not (0 <= targets[kept].min() and targets.max() < width * comm.size):
        raise InputError(f"a target is out of range; ids go from 0 to {width * comm.size - 1}")
    top = comm.all_reduce(logits.max(-1), "max")  # (N,)
    e = np.exp(logits - top[:, None])
    total = comm.all_reduce(e.sum(-1))  # (N,)
    own = targets - comm.rank * width
    mine = (own >= 0) & (own < width)
    rows = np.flatnonzero(mine)
    of_target = np.zeros_like(top)
    of_target[rows] = logits[rows, own[rows]] - top[rows]
    losses = np.log(total) - comm.all_reduce(of_target)  # (N,)
    loss = np.asarray(losses[kept].sum() / n, logits.dtype)

    def pullback(g: Any) -> tuple:
        slope = e / total[:, None]
        slope[rows, own[rows]] -= 1
        slope[~kept] = 0
        return (slope * (g / n)).astype(logits.dtype), None, None

    return loss, pullback


class RowLinear(Module):
    """A linear map cut by its inputs: partial sums meet, then the bias is added once."""

    def __init__(self, comm: Communicator, whole: Linear, sequence: bool = False) -> None:
        self._comm, self._sequence = comm, sequence
        self.weight = Parameter(_cut(whole.weight.data, comm, axis=1))
        self.bias = whole.bias

    def forward(self, x: Tensor) -> Tensor:  # (..., in / P) -> (..., out), or a share of its tokens
        y = F.linear(x, self.weight, None)
        if not self._sequence:
            y = reduce_from(y, self._comm)
            return y if self.bias is None else y + self.bias
        y = sum_to_tokens(y, self._comm)
        return y if self.bias is None else y + copy_to(self.bias, self._comm)


class _Split(Module):
    """A pair of maps of which this rank has its share: the input's gradients meet before it."""

    def __init__(self, comm: Communicator, inside: Module, sequence: bool = False) -> None:
        self._comm, self.inside, self._sequence = comm, inside, sequence

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        whole = (gather_tokens if self._sequence else copy_to)(x, self._comm)
        return self.inside(whole, *args, **kwargs)


class SharedNorm(Module):
    """A norm of a share of the tokens: its weights are all ranks', and their gradients a sum."""

    def __init__(self, comm: Communicator, whole: Module) -> None:
        vars(self).update(vars(whole))
        self._comm, self._kind = comm, type(whole)

    def forward(self, x: Tensor) -> Tensor:  # (B, T / P, C) -> (B, T / P, C)
        norm = object.__new__(self._kind)
        vars(norm).update(vars(self))
        for name, p in vars(self).items():
            if isinstance(p, Parameter):
                setattr(norm, name, copy_to(p, self._comm))
        return norm.forward(x)


class VocabularyEmbedding(Module):
    """A table of which this rank has its share of the rows; the ranks' finds are summed."""

    def __init__(self, comm: Communicator, whole: Embedding) -> None:
        self._comm = comm
        self.weight = Parameter(_cut(whole.weight.data, comm, axis=0))

    def forward(self, ids: Any) -> Tensor:  # (...) -> (..., C)
        rows = len(self.weight)
        own = np.asarray(ids) - self._comm.rank * rows
        here = (own >= 0) & (own < rows)
        found = F.embedding(np.where(here, own, 0), self.weight)
        mask = here[..., None].astype(found.dtype)  # (...) -> (..., 1)
        return reduce_from(F.mul(found, mask), self._comm)


def _cut(x: np.ndarray, comm: Communicator, axis: int) -> np.ndarray:
    return np.ascontiguousarray(np.split(x, comm.size, axis)[comm.rank])


def _cut_heads(x: np.ndarray, comm: Communicator, groups: list[int]) -> np.ndarray:
    """This rank's heads of packed queries, keys and values; `groups` are the rows of the three."""
    parts = np.split(x, np.cumsum(groups)[:-1])
    return np.concatenate([_cut(part, comm, 0) for part in parts])


def split_tensors(comm: Communicator, model: Transformer, sequence: bool = False) -> None:
    """Leave this rank its share of every block's matrices, in place.

    Args:
        comm: the ranks; each starts from the same whole model.
        model: a decoder or encoder of blocks with self-attention and a feed-forward net.
        sequence: blocks take and give this rank's tokens only, (B, T / P, C).

    Raises:
        InputError: the ranks do not divide heads, key and value heads, or the feed-forward's width;
            a model of experts; one norm of all heads.
    """
    if model.config.experts is not None:
        raise InputError(
            f"config.experts is {model.config.experts}; split_tensors cuts one feed-forward per "
            "block, not a mixture of experts"
        )
    if model.config.qk_norm == "all":
        raise InputError(
            "config.qk_norm is 'all'; split_tensors shares heads among ranks, which have no norm "
            "together"
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
        attention.out, net.down = (
            RowLinear(comm, one, sequence) for one in (attention.out, net.down)
        )
        for name in ("q_norm", "k_norm"):  # each rank has other heads, all ranks have these weights
            if attention.qk_norm is not None:
                setattr(attention, name, SharedNorm(comm, getattr(attention, name)))
        block.attention, block.feed_forward = (
            _Split(comm, one, sequence) for one in (attention, net)
        )
        for name in _NORMS if sequence else ():
            if hasattr(block, name):
                setattr(block, name, SharedNorm(comm, getattr(block, name)))


def _first_maps(net: Module) -> list[Linear]:
    return [net.up] + ([net.gate] if hasattr(net, "gate") else [])


def plain_name(name: str) -> str:
    """A parameter's name in the whole model."""
    return ".".join(part for part in name.split(".") if part != "inside")


def is_cut(name: str) -> bool:
    """Whether each rank has its own share of a block's parameter, by its name in the model."""
    *_, above, last = ["", *name.split(".")]
    if above in ("out", "down"):
        return last == "weight"
    return above in ("qkv", "up", "gate")


def join_parts(name: str, parts: list[np.ndarray], groups: list[int]) -> np.ndarray:
    """The shares of one parameter as the whole.

    Args:
        name: of a parameter that is cut.
        parts: of every rank.
        groups: rows of queries, keys and values on one rank.
    """
    above = name.split(".")[-2]
    if above in ("out", "down"):
        return np.concatenate(parts, axis=1)
    if above == "qkv":
        thirds = zip(*(np.split(p, np.cumsum(groups)[:-1]) for p in parts), strict=True)
        return np.concatenate([np.concatenate(third) for third in thirds])
    return np.concatenate(parts)


def join_tensors(comm: Communicator, model: Transformer) -> dict[str, np.ndarray]:
    """The state of the whole model on every rank, under its usual names: to save, to compare."""
    state = {}
    one = model.stack.blocks[0].attention.inside
    groups = [n * one.head_size for n in (one.heads, one.kv_heads, one.kv_heads)]
    for name, x in model.state_dict().items():
        plain = plain_name(name)
        state[plain] = join_parts(plain, comm.all_gather(x), groups) if is_cut(plain) else x
    return state
