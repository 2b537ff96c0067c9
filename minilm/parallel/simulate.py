"""Ranks as threads of one process, one at a time.

A rank runs until it has to wait; then the next one that can go on does. So a run is the same every
time, down to the order in which numbers are added, and a rank that waits for ever is found out: a
run in which nobody can go on ends with what each rank was waiting for.

A collective counts what a ring would send: for n numbers on P ranks each rank sends (P - 1) / P n
for a reduce_scatter or an all_gather, and twice that for an all_reduce.
"""

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm.backend import blas_threads, is_half
from minilm.errors import InputError
from minilm.parallel.collectives import chunks_of
from minilm.parallel.communicator import (
    Array,
    Ledger,
    RankError,
    call_site,
    check_group,
    check_operation,
    check_parts,
    check_place,
    ring_sizes,
)

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


class _World:
    """What all ranks share: whose turn it is, and what is on its way.

    Only the rank whose turn it is touches anything here, so nothing needs a lock. Each rank has a
    bell, which is rung when its turn comes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.failed: BaseException | None = None
        self.bells = [threading.Lock() for _ in range(size)]
        for bell in self.bells:
            bell.acquire()
        self.done: set[int] = set()
        self.waiting: dict[int, tuple[str, Callable[[], bool]]] = {}
        self.mail: dict[tuple[int, int, int], deque[Array]] = defaultdict(deque)
        self.meetings: dict[tuple[tuple[int, ...], int], dict[int, _Call]] = {}
        self.results: dict[tuple[tuple[int, ...], int], list[Any]] = {}
        self.met: Counter[tuple[tuple[int, ...], int]] = Counter()  # by (group, rank)

    def may_run(self, rank: int) -> bool:
        if rank in self.done:
            return False
        return rank not in self.waiting or self.waiting[rank][1]()

    def pass_on(self, rank: int) -> None:
        """Give the turn to the next rank that can go on; find out if there is none."""
        for other in (*range(rank + 1, self.size), *range(rank + 1)):
            if self.may_run(other):
                self.bells[other].release()
                return
        if len(self.done) < self.size:
            self.fail(RankError(self.stuck()))

    def stuck(self) -> str:
        waits = [f"rank {rank} waits in {self.waiting[rank][0]}" for rank in sorted(self.waiting)]
        ended = f"; rank {', '.join(map(str, sorted(self.done)))} has ended" if self.done else ""
        return f"no rank can go on: {'; '.join(waits)}{ended}"

    def fail(self, error: BaseException) -> None:
        """Stop all ranks: every one that waits is woken, and ends."""
        if self.failed is None:
            self.failed = error
        for bell in self.bells:
            if bell.locked():
                bell.release()

    def wait(self, rank: int, what: str, ready: Callable[[], bool]) -> None:
        """Give the turn away until `ready` and it is this rank's turn again."""
        if not ready():
            self.waiting[rank] = (what, ready)
            self.pass_on(rank)
            self.bells[rank].acquire()
            self.waiting.pop(rank, None)
        if self.failed is not None:
            raise _Stopped


class _Stopped(BaseException):
    """Another rank failed; this one only ends."""


