"""The machine, described once: for a benchmark's table, a study's file, a lesson's notebook."""

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType


@dataclass(frozen=True)
class Machine:
    """The kind of machine that figures come from; nothing here names a particular one.

    Attributes:
        cores: how many cores of the CPU this process may use.
        processor: the CPU, as its maker calls it; "" where the system does not say.
        architecture: of the CPU, such as "x86_64".
        system: "Linux", "macOS" or "Windows".
        python: its version.
    """

    cores: int
    processor: str
    architecture: str
    system: str
    python: str

    def __str__(self) -> str:
        parts = [f"{self.cores} cores", self.processor, self.architecture, self.system]
        return ", ".join([p for p in parts if p] + [f"Python {self.python}"])


def describe() -> Machine:
    """This machine."""
    system = platform.system()
    return Machine(
        cores=cores(),
        processor=_processor(),
        architecture=platform.machine(),
        system="macOS" if system == "Darwin" else system,
        python=platform.python_version(),
    )


def cores() -> int:
    """How many cores this process may use, by its affinity and by the quota of its control group.

    Half a core more than one is one: a thread that waits for its share holds up the others.
    """
    may = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = quota(Path("/sys/fs/cgroup"), _own_group())
    return may if share is None else max(1, min(may, int(share)))


def quota(groups: Path, own: str) -> float | None:
    """How many processors' time a control group of Linux may use; None: as much as there is.

    Args:
        groups: where the groups are mounted, with `cpu.max` (version 2) or `cpu/cpu.cfs_*` (1).
        own: the group's path; each group above it sets a limit too.
    """
    limits = []
    above = [Path(own.strip("/")), *Path(own.strip("/")).parents]
    for folder in (groups / part for part in above):
        limits.append(_ratio(_words(folder / "cpu.max")))
    for name in ("cpu", "cpu,cpuacct"):
        for folder in (groups / name / part for part in above):
            files = (folder / f"cpu.cfs_{what}_us" for what in ("quota", "period"))
            limits.append(_ratio([word for file in files for word in _words(file)]))
    return min((limit for limit in limits if limit is not None), default=None)


def _ratio(words: list[str]) -> float | None:
    """A quota over its period; None where there is no limit ("max", or -1)."""
    try:
        given, period = map(float, words)
    except ValueError:
        return None
    return given / period if given > 0 and period > 0 else None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return []


def _own_group() -> str:
    """The control group of this process, as far as the system tells."""
    lines = _words(Path("/proc/self/cgroup"))
    found = [line.split(":", 2) for line in lines]
    own = [path for _, kinds, path in (f for f in found if len(f) == 3)
           if not kinds or "cpu" in kinds.split(",")]  # fmt: skip
    return own[0] if own else "/"


def gpu(cp: ModuleType) -> str:
    """The current GPU: its name, its memory and its driver, in words.

    Args:
        cp: CuPy, as `minilm.backend.cupy` gives it.
    """
    facts = cp.cuda.runtime.getDeviceProperties(cp.cuda.Device().id)
    memory = facts["totalGlobalMem"] / 2**30
    driver = cp.cuda.runtime.driverGetVersion()
    return f"{facts['name'].decode()}, {memory:.0f} GiB, CUDA driver {driver // 1000}"


def _processor() -> str:
    if sys.platform.startswith("linux"):
        try:
            text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        except OSError:
            text = ""
        for line in text.splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        if found.stdout.strip():
            return found.stdout.strip()
    return platform.processor()
