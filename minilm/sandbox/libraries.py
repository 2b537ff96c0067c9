"""Which libraries may answer: the one place that says so.

An answer is written with NumPy and the standard library. A set that asks for more names it, in its
`tests.py`: `LIBRARIES = ("numba",)`. A dotted name lets in that part, and what it needs itself.
Nothing else is mounted, so nothing else can be imported, whatever lies on the grader's machine.
"""

import importlib.machinery
import sys
from collections.abc import Iterable
from pathlib import Path

from minilm.errors import InputError

ALWAYS = ("numpy",)
MAY_BE_NAMED = {
    "numba": ("llvmlite",),
    "scipy": (),
}  # top name -> the packages that it cannot do without
FOR_THE_EMULATOR = ("numpy", "greenlet", "ml_dtypes")  # what runs kernels, beside the answers


def refuse_unknown(names: Iterable[str]) -> tuple[str, ...]:
    """The libraries that a set names, looked through.

    Raises:
        InputError: one that no set may name.
    """
    names = tuple(names)
    for name in names:
        if not isinstance(name, str) or name.split(".")[0] not in MAY_BE_NAMED:
            allowed = ", ".join(MAY_BE_NAMED)
            raise InputError(f"LIBRARIES has {name!r}; a set may name {allowed} and parts of them")
    return names


def top_names(names: Iterable[str]) -> tuple[str, ...]:
    """The packages to mount for these libraries, those that they need themselves included."""
    tops = [name.split(".")[0] for name in names]
    needed = [other for top in tops for other in (top, *MAY_BE_NAMED.get(top, ()))]
    return tuple(dict.fromkeys([*ALWAYS, *needed]))


def entries(packages: Iterable[str]) -> dict[str, list[str]]:
    """Where packages lie: site folder -> its entries that belong to them.

    Beside a package lie the shared libraries of its wheel (numpy.libs). One that is not installed
    is left out: importing it then fails in the sandbox, as it should.
    """
    found: dict[str, list[str]] = {}
    for name in packages:
        spec = importlib.machinery.PathFinder.find_spec(name, sys.path)
        if spec is None or spec.origin is None:
            continue
        origin = Path(spec.origin)
        place = origin.parent if spec.submodule_search_locations else origin
        for entry in (place, place.parent / f"{name}.libs"):
            if entry.exists():
                found.setdefault(str(place.parent), []).append(str(entry))
    return found
