"""Ranks as processes, through MPI: `mpiexec -n 4 python train.py`.

    from minilm.parallel.mpi import run

    run(worker)          # worker(comm): the code that `simulate` runs on ranks that are threads

Every operation is started and then asked after until it has ended, with a pause between questions:
so ranks that wait leave the cores to those that work, also where there are more ranks than cores.

With `checked`, ranks first compare what they are about to call, which costs a short message around
the ranks for each collective: calls that do not fit are an error with both places in the code. A
rank that ends says so, and who waits for it is told. So neither is a hang.

Sums of 16-bit numbers are taken in float32, which MPI does not do: pieces change places, and each
rank adds up its own.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from minilm.backend import is_half
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
from minilm.parallel.waiting import (
    ENDED,
    HEAD,
    PATIENCE,
    Ready,
    Request,
    World,
    library,
    memory_of,
    packed,
    unpacked,
)

LAUNCHERS = ("PMI_SIZE", "PMI_RANK", "OMPI_COMM_WORLD_SIZE")  # what launchers set


def launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a process was started by mpiexec, from its environment variables."""
    return any(name in environment for name in LAUNCHERS)


class Mpi:
    """The communicator of one process among those of an MPI job, or of its place in a group.

    Args:
        comm: mpi4py's; None: all processes of the job.
        checked: compare calls before each collective.
        patience: seconds after which waiting is an error.

    Attributes:
        ranks: the members' numbers among all processes.

    Raises:
        InputError: there is no MPI here.
    """

    def __init__(self, comm: Any = None, checked: bool = True, patience: float = PATIENCE) -> None:
        everybody = library().COMM_WORLD
        self._join(everybody.Dup() if comm is None else comm, Ledger())
        self.world = World(everybody.Dup(), checked, patience)

    def _join(self, comm: Any, ledger: Ledger) -> None:
        mpi = library()
        self._comm, self.rank, self.size = comm, comm.Get_rank(), comm.Get_size()
        members, everybody = comm.Get_group(), mpi.COMM_WORLD.Get_group()
        self.ranks: list[int] = list(
            mpi.Group.Translate_ranks(members, list(range(self.size)), everybody)
        )
        self.ledger = ledger
        self._sent: list[tuple[Any, Any]] = []  # requests of sends, and what they read

    @property
    def checked(self) -> bool:
        """Whether calls are compared; one switch for all communicators of the process."""
        return self.world.checked

    @checked.setter
    def checked(self, on: bool) -> None:
        self.world.checked = on

    @property
    def neighbours(self) -> int:
        """How many processes of the job run on this machine."""
        mpi = library()
        here = self._comm.Split_type(mpi.COMM_TYPE_SHARED)
        count = here.Get_size()
        here.Free()
        return count

    # ------------------------------------------------------------------------------ messages

    def send(self, x: Array, to: int, tag: int = 0) -> None:
        check_place(to, self.size, "to")
        x = np.array(x, order="C")
        self._forget_sent()
        for kind, buffer in ((2 * tag, packed((x.shape, x.dtype))), (2 * tag + 1, memory_of(x))):
            self._sent.append((self._comm.Isend(buffer, to, kind), buffer))
        self._count("send", x.nbytes, 1)

    def recv(self, source: int, tag: int = 0) -> Array:
        of = [self.ranks[check_place(source, self.size, "source")]]
        what = f"recv from rank {of[0]} at {call_site()}"
        head = np.empty(HEAD, np.uint8)
        request = self._comm.Irecv(head, source, 2 * tag)
        kind = Request(self, request, what, lambda: unpacked(head), of=of).wait()
        x = np.empty(*kind)
        request = self._comm.Irecv(memory_of(x), source, 2 * tag + 1)
        return Request(self, request, what, lambda: x, of=of).wait()

    def _forget_sent(self) -> None:
        self._sent = [(request, kept) for request, kept in self._sent if not request.Test()]

    # ------------------------------------------------------------------------------ collectives

    def all_reduce(self, x: Array, op: str = "sum") -> Array:
        return self.start_all_reduce(x, op).wait()

    def reduce_scatter(self, x: Array) -> Array:
        return self.start_reduce_scatter(x).wait()

    def all_gather(self, x: Array) -> list[Array]:
        return self.start_all_gather(x).wait()

    def start_all_reduce(self, x: Array, op: str = "sum") -> Any:
        check_operation(op)
        x = np.asarray(x, order="C")
        what = self._meet("all_reduce", (op, x.shape, str(x.dtype)))
        self._count_ring("all_reduce", chunks_of(x, self.size))
        if is_half(x):
            shapes = [piece.shape for piece in chunks_of(x, self.size)]
            pieces = self._gather(self._reduced(x, op, what), shapes, what).wait()
            return Ready(np.concatenate(pieces).reshape(x.shape))
        out = np.empty_like(x)
        code = getattr(library(), op.upper())  # SUM, MAX or MIN
        return Request(self, self._comm.Iallreduce(x, out, code), what, lambda: out, x)

    def start_reduce_scatter(self, x: Array) -> Any:
        x = np.asarray(x, order="C")
        what = self._meet("reduce_scatter", (x.shape, str(x.dtype)))
        pieces = chunks_of(x, self.size)
        self._count_ring("reduce_scatter", pieces)
        if is_half(x):
            return Ready(self._reduced(x, "sum", what))
        out = np.empty_like(pieces[self.rank])
        request = self._comm.Ireduce_scatter(x, out, [piece.size for piece in pieces])
        return Request(self, request, what, lambda: out, x)

    def start_all_gather(self, x: Array, sizes: Sequence[int] | None = None) -> Any:
        x = np.array(x, order="C")
        what = self._meet("all_gather", (str(x.dtype),))
        shapes = [(n,) for n in sizes] if sizes is not None else self._all_say(x.shape, what)
        self._count_ring("all_gather", [np.broadcast_to(x.dtype.type(), s) for s in shapes])
        return self._gather(x, shapes, what)

    def broadcast(self, x: Array | None, root: int = 0) -> Array:
        check_place(root, self.size, "root")
        if self.rank == root and x is None:
            raise InputError(f"x is None on rank {root}; the root must give an array")
        what = self._meet("broadcast", (root,))
        out = np.array(x, order="C") if self.rank == root else None
        head = packed(None if out is None else (out.shape, out.dtype))
        kind = self._spread(head, root, what, lambda: unpacked(head))
        out = np.empty(*kind) if out is None else out
        last = (root - 1) % self.size
        self._count("broadcast", 0 if self.rank == last else out.nbytes, int(self.rank != last))
        return self._spread(memory_of(out), root, what, lambda: out)

    def all_to_all(self, parts: Sequence[Array]) -> list[Array]:
        mine = check_parts(parts, self.size)
        what = self._meet("all_to_all", None)
        others = sum(part.nbytes for i, part in enumerate(mine) if i != self.rank)
        self._count("all_to_all", others, self.size - 1)
        return self._exchange(mine, what)

    def barrier(self) -> None:
        what = self._meet("barrier", None)
        Request(self, self._comm.Ibarrier(), what, lambda: None).wait()

    def group(self, ranks: Sequence[int]) -> "Mpi":
        ranks = check_group(ranks, self.rank, self.size)
        made = object.__new__(Mpi)
        made._join(self._comm.Create_group(self._comm.Get_group().Incl(ranks)), self.ledger)
        made.world = self.world
        return made

    def end(self) -> None:
        """Say that this rank calls nothing more, and wait for the others to say so."""
        while self._sent:
            self._forget_sent()
            time.sleep(1e-4)
        world = self.world.comm
        words = [world.isend(None, rank, ENDED) for rank in range(world.Get_size())]
        last = world.Ibarrier()
        while not last.Test():
            time.sleep(1e-3)
        self.world.missing([])  # hears what is left
        for word in words:
            word.wait()

    # ------------------------------------------------------------------------------ inside

    def _count(self, operation: str, size: int, messages: int) -> None:
        if self.size > 1:
            self.ledger.sent[operation] += size
            self.ledger.messages[operation] += messages

    def _count_ring(self, operation: str, pieces: Sequence[Array]) -> None:
        self._count(operation, *ring_sizes(operation, [p.nbytes for p in pieces], self.rank))

    def _meet(self, kind: str, fits: Any) -> str:
        """Compare the call with those of the other ranks; returns it in words.

        Raises:
            RankError: a rank calls something else.
        """
        what = f"{kind}{f' of {fits}' if fits not in (None, ()) else ''} at {call_site()}"
        if self.checked and self.size > 1:
            here, call = self.ranks[self.rank], (kind, str(fits)[:120])
            said = self._all_say((call, what[:200]), what)
            for other, (theirs, words) in zip(self.ranks, said):
                if theirs != call:
                    (a, first), (b, second) = sorted([(other, words), (here, what)])
                    raise RankError(
                        f"rank {a} calls {first}, rank {b} calls {second}; all ranks must call the "
                        "same operation with arrays that fit"
                    )
        return what

    def _all_say(self, word: Any, what: str) -> list[Any]:
        """A small thing from every rank."""
        given, heard = packed(word), np.empty((self.size, HEAD), np.uint8)
        request = self._comm.Iallgather(given, heard)
        Request(self, request, what, lambda: None, given).wait()
        return [unpacked(row) for row in heard]

    def _spread(self, buffer: Array, root: int, what: str, result: Callable[[], Any]) -> Any:
        return Request(self, self._comm.Ibcast(buffer, root), what, result, buffer).wait()

    def _gather(self, x: Array, shapes: Sequence[tuple[int, ...]], what: str) -> Request:
        counts = [int(np.prod(shape)) * x.itemsize for shape in shapes]
        flat = np.empty(sum(counts), np.uint8)
        request = self._comm.Iallgatherv(memory_of(x), [flat, counts])

        def found() -> list[Array]:
            cut = np.split(flat, np.cumsum(counts)[:-1])
            return [c.view(x.dtype).reshape(shape) for c, shape in zip(cut, shapes)]

        return Request(self, request, what, found, x)

    def _exchange(self, parts: list[Array], what: str) -> list[Array]:
        """One array to each rank, one from each."""
        heads = np.stack([packed((part.shape, part.dtype)) for part in parts])  # (P, bytes)
        heard = np.empty_like(heads)
        Request(self, self._comm.Ialltoall(heads, heard), what, lambda: None, heads).wait()
        found = [np.empty(*unpacked(row)) for row in heard]
        given = np.concatenate([memory_of(part) for part in parts])
        flat = np.empty(sum(part.nbytes for part in found), np.uint8)
        counts = [[part.nbytes for part in side] for side in (parts, found)]
        request = self._comm.Ialltoallv([given, counts[0]], [flat, counts[1]])
        Request(self, request, what, lambda: None, given).wait()
        cut = np.split(flat, np.cumsum(counts[1])[:-1])
        return [c.view(f.dtype).reshape(f.shape) for c, f in zip(cut, found)]

    def _reduced(self, x: Array, op: str, what: str) -> Array:
        """This rank's piece of a sum of 16-bit arrays, added up in float32."""
        combine = {"sum": np.add, "max": np.maximum, "min": np.minimum}[op]
        wide = [part.astype(np.float32) for part in self._exchange(chunks_of(x, self.size), what)]
        return combine.reduce(wide).astype(x.dtype)


