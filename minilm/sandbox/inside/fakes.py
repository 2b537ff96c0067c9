"""Libraries that draw, display or talk: a grader looks at answers, so they do nothing here.

A real Matplotlib would cost every submission a second, and its cells say nothing about a function.
"""

import importlib.abc
import importlib.machinery
import sys
import types
from typing import Any

SILENT = ("matplotlib", "ipywidgets", "IPython", "ipykernel", "seaborn", "plotly", "tqdm")


class Nothing:
    """Takes every call, attribute, item and operator, and gives itself back."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **named: Any) -> Any:
        only = len(args) == 1 and not named
        return args[0] if only and callable(args[0]) else self  # a decorator keeps its function

    def __getitem__(self, key: Any) -> Any:
        return self

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: Any) -> None: ...

    def __iter__(self) -> Any:
        return iter(())


def _subplots(*args: Any, **named: Any) -> tuple[Nothing, Nothing]:
    return Nothing(), Nothing()


def _progress(iterable: Any = (), *args: Any, **named: Any) -> Any:
    return iterable


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.split(".")[0] not in SILENT:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return types.ModuleType(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        nothing = Nothing()
        special = {"subplots": _subplots, "get_ipython": lambda: nothing}
        special |= dict.fromkeys(("tqdm", "trange"), _progress)
        special["trange"] = lambda *a, **k: range(*a)
        module.__path__ = []

        def attribute(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return special.get(name, nothing)

        module.__getattr__ = attribute


def install() -> None:
    """Make `import matplotlib` and its like succeed and do nothing."""
    sys.meta_path.insert(0, _Finder())
