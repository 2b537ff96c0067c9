"""`minilm.use`: run the real package on somebody else's functions.

The student is a backend: `with minilm.use(softmax=my_softmax): model(ids)` runs the model on
`my_softmax` wherever the package calls its own.
"""

import functools
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from minilm.errors import InputError
from minilm.tensor import Tensor, primitive

# A fused primitive does several named steps at once. A function that replaces one of the steps is
# meant to run, so the fused one gives way to its version in `functional.by_parts`: (fused, steps).
_FUSED = (
    ("attention", ("softmax",)),
    ("self_attention", ("softmax", "rope", "attention")),
    ("cross_entropy", ("log_softmax",)),
    ("linear_cross_entropy", ("log_softmax", "cross_entropy", "linear")),
    ("swiglu", ("silu",)),
    ("geglu", ("gelu",)),
    ("feed_forward", ("gelu", "silu", "relu", "linear")),
    ("gated_feed_forward", ("gelu", "silu", "swiglu", "geglu", "linear")),
    (
        "expert_feed_forward",
        ("silu", "swiglu", "moe_permute", "moe_combine", "grouped_linear"),
    ),
    ("softmax_of_chosen", ("softmax",)),
)
# A kernel that takes many arrays at once gives way to a loop over the function that takes one.
_MANY = {"adamw": "adamw_many"}
_used: set[str] = set()
_open = 0  # blocks that have begun but not ended


@contextmanager
def use(**functions: Callable) -> Iterator[None]:
    """Inside the block, every part of minilm that calls `name` calls the function given.

    Any public function or class of the package can be replaced. For a primitive, the function
    takes arrays and returns either `(value, pullback)` or the value alone; in the latter case the
    package's own pullback gives the gradient. Blocks may be nested; every thread sees them.

    Args:
        functions: by public name, `softmax=my_softmax`.

    Raises:
        InputError: a name that the package does not have.
    """
    originals = {name: _find(name) for name in functions}
    plan = {}
    for name, function in functions.items():
        original = originals[name]
        wraps = hasattr(original, "arrays") and not hasattr(function, "arrays")
        plan[name] = (original, _as_primitive(function, original) if wraps else function)
    parts = importlib.import_module("minilm.functional.by_parts")
    for fused, steps in _FUSED:
        if fused not in functions and any(step in functions for step in steps):
            plan[fused] = (_find(fused), getattr(parts, f"{fused}_by_parts"))
    for one, many in _MANY.items():
        if one in functions and many not in functions:
            loop = importlib.import_module(f"minilm.kernels.{one}.reference")
            plan[many] = (_find(many), functools.partial(getattr(loop, many), one=functions[one]))
    undo: list[tuple[ModuleType, str, Any]] = []
    global _open
    _open += 1
    try:
        for original, replacement in plan.values():
            for module, name in _places(original):
                setattr(module, name, replacement)
                undo.append((module, name, original))
        _used.update(functions)
        yield
    finally:
        _open -= 1
        for module, name, original in reversed(undo):
            setattr(module, name, original)


def is_active() -> bool:
    """Whether a block of `use` is open, so that nothing may take a short cut past its functions."""
    return _open > 0


def used() -> set[str]:
    """The names that `use` has replaced in this process so far."""
    return set(_used)


def _modules() -> list[ModuleType]:
    return [m for n, m in list(sys.modules.items()) if n.split(".")[0] == "minilm" and m]


def _find(name: str) -> Any:
    """The package's own object of that public name, the one from the lowest floor."""
    import minilm

    floors = ("tensor", "functional", "nn", "models", "optim", "train", "inference", "tokenizers")
    skipped = {"commands", "course", "bench", "emulator", "sandbox", "cli"}
    for part in floors:
        found = vars(importlib.import_module(f"minilm.{part}")).get(name)
        if callable(found):
            return found
    for part in ("tokenizers", *floors):  # a file of a floor goes before one from elsewhere
        home = importlib.import_module(f"minilm.{part}")
        for info in pkgutil.iter_modules(getattr(home, "__path__", ()), f"minilm.{part}."):
            found = vars(importlib.import_module(info.name)).get(name)
            if inspect.isfunction(found) and found.__module__ == info.name:
                return found
    for info in pkgutil.walk_packages(minilm.__path__, "minilm."):
        if info.name.split(".")[1] in skipped or ".kernels." in info.name:
            continue
        if info.name.removeprefix("minilm.") in floors or info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        found = vars(module).get(name)
        if callable(found) and getattr(found, "__module__", "").startswith("minilm"):
            return found
    raise InputError(
        f"minilm.use got {name!r}; it takes names of public functions and classes of the package"
    )


def _places(original: Any) -> list[tuple[ModuleType, str]]:
    """Every module attribute of the package that holds this object now."""
    return [
        (module, name)
        for module in _modules()
        for name, value in list(vars(module).items())
        if value is original and not name.startswith("__")
    ]


def _as_primitive(function: Callable, original: Callable) -> Callable:
    """The student's function of arrays as a primitive, with the package's pullback if needed."""
    own = original.arrays
    takes = inspect.signature(own)

    @functools.wraps(own)
    def with_pullback(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if isinstance(result, tuple) and len(result) == 2 and callable(result[1]):
            return result
        value = result.data if isinstance(result, Tensor) else result
        return value, own(*args, **kwargs)[1]

    with_pullback.__signature__ = takes
    return primitive(with_pullback)
