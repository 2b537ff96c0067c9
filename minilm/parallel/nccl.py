"""Ranks with a GPU each, through NCCL as CuPy calls it.

    comm = Nccl(Mpi())          # the processes find each other, and talk about shapes, on the host

Arrays on the GPU go from GPU to GPU; arrays of the host, and what must be known about shapes, go by
the communicator that was given. Collectives that were started run on a stream of their own, beside
what the GPU computes.

NCCL wants pieces of one size, so those that differ by a number are filled up; and it holds a sender
until the receiver comes, so a message leaves with the next call that waits.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.backend import Array, cupy
from minilm.errors import InputError
from minilm.parallel.communicator import (
    Communicator,
    Ledger,
    check_group,
    check_operation,
    check_place,
    ring_sizes,
)

TYPES = {
    "float16": "NCCL_FLOAT16",
    "bfloat16": "NCCL_BFLOAT16",
    "float32": "NCCL_FLOAT32",
    "float64": "NCCL_FLOAT64",
    "int32": "NCCL_INT32",
    "int64": "NCCL_INT64",
    "uint8": "NCCL_UINT8",
}


class _Queued:
    """A collective in the queue of a stream: `wait` lets the computing stream wait for it."""

    def __init__(
        self, event: Any, stream: Any, result: Callable[[], Any], keep: Sequence[Array]
    ) -> None:
        self._event, self._stream, self._result = event, stream, result
        self._keep = keep  # memory that must not be used again before the end

    def done(self) -> bool:
        return True  # nobody on the host has to wait

    def wait(self) -> Any:
        self._stream.wait_event(self._event)
        self._keep = ()
        return self._result()


class Nccl:
    """The communicator of one process with a GPU.

    Args:
        host: carries shapes, and arrays of the host; one process for each of its ranks.

    Raises:
        InputError: no CuPy, no GPU, or a CuPy without NCCL.
    """

    def __init__(self, host: Communicator) -> None:
        self.host, self.rank, self.size, self.ledger = host, host.rank, host.size, Ledger()
        self._cp = cupy()
        try:
            self._library = importlib.import_module("cupy.cuda.nccl")
            available = getattr(self._library, "available", True)
        except ImportError:
            available = False
        if not available:
            raise InputError("this CuPy has no NCCL; pip install nvidia-nccl-cu12 brings it")
        own = self._library.get_unique_id() if host.rank == 0 else None
        given = None if own is None else np.array(own, np.int64)
        shared = tuple(host.broadcast(given).tolist())
        self._comm = self._library.NcclCommunicator(host.size, shared, host.rank)
        self._beside = self._cp.cuda.Stream(non_blocking=True)
        self._leaving: list[tuple[Array, int]] = []  # messages, and for whom
        self._arrived: dict[tuple[int, int], list[Array]] = {}

    # ------------------------------------------------------------------------------ messages

    def send(self, x: Array, to: int, tag: int = 0) -> None:
        check_place(to, self.size, "to")
        on_host = isinstance(x, np.ndarray)
        self.host.send(self._head(x, tag), to, _SHAPES)
        if on_host:
            self.host.send(x, to, _HOST)
        else:
            x = self._cp.ascontiguousarray(x).copy()
            self._leaving.append((x, to))
        self._count("send", x.nbytes, 1)

    def recv(self, source: int, tag: int = 0) -> Array:
        check_place(source, self.size, "source")
        waiting = self._arrived.setdefault((source, tag), [])
        while not waiting:
            kind, at, *shape = self.host.recv(source, _SHAPES).tolist()
            if kind < 0:
                x = self.host.recv(source, _HOST)
            else:
                x = self._cp.empty(tuple(shape), list(TYPES)[kind])
                self._meet([(x, source)])
            self._arrived.setdefault((source, at), []).append(x)
        return waiting.pop(0)

    def _head(self, x: Array, tag: int) -> np.ndarray:
        kind = -1 if isinstance(x, np.ndarray) else list(TYPES).index(str(x.dtype))
        return np.array([kind, tag, *x.shape], np.int64)

    def _meet(self, coming: Sequence[tuple[Array, int]]) -> None:
        """Let all messages leave, and these arrive."""
        stream = self._here().ptr
        self._library.groupStart()
        for x, to in self._leaving:
            self._comm.send(x.data.ptr, x.size, self._type(x), to, stream)
        for x, source in coming:
            self._comm.recv(x.data.ptr, x.size, self._type(x), source, stream)
        self._library.groupEnd()
        self._leaving.clear()

    # ------------------------------------------------------------------------------ collectives

    def all_reduce(self, x: Array, op: str = "sum") -> Array:
        return self.start_all_reduce(x, op).wait()

    def reduce_scatter(self, x: Array) -> Array:
        return self.start_reduce_scatter(x).wait()

    def all_gather(self, x: Array) -> list[Array]:
        return self.start_all_gather(x).wait()

    def start_all_reduce(self, x: Array, op: str = "sum") -> Any:
        check_operation(op)
        if isinstance(x, np.ndarray):
            return self.host.start_all_reduce(x, op)
        x = self._cp.ascontiguousarray(x)
        out, code = self._cp.empty_like(x), getattr(self._library, f"NCCL_{op.upper()}")
        self._count_ring("all_reduce", self._pieces(x), x.itemsize)

        def call(stream: int) -> None:
            self._comm.allReduce(x.data.ptr, out.data.ptr, x.size, self._type(x), code, stream)

        return self._queue(call, lambda: out, x)

    def start_reduce_scatter(self, x: Array) -> Any:
        if isinstance(x, np.ndarray):
            return self.host.start_reduce_scatter(x)
        pieces = self._pieces(x)
        given = self._filled(x.reshape(-1), pieces)
        out = self._cp.empty(pieces[0], x.dtype)
        self._count_ring("reduce_scatter", pieces, x.itemsize)

        def call(stream: int) -> None:
            code = self._library.NCCL_SUM
            self._comm.reduceScatter(
                given.data.ptr, out.data.ptr, out.size, self._type(x), code, stream
            )

        return self._queue(call, lambda: out[: pieces[self.rank]], given)

    def start_all_gather(self, x: Array, sizes: Sequence[int] | None = None) -> Any:
        if isinstance(x, np.ndarray):
            return self.host.start_all_gather(x, sizes)
        shapes = [(n,) for n in sizes] if sizes is not None else self._shapes(x)
        counts = [int(np.prod(shape)) for shape in shapes]
        most = max(counts)
        given = self._cp.zeros(most, x.dtype)
        given[: x.size] = x.reshape(-1)
        out = self._cp.empty((self.size, most), x.dtype)
        self._count_ring("all_gather", counts, x.itemsize)

        def call(stream: int) -> None:
            self._comm.allGather(given.data.ptr, out.data.ptr, most, self._type(x), stream)

        def found() -> list[Array]:
            return [out[i, :n].reshape(shape) for i, (n, shape) in enumerate(zip(counts, shapes))]

        return self._queue(call, found, given)

    def broadcast(self, x: Array | None, root: int = 0) -> Array:
        check_place(root, self.size, "root")
        mine = self.rank == root
        if mine and x is None:
            raise InputError(f"x is None on rank {root}; the root must give an array")
        kind = -1 if not mine or isinstance(x, np.ndarray) else list(TYPES).index(str(x.dtype))
        head = np.array([kind, *x.shape], np.int64) if mine else None
        kind, *shape = self.host.broadcast(head, root).tolist()
        if kind < 0:
            return self.host.broadcast(x, root)
        out = self._cp.empty(tuple(shape), list(TYPES)[kind])
        if mine:
            out[...] = x
        pointer = out.data.ptr
        stream = self._here().ptr
        self._comm.broadcast(pointer, pointer, out.size, self._type(out), root, stream)
        last = (root - 1) % self.size
        self._count("broadcast", 0 if self.rank == last else out.nbytes, int(self.rank != last))
        return out

    def all_to_all(self, parts: Sequence[Array]) -> list[Array]:
        if len(parts) != self.size:
            raise InputError(
                f"parts are {len(parts)}; there must be one for each of {self.size} ranks"
            )
        if all(isinstance(part, np.ndarray) for part in parts):
            return self.host.all_to_all(parts)
        parts = [self._cp.ascontiguousarray(part) for part in parts]
        shapes = self.host.all_to_all([np.array(part.shape, np.int64) for part in parts])
        found = [self._cp.empty(tuple(s.tolist()), parts[0].dtype) for s in shapes]
        self._leaving += [(part, to) for to, part in enumerate(parts) if to != self.rank]
        self._meet([(x, source) for source, x in enumerate(found) if source != self.rank])
        found[self.rank][...] = parts[self.rank]
        others = sum(part.nbytes for i, part in enumerate(parts) if i != self.rank)
        self._count("all_to_all", others, self.size - 1)
        return found

    def barrier(self) -> None:
        self._meet([])
        self._here().synchronize()
        self.host.barrier()

    def group(self, ranks: Sequence[int]) -> "Nccl":
        ranks = check_group(ranks, self.rank, self.size)
        made = Nccl(self.host.group(ranks))
        made.ledger = self.ledger
        return made

    # ------------------------------------------------------------------------------ inside

    def _here(self) -> Any:
        """The stream that computes."""
        return self._cp.cuda.get_current_stream()

    def _queue(
        self, call: Callable[[int], None], result: Callable[[], Any], *keep: Array
    ) -> _Queued:
        """Run a collective on its own stream, after what has been computed so far."""
        before, after = self._cp.cuda.Event(), self._cp.cuda.Event()
        before.record(self._here())
        self._beside.wait_event(before)
        call(self._beside.ptr)
        after.record(self._beside)
        return _Queued(after, self._here(), result, keep)

    def _type(self, x: Array) -> int:
        name = str(x.dtype)
        if name not in TYPES:
            raise InputError(f"dtype is {name}; NCCL carries {', '.join(TYPES)}")
        return getattr(self._library, TYPES[name])

    def _pieces(self, x: Array) -> list[int]:
        """How many numbers each rank's piece has."""
        each, more = divmod(x.size, self.size)
        return [each + (rank < more) for rank in range(self.size)]

    def _filled(self, flat: Array, pieces: Sequence[int]) -> Array:
        """The flat array with pieces of one size: (N,) -> (P, most)."""
        out, at = self._cp.zeros((self.size, pieces[0]), flat.dtype), 0
        for row, size in enumerate(pieces):
            out[row, :size] = flat[at : at + size]
            at += size
        return out

    def _shapes(self, x: Array) -> list[tuple[int, ...]]:
        return [tuple(s.tolist()) for s in self.host.all_gather(np.array(x.shape, np.int64))]

    def _count(self, operation: str, size: int, messages: int) -> None:
        if self.size > 1:
            self.ledger.sent[operation] += size
            self.ledger.messages[operation] += messages

    def _count_ring(self, operation: str, pieces: Sequence[int], itemsize: int) -> None:
        sizes = [count * itemsize for count in pieces]
        self._count(operation, *ring_sizes(operation, sizes, self.rank))


_SHAPES, _HOST = 0, 1  # tags: what is said about a message, and a message of the host
