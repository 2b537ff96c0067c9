"""Collectives made of single messages: rings, trees and halving.

For n numbers on P ranks, each rank sends

    ring all_reduce        2 (P - 1) messages,  2 (P - 1) / P n numbers
    halving all_reduce     2 log2 P messages,   2 (P - 1) / P n numbers
    tree broadcast         at most log2 P messages from a rank, P - 1 in all, each of n

The ring spreads the load evenly and needs no power of two; halving has fewer steps, so it wins
where messages are short (Thakur, Rabenseifner and Gropp 2005).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minilm.errors import InputError

if TYPE_CHECKING:
    from minilm.parallel.communicator import Communicator

Array = np.ndarray


def chunks_of(x: Array, parts: int) -> list[Array]:
    """The flat array in pieces whose lengths differ by one at most, the longer ones first."""
    return np.array_split(np.asarray(x).reshape(-1), parts)


def ring_reduce_scatter(comm: Communicator, x: Array) -> Array:
    """This rank's piece of the sum over ranks; pieces as `chunks_of` cuts them.

    In P - 1 rounds a partial sum goes once around the ring and ends where it belongs.
    """
    pieces = [piece.copy() for piece in chunks_of(x, comm.size)]
    after, before = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size
    for step in range(1, comm.size):
        comm.send(pieces[(comm.rank - step) % comm.size], after)
        at = (comm.rank - step - 1) % comm.size
        pieces[at] = pieces[at] + comm.recv(before)
    return pieces[comm.rank]


def ring_all_gather(comm: Communicator, x: Array) -> list[Array]:
    """What every rank gave, in their order: each hands on what it got last, P - 1 times."""
    found: list[Array] = [np.asarray(x)] * comm.size
    after, before = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size
    for step in range(comm.size - 1):
        comm.send(found[(comm.rank - step) % comm.size], after)
        found[(comm.rank - step - 1) % comm.size] = comm.recv(before)
    return found


def ring_all_reduce(comm: Communicator, x: Array) -> Array:
    """The sum over ranks on every rank: a reduce_scatter, then an all_gather."""
    x = np.asarray(x)
    pieces = ring_all_gather(comm, ring_reduce_scatter(comm, x))
    return np.concatenate(pieces).reshape(x.shape)


def halving_all_reduce(comm: Communicator, x: Array) -> Array:
    """The sum over ranks: halves are exchanged with a partner ever nearer, then gathered back.

    Raises:
        InputError: the number of ranks is no power of two, or does not divide the numbers.
    """
    x = np.asarray(x)
    ranks = comm.size
    if ranks & (ranks - 1):
        raise InputError(f"size is {ranks}; halving needs a power of two")
    if x.size % ranks:
        raise InputError(f"x has {x.size} numbers; halving needs a multiple of {ranks}")
    mine, low, high = x.reshape(-1).copy(), 0, x.size
    cuts = []
    distance = ranks // 2
    while distance:
        partner, middle = comm.rank ^ distance, (low + high) // 2
        keep, give = ((low, middle), (middle, high))[:: 1 if comm.rank < partner else -1]
        comm.send(mine[slice(*give)], partner)
        mine[slice(*keep)] += comm.recv(partner)
        cuts.append((partner, keep, give))
        low, high = keep
        distance //= 2
    for partner, keep, give in reversed(cuts):
        comm.send(mine[slice(*keep)], partner)
        mine[slice(*give)] = comm.recv(partner)
    return mine.reshape(x.shape)


def tree_broadcast(comm: Communicator, x: Array | None, root: int = 0) -> Array:
    """What the root gave: in each round everybody who has it hands it on, log2 P rounds."""
    place = (comm.rank - root) % comm.size  # as if the root were 0
    have = np.asarray(x) if place == 0 else None
    reach = 1
    while reach < comm.size:
        if place < reach and have is not None and place + reach < comm.size:
            comm.send(have, (place + reach + root) % comm.size)
        elif reach <= place < 2 * reach:
            have = comm.recv((place - reach + root) % comm.size)
        reach *= 2
    assert have is not None
    return have
