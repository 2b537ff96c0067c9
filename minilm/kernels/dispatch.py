"""One name per kernel, several tiers behind it, one place that picks.

A kernel lives in a folder `kernels/<folder>/` that holds it up to four times under one
signature: `reference.py` (the formula, NumPy or CuPy), `cpu.py` (Numba), `cuda.py` (Numba
CUDA, to read, and the launcher of `cuda.cu`, to run). Where a tier lacks a kernel, the reference
takes its place.
"""

import importlib
import importlib.util
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np

from minilm.errors import InputError

TIERS = ("reference", "cpu", "cuda")

_forced: str | None = None
_functions: dict[str, Callable] = {}
_all: dict[str, "Kernel"] = {}


class Kernel:
    """A kernel by name: calling it runs the tier that fits its first array.

    float32 on the CPU runs the Numba tier, a CuPy array the CUDA tier, and everything else (float64
    is for checks) the reference. `use` overrides the choice.
    """

    def __init__(self, name: str, folder: str) -> None:
        self.name = name
        self.folder = folder
        self._tiers: dict[str, Callable] = {}
        _all[name] = self

    def __call__(self, *args: Any) -> Any:
        if _functions and self.name in _functions:
            return _functions[self.name](*args)
        tier = _forced
        if tier is None:
            first = args[0][0] if type(args[0]) is list else args[0]
            if type(first) is np.ndarray:
                tier = "cpu" if first.dtype == np.float32 else "reference"
            else:
                tier = "cuda" if type(first).__module__.startswith("cupy") else "reference"
        function = self._tiers.get(tier)
        if function is None:
            function = self._load(tier)
        return function(*args)

    def tier(self, name: str) -> Callable:
        """The function of one tier, or the reference's where that tier has none."""
        return self._tiers.get(name) or self._load(name)

    def has(self, tier: str) -> bool:
        """Whether the tier has a version of its own."""
        return tier == "reference" or self.tier(tier) is not self.tier("reference")

    def _load(self, tier: str) -> Callable:
        module = f"minilm.kernels.{self.folder}.{tier}"
        function = None
        if importlib.util.find_spec(module) is not None:
            function = getattr(importlib.import_module(module), self.name, None)
        if function is None:
            if tier == "reference":
                raise AttributeError(f"kernel {self.name!r} has no reference")
            function = self.tier("reference")
        self._tiers[tier] = function
        return function

    def __repr__(self) -> str:
        return f"<kernel {self.name} of minilm/kernels/{self.folder}>"


def kernels() -> dict[str, Kernel]:
    """Every kernel of the package by name."""
    return dict(_all)


@contextmanager
def use(choice: str | dict[str, Callable]):
    """Inside the block, run every kernel in one tier, or some kernels as the given functions.

    Args:
        choice: `"reference"`, `"cpu"` or `"cuda"`; or a dict from kernel names to functions
            of the reference's signature.

    Raises:
        InputError: a tier or a kernel that does not exist.
    """
    global _forced, _functions
    before = _forced, _functions
    if isinstance(choice, str):
        if choice not in TIERS:
            raise InputError(
                f"kernels.use got {choice!r}; allowed are {', '.join(TIERS)} or a dict"
            )
        _forced = choice
    else:
        for name in choice:
            if name not in _all:
                raise InputError(
                    f"kernels.use got {name!r}; the kernels are {', '.join(sorted(_all))}"
                )
        _functions = _functions | choice
    try:
        yield
    finally:
        _forced, _functions = before


def in_use() -> str:
    """The forced tier, or `"auto"`."""
    return _forced or "auto"


def is_overridden(*names: str) -> bool:
    """Whether a block of `use` is open that changes more than the kernels of these names."""
    return _forced in ("reference", "cuda") or any(name not in names for name in _functions)
