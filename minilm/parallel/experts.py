"""Expert parallelism: each rank has some of a layer's experts, and tokens travel to theirs.

    choose -> sort by expert -> all_to_all -> the experts here -> all_to_all -> weigh and add up

Each rank sends a token once for every expert it chose (Lepikhin et al. 2020, arXiv 2006.16668). The
first exchange tells the ranks how many rows come, the second brings them, the third takes what was
made of them back; in backward the gradients travel the same two ways.
"""

from collections.abc import Callable

import numpy as np

from minilm import functional as F
from minilm import kernels
from minilm.backend import Array
from minilm.errors import InputError
from minilm.nn import Module, Parameter
from minilm.parallel.communicator import Communicator
from minilm.parallel.moves import exchange
from minilm.tensor import Tensor

Experts = Callable[[Tensor, Array], Tensor]


def own_experts(comm: Communicator, experts: int) -> range:
    """Which experts a rank has: as many as any other, those of rank 0 first.

    Raises:
        InputError: the ranks do not divide the experts.
    """
    if experts % comm.size:
        raise InputError(f"experts are {experts}; they must be a multiple of {comm.size} ranks")
    each = experts // comm.size
    return range(comm.rank * each, (comm.rank + 1) * each)


def expert_parallel(
    comm: Communicator,
    x: Tensor,
    chosen: Array,
    weights: Tensor,
    experts: int,
    own: Experts,
) -> Tensor:
    """A layer of experts that lie on many ranks, for the tokens of this one.

    Args:
        comm: the ranks that share the experts; each brings tokens of its own.
        x: (N, C) this rank's tokens.
        chosen: (N, K) whole numbers: the experts of each token.
        weights: (N, K) what their results count for.
        experts: E, how many there are on all ranks together.
        own: (rows (M, C), offsets (E / P + 1,)) -> (M, C): this rank's experts, of which number e
            gets rows offsets[e] to offsets[e + 1] - 1; `F.grouped_linear` reads such offsets.

    Returns:
        (N, C).

    Raises:
        InputError: the ranks do not divide the experts; a choice that is none of them.
    """
    own_experts(comm, experts)  # refuses what cannot be shared
    chosen = np.asarray(chosen)
    if chosen.size and not (0 <= chosen.min() and chosen.max() < experts):
        raise InputError(f"chosen holds {chosen.max()}; experts are 0 to {experts - 1}")
    order, place, offsets = kernels.sort_by_expert(chosen, experts)
    counts = np.diff(offsets)  # (E,) rows for each expert
    by_rank = counts.reshape(comm.size, -1)  # (E,) -> (P, E / P)
    told = np.stack(comm.all_to_all(list(by_rank)))  # (P, E / P) rows from each rank, by expert
    there, back = by_rank.sum(1), told.sum(1)  # (P,) each
    rows = F.moe_permute(x, order, place, chosen.shape[1])  # (N K, C), expert after expert
    rows = exchange(rows, there, back, comm)  # (M, C), rank after rank
    together, apart = _by_expert(told)
    made = own(rows[together], np.concatenate([[0], np.cumsum(told.sum(0))]))
    made = exchange(made[apart], back, there, comm)  # (N K, C), as it was sent
    return F.moe_combine(made, weights, order, place)


def _by_expert(told: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order that puts rows of (rank, expert) into (expert, rank), and its inverse.

    told: (P, E / P) how many rows there are of each.
    """
    labels = np.tile(np.arange(told.shape[1]), len(told)).repeat(told.reshape(-1))  # (M,)
    order = np.argsort(labels, kind="stable")
    return order, np.argsort(order)


class SplitExperts(Module):
    """A feed-forward of experts of which this rank has its share; takes over a whole one's weights.

    Args:
        comm: the ranks that share the experts.
        whole: has a `router` (rows -> something with `experts` (N, K) and `weights` (N, K)), and
            maps `gate`, `up` and `down`, each called with rows in order of expert and their
            offsets, whose `weight` is (E, out, in).

    Raises:
        InputError: the ranks do not divide the experts.
    """

    def __init__(self, comm: Communicator, whole: Module) -> None:
        vars(self).update(vars(whole))
        self._comm, self._count = comm, len(whole.up.weight)
        own = own_experts(comm, self._count)
        for each in self.maps():
            each.weight = Parameter(each.weight.data[own.start : own.stop].copy())

    def maps(self) -> list[Module]:
        """The maps that have a matrix per expert."""
        return [self.gate, self.up, self.down]

    def forward(self, x: Tensor) -> Tensor:  # (..., C) -> (..., C)
        rows = x.reshape(-1, x.shape[-1])  # (..., C) -> (N, C)
        routing = self.router(rows)

        def own(rows: Tensor, offsets: Array) -> Tensor:
            return self.down(F.swiglu(self.gate(rows, offsets), self.up(rows, offsets)), offsets)

        chosen, weights = routing.experts, routing.weights
        mixed = expert_parallel(self._comm, rows, chosen, weights, self._count, own)
        return mixed.reshape(*x.shape)  # (N, C) -> (..., C)
