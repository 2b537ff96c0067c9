"""The other side of `disposable`: a warm process, a keeper for each place, a fork for each piece.

A keeper runs nothing but this file. It gives each fork its limits, ends it when its time is up, and
then everything that is left of it, which the kernel hands to the keeper (prctl(2), subreaper).
"""

import ctypes
import importlib
import os
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from typing import Any

from minilm.sandbox.disposable import LARGEST_REQUEST, framed, read_frame

PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG = 36, 1
ENDING = {signal.SIGTERM}
LINUX = sys.platform.startswith("linux")


def main(arguments: list[str]) -> None:
    """Warm up, then serve the sockets named, or without any one piece over standard streams."""
    entry, *files = arguments
    module = importlib.import_module(entry)
    setup = read_frame(sys.stdin.buffer.read, LARGEST_REQUEST)
    state = module.prepare(setup)
    if not files:
        _alone(module, state)
        return
    ends = [socket.socket(fileno=int(file)) for file in files]
    keepers = []
    for number, end in enumerate(ends):
        pid = os.fork()
        if pid == 0:
            for other in ends[:number] + ends[number + 1 :]:
                other.close()
            try:
                _keep(module, state, end)
            except _EndedBySignal:
                pass
            except BaseException:
                traceback.print_exc()  # else nobody would learn why the grader lost it
            finally:
                os._exit(0)
        keepers.append(pid)
    for end in ends:
        end.close()
    sys.stdin.buffer.read()  # until the grader closes it, or is gone
    for pid in keepers:
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


def _alone(module: Any, state: Any) -> None:
    request, _ = read_frame(sys.stdin.buffer.read, LARGEST_REQUEST)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a test prints is no message

    def send(message: Any) -> None:
        out.write(framed(message))
        out.flush()

    module.work(state, request, send)


def _keep(module: Any, state: Any, end: socket.socket) -> None:
    """Piece after piece, until the other side hangs up."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGTERM, _ended_by_signal)
    with end, end.makefile("rb") as stream:
        while True:
            asked = read_frame(stream.read, LARGEST_REQUEST)
            if asked is None:
                return
            request, allowance = asked
            how, cpu = _piece(module, state, request, allowance, end)
            try:
                end.sendall(framed({"ended": how, "cpu": cpu}))
            except OSError:
                return


class _EndedBySignal(BaseException):
    pass


class _HungUp(BaseException):
    pass


def _send(end: socket.socket, message: Any) -> None:
    """Send a message of a piece; nobody is told where nobody listens any more."""
    try:
        end.sendall(framed(message))
    except OSError:
        raise _HungUp from None


def _ended_by_signal(number: int, frame: Any) -> None:
    raise _EndedBySignal


def _piece(
    module: Any, state: Any, request: Any, allowance: dict[str, Any], end: socket.socket
) -> tuple[str, float]:
    """Fork one piece; returns how it ended and the processor time it took."""
    read, write = os.pipe()  # nobody writes to it: its end tells that the child is gone
    # a fork runs callbacks, and an exception that a signal raised in one of them would be lost
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    pid = os.fork()
    if pid == 0:
        os.close(read)
        _child(module, state, request, allowance, end)
    ready: list[Any] = []
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        os.close(write)
        # on the socket nothing is sent during a piece, so it is readable if the grader hung up
        ready, _, _ = select.select([read, end], [], [], allowance["wall"])
    finally:
        os.close(read)
        if read not in ready:
            os.kill(pid, signal.SIGKILL)
        _, status, used = os.wait4(pid, 0)
        _end_what_is_left()
    late = not ready or os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
    done = os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
    return "time" if late else "done" if done else "gone", used.ru_utime + used.ru_stime


def _child(
    module: Any, state: Any, request: Any, allowance: dict[str, Any], end: socket.socket
) -> None:
    """What the fork does; it does not return."""
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _limit(allowance)
        module.work(state, request, lambda message: _send(end, message))
        code = 0
    except (MemoryError, _HungUp):
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _limit(allowance: dict[str, Any]) -> None:
    import resource

    seconds = int(allowance["cpu"]) + 1
    wanted = {
        resource.RLIMIT_AS: (allowance["memory"], allowance["memory"]),
        resource.RLIMIT_CPU: (seconds, seconds + 5),
        resource.RLIMIT_NOFILE: (allowance["files"], allowance["files"]),
        resource.RLIMIT_CORE: (0, 0),
    }
    for name, (soft, hard) in wanted.items():
        most = resource.getrlimit(name)[1]
        most = hard if most == resource.RLIM_INFINITY else min(hard, most)
        with suppress(ValueError, OSError):  # macOS does not know every limit
            resource.setrlimit(name, (min(soft, most), most))
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where memory runs out, this process goes first


def _end_what_is_left() -> None:
    """Kill and reap what a fork has left running."""
    for _ in range(100):
        with suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as file:
            for pid in file.read().split():
                with suppress(OSError):
                    os.kill(int(pid), signal.SIGKILL)
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)
        except ChildProcessError:
            return


def _prctl(option: int, value: int) -> None:
    if LINUX:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