class _Rank:
    """The communicator of one simulated rank, or of its place in a group."""

    def __init__(self, world: _World, ranks: tuple[int, ...], rank: int, ledger: Ledger) -> None:
        self._world, self._ranks, self._own = world, ranks, ranks[rank]
        self.rank, self.size, self.ledger = rank, len(ranks), ledger

    # ------------------------------------------------------------------------------ messages

    def send(self, x: Array, to: int, tag: int = 0) -> None:
        x = np.array(x)
        self._world.mail[self._own, self._place(to, "to"), tag].append(x)
        self._count("send", x.nbytes, 1)

    def recv(self, source: int, tag: int = 0) -> Array:
        box = self._world.mail[self._place(source, "source"), self._own, tag]
        what = f"recv from rank {self._ranks[source]} at {call_site()}"
        self._world.wait(self._own, what, lambda: bool(box))
        return box.popleft()

    def _place(self, rank: int, name: str) -> int:
        return self._ranks[check_place(rank, self.size, name)]

    # ------------------------------------------------------------------------------ collectives

    def all_reduce(self, x: Array, op: str = "sum") -> Array:
        return self.start_all_reduce(x, op).wait()

    def reduce_scatter(self, x: Array) -> Array:
        return self.start_reduce_scatter(x).wait()

    def all_gather(self, x: Array) -> list[Array]:
        return self.start_all_gather(x).wait()

    def start_all_reduce(self, x: Array, op: str = "sum") -> "_Meeting":
        check_operation(op)
        x = np.array(x)
        self._count_ring("all_reduce", [part.nbytes for part in chunks_of(x, self.size)])
        fits = (op, x.shape, str(x.dtype))
        return self._bring("all_reduce", fits, x, _reduced(op), lambda total: total.copy())

    def start_reduce_scatter(self, x: Array) -> "_Meeting":
        x = np.array(x)
        self._count_ring("reduce_scatter", [part.nbytes for part in chunks_of(x, self.size)])

        def own(total: Array) -> Array:
            return chunks_of(total, self.size)[self.rank].copy()

        fits = (x.shape, str(x.dtype))
        return self._bring("reduce_scatter", fits, x, _reduced("sum"), own)

    def start_all_gather(self, x: Array, sizes: Sequence[int] | None = None) -> "_Meeting":
        x = np.array(x)

        def copied(found: list[Array]) -> list[Array]:
            self._count_ring("all_gather", [part.nbytes for part in found])
            return [part.copy() for part in found]

        return self._bring("all_gather", (str(x.dtype),), x, list, copied)

    def broadcast(self, x: Array | None, root: int = 0) -> Array:
        self._place(root, "root")
        if self.rank == root and x is None:
            raise InputError(f"x is None on rank {root}; the root must give an array")
        given = np.array(x) if self.rank == root else None
        found = self._bring("broadcast", (root,), given, lambda all_: all_[root]).wait()
        last = (root - 1) % self.size  # of a ring in which each hands on what it got
        self._count("broadcast", 0 if self.rank == last else found.nbytes, int(self.rank != last))
        return found.copy()

    def all_to_all(self, parts: Sequence[Array]) -> list[Array]:
        mine = check_parts(parts, self.size)
        others = sum(part.nbytes for i, part in enumerate(mine) if i != self.rank)
        self._count("all_to_all", others, self.size - 1)
        found = self._bring("all_to_all", None, mine, list).wait()
        return [row[self.rank].copy() for row in found]

    def barrier(self) -> None:
        self._bring("barrier", None, None, lambda _: None).wait()

    def group(self, ranks: Sequence[int]) -> "_Rank":
        ranks = check_group(ranks, self.rank, self.size)
        own = tuple(self._ranks[rank] for rank in ranks)
        return _Rank(self._world, own, ranks.index(self.rank), self.ledger)

    # ------------------------------------------------------------------------------ inside

    def _count(self, operation: str, size: int, messages: int) -> None:
        if self.size > 1:
            self.ledger.sent[operation] += size
            self.ledger.messages[operation] += messages

    def _count_ring(self, operation: str, pieces: list[int]) -> None:
        self._count(operation, *ring_sizes(operation, pieces, self.rank))

    def _bring(
        self,
        kind: str,
        fits: Any,
        given: Any,
        finish: Callable[[list], Any],
        read: Callable[[Any], Any] = lambda found: found,
    ) -> "_Meeting":
        """Bring something to the group's next meeting.

        Args:
            kind: of the collective.
            fits: what must be equal on all ranks.
            given: what this one brings.
            finish: makes the result of what all brought.
            read: makes this rank's own of the result.
        """
        world, own = self._world, (self._ranks, self._own)
        key = (self._ranks, world.met[own])
        world.met[own] += 1
        call = _Call(kind, fits, given, call_site())
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
        return _Meeting(world, key, self._own, str(call), read)


@dataclass
class _Meeting:
    """A collective that this rank has come to; `wait` until all have."""

    world: _World
    key: tuple[tuple[int, ...], int]
    rank: int
    what: str
    read: Callable[[Any], Any]

    def done(self) -> bool:
        return self.key in self.world.results

    def wait(self) -> Any:
        self.world.wait(self.rank, self.what, self.done)
        result = self.world.results[self.key]
        result[1] -= 1
        if result[1] == 0:  # everybody has it
            del self.world.results[self.key], self.world.meetings[self.key]
        return self.read(result[0])


def _reduced(op: str) -> Callable[[list[Array]], Array]:
    """Rank after rank, so that the order of additions is always the same."""
    combine = {"sum": np.add, "max": np.maximum, "min": np.minimum}[op]

    def finish(given: list[Array]) -> Array:
        half = is_half(given[0])  # such sums are taken in float32
        total = given[0].astype(np.float32) if half else given[0].copy()
        for x in given[1:]:
            total = combine(total, x)
        return total.astype(given[0].dtype) if half else total

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
    blas_threads(1)  # ranks take turns, and are small
    world, values, ledgers = _World(ranks), [None] * ranks, [Ledger() for _ in range(ranks)]

    def run(rank: int) -> None:
        world.bells[rank].acquire()
        try:
            if world.failed is None:
                comm = _Rank(world, tuple(range(ranks)), rank, ledgers[rank])
                values[rank] = worker(comm, *args)
        except _Stopped:
            pass
        except BaseException as error:
            error.add_note(f"(raised by rank {rank} of {ranks})")
            world.fail(error)
        finally:
            world.done.add(rank)
            if world.failed is None:
                world.pass_on(rank)

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(ranks)]
    for thread in threads:
        thread.start()
    world.bells[0].release()
    for thread in threads:
        thread.join()
    if world.failed is not None:
        raise world.failed
    return Simulated(values, ledgers)
