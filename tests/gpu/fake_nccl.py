"""A stand-in for `cupy.cuda.nccl` on simulated ranks: it reads and writes what the pointers say.

It refuses what the real one refuses or hangs on: pieces of different sizes, messages outside a
group where two ranks send to each other, unknown types.
"""

import ctypes
import sys
import threading
import types
from contextlib import contextmanager

import numpy as np

CODES = {"NCCL_UINT8": 1, "NCCL_INT32": 2, "NCCL_INT64": 4, "NCCL_FLOAT16": 6, "NCCL_FLOAT32": 7,
         "NCCL_FLOAT64": 8}  # fmt: skip
TYPES = {1: np.uint8, 2: np.int32, 4: np.int64, 6: np.float16, 7: np.float32, 8: np.float64}
OPERATIONS = {"NCCL_SUM": 0, "NCCL_MAX": 2, "NCCL_MIN": 3}
REDUCTIONS = {0: "sum", 2: "max", 3: "min"}
here = threading.local()  # the simulated communicator that a rank's next NcclCommunicator stands on


def memory(pointer: int, count: int, code: int) -> np.ndarray:
    """The numbers at an address."""
    kind = np.dtype(TYPES[code])
    raw = (ctypes.c_char * (count * kind.itemsize)).from_address(pointer)
    return np.frombuffer(raw, kind)


class NcclCommunicator:
    """CuPy's methods, in its order of arguments."""

    def __init__(self, ndev: int, commid: tuple, rank: int) -> None:
        assert len(commid) == 128
        self.comm = here.comm
        assert (ndev, rank) == (self.comm.size, self.comm.rank)
        self.log = here.__dict__.setdefault("log", [])

    def _note(self, name: str, stream: int) -> None:
        self.log.append((name, stream))

    def allReduce(self, sendbuf, recvbuf, count, datatype, op, stream):  # noqa: N802
        self._note("allReduce", stream)
        found = self.comm.all_reduce(memory(sendbuf, count, datatype), REDUCTIONS[op])
        memory(recvbuf, count, datatype)[...] = found

    def reduceScatter(self, sendbuf, recvbuf, recvcount, datatype, op, stream):  # noqa: N802
        self._note("reduceScatter", stream)
        given = memory(sendbuf, recvcount * self.comm.size, datatype)
        assert op == 0
        memory(recvbuf, recvcount, datatype)[...] = self.comm.reduce_scatter(given)

    def allGather(self, sendbuf, recvbuf, count, datatype, stream):  # noqa: N802
        self._note("allGather", stream)
        found = self.comm.all_gather(memory(sendbuf, count, datatype))
        memory(recvbuf, count * self.comm.size, datatype)[...] = np.concatenate(found)

    def broadcast(self, sendbuff, recvbuff, count, datatype, root, stream):
        self._note("broadcast", stream)
        mine = memory(sendbuff, count, datatype) if self.comm.rank == root else None
        memory(recvbuff, count, datatype)[...] = self.comm.broadcast(mine, root)

    def send(self, sendbuf, count, datatype, peer, stream):
        self._note("send", stream)
        assert here.group is not None, "a send outside a group may wait for ever"
        self.comm.send(memory(sendbuf, count, datatype), peer, 77)

    def recv(self, recvbuf, count, datatype, peer, stream):
        self._note("recv", stream)
        here.group.append((self.comm, recvbuf, count, datatype, peer))


def group_start() -> None:
    assert getattr(here, "group", None) is None
    here.group = []


def group_end() -> None:
    waiting, here.group = here.group, None
    for comm, recvbuf, count, datatype, peer in waiting:
        memory(recvbuf, count, datatype)[...] = comm.recv(peer, 77)


@contextmanager
def installed(cupy):
    """Inside, the stand-in for CuPy has NCCL, and streams have addresses."""
    module = types.ModuleType("cupy.cuda.nccl")
    vars(module).update(CODES, **OPERATIONS, available=True)
    module.NcclCommunicator = NcclCommunicator
    module.get_unique_id = lambda: tuple(range(-64, 64))
    module.groupStart, module.groupEnd = group_start, group_end
    sys.modules["cupy.cuda.nccl"] = module
    stream = cupy.cuda.Stream
    stream.ptr = property(lambda self: 0 if self.is_main else 1)
    try:
        yield module
    finally:
        del sys.modules["cupy.cuda.nccl"], stream.ptr
