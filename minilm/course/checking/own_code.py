"""Whether an answer is the student's own code, as far as a notebook can tell."""

import sys
from types import ModuleType
from typing import Any


def uses_package(found: Any, name: str) -> bool:
    """Whether a function is minilm's own of that name, or calls it straight away.

    In a notebook this is advice: the grader takes the function away, so that nothing can call it.
    """
    if str(getattr(found, "__module__", "")).split(".")[0] == "minilm":
        return True
    code = getattr(found, "__code__", None)
    if code is None:
        return False
    spaces = getattr(found, "__globals__", {})
    reached = [spaces.get(used) for used in code.co_names]
    reached += [sys.modules.get(used) for used in code.co_names]  # an import inside the function
    modules = [value for value in reached if _is_package(value)]
    for module in modules:  # grows while it is walked: minilm, then minilm.functional
        inner = [vars(module).get(used) for used in code.co_names]
        modules += [value for value in inner if _is_package(value) and value not in modules]
    if name in code.co_names and any(name in vars(module) for module in modules):
        return True
    return any(
        getattr(value, "__name__", "") == name
        and str(getattr(value, "__module__", "")).split(".")[0] == "minilm"
        for value in reached
    )


def _is_package(value: Any) -> bool:
    return isinstance(value, ModuleType) and value.__name__.split(".")[0] == "minilm"
