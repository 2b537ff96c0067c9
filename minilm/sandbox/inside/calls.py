"""The system calls that an answer may make: a list, and all others are refused.

Sources: seccomp(2), classic BPF, the kernel's tables of system calls. Files may be read and, where
the wall has given a place for it, written; memory, threads, clocks and waiting are the rest. No
call here changes what belongs to others: no owner, mode, time stamp, lock or priority.
"""

import ctypes
import os
import platform
import struct
import sys

# name: (x86_64, aarch64)
ALLOWED = {
    "read": (0, 63), "write": (1, 64), "open": (2, None), "close": (3, 57), "stat": (4, None),
    "fstat": (5, 80), "lstat": (6, None), "poll": (7, None), "lseek": (8, 62), "mmap": (9, 222),
    "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "pread64": (17, 67),
    "pwrite64": (18, 68), "readv": (19, 65), "writev": (20, 66), "access": (21, None),
    "pipe": (22, None), "select": (23, None), "sched_yield": (24, 124), "mremap": (25, 216),
    "mincore": (27, 232), "madvise": (28, 233), "dup": (32, 23), "dup2": (33, None),
    "pause": (34, None), "nanosleep": (35, 101), "getitimer": (36, 102), "alarm": (37, None),
    "setitimer": (38, 103), "getpid": (39, 172), "sendfile": (40, 71), "exit": (60, 93),
    "uname": (63, 160), "fsync": (74, 82), "fdatasync": (75, 83), "ftruncate": (77, 46),
    "getdents": (78, None), "getcwd": (79, 17), "chdir": (80, 49), "fchdir": (81, 50),
    "rename": (82, None), "mkdir": (83, None), "rmdir": (84, None), "unlink": (87, None),
    "readlink": (89, None), "umask": (95, 166), "gettimeofday": (96, 169), "getrlimit": (97, 163),
    "getrusage": (98, 165), "sysinfo": (99, 179), "times": (100, 153), "getuid": (102, 174),
    "getgid": (104, 176), "geteuid": (107, 175), "getegid": (108, 177), "getppid": (110, 173),
    "getpgrp": (111, None), "getgroups": (115, 158), "getresuid": (118, 148),
    "getresgid": (120, 150), "getpgid": (121, 155), "getsid": (124, 156),
    "rt_sigpending": (127, 136), "rt_sigtimedwait": (128, 137), "rt_sigsuspend": (130, 133),
    "sigaltstack": (131, 132), "statfs": (137, 43), "fstatfs": (138, 44),
    "getpriority": (140, 141), "sched_getparam": (143, 121), "sched_getscheduler": (145, 120),
    "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126),
    "arch_prctl": (158, None), "gettid": (186, 178), "time": (201, None), "futex": (202, 98),
    "sched_getaffinity": (204, 123), "getdents64": (217, 61), "set_tid_address": (218, 96),
    "restart_syscall": (219, 128), "fadvise64": (221, 223), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "exit_group": (231, 94),
    "epoll_wait": (232, None), "epoll_ctl": (233, 21), "openat": (257, 56), "mkdirat": (258, 34),
    "newfstatat": (262, 79), "unlinkat": (263, 35), "renameat": (264, 38), "readlinkat": (267, 78),
    "faccessat": (269, 48), "pselect6": (270, 72), "ppoll": (271, 73),
    "set_robust_list": (273, 99), "get_robust_list": (274, 100), "epoll_pwait": (281, 22),
    "eventfd2": (290, 19), "epoll_create1": (291, 20), "dup3": (292, 24), "pipe2": (293, 59),
    "preadv": (295, 69), "pwritev": (296, 70), "getcpu": (309, 168), "renameat2": (316, 276),
    "getrandom": (318, 278), "membarrier": (324, 283), "statx": (332, 291), "rseq": (334, 293),
    "close_range": (436, 436), "openat2": (437, 437), "faccessat2": (439, 439),
    "epoll_pwait2": (441, 441), "futex_waitv": (449, 449),
}  # fmt: skip
# Calls that do many things: (x86_64, aarch64), which argument decides, the values that pass.
# fcntl: duplicate and flags, no locks, leases or owners. ioctl: close on exec, what is waiting, is
# it a terminal. prctl: names of threads and what is only read. prlimit64: of itself.
F_DUPFD_CLOEXEC, PR_SET_VMA = 1030, 0x53564D41
FILTERED = {
    "fcntl": ((72, 25), 1, (0, 1, 2, 3, 4, F_DUPFD_CLOEXEC)),
    "ioctl": ((16, 29), 1, (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)),
    "prctl": ((157, 167), 0, (3, 15, 16, 21, 23, 39, PR_SET_VMA)),
    "prlimit64": ((302, 261), 0, (0,)),
}
TO_ITSELF = {"kill": (62, 129), "tgkill": (234, 131)}  # signals, to its own process only
CLONE, CLONE_THREAD = (56, 220), 0x10000
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
NEWER = 424  # from here on, calls have one number everywhere; libc can do without each of them
EPERM, ENOSYS = 1, 38
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 38, 22


def is_known() -> bool:
    """Whether the list can be closed on this machine."""
    return (
        sys.platform.startswith("linux")
        and platform.machine() in ARCHITECTURES
        and sys.maxsize > 1 << 32
    )


def program(machine: str, pid: int) -> bytes:
    """The filter as classic BPF: what is listed goes through, all else fails with an error."""
    column, architecture = ARCHITECTURES[machine]
    load, equal, above, bits, give = 0x20, 0x15, 0x35, 0x45, 0x06
    out: list[tuple[int, int, int, int]] = []
    out += [(load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, KILL), (load, 0, 0, 0)]
    if machine == "x86_64":  # the x32 numbers would walk around the list
        out += [(above, 0, 1, 0x40000000), (give, 0, 0, ERRNO | EPERM)]
    for numbers in ALLOWED.values():
        if numbers[column] is not None:
            out += [(equal, 0, 1, numbers[column]), (give, 0, 0, ALLOW)]
    chosen = [(numbers, argument, values) for numbers, argument, values in FILTERED.values()]
    chosen += [(numbers, 0, (pid,)) for numbers in TO_ITSELF.values()]
    for numbers, argument, values in chosen:
        tests: list[tuple[int, int, int, int]] = [(load, 0, 0, 16 + 8 * argument)]
        for value in values:
            tests += [(equal, 0, 1, value), (give, 0, 0, ALLOW)]
        tests += [(give, 0, 0, ERRNO | EPERM)]
        out += [(equal, 0, len(tests), numbers[column]), *tests]
    # clone3 hides its flags behind a pointer; as it does not exist, libc uses clone
    out += [(equal, 0, 4, CLONE[column]), (load, 0, 0, 16), (bits, 0, 1, CLONE_THREAD)]
    out += [(give, 0, 0, ALLOW), (give, 0, 0, ERRNO | EPERM)]
    out += [(above, 0, 1, NEWER), (give, 0, 0, ERRNO | ENOSYS), (give, 0, 0, ERRNO | EPERM)]
    return b"".join(struct.pack("<HBBI", *line) for line in out)


def close_list() -> bool:
    """Refuse all other system calls from now on; False where the machine's are not known.

    Raises:
        OSError: the kernel refused.
    """
    if not is_known():
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(program(platform.machine(), os.getpid()))
    filter_ = struct.pack("@HP", len(code) // 8, ctypes.addressof(code))
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, 2, filter_, 0, 0)):
        if libc.prctl(*arguments) < 0:
            raise OSError(ctypes.get_errno(), "seccomp")
    return True