def run(worker: Callable[..., Any], *args: Any, **settings: Any) -> Any:
    """Run worker(comm, *args) on this process of an MPI job; returns what it returns.

    A rank that raises ends the job: its error is printed, and all processes stop. So does MPI
    itself where a process is killed.

    Args:
        worker: the code of a rank; gets its communicator first.
        args: given to the worker.
        settings: of `Mpi`.
    """
    comm = Mpi(**settings)
    try:
        value = worker(comm, *args)
        comm.end()
        return value
    except BaseException as error:
        stop(comm, error)


def stop(comm: Mpi, error: BaseException) -> NoReturn:
    """Print an error with the rank that raised it, and end all processes of the job."""
    time.sleep(min(1.0, 0.2 * comm.rank))  # an error of all ranks is said once, by the first
    status = 2 if isinstance(error, InputError) else 1
    if isinstance(error, RankError):  # names its ranks itself
        print(f"minilm: {error}", file=sys.stderr)
    elif status == 2:
        print(f"minilm: rank {comm.rank} of {comm.size}: {error}", file=sys.stderr)
    elif not isinstance(error, SystemExit):
        traceback.print_exception(error)
        print(f"minilm: rank {comm.rank} of {comm.size} raised this", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    library().COMM_WORLD.Abort(status)
    os._exit(status)  # Abort may come back while the launcher does its work
