"""How a process waits for others: a question at a time, with pauses, and not for ever.

MPI's own waiting keeps a core busy. Here an operation is asked after with ever longer pauses; after
a while the waiting rank looks whether those it waits for have ended.
"""

import pickle
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.parallel.communicator import Array, RankError

PATIENCE = 600.0  # seconds that a rank waits for others
GRACE = 1.0  # seconds after which a rank that has ended is missed
HEAD = 512  # bytes of what is said about an array or a call
ENDED = 7  # the tag of a last word


def library() -> Any:
    """`mpi4py.MPI`, which starts MPI when it is first imported.

    Raises:
        InputError: it is not installed, or finds no library.
    """
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise InputError(
            "there is no MPI; it needs mpi4py and a library, such as pip install mpi4py mpich "
            f"({error})"
        ) from None
    return MPI


class World:
    """What all communicators of a process share: who has ended, and how long to wait."""

    def __init__(self, comm: Any, checked: bool, patience: float) -> None:
        self.comm, self.checked, self.patience = comm, checked, patience
        self.ended: dict[int, float] = {}  # rank -> when its last word was heard

    def missing(self, ranks: Sequence[int]) -> int | None:
        """One of the ranks that ended a while ago, or None."""
        status = library().Status()
        while self.comm.Iprobe(tag=ENDED, status=status):
            self.comm.recv(source=status.Get_source(), tag=ENDED)
            self.ended[status.Get_source()] = time.monotonic()
        late = [r for r in ranks if time.monotonic() - self.ended.get(r, np.inf) > GRACE]
        return late[0] if late else None


class Request:
    """A started operation of MPI, waited for in small steps.

    Args:
        comm: the `Mpi` that started it.
        request: mpi4py's.
        what: the call in words.
        result: gives what the operation gives, once it has ended.
        keep: buffers that must live until then.
        of: the ranks that it needs; None: all of the communicator.
    """

    def __init__(
        self,
        comm: Any,
        request: Any,
        what: str,
        result: Callable[[], Any],
        keep: Any = None,
        of: Sequence[int] | None = None,
    ) -> None:
        self._comm, self._request, self._what, self._result = comm, request, what, result
        self._keep = keep
        self._of = comm.ranks if of is None else of

    def done(self) -> bool:
        if self._request is not None and self._request.Test():
            self._request = self._keep = None
        return self._request is None

    def wait(self) -> Any:
        began, pause = time.monotonic(), 0.0
        while not self.done():
            time.sleep(pause)
            pause = min(1e-3, pause + 2e-6)
            if pause == 1e-3:
                self._check_others(time.monotonic() - began)
        return self._result()

    def _check_others(self, waited: float) -> None:
        world, here = self._comm.world, self._comm.ranks[self._comm.rank]
        ended = world.missing([rank for rank in self._of if rank != here])
        if ended is not None:
            raise RankError(f"rank {here} waits in {self._what}; rank {ended} has ended")
        if waited > world.patience:
            raise RankError(
                f"rank {here} has waited {world.patience:g} s in {self._what}; another rank hangs, "
                "or never calls it"
            )


class Ready:
    """A collective that has ended already."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def done(self) -> bool:
        return True

    def wait(self) -> Any:
        return self._value


def memory_of(x: Array) -> Array:
    """The memory of a whole array as bytes."""
    return x.reshape(-1).view(np.uint8)


def packed(word: Any) -> Array:
    """A small thing as `HEAD` bytes."""
    return np.frombuffer(bytearray(pickle.dumps(word).ljust(HEAD, b"\0")), np.uint8)


def unpacked(head: Array) -> Any:
    return pickle.loads(head.tobytes())
