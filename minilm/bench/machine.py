"""On what a benchmark ran: processor, date, versions, and which matrix kernels BLAS chose."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

PEERS = ("torch", "tokenizers", "tiktoken")
NARROW = ("haswell", "zen")  # OpenBLAS kernels for 8 floats at a time


def describe() -> dict[str, Any]:
    """Facts that belong beside every figure, ready for JSON."""
    versions = {name: version(name) for name in ("minilm", "numpy", "numba", *PEERS)}
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "date": datetime.date.today().isoformat(),
        "versions": versions,
        "openblas_coretype": os.environ.get("OPENBLAS_CORETYPE"),
        "blas": blas(),
    }


def version(package: str) -> str | None:
    """The installed version, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def cpu_name() -> str:
    """The processor as its maker calls it, as far as the system tells."""
    if sys.platform.startswith("linux"):
        for line in _read("/proc/cpuinfo").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        if found.stdout.strip():
            return found.stdout.strip()
    return platform.processor() or platform.machine()


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def blas() -> list[dict[str, Any]]:
    """Every BLAS that NumPy and SciPy loaded: library, version and the kernels it picked."""
    import scipy.linalg.cython_blas  # noqa: F401 - SciPy's own BLAS, to be listed too
    from threadpoolctl import threadpool_info

    found = []
    for entry in threadpool_info():
        if entry["user_api"] == "blas":
            folder = Path(entry["filepath"]).parent.name
            found.append(
                {
                    "of": folder.split(".")[0],
                    "library": entry["internal_api"],
                    "version": entry["version"],
                    "kernels": entry.get("architecture"),
                }
            )
    return found


def held_back() -> bool:
    """Whether OPENBLAS_CORETYPE asks NumPy's BLAS for kernels of 8 floats, whatever there is."""
    return os.environ.get("OPENBLAS_CORETYPE", "").lower() in NARROW


def lines(facts: dict[str, Any]) -> list[str]:
    """The facts as text."""
    versions = ", ".join(
        f"{name} {number}" for name, number in facts["versions"].items() if number is not None
    )
    coretype = facts["openblas_coretype"]
    if facts["blas"]:
        kinds = [
            f"{e['of']}: {e['library']} {e['version']}"
            + (f" with {e['kernels']} kernels" if e["kernels"] else "")
            for e in facts["blas"]
        ]
        products = "; ".join(kinds)
        if not any("openblas" in e["library"] for e in facts["blas"]):
            products += "; matrix products are np.matmul"
    else:
        products = "none that can be asked (Accelerate?); matrix products are np.matmul"
    out = [
        f"{facts['cpu']}, {facts['cores']} cores, {facts['system']}, {facts['date']}",
        f"Python {facts['python']}, {versions}",
        f"BLAS: {products}",
        f"OPENBLAS_CORETYPE is {'not set' if coretype is None else f'set to {coretype}'}",
    ]
    if facts["load"] is not None and facts["load"] > 0.5 * facts["cores"]:
        out.append(
            f"other programs are at work (load {facts['load']} on {facts['cores']} cores): "
            "the figures mean little"
        )
    missing = [name for name in PEERS if facts["versions"][name] is None]
    if missing:
        out.append(f"not installed: {', '.join(missing)}; pip install 'minilm[bench]' brings them")
    return out
