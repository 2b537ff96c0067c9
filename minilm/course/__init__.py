"""The course around the package: lessons, instant checks, the grader, slides, site and claims.

Names load when they are first used: a lesson that only calls `check` pays for nothing else.
To offer a new name, add one line to `_HOMES`: name -> module of `minilm.course` that defines it.
"""

import importlib
from typing import Any

_HOMES = {
    "TapeView": "tape_view",
    # instant checks in an exercise notebook
    "check": "checking",
    "payoff": "checking",
    # the records and the display of a lesson
    "bars": "figures",
    "claim": "claims",
    "coloured_words": "words",
    "figure": "style",
    "heatmap": "grids",
    "images": "grids",
    "interact": "display",
    "lines": "figures",
    "scatter": "figures",
    "source": "display",
    "tape_bytes": "tape_view",
    "tape_steps": "tape_view",
    "verdict": "claims",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'minilm.course' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"minilm.course.{_HOMES[name]}"), name)
    globals()[name] = value  # a module of the same name must not shadow it on the next import
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
