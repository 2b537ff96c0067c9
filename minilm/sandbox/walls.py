"""The wall between a submission and everything else.

    bwrap       bubblewrap: own file system, processes, network and users; where it is installed
    landlock    the kernel's own access control (Linux 5.13 and later), when bubblewrap is not there
    none        only limits; on macOS and Windows, and only if asked for with --unsafe

On all of them the worker also limits its memory and processor time, gives up root for a user who
owns nothing, and (on Linux) the system calls that start processes or reach a network.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilm.sandbox.libraries import ALWAYS, entries

KINDS = ("bwrap", "bwrap-user", "landlock", "none")
FIRST_UID = (
    64_200  # users that no system hands out; with MOST below 65534, the most a container maps
)
DISK = 64 << 20  # bytes that a submission may write
BUDGET = 6  # questions' worth of time that a submission may use up in all
PATIENCE = 5  # seconds on the wall for one of processor time, as machines are busy
FILES = 1_000  # files that it may make
SYSTEM = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/lib", "/lib32", "/lib64")
SYSTEM += ("/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
SITES = ("site-packages", "dist-packages")  # what is installed lies in folders of these names
ENVIRONMENT = {
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "MPLBACKEND": "Agg",
    "NUMBA_CACHE_DIR": "/tmp",
    "NUMBA_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PATH": "/usr/bin",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
}


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes:
        memory: bytes of address space.
        seconds: of processor time, for a question at a level and for a cell. The wall clock is
            only a stop for what waits for nothing: it gives PATIENCE times as much.
    """

    memory: int = 2 << 30
    seconds: float = 10.0

    @property
    def budget(self) -> float:
        """Seconds of processor time of a whole submission: its cells and all its questions."""
        return BUDGET * self.seconds


def python_folders() -> list[str]:
    """Where the interpreter's own library lies: not all below its prefix, which may hold more."""
    prefixes = [sys.base_prefix, sys.base_exec_prefix]
    prefixes.append(str(Path(os.path.realpath(sys.executable)).parents[1]))
    found = [os.path.join(prefix, lib) for prefix in prefixes for lib in ("lib", "lib64")]
    return [path for path in dict.fromkeys(found) if os.path.isdir(path)]


def site_folders(roots: Sequence[str]) -> list[str]:
    """The folders of installed packages below these roots, where Python looks for them."""
    found = []
    for root in roots:
        for python in ("", "python3*/", "lib/python3*/", "lib64/python3*/"):
            for name in SITES:
                found += [os.path.realpath(p) for p in sorted(Path(root).glob(python + name))]
    return list(dict.fromkeys(found))


def opened(root: str, closed: Sequence[str]) -> tuple[list[str], list[str]]:
    """What of a tree may be read, without the `closed` folders in it: (read, only listed)."""
    inside = [path for path in closed if Path(path).is_relative_to(root)]
    if not inside or root in inside:
        return ([] if root in inside else [root]), []
    read, listed = [], [root]
    for entry in sorted(Path(root).iterdir()):
        if entry.is_symlink() or not entry.is_dir():
            read.append(str(entry))
            continue
        more = opened(str(entry), inside)
        read += more[0]
        listed += more[1]
    return read, listed


