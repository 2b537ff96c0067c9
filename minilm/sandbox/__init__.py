"""Runs code that nobody trusts: `walls` around a worker, a `session` with it, the `wire` between.

The grader runs students' notebooks in it, and `programs` what a model has written. What a worker
says is rebuilt from plain parts and judged on this side of the wall.
"""

import importlib
from typing import Any

__all__ = ["Outcome", "Programs", "run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("minilm.sandbox.programs"), name)
    raise AttributeError(f"module 'minilm.sandbox' has no attribute {name!r}")
