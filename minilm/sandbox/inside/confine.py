"""A process that locks itself in: resource limits, another user, Landlock, a list of system calls.

Each lock can only be tightened, never opened again. All of it is plain system calls through
ctypes, so no package has to be installed. Sources: landlock(7), seccomp(2), setrlimit(2).
"""

import ctypes
import os
import signal
import struct
import sys
from typing import Any

from . import calls

try:
    import resource
except ImportError:  # Windows
    resource = None

PR_SET_NO_NEW_PRIVS, PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_SET_PDEATHSIG = 38, 4, 8, 1
NOSUID, NODEV, NOEXEC = 2, 4, 8  # of mount(2)
SAFE_WITHOUT_A_USER = 3  # the Landlock version that also guards a file's length
CAP_DAC_READ_SEARCH, CAPABILITY_VERSION_3 = 2, 0x20080522
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446  # the same on every machine
# access rights of landlock(7): execute, read a file, read a folder; all others change something
READ, READ_FOLDER = 0b1 | 0b100, 0b1000
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # ABI -> how many rights on files it knows
FILE_RIGHTS = 0b1 | 0b10 | 0b100 | 1 << 14 | 1 << 15  # what a rule on a single file may name


class ConfineError(RuntimeError):
    """A lock that this kernel does not offer or refused."""


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _call(what: str, result: int) -> int:
    if result < 0:
        raise ConfineError(f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def landlock_abi() -> int:
    """The Landlock version of this kernel, 0 where there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, _libc().syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1))


def landlock(readable: list[str], listed: list[str], writable: list[str]) -> None:
    """From now on open only files below these paths, and no TCP port.

    Args:
        readable: files and folders.
        listed: folders of which only the names of their entries may be read.
        writable: files.

    Raises:
        ConfineError: the kernel has no Landlock, or refused.
    """
    abi = landlock_abi()
    if not abi:
        raise ConfineError("this kernel has no Landlock")
    libc = _libc()
    rights = (1 << RIGHTS.get(min(abi, 5), 16)) - 1
    # struct landlock_ruleset_attr: files, network (ABI 4), scopes of signals and sockets (ABI 6)
    fields = [rights, 0b11 if abi >= 4 else 0, 0b11 if abi >= 6 else 0]
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    attributes = struct.pack("<3Q", *fields)[:size]
    rules = _call("landlock", libc.syscall(LANDLOCK_CREATE, attributes, ctypes.c_size_t(size), 0))
    wishes = [(path, READ | READ_FOLDER) for path in readable]
    wishes += [(path, READ_FOLDER) for path in listed] + [(path, rights) for path in writable]
    for path, wanted in wishes:
        try:
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # nothing there to be opened
        if not os.path.isdir(path):
            wanted &= FILE_RIGHTS
        rule = struct.pack("<Qi", wanted & rights, handle)
        _call("landlock rule", libc.syscall(LANDLOCK_ADD, rules, 1, rule, 0))
        os.close(handle)
    _call("no_new_privs", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _call("landlock", libc.syscall(LANDLOCK_RESTRICT, rules, 0))
    os.close(rules)


def scratch(size: int, files: int) -> bool:
    """An empty /tmp of so many bytes and files; False where it cannot be had.

    What lies below is empty too, and cannot be written. Needs the right to mount inside the
    worker's own namespace, which is given up by `drop_rights`.
    """
    options = f"size={size},nr_inodes={files},mode=1777".encode()
    return _libc().mount(b"tmpfs", b"/tmp", b"tmpfs", NOSUID | NODEV | NOEXEC, options) == 0


def drop_rights() -> None:
    """Give up every capability."""
    header = struct.pack("<Ii", CAPABILITY_VERSION_3, 0)
    _call("capset", _libc().capset(header, struct.pack("<6I", 0, 0, 0, 0, 0, 0)))


def limits(memory: int, seconds: int, file: int, processes: int | None) -> None:
    """Address space and file size in bytes, processor time in seconds, number of threads."""
    wanted = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: file,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
    }
    for name in ("RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE"):
        if hasattr(resource, name):
            wanted[getattr(resource, name)] = 0
    if processes is not None:
        wanted[resource.RLIMIT_NPROC] = processes
    for name, most in wanted.items():
        hard = resource.getrlimit(name)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(name, (most, most))
        except (ValueError, OSError):
            if sys.platform.startswith("linux"):
                raise  # macOS does not know every limit


def become(uid: int, keep_reading: bool = False) -> None:
    """Be another, unprivileged user for good.

    With `keep_reading` one capability stays: to read where file permissions say no (a Python in
    root's home). Landlock still decides what may be opened, so it is only for use with that.
    """
    libc = _libc()
    if keep_reading:
        _call("keepcaps", libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if keep_reading:
        only = 1 << CAP_DAC_READ_SEARCH
        header = struct.pack("<Ii", CAPABILITY_VERSION_3, 0)
        _call("capset", libc.capset(header, struct.pack("<6I", only, only, 0, 0, 0, 0)))


def die_with_parent() -> None:
    """Be no business of other processes, and end with the one that started this."""
    _libc().prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    _libc().prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # after the change of user


def confine(plan: dict[str, Any]) -> None:
    """Close every lock that the grader's plan names, in the order in which they can be closed.

    Raises:
        ConfineError: a lock that the plan needs does not close here.
    """
    if resource is None:
        return
    linux = sys.platform.startswith("linux")
    if plan.get("cpu") is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {plan["cpu"]})
    if plan.get("nice"):
        os.nice(plan["nice"])
    if plan.get("scratch") is not None:
        scratch(*plan["scratch"])
    if plan.get("uid") is not None:
        become(plan["uid"], plan.get("keep_reading", False))
    elif plan.get("scratch") is not None:
        drop_rights()
    limits(plan["memory"], plan["seconds"], plan["file"], plan.get("processes"))
    if plan.get("landlock") is not None:
        if plan.get("uid") is None and landlock_abi() < SAFE_WITHOUT_A_USER:
            raise ConfineError("without a user of its own a worker needs Linux 6.2 for Landlock")
        landlock(**plan["landlock"])
    if linux:
        die_with_parent()
        # who runs programs forks a child for each, and the child closes this lock
        closed = calls.is_known() if plan.get("programs") else calls.close_list()
        if not closed and plan.get("landlock") is not None and plan.get("uid") is None:
            raise ConfineError("the system calls of this machine are not known")
