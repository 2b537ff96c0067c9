"""Ranks as threads of one process, one at a time.

A rank runs until it has to wait; then the next one that can go on does. So a run is the same every
time, down to the order in which numbers are added, and a rank that waits for ever is found out: a
run in which nobody can go on ends with what each rank was waiting for.

A collective counts what a ring would send: for n numbers on P ranks each rank sends (P - 1) / P n
for a reduce_scatter or an all_gather, and twice that for an all_reduce.
"""

import sys
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.parallel.collectives import chunks_of
from minilm.parallel.communicator import Array, Ledger, RankError, check_operation

MOST_RANKS = 256


@dataclass(frozen=True)
class Simulated:
    """What a simulated run gave: the value and the ledger of each rank, in their order."""

    values: list[Any]
    ledgers: list[Ledger]

    def sent(self, operation: str | None = None) -> list[int]:
        """Bytes that each rank sent, of one operation or of all."""
        return [
            sum(n for op, n in ledger.sent.items() if operation in (None, op))
            for ledger in self.ledgers
        ]


@dataclass
class _Call:
    """What one rank brings to a collective."""

    kind: str
    fits: Any  # what must be equal on all ranks
    given: Any
    site: str

    def __str__(self) -> str:
        what = f" of {self.fits}" if self.fits not in (None, ()) else ""
        return f"{self.kind}{what} at {self.site}"


@dataclass
class _World:
    """What all ranks share: whose turn it is, and what is on its way."""

    size: int
    turn: int = 0
    failed: BaseException | None = None
    condition: threading.Condition = field(default_factory=threading.Condition)
    done: set[int] = field(default_factory=set)
    waiting: dict[int, tuple[str, Callable[[], bool]]] = field(default_factory=dict)
    mail: dict[tuple[int, int, int], deque[Array]] = field(
        default_factory=lambda: defaultdict(deque)
    )
    meetings: dict[tuple[tuple[int, ...], int], dict[int, _Call]] = field(default_factory=dict)
    results: dict[tuple[tuple[int, ...], int], list[Any]] = field(default_factory=dict)

    def may_run(self, rank: int) -> bool:
        if rank in self.done:
            return False
        return rank not in self.waiting or self.waiting[rank][1]()

    def pass_on(self, rank: int) -> None:
        """Give the turn to the next rank that can go on; find out if there is none."""
        order = [(rank + 1 + i) % self.size for i in range(self.size)]
        for other in order:
            if self.may_run(other):
                self.turn = other
                self.condition.notify_all()
                return
        if len(self.done) < self.size:
            self.fail(RankError(self.stuck()))

    def stuck(self) -> str:
        waits = [f"rank {rank} waits in {self.waiting[rank][0]}" for rank in sorted(self.waiting)]
        ended = f"; rank {', '.join(map(str, sorted(self.done)))} has ended" if self.done else ""
        return f"no rank can go on: {'; '.join(waits)}{ended}"

    def fail(self, error: BaseException) -> None:
        if self.failed is None:
            self.failed = error
        self.condition.notify_all()

    def wait(self, rank: int, what: str, ready: Callable[[], bool]) -> None:
        """Give the turn away until `ready` and it is this rank's turn again."""
        with self.condition:
            if not ready():
                self.waiting[rank] = (what, ready)
                self.pass_on(rank)
                self.condition.wait_for(lambda: self.failed is not None or self.turn == rank)
                self.waiting.pop(rank, None)
            if self.failed is not None:
                raise _Stopped


class _Stopped(BaseException):
    """Another rank failed; this one only ends."""


def _site() -> str:
    """Where a worker called an operation: file and line."""
    frame = sys._getframe(1)
    here = Path(__file__).parent
    while frame.f_back is not None and Path(frame.f_code.co_filename).parent == here:
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


