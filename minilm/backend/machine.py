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
    """How many cores this process may use: those that its affinity allows, where there is one."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
