"""A process that locks itself in: resource limits, another user, Landlock, seccomp.

Each lock can only be tightened, never opened again. All of it is plain system calls through
ctypes, so no package has to be installed. Sources: landlock(7), seccomp(2), setrlimit(2).
"""

import ctypes
import os
import platform
import struct
import sys
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_SET_DUMPABLE, PR_SET_KEEPCAPS = 38, 22, 4, 8
CAP_DAC_READ_SEARCH, CAPABILITY_VERSION_3 = 2, 0x20080522
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446  # the same on every machine
# access rights of landlock(7): execute, read a file, read a folder; all others change something
READ, READ_FOLDER = 0b1 | 0b100, 0b1000
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # ABI -> how many rights on files it knows
FILE_RIGHTS = 0b1 | 0b10 | 0b100 | 1 << 14 | 1 << 15  # what a rule on a single file may name

# System calls that no answer to an exercise needs: (x86_64, aarch64). New processes, sockets,
# tracing, namespaces, memory outside the address-space limit, other kernels' doors.
FORBIDDEN = {
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "shmget": (29, 194), "mq_open": (240, 180), "msgget": (68, 186),
    "semget": (64, 190), "io_uring_setup": (425, 425), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "keyctl": (250, 219),
    "add_key": (248, 217), "request_key": (249, 218), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "sched_setaffinity": (203, 122),
    "prlimit64": (302, 261), "open_by_handle_at": (304, 265), "kcmp": (312, 272),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "setpgid": (109, 154),
    "setsid": (112, 157), "inotify_init1": (294, 26), "fanotify_init": (300, 262),
}  # fmt: skip
SIGNALS = {"kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131)}  # to itself only
CLONE, CLONE3, CLONE_THREAD = (56, 220), (435, 435), 0x10000
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
EPERM, ENOSYS = 1, 38
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000


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


def landlock(readable: list[str], writable: list[str]) -> None:
    """From now on open only files below these paths, and no TCP port.

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
    for path, wanted in [(p, READ | READ_FOLDER) for p in readable] + [
        (p, rights) for p in writable
    ]:
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


def seccomp_program(machine: str, pid: int) -> bytes:
    """The filter as classic BPF: everything above is refused with EPERM, all else goes through."""
    column, architecture = ARCHITECTURES[machine]
    out: list[tuple[int, int, int, int]] = []
    load, equal, above, bits, give = 0x20, 0x15, 0x35, 0x45, 0x06
    out += [(load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, KILL), (load, 0, 0, 0)]
    if machine == "x86_64":  # the x32 numbers would walk around the list
        out += [(above, 0, 1, 0x40000000), (give, 0, 0, ERRNO | EPERM)]
    for numbers in FORBIDDEN.values():
        if numbers[column] is not None:
            out += [(equal, 0, 1, numbers[column]), (give, 0, 0, ERRNO | EPERM)]
    # clone3 hides its flags behind a pointer; ENOSYS makes libc use clone, whose flags we can read
    out += [(equal, 0, 1, CLONE3[column]), (give, 0, 0, ERRNO | ENOSYS)]
    out += [(equal, 0, 4, CLONE[column]), (load, 0, 0, 16), (bits, 0, 1, CLONE_THREAD)]
    out += [(give, 0, 0, ALLOW), (give, 0, 0, ERRNO | EPERM)]
    for name, numbers in SIGNALS.items():
        if name == "tkill":  # it names a thread, which may be anybody's
            out += [(equal, 0, 1, numbers[column]), (give, 0, 0, ERRNO | EPERM)]
            continue
        out += [(equal, 0, 4, numbers[column]), (load, 0, 0, 16), (equal, 0, 1, pid)]
        out += [(give, 0, 0, ALLOW), (give, 0, 0, ERRNO | EPERM)]
    out.append((give, 0, 0, ALLOW))
    return b"".join(struct.pack("<HBBI", *line) for line in out)


def seccomp() -> bool:
    """Refuse the system calls above from now on; False where the machine's are not known."""
    machine = platform.machine()
    if machine not in ARCHITECTURES or sys.maxsize < 1 << 32:
        return False
    libc = _libc()
    code = ctypes.create_string_buffer(seccomp_program(machine, os.getpid()))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(code))
    _call("no_new_privs", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    result = libc.prctl(PR_SET_SECCOMP, 2, ctypes.c_char_p(program), 0, 0)
    _call("seccomp", result)
    return True


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


def confine(plan: dict[str, Any]) -> None:
    """Close every lock that the grader's plan names, in the order in which they can be closed."""
    if resource is None:
        return
    if plan.get("cpu") is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {plan["cpu"]})
    if plan.get("nice"):
        os.nice(plan["nice"])
    if plan.get("uid") is not None:
        become(plan["uid"], plan.get("keep_reading", False))
    limits(plan["memory"], plan["seconds"], plan["file"], plan.get("processes"))
    if plan.get("landlock") is not None:
        landlock(plan["landlock"]["read"], plan["landlock"]["write"])
    if sys.platform.startswith("linux"):
        _libc().prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        seccomp()
