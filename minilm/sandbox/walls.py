"""The wall between a submission and everything else.

    bwrap       bubblewrap: own file system, processes, network and users; where it is installed
    landlock    the kernel's own access control (Linux 5.13 and later), when bubblewrap is not there
    none        only limits; on macOS and Windows, and only if asked for with --unsafe

On all of them the worker also limits its memory and processor time, gives up root for a user who
owns nothing, and (on Linux) the system calls that start processes or reach a network.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from minilm.sandbox.kit import site_folders

KINDS = ("bwrap", "bwrap-user", "landlock", "none")
FIRST_UID = 64_200  # users that no system hands out; below 65534, the most a container maps
DISK = 64 << 20  # bytes that a submission may write
HIDDEN_PACKAGES = ("minilm", "torch", "transformers", "tokenizers", "tiktoken", "tensorflow", "jax")
SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/localtime")
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
}


@dataclass(frozen=True)
class Limits:
    """What one submission may use: bytes of memory, seconds per question and per cell."""

    memory: int = 2 << 30
    seconds: float = 10.0


def visible_packages(folder: str) -> list[str]:
    """What of a site folder a submission may import: all but the answers and the oracles."""
    return [str(entry) for entry in sorted(Path(folder).iterdir()) if not _hidden(entry.name)]


def _hidden(name: str) -> bool:
    bare = name.lower().lstrip("_").replace("editable___", "").split("-")[0].split(".")[0]
    return bare in HIDDEN_PACKAGES or name.endswith((".pth", ".egg-link"))


def python_folders() -> list[str]:
    """What the interpreter itself needs to be read."""
    executable = os.path.realpath(sys.executable)
    places = [sys.base_prefix, sys.base_exec_prefix, str(Path(executable).parents[1])]
    inside_usr = [p for p in places if p == "/usr" or p.startswith("/usr/")]
    return list(dict.fromkeys(p for p in places if p not in inside_usr and p != "/"))


class Isolation:
    """One kind of wall, as found by `sandbox.choice.choose`."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.root = hasattr(os, "geteuid") and os.geteuid() == 0

    def command(self, kit: Path, slot: int = 0) -> tuple[list[str], dict]:
        """The command line that starts a worker, and the keywords that `Popen` needs for it."""
        packages = site_folders()
        if self.kind.startswith("bwrap"):
            folder, line = "/kit", self._bwrap(kit, packages)
        else:
            folder, line = str(kit), []
        line += [sys.executable, "-I", "-S", "-B", f"{folder}/start.py", *packages]
        options = {"env": dict(ENVIRONMENT), "cwd": "/" if os.name == "posix" else str(kit)}
        if sys.platform == "win32":
            options["env"]["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", "")
        else:
            options["start_new_session"] = True
        if self.kind == "bwrap-user" and self.root:
            options |= {"user": FIRST_UID + slot, "group": FIRST_UID + slot, "extra_groups": []}
        return line, options

    def _bwrap(self, kit: Path, packages: list[str]) -> list[str]:
        line = ["bwrap", "--die-with-parent", "--new-session"]
        if self.kind == "bwrap" and self.root:
            # real namespaces without a user namespace: inside, root turns into somebody else
            line += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
            line += ["--unshare-cgroup-try", "--cap-drop", "ALL"]
            line += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        else:
            line += ["--unshare-all", "--uid", "65534", "--gid", "65534"]
        # first, because Python itself may lie below it
        line += ["--perms", "1777", "--size", str(DISK), "--tmpfs", "/tmp"]
        python = Path(sys.executable).parent  # a virtual environment's link to the interpreter
        shown = [*SYSTEM, *python_folders(), *packages, str(python), f"{python.parent}/pyvenv.cfg"]
        shown = [p for p in dict.fromkeys(shown) if os.path.exists(p)]
        tops = [p for p in shown if not any(Path(p).is_relative_to(q) for q in shown if q != p)]
        above = {parent for p in tops for parent in Path(p).parents}
        above -= {Path("/"), Path("/tmp")}
        for folder in sorted(above):  # bubblewrap would make them for root's eyes only
            line += ["--perms", "0755", "--dir", str(folder)]
        for path in tops:
            line += ["--ro-bind", path, path]
        for folder in packages:
            for entry in sorted(Path(folder).iterdir()):
                if _hidden(entry.name) and entry.is_dir():
                    line += ["--tmpfs", str(entry), "--remount-ro", str(entry)]
        line += ["--ro-bind", str(kit), "/kit", "--dev", "/dev", "--remount-ro", "/dev"]
        return [*line, "--remount-ro", "/", "--chdir", "/tmp", "--"]

    def plan(self, kit: Path, limits: Limits, slot: int = 0) -> dict:
        """What the worker is told to do to itself before it runs a line of student code."""
        plan = {
            "path": site_folders(),
            "memory": int(limits.memory),
            "seconds": int(limits.seconds * 100) + 100,  # the clock of the grader is the real one
            "file": DISK,
            "nice": 5,
            "cpu": _processor(slot),
            "processes": None,
        }
        if self.root and self.kind in ("bwrap", "landlock", "none"):
            plan["uid"] = FIRST_UID + slot
            plan["keep_reading"] = self.kind != "bwrap" and not open_to_all(kit)
        if self.root or self.kind.startswith("bwrap"):
            plan["processes"] = 64  # threads count; without a user of its own it would count others
        if self.kind == "landlock":
            packages = [path for folder in site_folders() for path in visible_packages(folder)]
            files = ["/dev/null", "/dev/zero", "/dev/urandom", "/sys/devices/system/cpu"]
            read = [*SYSTEM, *python_folders(), *packages, str(kit), *files]
            plan["landlock"] = {"read": read, "write": ["/dev/null"]}
        return plan


def _processor(slot: int) -> int | None:
    """Each worker keeps to one processor, so that a busy one cannot slow its neighbours."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    ours = sorted(os.sched_getaffinity(0))
    return ours[slot % len(ours)]


def readable_by_others(path: str) -> bool:
    """Whether a user who owns nothing gets through to a path."""
    place = Path(path)
    return all(part.stat().st_mode & 0o1 for part in [*place.parents, place] if part.is_dir())


def open_to_all(kit: Path) -> bool:
    return all(readable_by_others(path) for path in [*python_folders(), *site_folders(), str(kit)])
