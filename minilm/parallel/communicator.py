"""What one rank of many can do, whatever carries its messages.

Names are MPI's. An operation of a group is called by all its ranks, in the same order; what each
gives stays its own, and what it gets is a new array. An operation that was started (`start_...`)
goes on while the rank computes, until somebody waits for it.
"""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from minilm.errors import InputError

Array = np.ndarray
_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep
_PACKAGE = os.path.dirname(_FOLDER.rstrip(os.sep)) + os.sep
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


class Pending(Protocol):
    """A collective that was started and may not have ended."""

    def done(self) -> bool:
        """Whether `wait` would return at once. Asking lets a library that needs it get on."""

    def wait(self) -> Any:
        """What the collective gives; waits for it."""


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

    def start_all_reduce(self, x: Array, op: str = "sum") -> Pending:
        """Begin an `all_reduce`; `wait` gives it. x must not change until then."""

    def start_reduce_scatter(self, x: Array) -> Pending:
        """Begin a `reduce_scatter`; `wait` gives it. x must not change until then."""

    def start_all_gather(self, x: Array, sizes: Sequence[int] | None = None) -> Pending:
        """Begin an `all_gather` of flat arrays; `wait` gives it. x must not change until then.

        `sizes` says how many numbers each rank gives, where all ranks know that: then none asks.
        """

    def barrier(self) -> None:
        """Wait until every rank is here."""

    def group(self, ranks: Sequence[int]) -> "Communicator":
        """The communicator of some ranks, this one among them, numbered in the order given."""


def check_operation(op: str) -> None:
    """Refuse a way of reducing that is none of `OPERATIONS`."""
    if op not in OPERATIONS:
        raise InputError(f"op is {op!r}; it must be one of {', '.join(OPERATIONS)}")


def ring_sizes(operation: str, pieces: Sequence[int], rank: int) -> tuple[int, int]:
    """(bytes, messages) that a rank sends where a collective runs around a ring.

    Args:
        operation: "all_reduce", "reduce_scatter" or "all_gather".
        pieces: bytes of every rank's piece.
        rank: whose.
    """
    ranks, total = len(pieces), sum(pieces)
    if ranks == 1:
        return 0, 0
    scattered = total - pieces[rank]  # a partial sum of every piece but the own
    gathered = total - pieces[(rank + 1) % ranks]  # all but what the next one had first
    return {
        "reduce_scatter": (scattered, ranks - 1),
        "all_gather": (gathered, ranks - 1),
        "all_reduce": (scattered + gathered, 2 * (ranks - 1)),
    }[operation]


def call_site() -> str:
    """Where a worker called an operation, file and line: the first frame outside the package.

    Where there is none (a command of ours trains), the first outside this folder.
    """
    frame, inside = sys._getframe(1), None
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        if inside is None and not frame.f_code.co_filename.startswith(_FOLDER):
            inside = frame
        frame = frame.f_back
    at = frame or inside
    return "?" if at is None else f"{os.path.basename(at.f_code.co_filename)}:{at.f_lineno}"


def check_place(rank: int, size: int, name: str) -> int:
    """The rank, if there is one of that number."""
    if not 0 <= rank < size:
        raise InputError(f"{name} is {rank}; it must be a rank from 0 to {size - 1}")
    return rank


def check_group(ranks: Sequence[int], own: int, size: int) -> list[int]:
    """The ranks of a group, if they are different ones and the caller is among them."""
    ranks = list(ranks)
    if own not in ranks or len(set(ranks)) < len(ranks):
        raise InputError(f"ranks are {ranks}; they must be different, and rank {own} one of them")
    return [check_place(rank, size, "a rank") for rank in ranks]


def check_parts(parts: Sequence[Array], size: int) -> list[Array]:
    """The arrays of an all_to_all, if there is one for each rank."""
    if len(parts) != size:
        raise InputError(f"parts are {len(parts)}; there must be one for each of {size} ranks")
    return [np.array(part) for part in parts]
