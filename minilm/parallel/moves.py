"""What moves between ranks inside a model, as steps of the tape: forward one way, backward back.

    copy_to          the same on every rank          backward: the sum of what the ranks found
    reduce_from      the sum over ranks              backward: the same to every rank
    gather_tokens    parts of a text joined          backward: summed and cut
    scatter_tokens   a text cut                      backward: joined
    sum_to_tokens    summed over ranks, then cut     backward: joined
    to_heads         all tokens of some heads        backward: to_tokens
    to_tokens        some tokens of all heads        backward: to_heads
    exchange         rows to the ranks they are for  backward: to where they came from

The first two are Megatron's f and g (Shoeybi et al. 2019, arXiv 1909.08053), the next three those
of its sequence parallelism (Korthikanti et al. 2022, arXiv 2205.05198), then come Ulysses' (Jacobs
et al. 2023, arXiv 2309.14509) and that of experts on many ranks (Lepikhin et al. 2020, 2006.16668).
"""

import numpy as np

from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.parallel.communicator import Communicator
from minilm.tensor import primitive


@primitive
def copy_to(x: Array, comm: Communicator):
    """The same array on every rank; backward sums what the ranks found. Megatron's f."""
    return x, lambda g: (lambda: comm.all_reduce(g), None)


@primitive
def reduce_from(x: Array, comm: Communicator):
    """The sum over ranks; backward hands the gradient to each. Megatron's g."""
    return comm.all_reduce(x), lambda g: (g, None)


def _joined(comm: Communicator, x: Array) -> Array:
    """(B, T / P, C) of every rank -> (B, T, C)."""
    return xp_of(x).concatenate(comm.all_gather(x), axis=1)


def _summed(comm: Communicator, x: Array) -> Array:
    """(B, T, C) of every rank, summed -> this rank's tokens (B, T / P, C)."""
    xp = xp_of(x)
    first = xp.ascontiguousarray(x.swapaxes(0, 1))  # (T, B, C): a rank's tokens lie together
    own = comm.reduce_scatter(first)
    # -> (T / P, B, C) -> (B, T / P, C)
    return xp.ascontiguousarray(own.reshape(-1, *first.shape[1:]).swapaxes(0, 1))


def _own(comm: Communicator, x: Array) -> Array:
    """This rank's tokens: (B, T, C) -> (B, T / P, C)."""
    if x.shape[1] % comm.size:
        raise InputError(f"a text has {x.shape[1]} tokens; {comm.size} ranks must divide them")
    size = x.shape[1] // comm.size
    return xp_of(x).ascontiguousarray(x[:, comm.rank * size : (comm.rank + 1) * size])


@primitive
def gather_tokens(x: Array, comm: Communicator):
    """Each rank's tokens as one text: (B, T / P, C) -> (B, T, C); what uses it differs by rank."""
    return _joined(comm, x), lambda g: (lambda: _summed(comm, g), None)


@primitive
def scatter_tokens(x: Array, comm: Communicator):
    """This rank's tokens of a text that all have: (B, T, C) -> (B, T / P, C).

    Raises:
        InputError: the ranks do not divide the tokens.
    """
    return _own(comm, x), lambda g: (lambda: _joined(comm, g), None)


@primitive
def sum_to_tokens(x: Array, comm: Communicator):
    """This rank's tokens of the sum over ranks: (B, T, C) -> (B, T / P, C).

    Raises:
        InputError: the ranks do not divide the tokens.
    """
    if x.shape[1] % comm.size:
        raise InputError(f"a text has {x.shape[1]} tokens; {comm.size} ranks must divide them")
    return _summed(comm, x), lambda g: (lambda: _joined(comm, g), None)


def _to_heads(comm: Communicator, x: Array) -> Array:
    """(B, H, T, D) -> (B, H / P, P T, D), the tokens of the ranks in their order."""
    xp = xp_of(x)
    parts = [xp.ascontiguousarray(part) for part in xp.split(x, comm.size, axis=1)]
    return xp.concatenate(comm.all_to_all(parts), axis=2)


def _to_tokens(comm: Communicator, x: Array) -> Array:
    """(B, H / P, P T, D) -> (B, H, T, D)."""
    xp = xp_of(x)
    parts = [xp.ascontiguousarray(part) for part in xp.split(x, comm.size, axis=2)]
    return xp.concatenate(comm.all_to_all(parts), axis=1)


@primitive
def to_heads(x: Array, comm: Communicator):
    """All tokens of some heads, for some tokens of all heads: (B, H, T, D) -> (B, H / P, P T, D).

    Raises:
        InputError: the ranks do not divide the heads.
    """
    if x.shape[1] % comm.size:
        raise InputError(f"heads are {x.shape[1]}; they must be a multiple of {comm.size} ranks")
    return _to_heads(comm, x), lambda g: (lambda: _to_tokens(comm, g), None)


@primitive
def to_tokens(x: Array, comm: Communicator):
    """The way back from `to_heads`: (B, H / P, P T, D) -> (B, H, T, D)."""
    return _to_tokens(comm, x), lambda g: (lambda: _to_heads(comm, g), None)


@primitive
def exchange(x: Array, counts: np.ndarray, back: np.ndarray, comm: Communicator):
    """Rows to the ranks that they are for.

    Args:
        x: (N, C) rows, those for rank 0 first.
        counts: (P,) how many are for each rank.
        back: (P,) how many come from each rank.

    Returns:
        (sum of back, C) rows, those of rank 0 first.
    """
    return _rows(comm, x, counts), lambda g: (lambda: _rows(comm, g, back), None, None, None)


def _rows(comm: Communicator, x: Array, counts: np.ndarray) -> Array:
    xp = xp_of(x)
    parts = xp.split(x, np.cumsum(counts)[:-1].tolist())
    return xp.concatenate(comm.all_to_all([xp.ascontiguousarray(part) for part in parts]))
