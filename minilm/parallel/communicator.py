"""What one rank of many can do, whatever carries its messages.

Names are MPI's. An operation of a group is called by all its ranks, in the same order; what each
gives stays its own, and what it gets is a new array.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from minilm.errors import InputError

Array = np.ndarray
OPERATIONS = ("sum", "max", "min")


class RankError(InputError):
    """A rank failed, or ranks do not fit together: the message names them and their calls."""


@dataclass
class Ledger:
    """What one rank sent and held.

    Attributes:
        sent: operation -> bytes that this rank sent.
        messages: operation -> messages that this rank sent.
        held: kind of memory -> bytes held now.
        peak: most bytes held at one time, all kinds together.
        peak_of: kind -> most bytes held of it.
    """

    sent: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    peak: int = 0
    peak_of: Counter[str] = field(default_factory=Counter)

    def hold(self, kind: str, size: int) -> None:
        """Note `size` more bytes of a kind; less where it is negative.

        Raises:
            InputError: less than nothing would be held.
        """
        if self.held[kind] + size < 0:
            raise InputError(
                f"size is {size}; only {self.held[kind]} bytes of {kind!r} are held and can go"
            )
        self.held[kind] += size
        self.peak = max(self.peak, sum(self.held.values()))
        self.peak_of[kind] = max(self.peak_of[kind], self.held[kind])


class Communicator(Protocol):
    """One rank's way to the others.

    Attributes:
        rank: from 0 to size - 1.
        size: how many ranks there are.
        ledger: what this rank sent and held.
    """

    rank: int
    size: int
    ledger: Ledger

    def send(self, x: Array, to: int, tag: int = 0) -> None:
        """Hand a copy of an array to a rank; does not wait for it."""

    def recv(self, source: int, tag: int = 0) -> Array:
        """The next array that a rank sent under this tag; waits for it."""

    def all_reduce(self, x: Array, op: str = "sum") -> Array:
        """The sum (or largest, smallest) over ranks of arrays of one shape, on every rank."""

    def reduce_scatter(self, x: Array) -> Array:
        """This rank's piece of the sum over ranks; pieces are those of `chunks_of`."""

    def all_gather(self, x: Array) -> list[Array]:
        """What every rank gave, in the order of ranks; shapes may differ."""

    def broadcast(self, x: Array | None, root: int = 0) -> Array:
        """What the root gave; the others may give None."""

    def all_to_all(self, parts: Sequence[Array]) -> list[Array]:
        """One array for each rank; gets the one that each rank had for this one."""

    def barrier(self) -> None:
        """Wait until every rank is here."""

    def group(self, ranks: Sequence[int]) -> "Communicator":
        """The communicator of some ranks, this one among them, numbered in the order given."""


def check_operation(op: str) -> None:
    """Refuse a way of reducing that is none of `OPERATIONS`."""
    if op not in OPERATIONS:
        raise InputError(f"op is {op!r}; it must be one of {', '.join(OPERATIONS)}")