class _Rank:
    """The communicator of one simulated rank, or of its place in a group."""

    def __init__(self, world: _World, ranks: tuple[int, ...], rank: int, ledger: Ledger) -> None:
        self._world, self._ranks, self._own, self._met = world, ranks, ranks[rank], 0
        self.rank, self.size, self.ledger = rank, len(ranks), ledger

    # ------------------------------------------------------------------------------ messages

    def send(self, x: Array, to: int, tag: int = 0) -> None:
        x = np.array(x)
        self._world.mail[self._own, self._place(to, "to"), tag].append(x)
        self._count("send", x.nbytes, 1)

    def recv(self, source: int, tag: int = 0) -> Array:
        box = self._world.mail[self._place(source, "source"), self._own, tag]
        what = f"recv from rank {self._ranks[source]} at {_site()}"
        self._world.wait(self._own, what, lambda: bool(box))
        return box.popleft()

    def _place(self, rank: int, name: str) -> int:
        if not 0 <= rank < self.size:
            raise InputError(f"{name} is {rank}; it must be a rank from 0 to {self.size - 1}")
        return self._ranks[rank]

    # ------------------------------------------------------------------------------ collectives

    def all_reduce(self, x: Array, op: str = "sum") -> Array:
        check_operation(op)
        x = np.asarray(x)
        pieces = [part.nbytes for part in chunks_of(x, self.size)]
        kept = pieces[self.rank] + pieces[(self.rank + 1) % self.size]  # never sent by this rank
        self._count("all_reduce", 2 * sum(pieces) - kept, 2 * (self.size - 1))
        return self._meet("all_reduce", (op, x.shape, str(x.dtype)), x, _reduced(op)).copy()

    def reduce_scatter(self, x: Array) -> Array:
        x = np.asarray(x)
        pieces = [part.nbytes for part in chunks_of(x, self.size)]
        others = sum(pieces) - pieces[self.rank]
        self._count("reduce_scatter", others, self.size - 1)
        total = self._meet("reduce_scatter", (x.shape, str(x.dtype)), x, _reduced("sum"))
        return chunks_of(total, self.size)[self.rank].copy()

    def all_gather(self, x: Array) -> list[Array]:
        x = np.array(x)
        found = self._meet("all_gather", (str(x.dtype),), x, list)
        passed_on = [found[(self.rank - i) % self.size].nbytes for i in range(self.size - 1)]
        self._count("all_gather", sum(passed_on), self.size - 1)
        return [part.copy() for part in found]

    def broadcast(self, x: Array | None, root: int = 0) -> Array:
        self._place(root, "root")
        if self.rank == root and x is None:
            raise InputError(f"x is None on rank {root}; the root must give an array")
        given = np.array(x) if self.rank == root else None
        found = self._meet("broadcast", (root,), given, lambda all_: all_[root])
        last = (root - 1) % self.size  # of a ring in which each hands on what it got
        self._count("broadcast", 0 if self.rank == last else found.nbytes, int(self.rank != last))
        return found.copy()

    def all_to_all(self, parts: Sequence[Array]) -> list[Array]:
        if len(parts) != self.size:
            raise InputError(
                f"parts are {len(parts)}; there must be one for each of {self.size} ranks"
            )
        mine = [np.array(part) for part in parts]
        self._count("all_to_all", sum(p.nbytes for i, p in enumerate(mine) if i != self.rank),
                    self.size - 1)  # fmt: skip
        found = self._meet("all_to_all", None, mine, list)
        return [row[self.rank].copy() for row in found]

    def barrier(self) -> None:
        self._meet("barrier", None, None, lambda _: None)

    def group(self, ranks: Sequence[int]) -> "_Rank":
        ranks = list(ranks)
        if self.rank not in ranks or len(set(ranks)) < len(ranks):
            raise InputError(
                f"ranks are {ranks}; they must be different, and rank {self.rank} one of them"
            )
        return _Rank(
            self._world,
            tuple(self._place(rank, "a rank") for rank in ranks),
            ranks.index(self.rank),
            self.ledger,
        )

    # ------------------------------------------------------------------------------ inside

    def _count(self, operation: str, size: int, messages: int) -> None:
        if self.size > 1:
            self.ledger.sent[operation] += size
            self.ledger.messages[operation] += messages

    def _meet(self, kind: str, fits: Any, given: Any, finish: Callable[[list], Any]) -> Any:
        """Bring something to the group's next meeting; what `finish` makes of all of it."""
        world, key = self._world, (self._ranks, self._met)
        self._met += 1
        call = _Call(kind, fits, given, _site())
        met = world.meetings.setdefault(key, {})
        for other, theirs in met.items():
            if (theirs.kind, theirs.fits) != (kind, fits):
                raise RankError(
                    f"rank {other} calls {theirs}, rank {self._own} calls {call}; all ranks must "
                    "call the same operation with arrays that fit"
                )
        met[self._own] = call
        if len(met) == self.size:
            world.results[key] = [finish([met[rank].given for rank in self._ranks]), self.size]
        world.wait(self._own, str(call), lambda: key in world.results)
        result = world.results[key]
        result[1] -= 1
        if result[1] == 0:  # everybody has it
            del world.results[key], world.meetings[key]
        return result[0]


def _reduced(op: str) -> Callable[[list[Array]], Array]:
    """Rank after rank, so that the order of additions is always the same."""
    combine = {"sum": np.add, "max": np.maximum, "min": np.minimum}[op]

    def finish(given: list[Array]) -> Array:
        total = given[0].copy()
        for x in given[1:]:
            total = combine(total, x)
        return total

    return finish


def simulate(worker: Callable[..., Any], ranks: int, *args: Any) -> Simulated:
    """Run worker(comm, *args) on `ranks` ranks in this process.

    Args:
        worker: the code of a rank; gets its communicator first.
        ranks: how many, from 1 to 256.
        args: given to every rank; the same objects.

    Returns:
        The values that the ranks returned, and their ledgers.

    Raises:
        RankError: calls of ranks do not fit together, or nobody can go on.
        Exception: what a rank raised, as it is, with the rank in a note.
        InputError: `ranks` is out of range.
    """
    if not 1 <= ranks <= MOST_RANKS:
        raise InputError(f"ranks is {ranks}; it must lie between 1 and {MOST_RANKS}")
    world, values, ledgers = _World(ranks), [None] * ranks, [Ledger() for _ in range(ranks)]

    def run(rank: int) -> None:
        try:
            with world.condition:
                world.condition.wait_for(lambda: world.failed is not None or world.turn == rank)
            if world.failed is None:
                comm = _Rank(world, tuple(range(ranks)), rank, ledgers[rank])
                values[rank] = worker(comm, *args)
        except _Stopped:
            pass
        except BaseException as error:
            error.add_note(f"(raised by rank {rank} of {ranks})")
            with world.condition:
                world.fail(error)
        finally:
            with world.condition:
                world.done.add(rank)
                if world.failed is None:
                    world.pass_on(rank)

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if world.failed is not None:
        raise world.failed
    return Simulated(values, ledgers)
