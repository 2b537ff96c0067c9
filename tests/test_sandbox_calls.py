"""The list of system calls, read by an interpreter of its own, and Landlock beside it."""

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minilm.sandbox.inside import calls, confine


def verdict(machine: str, number: int, *arguments: int, pid: int = 77) -> int:
    """What the filter says to a call: classic BPF, read as linux/filter.h defines it."""
    column, architecture = calls.ARCHITECTURES[machine]
    data = struct.pack("<IIQ6Q", number, architecture, 0, *(*arguments, *[0] * 6)[:6])
    code = [struct.unpack("<HBBI", line) for line in _chunks(calls.program(machine, pid), 8)]
    at = held = 0
    while True:
        what, yes, no, value = code[at]
        at += 1
        if what == 0x20:
            (held,) = struct.unpack_from("<I", data, value)
        elif what == 0x06:
            return value
        else:
            test = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[what]
            at += yes if test else no


def _chunks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


REFUSED = {  # (x86_64, aarch64), from the kernel's tables
    "fork": (57, None), "execve": (59, 221), "socket": (41, 198), "chmod": (90, None),
    "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None), "fchownat": (260, 54),
    "utimensat": (280, 88), "setxattr": (188, 5), "flock": (73, 32), "truncate": (76, 45),
    "setpriority": (141, 140), "sched_setscheduler": (144, 119), "ioprio_set": (251, 30),
    "ptrace": (101, 117), "mount": (165, 40), "unshare": (272, 97), "memfd_create": (319, 279),
    "tkill": (200, 130), "link": (86, None), "linkat": (265, 37), "symlinkat": (266, 36),
    "mknodat": (259, 33), "sched_setaffinity": (203, 122), "setsid": (112, 157), "bpf": (321, 280),
    "io_uring_setup": (425, 425), "pidfd_open": (434, 434), "mount_setattr": (442, 442),
    "setuid": (105, 146), "recvmsg": (47, 212), "sendmsg": (46, 211), "shmget": (29, 194),
}  # fmt: skip


@pytest.mark.parametrize("machine", calls.ARCHITECTURES)
def test_what_is_not_listed_is_refused(machine: str) -> None:
    column = calls.ARCHITECTURES[machine][0]
    for name, numbers in REFUSED.items():
        if numbers[column] is not None:
            assert verdict(machine, numbers[column]) != calls.ALLOW, name
    allowed = [n[column] for n in calls.ALLOWED.values() if n[column] is not None]
    found = [n for n in range(600) if verdict(machine, n, 99, 99) == calls.ALLOW]
    assert found == sorted(allowed)


@pytest.mark.parametrize("machine", calls.ARCHITECTURES)
def test_calls_that_do_many_things_are_filtered(machine: str) -> None:
    column = calls.ARCHITECTURES[machine][0]
    kill, clone = calls.TO_ITSELF["kill"][column], calls.CLONE[column]
    fcntl, limit = calls.FILTERED["fcntl"][0][column], calls.FILTERED["prlimit64"][0][column]
    assert verdict(machine, kill, 77, 9) == calls.ALLOW != verdict(machine, kill, 78, 9)
    assert verdict(machine, kill, 2**32 - 1, 9) != calls.ALLOW
    assert verdict(machine, clone, 0x3D0F00) == calls.ALLOW != verdict(machine, clone, 0x1200011)
    for command in (1, 2, 3, 4):
        assert verdict(machine, fcntl, 5, command) == calls.ALLOW
    for command in (6, 7, 8, 10, 37, 38, 1024, 1026, 1033):  # locks, owners, leases, pipe sizes
        assert verdict(machine, fcntl, 5, command) != calls.ALLOW
    assert verdict(machine, limit, 0, 7) == calls.ALLOW != verdict(machine, limit, 1, 7)


def test_numbers_of_another_architecture_end_the_process() -> None:
    data = calls.program("x86_64", 1)
    assert verdict("x86_64", 0x40000000 | 1) != calls.ALLOW
    assert struct.pack("<HBBI", 0x06, 0, 0, calls.KILL) in data


def forked(action: Callable[[], None]) -> int:
    """The exit status of a fork that runs this; 99 for any error."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            action()
            code = 0
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_landlock_without_a_user_of_its_own_changes_nothing(tmp_path: Path) -> None:
    """The grader as an ordinary user: its worker is the same user, with no way to its files."""
    tmp_path.chmod(0o755)
    mine = tmp_path / "grades.csv"
    mine.write_text("ann,5")
    owner = 64_000 if os.geteuid() == 0 else os.geteuid()
    if os.geteuid() == 0:
        os.chown(mine, owner, owner)
    before = mine.stat()

    def locked_in() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(owner, owner, owner)
            os.setresuid(owner, owner, owner)
        parent = os.getppid()
        locks = {"readable": ["/usr/lib"], "listed": [], "writable": ["/dev/null"]}
        limits = {"memory": 8 << 30, "seconds": 60, "file": 1 << 20}
        confine.confine({**limits, "landlock": locks})
        for change in (
            lambda: os.chmod(mine, 0o777),
            lambda: os.utime(mine, (0, 0)),
            lambda: mine.read_text(),
            lambda: mine.write_text("ann,50"),
            lambda: os.truncate(mine, 0),
            lambda: mine.unlink(),
            lambda: os.setpriority(os.PRIO_PROCESS, 0, 19),
            lambda: os.kill(parent, 0),
            lambda: os.kill(-1, 0),
            lambda: os.setxattr(mine, "user.note", b"x"),
        ):
            try:
                change()
            except OSError:
                continue
            raise AssertionError(change.__code__.co_firstlineno)

    assert forked(locked_in) == 0
    after = mine.stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_size) == (
        before.st_mode, before.st_mtime_ns, before.st_size,
    )  # fmt: skip
