"""The process that holds a student's notebook and answers calls to its functions.

It starts trusted, reads its plan, locks itself in (`confine`), and only then runs the first line of
student code. From there on nothing it says is believed: the grader rebuilds every answer from plain
parts and compares it on the other side of the wall.
"""

import ctypes
import gc
import mmap
import os
import sys
import threading
from typing import Any

import numpy as np

from . import cells, confine, fakes, imports, kernels, programs, standin, wire


class Gone(Exception):
    """The grader hung up."""


class Worker:
    """One conversation: `read` and `write` are the file numbers of the two pipes."""

    def __init__(self, read: int, write: int) -> None:
        self.read, self.write = read, write
        self.notebook = cells.Notebook()
        self.handles: dict[int, Any] = {}
        self.last: tuple[Any, list, dict] | None = (
            None  # the last call whose arguments are looked at
        )
        self.shared = np.zeros(0, np.uint8)  # memory that the grader sees too

    def receive(self) -> tuple[Any, list[memoryview]]:
        total, text = wire.head(self._bytes(wire.HEAD.size), wire.LARGEST_REQUEST)
        return wire.split(self._bytes(total), text)

    def _bytes(self, count: int) -> bytes:
        out = bytearray()
        while len(out) < count:
            part = os.read(self.read, min(1 << 20, count - len(out)))
            if not part:
                raise Gone
            out += part
        return bytes(out)

    def send(self, message: Any, pack: wire.Pack | None = None) -> None:
        data = memoryview(wire.frame(message, pack or self.pack()))
        while data:
            data = data[os.write(self.write, data) :]

    def pack(self) -> wire.Pack:
        return wire.Pack(self.handle)

    def handle(self, value: Any) -> dict[str, Any]:
        """A value with no plain form stays here; the other side gets a number for it."""
        if isinstance(value, _Callback):
            return {"f": value.number}
        number = len(self.handles)
        self.handles[number] = value
        kind = type(value).__name__
        return {"h": [number, kind[:80] if isinstance(kind, str) else "?", callable(value)]}

    def unpack(self, blobs: list[memoryview], node: Any) -> Any:
        return wire.Unpack(blobs, self.other).value(node)

    def other(self, mark: str, part: Any) -> Any:
        if mark == "h":
            return self.handles[part[0]]
        if mark == "f":
            return _Callback(self, part)
        if mark == "m":
            return wire.shared_array(self.shared, part)
        raise wire.WireError(f"unknown mark {mark!r}")

    def load(self, message: dict[str, Any]) -> None:
        """Run the cells, saying before each which one it is: a hang is then known by its cell."""
        for number, source in message["given"]:
            self.notebook.run(-1 - number, source, cells.FULL, given=True)
        self.notebook.plan(message["cells"], message.get("asked", ()))
        for number, source, mode in message["cells"]:
            self.send({"at": number})
            self.notebook.run(number, source, mode)
        self.send({"at": -1})
        self.notebook.finish()
        self.send({"ready": self.notebook.errors[:50]})

    def answer(self, message: dict[str, Any], blobs: list[memoryview]) -> None:
        """Do what one request asks and send the result, or the error in words."""
        number = message["n"]
        try:
            pack = self.pack()
            node = pack.node(self.perform(message, blobs))
            self.send({"n": number, "ok": node}, pack)
        except wire.TooLargeError as error:
            self.send({"n": number, "error": ["size", str(error)]})
        except Gone:
            raise
        except BaseException as error:
            self.send({"n": number, "error": self.describe(error)})

    def describe(self, error: BaseException) -> list[str]:
        if isinstance(error, _Missing):
            return ["missing", str(error)]
        if isinstance(error, standin.WriteYourOwnError):
            return ["poison", str(error)[:200]]
        if isinstance(error, StopIteration):
            return ["stop", ""]
        if isinstance(error, MemoryError):
            return ["memory", ""]
        if isinstance(error, NotImplementedError):
            return ["todo", ""]
        return ["error", cells.describe(error)[:500]]

    def perform(self, message: dict[str, Any], blobs: list[memoryview]) -> Any:
        what = message["op"]
        if what == "forget":  # a hang in a __del__ belongs to the question that made the object
            self.handles.clear()
            self.last = None
            gc.collect()
            return len(threading.enumerate())
        if what == "missing":
            return [name for name in message["names"] if not self.defined(name)]
        if what == "launch":
            return kernels.launch(*self.unpack(blobs, message["args"]))
        if what == "again":
            found, args, named = self.last
            return found(*args, **named)
        target = message["of"]
        if isinstance(target, str):
            found = self.find(target)
        else:
            found = self.handles[target]
        if what == "next":
            return next(found)
        if what == "source":
            return kernels.gather(found)
        if what == "get":
            return getattr(found, message["name"])
        args = self.unpack(blobs, message["args"])
        named = self.unpack(blobs, message["named"])
        if what == "item":
            return found[args[0]]
        if what == "iter":
            return iter(found)
        if what == "len":
            return len(found)
        if what == "inplace":
            self.last = found, args, named
            return found(*args, **named), args
        return found(*args, **named)

    def find(self, name: str) -> Any:
        try:
            return self.notebook.find(name)
        except KeyError:
            raise _Missing(name) from None

    def defined(self, name: str) -> bool:
        try:
            return self.notebook.find(name) is not None
        except KeyError:
            return False

    def talk(self) -> None:
        """Answer until the grader hangs up."""
        while True:
            try:
                message, blobs = self.receive()
            except Gone:
                return
            if "cells" in message:
                self.load(message)
            else:
                self.answer(message, blobs)


class _Missing(Exception):
    pass


class _Callback:
    """A function of the grader that the student's code may call."""

    def __init__(self, worker: Worker, number: int) -> None:
        self.worker, self.number = worker, number

    def __call__(self, *args: Any, **named: Any) -> Any:
        worker = self.worker
        pack = worker.pack()
        message = {"call": self.number, "args": pack.node(list(args)), "named": pack.node(named)}
        worker.send(message, pack)
        reply, blobs = worker.receive()
        if "raise" in reply:
            raise ValueError(reply["raise"])
        return worker.unpack(blobs, reply["value"])


def _mapped(file: int, size: int) -> np.ndarray:
    """A file's bytes in memory. Python's own `mmap` would keep the file open."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    address = libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, file, 0)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap")
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))


def main() -> None:
    """Take the plan from standard input, lock the door, and start to talk."""
    read, write = os.dup(0), os.dup(1)
    if sys.platform == "win32":
        import msvcrt

        for handle in (0, 1):
            msvcrt.setmode(handle, os.O_BINARY)
        for handle in (read, write):
            msvcrt.setmode(handle, os.O_BINARY)
    quiet = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(quiet, number)
    worker = Worker(read, write)
    plan, _ = worker.receive()
    if plan.get("shared"):  # one more file, that was inherited
        worker.shared = _mapped(*plan["shared"])
        os.close(plan["shared"][0])
    np.random.seed(0)  # noqa: NPY002  (the global state that a student's own code may draw from)
    try:
        if plan["answers"]:
            imports.install(worker.notebook.written_modules, plan["packages"], plan["libraries"])
            fakes.install()
            standin.install()
        confine.confine(plan)
    except (confine.ConfineError, OSError, ValueError) as error:
        worker.send({"refused": str(error)})
        return
    worker.send({"locked": True})
    if plan.get("programs"):
        programs.serve(worker)
    else:
        worker.talk()
