"""A warm worker that runs programs: it locks itself in, and then forks one child for each.

The child closes the last lock, the list of system calls, so it starts nothing, reaches nobody and
signals nobody; it runs the program and its tests and writes what came out into a pipe. This process
runs no line of a program. It watches the child's clock, ends it, and hands on the bytes unread.
"""

import contextlib
import os
import select
import signal
import sys
import time
from typing import Any

from . import calls, cells, confine, wire

LOOK = 0.05  # seconds between two looks at a child's clock
PATIENCE = 5  # seconds on the wall for one of processor time
STIRS = 0.01  # a child that uses a smaller part of its time than this is asleep
DONE, TIME, GONE, SIZE = "done", "time", "gone", "size"


def serve(worker: Any) -> None:
    """Run what is asked for until the other side hangs up.

    Without `fork` (Windows) this process runs one program itself, and ends.
    """
    forks = hasattr(os, "fork")
    while True:
        try:
            message, blobs = worker.receive()
        except Exception as error:
            if type(error).__name__ == "Gone":
                return
            raise
        if forks:
            how, data, seconds = _forked(worker, message, blobs)
        else:
            began = time.process_time()
            data = report(message, blobs)
            how, seconds = DONE, time.process_time() - began
        pack = worker.pack()
        worker.send(pack.node({"how": how, "data": data, "seconds": seconds}), pack)
        if not forks:
            return


def _forked(worker: Any, message: dict[str, Any], blobs: list) -> tuple[str, bytes, float]:
    """How a child ended, what it wrote, and its processor time."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            for file in (read, worker.read, worker.write):
                os.close(file)
            _child(message, blobs, write)
        finally:
            os._exit(1)
    os.close(write)
    try:
        how, data = _watch(pid, read, float(message["seconds"]))
    finally:
        os.close(read)
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):  # before it had a group of its own
            os.kill(pid, signal.SIGKILL)
        _, status, used = os.wait4(pid, 0)
    if how == GONE and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
        how = TIME
    return how, data, used.ru_utime + used.ru_stime


def _watch(pid: int, read: int, seconds: float) -> tuple[str, bytes]:
    """Read a child's report until it is whole, or the child's time is up."""
    out, total, text = bytearray(), None, 0
    began = moved = time.monotonic()
    used = 0.0
    while True:
        ready, _, _ = select.select([read], [], [], LOOK)
        if ready:
            part = os.read(read, 1 << 16)
            if not part:
                return GONE, b""
            out += part
            if total is None and len(out) >= wire.HEAD.size:
                try:
                    total, text = wire.head(bytes(out[: wire.HEAD.size]))
                except wire.WireError:
                    return SIZE, b""
            if total is not None and len(out) >= wire.HEAD.size + total:
                return DONE, bytes(out)
        now, before = time.monotonic(), used
        used = _clock(pid, now - began)
        if used - before > STIRS * LOOK:
            moved = now
        if used > seconds or now - began > PATIENCE * seconds or now - moved > seconds:
            return TIME, b""


def _clock(pid: int, wall: float) -> float:
    """Processor seconds of a child; the time on the wall where the system does not say."""
    if not sys.platform.startswith("linux"):
        return wall
    try:
        return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3)
    except OSError:
        return 0.0  # it has just ended


def _child(message: dict[str, Any], blobs: list, write: int) -> None:
    os.setpgid(0, 0)
    if confine.resource is not None:
        _limits(int(message["memory"]), float(message["seconds"]))
    if sys.platform.startswith("linux"):
        confine.die_with_parent()
        calls.close_list()
    data = memoryview(report(message, blobs))
    while data:
        data = data[os.write(write, data) :]
    os._exit(0)


def _limits(memory: int, seconds: float) -> None:
    resource = confine.resource
    wanted = {
        "RLIMIT_AS": memory,
        "RLIMIT_CPU": int(seconds) + 1,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_NOFILE": 64,
    }
    for name, most in wanted.items():
        hard = resource.getrlimit(getattr(resource, name))[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(getattr(resource, name), (most, most))
        except (ValueError, OSError):
            if sys.platform.startswith("linux"):
                raise  # macOS does not know every limit


def report(message: dict[str, Any], blobs: list) -> bytes:
    """What came of a program, as a frame: the values of its calls, or what it raised."""
    pack = wire.Pack(_no_plain_value)
    try:
        answer: dict[str, Any] = _run(message, blobs, pack)
    except BaseException as error:
        pack, answer = wire.Pack(_no_plain_value), {"raised": _said(error)}
    try:
        return wire.frame(answer, pack)
    except BaseException as error:
        return wire.frame({"raised": _said(error)}, wire.Pack(_no_plain_value))


def _run(message: dict[str, Any], blobs: list, pack: wire.Pack) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(message["code"], "<program>", "exec"), names)
    if isinstance(message["tests"], str):
        exec(compile(message["tests"], "<tests>", "exec"), names)
        return {"passed": True}
    calls_ = wire.Unpack(blobs, _refuse, plain=False).value(message["tests"])
    values = []
    for name, given in calls_:
        if not callable(names.get(name)):
            raise NameError(f"there is no function {name!r}")
        values.append(pack.node(names[name](*given)))
    return {"values": values}


def _said(error: BaseException) -> str:
    try:
        return cells.describe(error)[:300]
    except BaseException:
        return "an error that cannot be described"


def _no_plain_value(value: Any) -> Any:
    raise wire.WireError(f"a {type(value).__name__} is no plain value")


def _refuse(mark: str, part: Any) -> Any:
    raise wire.WireError(f"unknown mark {mark!r}")
