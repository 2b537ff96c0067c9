"""On what a benchmark ran: the machine, the date, versions, and the matrix kernels of BLAS."""

import datetime
import importlib.metadata
import os
from pathlib import Path
from typing import Any

from minilm.backend import machine
from minilm.errors import install

PEERS = ("torch", "tokenizers", "tiktoken")
NARROW = ("haswell", "zen")  # OpenBLAS kernels for 8 floats at a time


def facts() -> dict[str, Any]:
    """What belongs beside every figure, ready for JSON."""
    here = machine.describe()
    return {
        "cpu": here.processor or here.architecture,
        "cores": here.cores,
        "system": f"{here.system} {here.architecture}",
        "python": here.python,
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "date": datetime.date.today().isoformat(),
        "versions": {name: version(name) for name in ("minilm", "numpy", "numba", *PEERS)},
        "openblas_coretype": os.environ.get("OPENBLAS_CORETYPE"),
        "blas": blas(),
    }


def version(package: str) -> str | None:
    """The installed version, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def blas() -> list[dict[str, Any]]:
    """Every BLAS that NumPy and SciPy have loaded: library, version and the kernels it chose."""
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


def is_held_back() -> bool:
    """Whether OPENBLAS_CORETYPE makes NumPy's BLAS use kernels of 8 floats, whatever there is."""
    return os.environ.get("OPENBLAS_CORETYPE", "").lower() in NARROW


def lines(known: dict[str, Any]) -> list[str]:
    """The facts as text."""
    versions = ", ".join(
        f"{name} {number}" for name, number in known["versions"].items() if number is not None
    )
    coretype = known["openblas_coretype"]
    if known["blas"]:
        kinds = [
            f"{e['of']}: {e['library']} {e['version']}"
            + (f" with {e['kernels']} kernels" if e["kernels"] else "")
            for e in known["blas"]
        ]
        products = "; ".join(kinds)
        if not any("openblas" in e["library"] for e in known["blas"]):
            products += "; matrix products are np.matmul"
    else:
        products = "none that can be asked (Accelerate?); matrix products are np.matmul"
    out = [
        f"{known['cpu']}, {known['cores']} cores, {known['system']}, {known['date']}",
        f"Python {known['python']}, {versions}",
        f"BLAS: {products}",
        f"OPENBLAS_CORETYPE is {'not set' if coretype is None else f'set to {coretype}'}",
    ]
    if known["load"] is not None and known["load"] > 0.5 * known["cores"]:
        out.append(
            f"other programs are running (load {known['load']} on {known['cores']} cores): "
            "the figures mean little"
        )
    missing = [name for name in PEERS if known["versions"][name] is None]
    if missing:
        out.append(f"not installed: {', '.join(missing)}; {install('bench')} adds them")
    return out
