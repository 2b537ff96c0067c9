"""What lessons and exercises use: figures, verdicts, the package's source, controls, checks.

Names load when first used, so that importing one does not import matplotlib for all.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {  # exported name -> (module, name there)
    "bars": ("figures", "bars"),
    "claim": ("claims", "claim"),
    "figure": ("style", "figure"),
    "heatmap": ("grids", "heatmap"),
    "images": ("grids", "images"),
    "interact": ("display", "interact"),
    "lines": ("figures", "lines"),
    "scatter": ("figures", "scatter"),
    "source": ("display", "source"),
    "verdict": ("claims", "claim"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, there = _HOME[name]
    return getattr(importlib.import_module(f"{__name__}.{module}"), there)


def __dir__() -> list[str]:
    return sorted(_HOME)