class Isolation:
    """One kind of wall, as found by `sandbox.choice.choose`."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.root = hasattr(os, "geteuid") and os.geteuid() == 0

    def command(
        self, kit: Path, packages: Sequence[str], place: int = 0
    ) -> tuple[list[str], dict[str, Any]]:
        """The command line that starts a worker, and the keywords that `Popen` needs for it.

        Args:
            kit: the folder of the worker's role.
            packages: that it may import; see `sandbox.libraries`.
            place: its number, see `sandbox.places`.
        """
        found = entries(packages)
        if self.kind.startswith("bwrap"):
            folder, line = "/kit", self._bwrap(kit, found)
        else:
            folder, line = str(kit), []
        # neither the user's folders nor the script's; the environment is ours, and it is read
        line += [sys.executable, "-s", "-S", "-P", "-B", f"{folder}/start.py", *found]
        options = {"env": dict(ENVIRONMENT), "cwd": "/" if os.name == "posix" else str(kit)}
        if sys.platform == "win32":
            options["env"]["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", "")
        else:
            options["start_new_session"] = True
        if self.kind == "bwrap-user" and self.root:
            uid = FIRST_UID + place
            options |= {"user": uid, "group": uid, "extra_groups": []}
        return line, options

    def _bwrap(self, kit: Path, packages: dict[str, list[str]]) -> list[str]:
        line = ["bwrap", "--die-with-parent", "--new-session"]
        if self.kind == "bwrap" and self.root:
            # real namespaces without a user namespace: inside, root turns into somebody else
            line += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
            line += ["--unshare-cgroup-try", "--cap-drop", "ALL"]
            line += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        else:
            line += ["--unshare-all", "--uid", "65534", "--gid", "65534"]
        # for the worker's own /tmp, which bubblewrap cannot give a limit of files
        line += ["--cap-add", "CAP_SYS_ADMIN", "--tmpfs", "/tmp"]
        python = Path(sys.executable)  # in a virtual environment a link to the interpreter
        trees = [*SYSTEM, *python_folders()]
        shown = [*trees, str(python), os.path.realpath(python), f"{python.parents[1]}/pyvenv.cfg"]
        shown = [p for p in dict.fromkeys(shown) if os.path.exists(p)]
        tops = [p for p in shown if not any(Path(p).is_relative_to(q) for q in shown if q != p)]
        chosen = [entry for found in packages.values() for entry in found]
        above = {parent for p in [*tops, *chosen] for parent in Path(p).parents}
        above = {p for p in above if not any(p.is_relative_to(q) for q in tops)}
        for folder in sorted(above - {Path("/"), Path("/tmp")}):
            line += ["--perms", "0755", "--dir", str(folder)]  # else they were for root's eyes only
        for path in tops:  # /lib is a link to /usr/lib, and a second mount would need masks too
            link = os.path.islink(path) and os.path.isdir(path)
            line += ["--symlink", os.readlink(path), path] if link else ["--ro-bind", path, path]
        sites = site_folders(trees)
        for folder in sites:
            line += ["--perms", "0755", "--tmpfs", folder]
        for path in chosen:
            line += ["--ro-bind", path, path]
        for folder in sites:
            line += ["--remount-ro", folder]
        line += ["--ro-bind", str(kit), "/kit", "--perms", "0755", "--tmpfs", "/dev"]
        for path in filter(os.path.exists, DEVICES):
            line += ["--dev-bind", path, path]
        line += ["--remount-ro", "/dev", "--remount-ro", "/tmp", "--remount-ro", "/"]
        return [*line, "--chdir", "/tmp", "--"]

    def plan(
        self, kit: Path, packages: Sequence[str], limits: Limits, place: int = 0
    ) -> dict[str, Any]:
        """What the worker is told to do to itself before it runs a line of student code."""
        plan = {
            "packages": list(packages),
            "memory": int(limits.memory),
            "seconds": int(limits.budget) + 60,  # the clock of the grader is the real one
            "file": DISK,
            "nice": 5,
            "cpu": _processor(place),
            "processes": None,
            "scratch": (DISK, FILES) if self._may_write(packages) else None,
        }
        if self.root and self.kind in ("bwrap", "landlock", "none"):
            plan["uid"] = FIRST_UID + place
            plan["keep_reading"] = self.kind != "bwrap" and not open_to_all(kit)
        if self.root or self.kind.startswith("bwrap"):
            plan["processes"] = 64  # threads count; without a user of its own it would count others
        if self.kind == "landlock":
            trees = [p for p in [*SYSTEM, *python_folders()] if os.path.isdir(p)]
            closed = site_folders(trees)
            read, listed = [str(kit), *DEVICES, "/sys/devices/system/cpu"], []
            read += [p for p in SYSTEM if os.path.isfile(p)]
            for tree in dict.fromkeys(os.path.realpath(p) for p in trees):
                more = opened(tree, closed)
                read += more[0]
                # to find modules Python reads a folder's names; the loader of libraries does not
                listed += [path for path in more[1] if Path(path).name.startswith("python3.")]
            for folder, found in entries(packages).items():
                read += found
                listed.append(folder)
            plan["landlock"] = {"readable": read, "listed": listed, "writable": ["/dev/null"]}
        return plan

    def _may_write(self, packages: Sequence[str]) -> bool:
        """Whether the worker gets a /tmp of its own: it would cover a Python that lies below it."""
        needed = [sys.executable, *python_folders(), *entries(packages)]
        return self.kind.startswith("bwrap") and not any(
            Path(path).is_relative_to("/tmp") for path in needed
        )


def _processor(place: int) -> int | None:
    """Each worker keeps to one processor, so that a busy one cannot slow its neighbours."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    ours = sorted(os.sched_getaffinity(0))
    return ours[place % len(ours)]


def readable_by_others(path: str) -> bool:
    """Whether a user who owns nothing gets through to a path."""
    place = Path(path)
    return all(part.stat().st_mode & 0o1 for part in [*place.parents, place] if part.is_dir())


def open_to_all(kit: Path) -> bool:
    """Whether a user who owns nothing can read all that a worker needs."""
    needed = [*python_folders(), *entries(ALWAYS), str(kit)]
    return all(readable_by_others(path) for path in needed)
