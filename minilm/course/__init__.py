"""The course around the package: lessons, instant checks, the grader, slides, site and claims.

Names load when they are first used: a lesson that only calls `check` pays for nothing else.
To offer a new name, add one line to `_HOMES`: name -> module of `minilm.course` that defines it.
"""

import importlib
from typing import Any

_HOMES = {
    "TapeView": "show.tape_view",
    # instant checks in an exercise notebook
    "check": "checking.check",
    "payoff": "checking.check",
    # the records and the display of a lesson
    "bars": "show.figures",
    "budget": "show.budget",
    "claim": "show.claims",
    "coloured_words": "show.words",
    "figure": "show.style",
    "heatmap": "show.grids",
    "images": "show.grids",
    "interact": "show.display",
    "lesson_folder": "places",
    "lines": "show.figures",
    "progress": "show.progress",
    "scatter": "show.figures",
    "seeds": "show.seeds",
    "source": "show.display",
    "tape_bytes": "show.tape_view",
    "tape_steps": "show.tape_view",
    "verdict": "show.claims",
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
